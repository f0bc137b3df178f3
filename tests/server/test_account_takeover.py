"""No one person gets into the account of another: each way that an officer, an inviter or a provider could try."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from authenticator_made import Authenticator
from galenic.errors import StateError
from galenic.security import Session, token_name
from galenic.server.identity_provider import ProviderSettings, add_provider
from provider_made import SECRET, Provider, a_provider
from server_made import free_port
from site_made import PASSWORD, Browser, Site

RP = "localhost"
NEW = "harbour-velvet-seventeen-otters"


@pytest.fixture
def provider(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider that is trusted to have asked for a second factor; the officer herself is in front of it."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    with a_provider(free_port(), f"{site.base}/sign-in/with/clinic/back") as made:
        settings = ProviderSettings(made.issuer, "galenic", SECRET, display_name="the clinic", internal=True, trust_mfa=True)
        add_provider(site.installation, "clinic", settings)
        made.human.amr = ["mfa"]
        yield made


def through(browser: Browser, start: httpx.Response) -> httpx.Response:
    """Follows to the provider and back, as a browser does."""
    if start.status_code != 303 or "/authorize" not in start.headers["location"]:
        return start
    return browser.web.get(httpx.get(start.headers["location"], trust_env=False).headers["location"])


def stepped_up(browser: Browser) -> Browser:
    browser.web.post("/confirm", data={"csrf": browser.csrf(), "code": browser.code()})
    return browser


def session_of(site: Site, browser: Browser) -> Session:
    found = site.installation.gate.session(token_name(browser.web.cookies["galenic"]))
    assert found
    return found[0]


def form(browser: Browser, place: str, **values: str) -> httpx.Response:
    return browser.web.post(place, data={"csrf": browser.csrf(), **values})


def link_in(page: httpx.Response) -> str:
    found = re.search(r"http://\S+?(/(?:invitation|reset|recover)/[\w-]+)", page.text)
    assert found, page.text
    return found[1]


@pytest.fixture
def officer(site: Site) -> Browser:
    """Sofia, a security officer who has just confirmed that it is her."""
    return stepped_up(site.grown("sofia"))


def with_role(site: Site, name: str, role: str) -> Browser:
    browser = site.grown(name)
    site.installation.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
    return stepped_up(browser)


def is_in(browser: Browser, name: str) -> bool:
    """Whether the browser is signed in to an account."""
    return f"<dd>{name}</dd>" in browser.web.get("/account").text


def test_a_reset_link_does_not_link_the_officers_own_provider_account(site: Site, provider: Provider, officer: Browser) -> None:
    """G01: with a trusted provider the officer was in, without the victim's second factor."""
    site.grown("paul")
    place = link_in(form(officer, "/people/reset", name="paul"))
    attacker = site.browser()
    secret = place.rpartition("/")[2]
    for path in (f"{place}/with/clinic", f"/invitation/{secret}/with/clinic"):
        through(attacker, attacker.web.get(path))
        assert not is_in(attacker, "paul"), path
    assert "openid" not in site.installation.people.credentials.kinds("paul")


def test_a_reset_alone_sets_no_password(site: Site, officer: Browser) -> None:
    paul = site.grown("paul")
    place = link_in(form(officer, "/people/reset", name="paul"))
    attacker = site.browser()
    assert attacker.web.post(place, data={"password": NEW}).status_code == 422
    for code in ("000000", "", "a-b-c", officer.code()):
        assert attacker.web.post(place, data={"password": NEW, "code": code}).status_code in (400, 422)
    assert attacker.web.post(f"/invitation/{place.rpartition('/')[2]}", data={"password": NEW}).status_code == 400
    assert attacker.password("paul", NEW).status_code == 400
    assert attacker.web.get("/sign-in/second").status_code == 303, "no half session either"
    assert paul.web.post(place, data={"password": NEW, "code": paul.code()}).status_code == 303, "the owner has the factor"
    assert is_in(paul, "paul")


def test_the_owner_of_a_reset_account_is_told(site: Site, officer: Browser) -> None:
    paul = site.grown("paul")
    place = link_in(form(officer, "/people/reset", name="paul"))
    assert paul.web.post(place, data={"password": NEW, "code": paul.code()}).status_code == 303
    page = paul.web.get("/").text
    assert "sofia reset your password" in page
    key = re.search(r'action="/account/notices".*?name="key" value="([^"]+)"', page, re.S)
    assert key
    assert form(officer, "/account/notices", key=key[1]).status_code == 400, "a notice is its owner's"
    assert form(paul, "/account/notices", key=key[1]).status_code == 303
    assert "sofia reset your password" not in paul.web.get("/").text
    assert any(e.action == "person.reset" and e.actor == "sofia" for e in site.installation.audit.entries())


def test_who_signs_in_by_passkey_alone_resets_with_the_passkey_and_is_offered_no_authenticator(
    site: Site, officer: Browser
) -> None:
    """A13: a password from a reset link led to a page that offered a new authenticator."""
    people, key = site.installation.people, Authenticator()
    people.write("paul", "paul@clinic.example", "Paul", "active")
    people.credentials.finish_passkey(
        "paul", "key", key.make(people.credentials.begin_passkey("paul", "Paul", RP), origin=site.base, rp=RP), RP, site.base
    )
    place = link_in(form(officer, "/people/reset", name="paul"))
    attacker = site.browser()
    assert attacker.web.post(place, data={"password": NEW, "code": "000000"}).status_code == 400
    people.credentials.set_password("paul", NEW)  # even with the right password
    attacker.password("paul", NEW)
    page = attacker.web.get("/sign-in/second").text
    assert "<code>" not in page
    assert attacker.second("000000").status_code == 400
    owner = site.browser(**{"Content-Type": "application/json"})
    options = owner.web.post(f"{place}/passkey/begin", content="{}").text
    answer = owner.web.post(
        f"{place}/passkey", json={"credential": key.show(options, origin=site.base, rp=RP), "password": NEW}
    )
    assert answer.status_code == 200, answer.text
    assert is_in(owner, "paul")


def test_another_persons_passkey_resets_nothing(site: Site, officer: Browser) -> None:
    people, key = site.installation.people, Authenticator()
    site.grown("paul")
    options = people.credentials.begin_passkey("sofia", "Sofia", RP)
    people.credentials.finish_passkey("sofia", "key", key.make(options, origin=site.base, rp=RP), RP, site.base)
    place = link_in(form(officer, "/people/reset", name="paul"))
    options = officer.web.post(f"{place}/passkey/begin", content="{}", headers={"Content-Type": "application/json"}).text
    answer = officer.web.post(
        f"{place}/passkey", json={"credential": key.show(options, origin=site.base, rp=RP), "password": NEW}
    )
    assert answer.status_code == 403
    assert people.credentials.password_is("paul", NEW) is False


def test_an_account_without_a_second_factor_of_its_own_is_not_reset_by_one_person(
    site: Site, provider: Provider, officer: Browser
) -> None:
    """A13: people who came by the trusted provider have no time code here."""
    site.installation.people.write("paul", "paul@clinic.example", "Paul", "active")
    page = form(officer, "/people/reset", name="paul")
    assert page.status_code == 400
    assert "Propose to recover the account" in page.text


def test_a_provider_that_did_not_ask_for_a_second_factor_registers_none(
    site: Site, provider: Provider, officer: Browser
) -> None:
    """An account that came by the provider's second factor is not opened by the provider's password and a new authenticator."""
    invitation = form(officer, "/people/invite", name="rita", shown="Rita", human="rita@x.example", role="nurse")
    rita = site.browser()
    assert through(rita, rita.web.get(f"{link_in(invitation)}/with/clinic")).headers["location"] == "/"
    assert is_in(rita, "rita")
    provider.human.amr = ["pwd"]
    thief = site.browser()
    answer = through(thief, thief.web.get("/sign-in/with/clinic"))
    assert answer.headers["location"].startswith("/sign-in/second")
    assert "<code>" not in thief.web.get("/sign-in/second").text
    assert thief.second("000000").status_code == 400
    assert not is_in(thief, "rita")


def test_an_invited_person_who_went_away_registers_a_factor_at_the_next_sign_in(site: Site, officer: Browser) -> None:
    place = link_in(form(officer, "/people/invite", name="rita", shown="Rita", human="rita@x.example", role="nurse"))
    rita = site.browser()
    assert rita.web.post(place, data={"password": NEW}).status_code == 303
    later = site.browser()
    assert later.password("rita", NEW).status_code == 303
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", later.web.get("/sign-in/second").text)
    assert secret
    later.secret = secret[1]
    assert "recovery codes" in later.second(later.code()).text
    other = site.browser()
    other.password("rita", NEW)
    assert "<code>" not in other.web.get("/sign-in/second").text


def recovered(site: Site, officer: Browser, second: Browser, name: str) -> tuple[str, str]:
    """(code of the proposer, address of the approver) of a recovery by two people."""
    code = re.search(r"<code>([0-9a-f-]{27})</code>", form(officer, "/people/recover", name=name).text)
    assert code
    return code[1], link_in(form(second, "/people/recover/decide", name=name, verb="approve"))


def test_two_people_recover_an_account_and_neither_of_them_gets_in(site: Site, officer: Browser) -> None:
    paul, petra = site.grown("paul"), with_role(site, "petra", "privacy-officer")
    code, place = recovered(site, officer, petra, "paul")
    for attacker, codes in ((officer, [code]), (petra, ["", "00-00", place])):
        for guess in codes:
            target = place if attacker is petra else f"/recover/{code}"
            assert attacker.web.post(target, data={"code": guess, "password": NEW}).status_code in (400, 422)
    owner = site.browser()
    assert owner.web.post(place, data={"code": code, "password": NEW}).status_code == 200
    assert paul.web.get("/account").status_code == 303, "earlier sessions end"
    assert owner.password("paul", NEW).status_code == 303
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", owner.web.get("/sign-in/second").text)
    assert secret, "earlier factors end, new ones are registered"
    owner.secret = secret[1]
    owner.code()  # of this half minute, in which the earlier authenticator was used
    assert "recovery codes" in owner.second(owner.code()).text
    owner.password("paul", NEW)
    assert owner.second(paul.code()).status_code == 400, "the earlier authenticator"
    assert "recovered with the approval of sofia and petra" in owner.web.get("/").text
    assert owner.web.post(place, data={"code": code, "password": PASSWORD}).status_code == 400, "it counts once"
    actions = [e.action for e in site.installation.audit.entries()]
    assert {"person.recovery", "person.recovered"} <= set(actions)


def test_a_recovery_is_not_approved_by_its_proposer_the_owner_or_somebody_without_the_role(
    site: Site, officer: Browser
) -> None:
    paul, nora = with_role(site, "paul", "privacy-officer"), with_role(site, "nora", "nurse")
    assert form(officer, "/people/recover", name="sofia").status_code == 400, "not for oneself"
    assert form(officer, "/people/recover", name="paul").status_code == 200
    for browser, status in ((officer, 400), (paul, 400), (nora, 403)):
        assert form(browser, "/people/recover/decide", name="paul", verb="approve").status_code == status
    again = with_role(site, "sofia2", "privacy-officer")
    site.installation.people.grant("sofia2", "sofia@clinic.example", "auditor", by="x", approved="y")
    answer = form(again, "/people/recover/decide", name="paul", verb="approve")
    assert answer.status_code == 400, "another account of the proposer's"
    assert site.installation.recovery.proposals()[0].state == "proposed"


def test_a_recovery_has_no_effect_on_who_still_signs_in(site: Site, officer: Browser) -> None:
    paul, petra = site.grown("paul"), with_role(site, "petra", "privacy-officer")
    code, place = recovered(site, officer, petra, "paul")
    assert "proposed to recover your account" in paul.web.get("/").text
    paul.password("paul")
    paul.second(paul.code())
    assert site.browser().web.post(place, data={"code": code, "password": NEW}).status_code == 400
    assert is_in(paul, "paul")


def test_a_recovery_whose_proposer_has_left_is_not_approved(site: Site, officer: Browser) -> None:
    site.grown("paul")
    petra, otto = with_role(site, "petra", "privacy-officer"), with_role(site, "otto", "security-officer")
    form(officer, "/people/recover", name="paul")
    assert form(otto, "/people/leave", name="sofia").status_code == 303
    assert form(petra, "/people/recover/decide", name="paul", verb="approve").status_code == 400


def test_who_leaves_takes_links_along(site: Site, officer: Browser) -> None:
    paul, petra = site.grown("paul"), with_role(site, "petra", "privacy-officer")
    code, place = recovered(site, officer, petra, "paul")
    reset = link_in(form(officer, "/people/reset", name="paul"))
    invitation = link_in(form(officer, "/people/invite", name="rita", shown="Rita", human="r@x.example", role="nurse"))
    for name in ("paul", "rita"):
        assert form(officer, "/people/leave", name=name).status_code == 303
    stranger = site.browser()
    assert stranger.web.post(place, data={"code": code, "password": NEW}).status_code == 400
    assert stranger.web.post(reset, data={"code": paul.code(), "password": NEW}).status_code == 400
    assert stranger.web.post(invitation, data={"password": NEW}).status_code == 400


def test_a_name_that_was_used_is_not_given_to_somebody_else(site: Site, officer: Browser) -> None:
    """Its roles, keys and rows of the audit log would be taken for the new person's."""
    site.grown("paul")
    form(officer, "/people/leave", name="paul")
    for name in ("paul", "PAUL", "Paul"):
        page = form(officer, "/people/invite", name=name, shown="Eve", human="eve@x.example", role="nurse")
        assert page.status_code == 400, name
    assert (
        form(officer, "/people/invite", name="paul2", shown="Paul", human="paul@clinic.example", role="nurse").status_code
        == 200
    )


def test_a_passkey_is_finished_only_soon_after_sign_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from galenic.server.console import session

    sofia, key = site.grown("sofia"), Authenticator()
    headers = {"X-CSRF": sofia.csrf(), "Content-Type": "application/json"}
    options = sofia.web.post("/account/passkey/begin", json={}, headers=headers).text
    monkeypatch.setattr(session, "FRESH", -1)
    body = {"credential": key.make(options, origin=site.base, rp=RP), "name": "key"}
    assert sofia.web.post("/account/passkey", json=body, headers=headers).status_code == 303
    assert site.installation.people.credentials.passkeys("sofia") == []


def test_the_database_refuses_a_second_account_of_a_person(site: Site) -> None:
    """The constraint holds where no check of the application comes first."""
    people = site.installation.people
    people.write("anna", "anna@x.example", "Anna", "active")
    with pytest.raises(StateError):
        people.write("anna2", "ANNA@x.example", "Anna", "active")
    people.write("anna", "anna@x.example", "Anna", "left")
    people.write("anna2", "ANNA@x.example", "Anna", "active")


@pytest.mark.parametrize("shown", ["Eve\x1b[2J", "Eve\u202eofficer", "Eve\u2066", "\u200b", "Eve\x07"])
def test_a_shown_name_that_steers_a_terminal_or_turns_text_is_refused(site: Site, officer: Browser, shown: str) -> None:
    """A12"""
    page = form(officer, "/people/invite", name="eve", shown=shown, human="eve@x.example", role="nurse")
    assert page.status_code == 400
    assert site.installation.people.get("eve") is None
    guest = site.browser()
    assert guest.web.get("/set-up").status_code == 303


@pytest.mark.parametrize("name", ["eve\n", "eve\r\n", "éve", "eve\u200b", ".eve", "eve/x", "galenic-eve", "Galenic-server"])
def test_a_name_of_an_account_is_plain(site: Site, officer: Browser, name: str) -> None:
    from galenic.errors import OptionError

    with pytest.raises(OptionError):
        site.installation.invitations.invite(session_of(site, officer), name, "eve@x.example", "Eve", ("nurse",))


def test_a_person_never_gets_the_role_of_a_system(site: Site, officer: Browser) -> None:
    site.grown("paul")
    assert form(officer, "/people/role", name="paul", role="service", verb="give").status_code in (400, 404)
    page = form(officer, "/people/invite", name="eve", shown="Eve", human="eve@x.example", role="service")
    assert page.status_code == 400


def joined(site: Site, place: str, name: str) -> Browser:
    """Whoever opens an invitation: password, authenticator, confirmed session."""
    browser = site.browser()
    assert browser.web.post(place, data={"password": NEW}).status_code == 303
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", browser.web.get("/sign-in/second").text)
    assert secret
    browser.secret = secret[1]
    assert "recovery codes" in browser.second(browser.code()).text
    assert is_in(browser, name)
    return stepped_up(browser)


def invited(officer: Browser, name: str, role: str) -> str:
    page = form(officer, "/people/invite", name=name, shown=name, human=f"{name}@x.example", role=role)
    assert page.status_code == 200, page.text
    return link_in(page)


def test_one_officer_alone_makes_no_second_officer_in_place_of_one_who_was_deactivated(site: Site, officer: Browser) -> None:
    """She deactivated the second officer, invited a puppet as the second person and approved with it what she proposed."""
    otto = joined(site, invited(officer, "otto", "security-officer"), "otto")
    assert site.installation.people.roles("otto") == ("security-officer",), (
        "the second person of an installation needs no approval"
    )
    assert form(officer, "/people/leave", name="otto").status_code == 303
    puppet = joined(site, invited(officer, "puppet", "security-officer"), "puppet")
    assert site.installation.people.roles("puppet") == ()
    form(officer, "/clients", name="lab", scope="system/*.cruds", purposes="treatment", hours="8")
    key = next(f.key for f, _ in site.installation.systems.proposals())
    assert form(puppet, "/clients/decide", key=key, verb="approve").status_code in (400, 403)
    assert form(puppet, "/people/decide", key="puppet/security-officer/give", verb="approve").status_code in (400, 403)
    assert form(officer, "/people/decide", key="puppet/security-officer/give", verb="approve").status_code == 400
    assert form(officer, "/people/decide", key="otto/account/deactivate", verb="approve").status_code == 400
    assert site.installation.systems.all() == []
    assert otto.web.get("/account").status_code == 303, "the emergency block holds at once"


def test_the_place_of_the_second_officer_stays_taken_after_two_people_deactivated_the_officer(
    site: Site, officer: Browser
) -> None:
    joined(site, invited(officer, "otto", "security-officer"), "otto")
    petra = with_role(site, "petra", "privacy-officer")
    form(officer, "/people/leave", name="otto")
    assert form(petra, "/people/decide", key="otto/account/deactivate", verb="approve").status_code == 303
    account = site.installation.people.get("otto")
    assert account
    assert (account.state, account.roles) == ("left", ())
    for number, gone in enumerate(("", "facts")):
        if gone:  # whoever writes into the database deletes what they were
            with closing(sqlite3.connect(site.installation.home / "galenic.db")) as database, database:
                database.execute("DELETE FROM facts WHERE who IN ('otto', 'petra')")
        invited(officer, f"puppet{number}", "security-officer")
        assert site.installation.people.roles(f"puppet{number}") == ()


def test_a_suspended_officer_cannot_sign_in_until_a_second_person_rejects_the_deactivation(
    site: Site, officer: Browser
) -> None:
    otto, petra = with_role(site, "otto", "security-officer"), with_role(site, "petra", "privacy-officer")
    form(officer, "/people/role", name="otto", role="auditor", verb="give")
    assert form(officer, "/people/leave", name="otto").status_code == 303
    assert otto.web.get("/account").status_code == 303
    assert otto.password("otto").status_code == 400
    assert form(officer, "/people/leave", name="otto").status_code == 400, "not twice"
    assert form(officer, "/people/reset", name="otto").status_code == 400
    assert form(petra, "/people/decide", key="otto/auditor/give", verb="approve").status_code == 400
    page = petra.web.get("/people").text
    assert "Deactivate the account <strong>otto</strong>, proposed by sofia" in page
    assert form(petra, "/people/decide", key="otto/account/deactivate", verb="reject").status_code == 303
    assert otto.password("otto").status_code == 303
    assert otto.second(otto.code()).status_code == 303
    assert is_in(otto, "otto")
    assert {"person.suspended"} <= {e.action for e in site.installation.audit.entries()}


def test_an_invitation_of_a_second_officer_that_was_never_used_is_replaced(site: Site, officer: Browser) -> None:
    invited(officer, "otto", "security-officer")
    form(officer, "/people/leave", name="otto")
    joined(site, invited(officer, "olga", "security-officer"), "olga")
    assert site.installation.people.roles("olga") == ("security-officer",)
