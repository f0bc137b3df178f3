"""V6 (authentication), V7 (sessions), V9 (tokens), V10 (OAuth and OpenID Connect)."""

import base64
import contextlib
import hashlib
import json
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

import argon2
import joserfc.jwt
import pyotp
from authlib.oidc.core import CodeIDToken
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk, jwt

from asvs.web_rows import ehr, retemplated
from asvs_made import Place, calls, check, confirmed, documented, patched, planted_source, somebody, without
from galenic.custody import server_session
from galenic.custody.fhir import RequestContext
from galenic.errors import AccessDeniedError, GalenicError, InputError
from galenic.records.exchange import Reply
from galenic.security import (
    Apps,
    Credentials,
    Gate,
    UserDirectory,
    account_recovery,
    apps,
    assertions,
    credentials,
    invitations,
    openid,
    people,
    refusals,
    session_activity,
    sign_in_limits,
)
from galenic.security.grants import token_name
from galenic.security.openid import IdTokenClaims, OpenId, Provider
from galenic.server import identity_provider
from galenic.server.console import authorization, external_login
from galenic.server.console.session import Console
from site_made import PASSWORD
from systems_made import add_client, issue_token

STRONG = "harbour-velvet-seventeen-otters"
BACK = "https://app.example/back"


def refused(act: Any, errors: tuple[type[Exception], ...] = (AccessDeniedError, InputError)) -> bool:
    """Whether something is refused in so many words."""
    try:
        act()
    except errors:
        return True
    return False


# V6: passwords


def weak(place: Place, password: str, about: tuple[str, ...] = ()) -> bool:
    """Whether a password is refused."""
    return refused(lambda: credentials.check_password(password, about))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _half_is_whole(_place: Place) -> Any:
    before = Gate.session

    def session(self: Gate, name: str) -> Any:
        found = before(self, name)
        if found is None:
            half = [f for f in self.facts.of("session") if f.state == "half"]
            if half:
                fact = replace(
                    half[-1], state="open", body=(*half[-1].body, ("browser", "yes"), ("agent", _agent()), ("began", _now()))
                )
                found = (SimpleNamespace(id=fact.key, who=fact.who, tenant="home", region="", subject=None), fact)
        return found

    return mock.patch.object(Gate, "session", session)


def _agent() -> str:
    return hashlib.sha256(b"galenic Mozilla/5.0 test").hexdigest()


@check("V6.1.1", plant=patched(sign_in_limits, "STRANGERS", 10**6))
def defences_against_guessing_are_documented(place: Place) -> None:
    documented(place, "maximum failed attempts per account from unknown devices", sign_in_limits.STRANGERS)
    documented(place, "maximum failed attempts per known device", sign_in_limits.KNOWN_DEVICE)
    documented(place, "maximum audit log entries per minute for refused requests from one IP address", refusals.PER_ADDRESS)
    documented(place, "period in which failed attempts are counted, seconds", sign_in_limits.WINDOW)
    documented(
        place, "maximum sign-ins started with an identity provider per IP address per minute", external_login.MOST_STARTS
    )


@check("V6.1.2", plant=lambda place: mock.patch.object(place, "document", place.document.replace('"galenic"', "")))
def words_of_this_place_are_documented(place: Place) -> None:
    assert '"galenic"' in place.document
    assert "the account's name, the person's name" in place.document


@check(
    "V6.1.3", "V6.3.4", plant=planted_source("def back_door(console, answer):\n    return console.with_session(answer, 'x')")
)
def ways_in_are_the_documented_ones(place: Place) -> None:
    places = sorted({f.stem for f, _call in calls(place, "with_session")})
    assert places == ["account", "external_login", "recovery", "sign_in"], places  # account: a step-up of a session
    for way in (
        "password with time-based code",
        "a new password by a link with a second factor",
        "passkey with user verification",
        "identity provider",
        "access tokens of systems",
    ):
        assert way in place.document, way


@check("V6.2.1", plant=patched(credentials, "LEAST", 4))
def passwords_are_long(place: Place) -> None:
    with mock.patch.object(credentials, "STRENGTH", 0):
        assert weak(place, "vK9#tQ2!xyz")
    documented(place, "minimum password length, characters", credentials.LEAST)


def changed(place: Place, browser: Any, old: str, new: str) -> int:
    form = {"csrf": browser.csrf(), "old": old, "new": new}
    return int(browser.web.post("/account/password", data=form).status_code)


@check("V6.2.2", plant=patched(Credentials, "set_password", lambda *_a, **_k: None))
def people_change_their_passwords(place: Place) -> None:
    browser = somebody_with_password(place)
    changed(place, browser, PASSWORD, STRONG)
    assert browser.password(browser.name, STRONG).status_code == 303


def somebody_with_password(place: Place) -> Any:
    """Somebody, whatever is planted: their password is kept by what was there before."""
    name = f"person{next(place.numbers)}"
    installation = place.site.installation
    if not installation.people.any():
        place.site.grown("founder")
    installation.people.write(name, f"{name}@clinic.example", name, "active", {"enrolls": "yes"})
    installation.people.credentials.keep(name, "password", {"hash": argon2.PasswordHasher(2, 19_456, 1).hash(PASSWORD)})
    browser = place.site.grown(name)
    browser.name = name
    return browser


@check("V6.2.3", plant=patched(Credentials, "password_is", lambda *_a: True))
def who_changes_a_password_knows_it(place: Place) -> None:
    assert changed(place, somebody_with_password(place), "not-the-password", STRONG) == 400


@check("V6.2.4", "V6.2.12", plant=patched(credentials, "STRENGTH", 0))
def common_passwords_are_refused(place: Place) -> None:
    for common in ("password1234", "qwertyuiop12", "iloveyou1234", "123456789012"):
        assert weak(place, common), common


@check("V6.2.5", plant=lambda _p: mock.patch.object(credentials, "check_password", _composed))
def passwords_are_of_any_composition(place: Place) -> None:
    for good in (STRONG, "ünïcödé wörds söng lächelt", "all small words without any number"):
        assert not weak(place, good), good


def _composed(password: str, _about: tuple[str, ...] = ()) -> None:
    if not re.search(r"\d", password):
        raise InputError("a number, please")


def _folded(_place: Place) -> Any:
    before = Credentials.password_is
    return mock.patch.object(Credentials, "password_is", lambda self, who, given: before(self, who, given.strip().lower()))


@check("V6.2.8", plant=_folded)
def passwords_are_taken_letter_by_letter(place: Place) -> None:
    browser, kept = somebody_with_password(place), place.site.installation.people.credentials
    assert not kept.password_is(browser.name, PASSWORD + " ")
    assert not kept.password_is(browser.name, PASSWORD.upper())
    assert not kept.password_is(browser.name, PASSWORD[:-1])


@check("V6.2.9", plant=patched(credentials, "MOST", 40))
def long_passwords_are_welcome(place: Place) -> None:
    assert not weak(place, "seven wandering otters kept lanterns lit beside the velvet harbour all night long")
    documented(place, "maximum password length, characters", credentials.MOST)


def _ending(_place: Place) -> Any:
    before = credentials.new_password
    return mock.patch.object(credentials, "new_password", lambda *given: replace(before(*given), until="2099-01-01"))


@check("V6.2.10", plant=_ending)
def passwords_do_not_end(place: Place) -> None:
    kept = place.site.installation.people.credentials
    kept.set_password("lasting", STRONG)
    fact = kept.facts.one("credential", "lasting/password")
    assert fact is not None
    assert fact.until == "" and fact.get("until") is None


def _unheard(_place: Place) -> Any:
    before = credentials.check_password
    return mock.patch.object(credentials, "check_password", lambda password, _about=(): before(password))


@check("V6.2.11", plant=_unheard)
def words_of_this_place_are_guessed(place: Place) -> None:
    about = ("zwirbelkamp", "hollenstein-brugg")
    assert weak(place, "zwirbelkamphollenstein-brugg", about)


def _tries(place: Place) -> int:
    """The status of the right password from a stranger's device after six wrong ones."""
    name = somebody_with_password(place).name
    stranger = place.site.browser()
    for _ in range(6):
        stranger.password(name, "wrong-wrong-wrong")
    return int(stranger.password(name).status_code)


@check("V2.4.1", "V6.3.1", plant=patched(sign_in_limits, "STRANGERS", 10**6))
def guessing_is_stopped(place: Place) -> None:
    assert _tries(place) == 400


def _admin(place: Place) -> Any:
    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        installation = place.site.installation
        installation.people.write("admin", "nobody", "Admin", "active")
        try:
            yield
        finally:
            installation.people.write("admin", "nobody", "Admin", "left")

    return plant()


@check("V6.3.2", plant=_admin)
def there_is_no_account_by_default(place: Place) -> None:
    for name in ("admin", "root", "sa", "administrator", "test", "galenic"):
        found = place.site.installation.people.get(name)
        assert found is None or found.state == "left", name


@check("V6.3.3", "V2.3.1", plant=_half_is_whole)
def one_factor_opens_nothing(place: Place) -> None:
    name = somebody_with_password(place).name
    half = place.site.browser()
    half.password(name)
    half.web.cookies.set("galenic", "x" * 43)
    assert half.web.get("/account").status_code == 303


def officer(place: Place) -> Any:
    """A session that administers, just confirmed."""
    browser = confirmed(somebody(place, "security-officer"))
    found = place.site.installation.gate.session(token_name(browser.web.cookies["galenic"]))
    assert found is not None
    return found[0]


@check("V6.4.1", plant=patched(invitations.secrets, "token_urlsafe", lambda _n=32: "abc"))
def invitations_can_not_be_guessed(place: Place) -> None:
    place.kept.setdefault("officer", officer(place))
    secret = place.site.installation.invitations.invite(
        place.kept["officer"], f"guest{next(place.numbers)}", uuid.uuid4().hex, "Guest", ("nurse",)
    )
    assert len(secret) >= 24
    documented(place, "validity of an invitation, hours", invitations.INVITED_HOURS)


def _all_gone(_place: Place) -> Any:
    before = account_recovery.dropped
    return mock.patch.object(account_recovery, "dropped", lambda facts, who, _kind="": before(facts, who))


@check("V6.4.3", plant=_all_gone)
def a_reset_leaves_the_second_factor(place: Place) -> None:
    name = somebody_with_password(place).name
    place.site.installation.recovery.reset(officer(place), name)
    assert "totp" in place.site.installation.people.credentials.kinds(name)


@check("V2.3.4", "V6.5.1", plant=patched(credentials, "use_once", lambda *_a: True))
def codes_count_once(place: Place) -> None:
    browser, kept = somebody_with_password(place), place.site.installation.people.credentials
    code = browser.code()
    assert kept.totp_is(browser.name, code)
    assert not kept.totp_is(browser.name, code)


@check("V6.5.2", "V6.5.4", plant=patched(credentials, "GROUPS", 1))
def recovery_codes_are_long(place: Place) -> None:
    code = place.site.installation.people.credentials.new_recovery_codes("anybody")[0]
    bits = 4 * len(code.replace("-", ""))
    assert bits >= 112
    documented(place, "entropy of a recovery code, bits", bits)


@check("V6.5.3", "V11.5.1", plant=planted_source("import random\nTOKEN = random.random()"))
def what_is_not_to_be_guessed_is_from_the_system(place: Place) -> None:
    from asvs_made import imports

    found = {
        i for i in imports(place, "security", "server", "store") if i == "random" or i.startswith(("random.", "numpy.random"))
    }
    assert not found, found


@check("V6.5.5", plant=patched(credentials, "STEP", 300))
def codes_are_short_lived(place: Place) -> None:
    browser = somebody_with_password(place)
    old = str(pyotp.TOTP(browser.secret).at(int(time.time()) - 300))
    assert not place.site.installation.people.credentials.totp_is(browser.name, old)


check("V6.6.1", "V6.6.2", "V6.6.3", plant=planted_source("import twilio"))(
    without("twilio", "smpplib", "vonage", "messagebird")
)
check("V6.8.3", plant=planted_source("import saml2"))(without("saml2", "onelogin", "signxml"))


# identity providers

ISSUER = "https://login.example"
KEY = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048), {"kid": "one"})
OTHER = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048), {"kid": "one"})
PROVIDER = Provider("clinic", "the clinic", ISSUER, "galenic", mfa=True)


def believed(place: Place, key: Any = KEY, **wrong: Any) -> IdTokenClaims:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "248", "aud": "galenic", "exp": now + 60, "iat": now, "nonce": "the-nonce", **wrong}
    token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
    kept = {"nonce": "the-nonce", "purpose": "sign-in", "place": "/"}
    return place.site.installation.openid.validate(PROVIDER, kept, token, {"keys": [KEY.as_dict(private=False)]}, "")


def _unverified(_place: Place) -> Any:
    def decode(token: str, *_given: Any, **_more: Any) -> Any:
        head, body, _mac = [*token.split("."), "", ""][:3]

        def part(text: str) -> Any:
            return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

        return SimpleNamespace(header={k: v for k, v in part(head).items() if k in ("alg", "kid")}, claims=part(body))

    return mock.patch.object(joserfc.jwt, "decode", decode)


@check("V6.8.2", plant=_unverified)
def what_a_provider_says_is_signed(place: Place) -> None:
    assert believed(place).subject == "248"
    assert refused(lambda: believed(place, OTHER))


@check("V6.8.4", plant=patched(openid, "SEVERAL", frozenset({"pwd"})))
def a_second_factor_is_taken_from_what_the_provider_says(place: Place) -> None:
    assert not believed(place, amr=["pwd"]).several
    assert {"mfa", "hwk", "sc"} >= openid.SEVERAL


def _by_subject(self: OpenId, known: IdTokenClaims) -> str | None:
    facts = self.facts.of("credential", label="openid")
    return next((f.who for f in facts if f.get("subject") == known.subject), None)


@check("V6.8.1", plant=patched(OpenId, "person", _by_subject))
def people_of_two_providers_are_two(place: Place) -> None:
    known = IdTokenClaims(PROVIDER, "same-number", False, "sign-in", "/")
    place.site.installation.openid.link("linked", known)
    assert place.site.installation.openid.person(known) == "linked"
    assert (
        place.site.installation.openid.person(replace(known, provider=replace(PROVIDER, issuer="https://other.example")))
        is None
    )


@check(
    "V10.5.2",
    plant=patched(
        OpenId, "person", lambda self, _known: next((f.who for f in self.facts.of("credential", label="openid")), None)
    ),
)
def people_are_known_by_their_subject(place: Place) -> None:
    place.site.installation.openid.link("linked", IdTokenClaims(PROVIDER, "same-number", False, "sign-in", "/"))
    assert place.site.installation.openid.person(IdTokenClaims(PROVIDER, "another-number", False, "sign-in", "/")) is None


NOT_VALIDATED = patched(CodeIDToken, "validate", lambda *_a, **_k: None)


@check("V10.5.1", plant=NOT_VALIDATED)
def an_id_token_is_of_this_sign_in(place: Place) -> None:
    assert refused(lambda: believed(place, nonce="of-another"))


@check("V10.5.4", plant=NOT_VALIDATED)
def an_id_token_is_for_us(place: Place) -> None:
    assert refused(lambda: believed(place, aud="another-client"))


def _told(issuer: str) -> Any:
    found = {n: f"{ISSUER}/x" for n in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    return lambda *_a, **_k: Reply(200, {}, json.dumps({"issuer": issuer, **found}).encode())


def _metadata(place: Place, issuer: str) -> Any:
    installation = place.site.installation
    with (
        mock.patch.object(identity_provider.exchange, "call", _told(issuer)),
        mock.patch.object(Gate, "open", lambda *_a, **_k: contextlib.nullcontext()),
    ):
        return identity_provider._metadata(installation, None, PROVIDER)  # type: ignore[arg-type]


@check("V10.5.3", plant=patched(identity_provider, "_metadata", lambda *_a: {}))
def a_provider_is_who_it_was_declared_to_be(place: Place) -> None:
    assert refused(lambda: _metadata(place, "https://evil.example"))


def _state(address: str) -> str:
    found = re.search(r"state=([^&]+)", address)
    assert found
    return found[1]


@check("V10.1.2", "V10.2.1", plant=lambda _p: mock.patch.object(openid.secrets, "compare_digest", lambda *_a: True))
def a_sign_in_is_the_browsers_that_began_it(place: Place) -> None:
    ours = place.site.installation.openid
    _address, kept = ours.begin(PROVIDER, f"{ISSUER}/authorize", "https://x/back", "sign-in", "/")
    assert refused(lambda: ours.resume(kept, secrets.token_urlsafe(16)))


def _same_issuer(_place: Place) -> Any:
    before = identity_provider.finish

    def finish(installation: Any, session: Any, name: str, back: str, kept: str, given: dict[str, str]) -> Any:
        return before(installation, session, name, back, kept, {k: v for k, v in given.items() if k != "iss"})

    return mock.patch.object(identity_provider, "finish", finish)


@check("V10.2.2", plant=_same_issuer)
def providers_are_not_mixed_up(place: Place) -> None:
    installation = place.site.installation
    installation.openid.add(Provider("clinic", "the clinic", ISSUER, "galenic", False), "secret", by="check")
    address, kept = installation.openid.begin(PROVIDER, f"{ISSUER}/authorize", "https://x/back", "sign-in", "/")
    given = {"state": _state(address), "iss": "https://evil.example", "code": "x"}
    try:
        identity_provider.finish(installation, server_session(installation), "clinic", "https://x/back", kept, given)
    except AccessDeniedError as error:
        assert "another provider" in str(error), str(error)
    except GalenicError:
        raise AssertionError("it went on to the provider") from None


# V7: sessions


@check("V7.1.1", plant=patched(session_activity, "IDLE_SECONDS", 10**6))
def how_long_sessions_last_is_documented(place: Place) -> None:
    documented(place, "session timeout after inactivity, seconds", session_activity.IDLE_SECONDS)
    documented(place, "maximum session lifetime, seconds", people.SESSION_SECONDS)
    documented(place, "validity of a confirmation, seconds", people.STEP_UP_SECONDS)
    assert "A shift is twelve hours at most" in place.document


@check(
    "V7.1.2", plant=lambda place: mock.patch.object(place, "document", place.document.replace("can have several sessions", ""))
)
def how_many_sessions_is_documented(place: Place) -> None:
    assert "can have several sessions" in place.document
    name = somebody_with_password(place)
    second = place.site.browser()
    second.password(name.name)
    second.second(name.code())
    assert name.web.get("/account").status_code == second.web.get("/account").status_code == 200


@check("V7.1.3", "V7.6.1", plant=patched(people, "SESSION_SECONDS", 10**7))
def sessions_beside_the_providers_are_documented(place: Place) -> None:
    assert "Sessions at the identity provider are separate" in place.document
    secret = place.site.installation.people.begin(somebody(place).name, "the clinic, with a second factor there", "x")
    fact = place.site.installation.facts.one("session", token_name(secret))
    assert fact is not None
    left = datetime.fromisoformat(fact.until).timestamp() - time.time()
    assert left <= 43_200 + 5


def _anybody(_place: Place, *more: tuple[str, str]) -> Any:
    before = Gate.session

    def session(self: Gate, name: str) -> Any:
        found = before(self, name)
        if found is None:
            fact = next(f for f in self.facts.of("session") if f.state == "open" and not f.get("browser") and f.get("scope"))
            fact = replace(fact, body=(*fact.body, *more))
            who = "founder" if more else fact.who  # a person's session in a browser, a system's token
            found = (SimpleNamespace(id=name, who=who, tenant="home", region="", subject=None), fact)
        return found

    return mock.patch.object(Gate, "session", session)


@check("V7.2.1", plant=lambda place: _anybody(place, ("browser", "yes"), ("agent", _agent()), ("began", _now())))
def sessions_are_looked_up_here(place: Place) -> None:
    ehr(place)
    web = somebody(place) and place.site.browser().web
    web.cookies.set("galenic", secrets.token_urlsafe(32))
    assert web.get("/account").status_code == 303


@check("V9.2.2", "V10.3.1", plant=_anybody)
def other_tokens_are_no_access_tokens(place: Place) -> None:
    ehr(place)
    foreign = jwt.encode({"alg": "RS256", "kid": "one"}, {"iss": ISSUER, "aud": "another"}, KEY)
    answer = place.site.browser().web.get("/fhir/Patient", headers={"Authorization": f"Bearer {foreign[:190]}"})
    assert answer.status_code == 401


@check("V7.2.2", "V7.2.3", plant=patched(people.secrets, "token_urlsafe", lambda _n=32: "a-static-key"))
def sessions_have_secrets_of_their_own(place: Place) -> None:
    place.kept.setdefault("person", somebody(place).name)
    one, two = (place.site.installation.people.begin(place.kept["person"], "check", "x") for _ in range(2))
    assert one != two
    assert len(one) >= 22  # 128 bits of base64url


@check("V7.2.4", plant=lambda _p: mock.patch.object(Console, "with_session", lambda _self, answer, _secret: answer))
def proving_oneself_gives_another_secret(place: Place) -> None:
    if "rotating" not in place.kept:
        place.kept["rotating"] = somebody(place)
    browser = place.kept["rotating"]
    before = browser.web.cookies["galenic"]
    confirmed(browser)
    assert browser.web.cookies["galenic"] != before
    stale = place.site.browser()
    assert stale.web.get("/account", headers={"Cookie": f"galenic={before}"}).status_code == 303


@check("V7.3.1", plant=patched(session_activity, "IDLE_SECONDS", 10**9))
def sessions_that_nobody_uses_end(place: Place) -> None:
    browser = somebody(place)
    assert browser.web.get("/account").status_code == 200
    name = token_name(browser.web.cookies["galenic"])
    used = place.site.console.activity._used
    used[name] = used[name][0] - 1_801, used[name][1]
    assert browser.web.get("/account").status_code == 303


@check("V7.3.2", plant=patched(people, "SESSION_SECONDS", 10**9))
def sessions_end_whatever_happens(place: Place) -> None:
    secret = place.site.installation.people.begin(somebody(place).name, "check", "x")
    fact = place.site.installation.facts.one("session", token_name(secret))
    assert fact is not None
    assert datetime.fromisoformat(fact.until).timestamp() - time.time() <= 43_200 + 5


@check("V7.4.1", plant=patched(Gate, "end", lambda *_a: None))
def signing_out_ends_the_session(place: Place) -> None:
    browser = somebody(place)
    secret = browser.web.cookies["galenic"]
    browser.web.post("/sign-out", data={"csrf": browser.csrf()})
    assert place.site.browser().web.get("/account", headers={"Cookie": f"galenic={secret}"}).status_code == 303


KEEPS = patched(people, "ended_sessions", lambda *_a, **_k: [])


@check("V7.4.2", plant=KEEPS)
def who_leaves_is_out(place: Place) -> None:
    leaver = somebody(place)
    place.site.installation.people.leave(officer(place), leaver.name)
    assert leaver.web.get("/account").status_code == 303


@check("V7.4.3", plant=KEEPS)
def another_password_ends_other_sessions(place: Place) -> None:
    browser = somebody_with_password(place)
    other = place.site.browser()
    other.password(browser.name)
    other.second(browser.code())
    assert other.web.get("/account").status_code == 200
    changed(place, browser, PASSWORD, STRONG)
    assert other.web.get("/account").status_code == 303


@check("V7.4.5", plant=patched(UserDirectory, "end_all", lambda *_a: 0))
def who_administers_ends_sessions(place: Place) -> None:
    somebody_else = somebody(place)
    place.site.installation.people.end_all(officer(place), somebody_else.name)
    assert somebody_else.web.get("/account").status_code == 303


@check("V7.5.1", plant=patched(Console, "require_step_up", lambda *_a: None))
def credentials_change_after_a_fresh_proof(place: Place) -> None:
    browser = somebody(place)
    answer = browser.web.post("/account/codes", data={"csrf": browser.csrf()})
    assert answer.headers.get("location", "").startswith("/confirm")


@check("V7.5.2", plant=KEEPS)
def people_see_and_end_their_sessions(place: Place) -> None:
    browser = somebody(place)
    place.site.installation.people.begin(browser.name, "another ward", "x")
    assert "another ward" in browser.web.get("/account").text
    browser.web.post("/account/sessions", data={"csrf": browser.csrf()})
    assert "another ward" not in browser.web.get("/account").text


# V9: assertions of systems

SYSTEM = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "system"})
RSA = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048), {"kid": "rsa"})
STRANGER = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "system"})


def proved(
    place: Place, key: Any = SYSTEM, algorithm: str = "ES384", header: dict[str, Any] | None = None, **wrong: Any
) -> bool:
    """Whether an assertion is taken."""
    installation, audience = place.site.installation, f"{place.site.base}/auth/token"
    if installation.facts.one("grant", "registry/service") is None:
        public = {"keys": [SYSTEM.as_dict(private=False), RSA.as_dict(private=False)]}
        add_client(installation, "registry", jwks=json.dumps(public))
    claims = {
        "iss": "registry",
        "sub": "registry",
        "aud": audience,
        "exp": int(time.time()) + 60,
        "jti": uuid.uuid4().hex,
        **wrong,
    }
    token = jwt.encode({"alg": algorithm, "kid": key.kid, **(header or {})}, claims, key, algorithms=[algorithm])
    try:
        assertions.client_of(installation.gate, token, audience)
    except AccessDeniedError:
        return False
    return True


@check("V9.1.1", plant=_unverified)
def assertions_are_signed_by_the_registered_key(place: Place) -> None:
    assert proved(place)
    assert not proved(place, STRANGER)


@check("V9.1.2", plant=patched(assertions, "ALGORITHMS", ["RS384", "ES384", "RS256"]))
def algorithms_are_on_a_list(place: Place) -> None:
    assert proved(place, RSA, "RS384")
    assert not proved(place, RSA, "RS256")


@check("V9.1.3", plant=_unverified)
def keys_are_not_brought_along(place: Place) -> None:
    assert not proved(place, STRANGER, header={"jwk": STRANGER.as_dict(private=False)})
    assert not proved(place, STRANGER, header={"jku": "https://evil.example/keys"})


@check("V9.2.1", plant=patched(assertions, "SKEW", 10**9))
def assertions_end(place: Place) -> None:
    assert not proved(place, exp=int(time.time()) - 600)


def _any_audience(_place: Place) -> Any:
    before = assertions.client_of

    def client_of(gate: Gate, token: str, _audience: str, kind: str = "grant") -> Any:
        return before(gate, token, assertions._unchecked(token)["aud"], kind)

    return mock.patch.object(assertions, "client_of", client_of)


@check("V9.2.3", plant=_any_audience)
def assertions_are_for_us(place: Place) -> None:
    assert not proved(place, aud="https://other.example/token")


# V10: applications


class Launch:
    """An application that a clinician lets read."""

    def __init__(self, place: Place, *, jwks: str = "") -> None:
        self.place, self.apps = place, place.site.installation.apps
        self.name = f"app{next(place.numbers)}"
        self.apps.add(self.name, (BACK,), "user/*.rs offline_access", shown="Growth chart", jwks=jwks, by="check")
        self.browser = somebody(place, "clinician")
        self.verifier = secrets.token_urlsafe(48)
        self.challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def code(self) -> str:
        app = self.apps.get(self.name)
        return self.apps.allow(self.browser.name, app, BACK, "user/*.rs offline_access", self.challenge)

    def given(self, code: str = "") -> Any:
        return self.apps.redeem(self.apps.get(self.name), code or self.code(), BACK, self.verifier)

    def asked(self, **wrong: str) -> dict[str, str]:
        return {
            "response_type": "code", "client_id": self.name, "redirect_uri": BACK, "scope": "user/*.rs", "state": "s",
            "aud": f"{self.place.site.base}/fhir", "code_challenge": self.challenge, "code_challenge_method": "S256", **wrong,
        }  # fmt: skip

    def reads(self, access: str) -> int:
        head = {"Authorization": f"Bearer {access}", "Cookie": ""}
        return int(self.browser.web.get("/fhir/Patient", headers=head).status_code)


@check("V10.3.2", plant=patched(RequestContext, "require", lambda *_a: None))
def scopes_hold(place: Place) -> None:
    ehr(place)
    token = issue_token(place.site.installation, "ehr", scope="system/Observation.rs")
    answer = place.site.browser().web.get("/fhir/Patient/nobody", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


NEVER_STOLEN = patched(Apps, "_stolen", lambda *_a: None)


@check("V10.4.2", plant=NEVER_STOLEN)
def codes_of_applications_count_once(place: Place) -> None:
    launch = Launch(place)
    code = launch.code()
    launch.given(code)
    assert refused(lambda: launch.given(code))


@contextlib.contextmanager
def _both(*plants: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for one in plants:
            stack.enter_context(one)
        yield


@check("V10.4.3", plant=patched(apps, "CODE_SECONDS", 10**6))
def codes_of_applications_are_short_lived(place: Place) -> None:
    fact = place.site.installation.facts.one("session", token_name(Launch(place).code()))
    assert fact is not None
    assert datetime.fromisoformat(fact.until).timestamp() - time.time() <= 61
    documented(place, "lifetime of an authorization code, seconds", apps.CODE_SECONDS)


def _asks(place: Place, **wrong: str) -> str:
    """The error that an application is answered with."""
    launch = Launch(place)
    answer = launch.browser.web.get("/authorize", params=launch.asked(**wrong))
    found = re.search(r"error=(\w+)", answer.headers.get("location", ""))
    return found[1] if found else ""


@check("V10.4.4", plant=patched(authorization.AuthorizationPages, "_error_code", lambda *_a: ""))
def there_is_one_way_to_tokens(place: Place) -> None:
    assert _asks(place, response_type="token") == "unsupported_response_type"


@check("V10.4.5", plant=NEVER_STOLEN)
def refresh_tokens_count_once(place: Place) -> None:
    launch = Launch(place)
    first, app = launch.given(), launch.apps.get(launch.name)
    second = launch.apps.refresh(app, first.refresh)
    assert refused(lambda: launch.apps.refresh(app, first.refresh))
    assert launch.reads(second.access) == 401


@check("V10.4.6", plant=lambda _p: mock.patch.object(apps.hmac, "compare_digest", lambda *_a: True))
def a_code_is_the_applications_that_asked(place: Place) -> None:
    launch = Launch(place)
    code = launch.code()
    launch.verifier = secrets.token_urlsafe(48)
    assert refused(lambda: launch.given(code))


def _anew(_place: Place) -> Any:
    before = Apps._token_facts

    def token_facts(self: Apps, facts: Any, tokens: Any, app: Any, fact: Any, family: str) -> Any:
        return before(self, facts, tokens, app, replace(fact, state="code"), family)

    return mock.patch.object(Apps, "_token_facts", token_facts)


@check("V10.4.8", plant=lambda place: _both(_anew(place), mock.patch.object(apps, "REFRESH_SECONDS", apps.REFRESH_SECONDS + 5)))
def refresh_tokens_end_together(place: Place) -> None:
    launch = Launch(place)
    first = launch.given()
    ends = [place.site.installation.facts.one("session", token_name(first.refresh))]
    with mock.patch.object(apps, "REFRESH_SECONDS", apps.REFRESH_SECONDS + 100):
        second = launch.apps.refresh(launch.apps.get(launch.name), first.refresh)
    ends.append(place.site.installation.facts.one("session", token_name(second.refresh)))
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0].until == ends[1].until


@check("V10.4.9", "V10.7.3", plant=patched(Apps, "revoke", lambda *_a: 0))
def people_take_back_what_they_allowed(place: Place) -> None:
    launch = Launch(place)
    given = launch.given()
    assert launch.reads(given.access) == 200
    assert "Growth chart" in launch.browser.web.get("/account").text
    launch.browser.web.post("/account/apps", data={"csrf": launch.browser.csrf(), "app": launch.name})
    assert launch.reads(given.access) == 401


def _public(_place: Place) -> Any:
    before = Apps.get
    return mock.patch.object(Apps, "get", lambda self, name: replace(before(self, name), public=True))


@check("V10.4.10", plant=_public)
def an_application_with_a_key_proves_itself(place: Place) -> None:
    launch = Launch(place, jwks=json.dumps({"keys": [SYSTEM.as_dict(private=False)]}))
    form = {
        "grant_type": "authorization_code",
        "client_id": launch.name,
        "code": launch.code(),
        "redirect_uri": BACK,
        "code_verifier": launch.verifier,
    }
    answer = launch.browser.web.post("/auth/token", data=form, headers={"Cookie": ""})
    assert answer.status_code == 401


@check("V10.4.11", plant=patched(authorization, "granted_scopes", lambda asked, *_a: asked))
def applications_get_what_they_registered_for(place: Place) -> None:
    assert _asks(place, scope="user/*.cruds") == "invalid_scope"


@check("V10.7.2", plant=patched(authorization, "describe_scopes", lambda _scope: []))
def people_are_told_what_they_allow(place: Place) -> None:
    launch = Launch(place)
    text = launch.browser.web.get("/authorize", params=launch.asked()).text
    assert "Growth chart" in text
    assert "read, search: records of any type" in text
    assert "app.example" in text


@check("V10.7.1", plant=retemplated("Do not allow", "Later"))
def people_are_asked_each_time(place: Place) -> None:
    launch = Launch(place)
    for _ in range(2):
        answer = launch.browser.web.get("/authorize", params=launch.asked())
        assert answer.status_code == 200
        assert "Do not allow" in answer.text
