"""Attacks on sign-in and on forms: each fails, in words that tell nothing, and is on the audit chain."""

import re
import time
from statistics import median

import pytest

from galenic.server.console import Console
from site_made import PASSWORD, Browser, Site
from systems_made import add_client, issue_token


def test_an_attacker_is_locked_out_and_the_user_is_not(site: Site) -> None:
    sofia = site.grown("sofia")
    attacker = site.browser()
    for _ in range(5):
        assert attacker.password("sofia", "not-the-password").status_code == 400
    assert attacker.password("sofia").status_code == 400, "the right password does not help an unknown device now"
    assert site.browser().password("sofia").status_code == 400
    again = sofia.password("sofia")
    assert again.status_code == 303, "the device that she signed in from before is known"
    assert sofia.second(sofia.code()).status_code == 303
    rows = [e.action for e in site.installation.audit.entries()]
    assert rows.count("session.refused") == 5
    assert rows.count("session.throttled") == 2


def test_a_code_counts_once_and_guesses_are_counted(site: Site) -> None:
    sofia = site.grown("sofia")
    other = site.browser()
    other.password("sofia")
    assert other.second(sofia.used[0]).status_code == 400, "the code that was shown at set-up counts no more"
    fresh = sofia.code()
    assert other.second(fresh).status_code == 303
    replay = site.browser()
    replay.password("sofia")
    assert replay.second(fresh).status_code == 400
    guesser = site.browser()
    guesser.password("sofia")
    answers = [guesser.second(f"{n:06d}").status_code for n in range(8)]
    assert set(answers) == {400}
    assert "throttled" in {e.action.partition(".")[2] for e in site.installation.audit.entries()}


def test_a_recovery_code_counts_once(site: Site) -> None:
    sofia = site.grown("sofia")
    codes = site.installation.people.credentials.new_recovery_codes("sofia")
    assert sofia.password("sofia").status_code == 303
    assert sofia.second(codes[0]).status_code == 303
    sofia.password("sofia")
    assert sofia.second(codes[0]).status_code == 400


def test_nothing_tells_whether_an_account_exists(site: Site) -> None:
    """Words and time are those of an account that is not there; medians of 5, argon2id dominates them."""
    site.grown("sofia")
    texts, times = {}, {}
    for name in ("sofia", "nobody"):
        found = []
        for i in range(5):
            browser = site.browser()
            started = time.perf_counter()
            answer = browser.password(name, f"wrong {i}")
            found.append(time.perf_counter() - started)
        texts[name] = re.sub(r'value="[^"]*"', "", answer.text)
        times[name] = median(found[:4])
    assert texts["sofia"] == texts["nobody"]
    assert 0.4 < times["sofia"] / times["nobody"] < 2.5


def test_a_half_session_opens_nothing(site: Site) -> None:
    site.grown("sofia")
    half = site.browser()
    half.password("sofia")
    secret = half.web.cookies["galenic-half"]
    half.web.cookies.set("galenic", secret)
    assert half.web.get("/account").headers["location"].startswith("/sign-in")
    bearer = half.web.get("/fhir/Patient", headers={"Authorization": f"Bearer {secret}"})
    assert bearer.status_code == 401


def test_a_session_that_was_planted_is_never_taken_over(site: Site) -> None:
    sofia = site.grown("sofia")
    before = sofia.web.cookies["galenic"]
    sofia.password("sofia")
    sofia.second(sofia.code())
    assert sofia.web.cookies["galenic"] != before
    planted = site.browser()
    planted.web.cookies.set("galenic", "x" * 43)
    planted.password("sofia")
    assert planted.web.cookies.get("galenic") == "x" * 43
    assert planted.web.get("/account").status_code == 303


def test_a_stolen_cookie_ends_every_session(site: Site) -> None:
    sofia = site.grown("sofia")
    thief = site.browser(**{"User-Agent": "curl/8"})
    thief.web.cookies.set("galenic", sofia.web.cookies["galenic"])
    assert thief.web.get("/account").status_code == 303
    assert sofia.web.get("/account").status_code == 303
    assert "session.moved" in [e.action for e in site.installation.audit.entries()]


def test_a_cookie_is_no_access_token(site: Site) -> None:
    sofia = site.grown("sofia")
    stolen = sofia.web.cookies["galenic"]
    assert site.browser().web.get("/fhir/Patient", headers={"Authorization": f"Bearer {stolen}"}).status_code == 401


def test_confirming_gives_the_session_another_secret(site: Site) -> None:
    sofia = site.grown("sofia")
    before = sofia.web.cookies["galenic"]
    done = sofia.web.post("/confirm", data={"csrf": sofia.csrf(), "code": sofia.code(), "next": "/account"})
    assert done.status_code == 303
    old = site.browser()
    old.web.cookies.set("galenic", before)
    assert old.web.get("/account").status_code == 303
    assert sofia.web.get("/account").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="a sibling host"),
        pytest.param({"Origin": "null"}, id="no origin"),
    ],
)
def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str]) -> None:
    sofia = site.grown("sofia")
    data = {"csrf": sofia.csrf()}
    assert sofia.web.post("/account/sessions", data=data, headers=headers).status_code == 403
    assert sofia.web.post("/sign-in", data={"name": "sofia", "password": PASSWORD}, headers=headers).status_code in (400, 403)
    assert sofia.web.post("/account/sessions", data=data).status_code == 303


def test_a_form_without_its_sessions_token_is_refused(site: Site) -> None:
    sofia = site.grown("sofia")
    assert sofia.web.post("/account/sessions", data={"csrf": "x" * 40}).status_code == 403
    assert sofia.web.post("/account/sessions", data={}).status_code == 422


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nX: y"]
)
def test_nobody_is_sent_elsewhere(site: Site, place: str) -> None:
    sofia = site.grown("sofia")
    done = sofia.web.post("/confirm", data={"csrf": sofia.csrf(), "code": sofia.code(), "next": place})
    assert done.headers["location"] == "/"
    assert "evil" not in sofia.web.get("/sign-in", params={"next": place}).text


def test_pages_may_not_be_framed_and_run_nothing_of_others(site: Site) -> None:
    sofia = site.grown("sofia")
    head = sofia.web.get("/account").headers
    assert "frame-ancestors 'none'" in head["content-security-policy"]
    assert "script-src 'self'" in head["content-security-policy"]
    assert "unsafe" not in head["content-security-policy"]
    assert head["x-frame-options"] == "DENY"
    assert head["x-content-type-options"] == "nosniff"
    assert head["cache-control"] == "no-store"


def test_cookies_are_kept_from_scripts_and_other_sites(site: Site) -> None:
    sofia = site.grown("sofia")
    set_cookie = sofia.password("sofia").headers.get_list("set-cookie") + sofia.second(sofia.code()).headers.get_list(
        "set-cookie"
    )
    assert len(set_cookie) >= 3
    for one in set_cookie:
        assert "httponly" in one.lower()
        assert "samesite=lax" in one.lower()
    assert Console(site.installation, site.console.repository, "https://galenic.example").session_cookie == "__Host-galenic"


def test_the_set_up_page_is_closed_once_there_is_somebody(site: Site) -> None:
    site.grown("sofia")
    guest = site.browser()
    assert guest.web.get("/set-up").status_code == 303
    data = {"code": site.console.set_up_code, "name": "eve", "shown": "Eve", "human": "eve@x.example", "password": PASSWORD}
    assert guest.web.post("/set-up", data=data).status_code == 400
    assert site.installation.people.get("eve") is None


def test_a_name_is_text_and_nothing_else(site: Site) -> None:
    sofia = site.grown("sofia")
    script = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    site.installation.people.write("eve", "eve@x.example", script, "invited")
    page = sofia.web.get("/people").text
    assert script not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "given",
    [{"role": "security-officer"}, {"roles": "security-officer"}, {"state": "active"}, {"tenant": "other"}, {"person": "x"}],
)
def test_an_invited_guest_can_not_name_a_role(site: Site, given: dict[str, str]) -> None:
    sofia = site.grown("sofia")
    people = site.installation.people
    sofia.web.post("/confirm", data={"csrf": sofia.csrf(), "code": sofia.code()})
    page = sofia.web.post(
        "/people/invite", data={"csrf": sofia.csrf(), "name": "gus", "shown": "Gus", "human": "gus@x.example", "role": "nurse"}
    ).text  # fmt: skip
    link = re.search(r"/invitation/[\w-]+", page)
    assert link, page
    guest = site.browser()
    assert guest.web.post(link[0], data={"password": PASSWORD, **given}).status_code == 303
    assert people.roles("gus") == ()
    assert guest.web.post(link[0], data={"password": PASSWORD}).status_code == 400, "an invitation counts once"


def test_the_host_header_names_nothing(site: Site) -> None:
    sofia = site.grown("sofia")
    answer = sofia.web.get(
        "/sign-in", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4"}
    )
    assert "evil" not in answer.text
    add_client(site.installation, "lab")
    token = issue_token(site.installation, "lab")
    bundle = sofia.web.get("/fhir/Patient", headers={"Host": "evil.example", "Authorization": f"Bearer {token}"})
    assert "evil" not in bundle.text


@pytest.mark.parametrize(
    "place", ["/static/../../../pyproject.toml", "/static/%2e%2e/signed.py", "/releases/..%2f..%2fkeys", "/static//etc/passwd"]
)
def test_paths_do_not_climb(site: Site, place: str) -> None:
    sofia = site.grown("sofia")
    assert sofia.web.get(place).status_code in (400, 403, 404)


NEW = "harbour-velvet-seventeen-otters"


def confirmed(browser: Browser) -> Browser:
    browser.web.post("/confirm", data={"csrf": browser.csrf(), "code": browser.code()})
    return browser


def test_a_password_is_changed_by_who_knows_the_one_before(site: Site) -> None:
    sofia = site.grown("sofia")
    other = site.browser()
    other.password("sofia")
    other.second(sofia.code())
    assert other.web.get("/account").status_code == 200
    form = {"csrf": sofia.csrf(), "old": "not-the-password", "new": NEW}
    assert sofia.web.post("/account/password", data=form).status_code == 400
    assert sofia.web.post("/account/password", data={**form, "old": PASSWORD, "new": "password1234"}).status_code == 400
    assert sofia.web.post("/account/password", data={**form, "old": PASSWORD}).status_code == 303
    assert other.web.get("/account").status_code == 303, "other sessions are ended"
    assert sofia.web.get("/account").status_code == 200
    assert sofia.password("sofia", PASSWORD).status_code == 400
    assert sofia.password("sofia", NEW).status_code == 303


def test_a_forgotten_password_is_reset_without_losing_the_second_factor(site: Site) -> None:
    sofia, otto = site.grown("sofia"), site.grown("otto")
    confirmed(sofia)
    page = sofia.web.post("/people/reset", data={"csrf": sofia.csrf(), "name": "otto"})
    place = re.search(r"http://\S+(/reset/[\w-]+)", page.text)
    assert place
    assert otto.web.get("/account").status_code == 303, "sessions are ended at once"
    assert otto.password("otto").status_code == 400, "the password before counts no more"
    fresh = site.browser()
    assert "<code>" not in fresh.web.get(place[1]).text, "no new authenticator is offered"
    assert fresh.web.post(place[1], data={"password": "password1234", "code": "0"}).status_code == 400
    assert fresh.web.post(place[1], data={"password": NEW, "code": otto.code()}).status_code == 303
    assert fresh.web.get("/account").status_code == 200
    assert otto.password("otto", NEW).status_code == 303
    assert site.browser().web.post(place[1], data={"password": NEW, "code": otto.code()}).status_code == 400, "once"
    assert sofia.web.post("/people/reset", data={"csrf": sofia.csrf(), "name": "sofia"}).status_code == 400


def test_who_administers_ends_sessions_and_nobody_else_does(site: Site) -> None:
    sofia, otto = site.grown("sofia"), site.grown("otto")
    confirmed(otto)
    for place in ("/people/sessions", "/people/reset"):
        assert otto.web.post(place, data={"csrf": otto.csrf(), "name": "sofia"}).status_code == 403
    confirmed(sofia)
    assert sofia.web.post("/people/sessions", data={"csrf": sofia.csrf(), "name": "otto"}).status_code == 303
    assert otto.web.get("/account").status_code == 303


def test_credentials_are_added_by_who_has_just_proved_who_they_are(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from galenic.server.console import session

    sofia = site.grown("sofia")
    headers = {"X-CSRF": sofia.csrf(), "Content-Type": "application/json"}
    assert sofia.web.post("/account/passkey/begin", json={}, headers=headers).status_code == 200, "just signed in"
    monkeypatch.setattr(session, "FRESH", -1)
    assert sofia.web.post("/account/passkey/begin", json={}, headers=headers).status_code == 303, "asked to confirm first"
    confirmed(sofia)
    headers = {"X-CSRF": sofia.csrf(), "Content-Type": "application/json"}
    assert sofia.web.post("/account/passkey/begin", json={}, headers=headers).status_code == 200


def test_signing_out_clears_the_browser(site: Site) -> None:
    sofia = site.grown("sofia")
    secret = sofia.web.cookies["galenic"]
    answer = sofia.web.post("/sign-out", data={"csrf": sofia.csrf()})
    assert "storage" in answer.headers["clear-site-data"]
    again = site.browser()
    assert again.web.get("/account", headers={"Cookie": f"galenic={secret}"}).status_code == 303


def test_no_link_makes_a_page_say_what_others_want(site: Site) -> None:
    sofia = site.grown("sofia")
    evil = "Your account is locked. Call +1 555 0100."
    for place in ("/account", "/people", "/keys", "/clients", "/policy", "/jobs"):
        for said in (evil, "0" * 32 + evil):
            assert "555 0100" not in sofia.web.get(place, params={"said": said}).text, place
    answer = sofia.web.post("/account/sessions", data={"csrf": sofia.csrf()})
    assert "other sessions are ended" in sofia.web.get(answer.headers["location"]).text
