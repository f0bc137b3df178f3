"""Kinds of decisions that two people, one use or a limit make, each raced on SQLite and on PostgreSQL; broken ones are counted.

Sign-off, rejection, release, roles, policies, recovery codes and guesses are raced by browsers over HTTP; the others through public Python.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import sqlalchemy as sa
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from galenic.release import ARTIFACTS, list_releases, recall_release, run_status
from galenic.security import Fact, parse_policy, shipped_policy, token_name

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # helpers that make a console and a kind of artifact
from races import race, winners
from site_made import AGENT, PASSWORD, Browser, Site, a_site
from toy_made import ToyArtifact, toy_run

TIMES = int(os.environ.get("TIMES", "50"))
BURST, LIMIT = 12, 5
FRESH = 120  # s that a confirmation of a person is used; it holds for 300
PEOPLE = {
    "sofia": ("security-officer",), "otto": ("security-officer",), "petra": ("privacy-officer",),
    "paul": ("privacy-officer", "clinician"), "clara": ("clinician",), "rita": ("researcher",),
}  # fmt: skip
BACK, VERIFIER, SCOPE = "https://app.example/back", "v" * 43, "patient/*.rs offline_access"


class Rivals:
    """People with several browsers of each, signed in and just confirmed."""

    def __init__(self, site: Site) -> None:
        self.site, self.installation = site, site.installation
        self.browsers: dict[tuple[str, int], tuple[float, Callable[..., httpx.Response]]] = {}
        for name, roles in PEOPLE.items():
            human = f"{name}@clinic.example"
            self.installation.people.write(name, human, name, "active")
            for role in roles:
                self.installation.people.grant(name, human, role, by="sofia", approved="otto")

    def browser(self, name: str, number: int = 0) -> Callable[..., httpx.Response]:
        """Sends forms as a person: browser("paul")("/place", field="value"). number: of several browsers of one person."""
        known = self.browsers.get((name, number))
        if known is None or time.monotonic() - known[0] > FRESH:
            known = self.browsers[name, number] = (time.monotonic(), self._signed_in(name))
        return known[1]

    def new_browser(self) -> Browser:
        """A browser that keeps no connection open: the server allows one address a limited number."""
        browser = self.site.browser()
        browser.web.headers["Connection"] = "close"
        return browser

    def _signed_in(self, name: str) -> Callable[..., httpx.Response]:
        people, gate = self.installation.people, self.installation.gate
        begun = gate.session(token_name(people.begin(name, "passkey", AGENT)))
        assert begun is not None
        found: Browser = self.new_browser()
        found.web.cookies.set(self.site.console.session_cookie, people.step_up(begun[0], "passkey"))
        csrf = found.csrf()
        return lambda place, **fields: found.web.post(place, data={"csrf": csrf, **fields})

    def signed(self, roles: dict[str, str]) -> str:
        """A run that rita asked for, with the signatures of these people."""
        run = toy_run(self.installation, 0.9, "rita")[0].id
        for name, role in roles.items():
            digest = run_status(self.installation, run).digest
            self.browser(name)(f"/releases/{run}/sign", role=role, digest=digest, evidence_read="yes")
        return run


def _once(found: list[object]) -> bool:
    return winners(found) == 1


def sign_off(r: Rivals, _turn: int) -> bool:
    """One person with two roles, in two browsers."""
    run = r.signed({})
    digest = run_status(r.installation, run).digest
    one, two = r.browser("paul"), r.browser("paul", 1)
    race(
        partial(one, f"/releases/{run}/sign", role="privacy-officer", digest=digest, evidence_read="yes"),
        partial(two, f"/releases/{run}/sign", role="clinician", digest=digest, evidence_read="yes"),
    )
    return len(run_status(r.installation, run).signed) == 1


def outcome(r: Rivals, _turn: int) -> bool:
    """Rejection against release of a run with all signatures."""
    run = r.signed({"petra": "privacy-officer", "clara": "clinician"})
    answers = race(
        partial(r.browser("clara"), f"/releases/{run}/reject", reason="not what we agreed on"),
        partial(r.browser("petra"), f"/releases/{run}/download"),
    )
    left = getattr(answers[1], "status_code", 0) == 200
    return left == (run_status(r.installation, run).state == "released")


def recall(r: Rivals, _turn: int) -> bool:
    """Two recalls of one release."""
    run = r.signed({"petra": "privacy-officer", "clara": "clinician"})
    r.browser("petra")(f"/releases/{run}/download")
    with tempfile.TemporaryDirectory() as folder:
        notices = [partial(recall_release, r.installation, run, "no", Path(folder) / n) for n in "ab"]
        return _once(race(*notices)) and sum(row["run"] == run for row in list_releases(r.installation)) == 1


def roles(r: Rivals, turn: int) -> bool:
    """Two approvals and a rejection of one change of roles."""
    name = f"nina{turn}"
    r.installation.people.write(name, f"{name}@clinic.example", "Nina", "active")
    r.browser("sofia")("/people/role", name=name, role="nurse", verb="give")
    key = f"{name}/nurse/give"
    sends = [
        partial(r.browser(n), "/people/decide", key=key, verb=v)
        for n, v in (("otto", "approve"), ("petra", "approve"), ("paul", "reject"))
    ]
    accepted = sum(getattr(a, "status_code", 0) == 303 for a in race(*sends))
    fact = r.installation.facts.one("proposal", key)
    given = r.installation.people.roles(name) == ("nurse",)
    return accepted == 1 and fact is not None and (fact.state == "approved") == given


def policies(r: Rivals, turn: int) -> bool:
    """Two approvals of one policy."""
    text = shipped_policy().text.replace("version = 1", f"version = {turn + 2}", 1)
    policy = parse_policy(text)
    r.browser("sofia")("/policy/propose", text=text)
    name = f"{policy.name}-{policy.version}-{policy.digest[:8]}"
    answers = race(*(partial(r.browser(n), "/policy/approve", name=name) for n in ("petra", "otto")))
    return sum(getattr(a, "status_code", 0) == 303 for a in answers) == 1


def recovery_codes(r: Rivals, turn: int) -> bool:
    """Four browsers with one recovery code."""
    people, name = r.installation.people, f"carla{turn}"
    people.write(name, f"{name}@clinic.example", name, "active")
    secret = parse_qs(urlsplit(people.credentials.begin_totp(name)).query)["secret"][0]
    people.credentials.confirm_totp(name, str(pyotp.TOTP(secret).now()))
    code, browsers = people.credentials.new_recovery_codes(name)[0], [r.new_browser() for _ in range(4)]
    for browser in browsers:
        browser.web.cookies.set("galenic-half", people.begin_half(name))
    answers = race(*(partial(browser.second, code) for browser in browsers))
    return sum(getattr(a, "status_code", 0) == 303 for a in answers) == 1


@contextmanager
def checked(r: Rivals, method: str) -> Iterator[list[str]]:
    """The accounts whose secrets are compared with a guess while the block lasts."""
    names: list[str] = []
    credentials = r.installation.people.credentials
    compare = getattr(credentials, method)
    with mock.patch.object(credentials, method, lambda who, guess: (names.append(who), compare(who, guess))[1]):
        yield names


def passwords(r: Rivals, turn: int) -> bool:
    """A burst of wrong passwords from an unknown device."""
    name = f"nobody{turn}{secrets.token_hex(3)}"
    browsers = [r.new_browser() for _ in range(BURST)]
    with checked(r, "password_is") as names:
        race(*(partial(b.password, name, PASSWORD + str(n)) for n, b in enumerate(browsers)))
    return 0 < names.count(name) <= LIMIT


def confirmations(r: Rivals, turn: int) -> bool:
    """A burst of wrong codes at a confirmation, for a person of its own."""
    name = f"carl{turn}{secrets.token_hex(3)}"
    r.installation.people.write(name, f"{name}@clinic.example", name, "active")
    r.installation.people.grant(name, f"{name}@clinic.example", "nurse", by="sofia", approved="otto")
    send = r.browser(name)
    with checked(r, "totp_is") as names:
        race(*(partial(send, "/confirm", code=f"{n:06d}") for n in range(BURST)))
    return 0 < names.count(name) <= LIMIT


def reviews(r: Rivals, turn: int) -> bool:
    """Two reviews of one emergency access, and one by the person who used it."""
    i = r.installation
    i.facts.put(Fact("review", f"glass-{10**6 + turn}", "due", "clara", purpose="emergency", until="2099"))
    sessions = [i.gate.session(token_name(i.people.begin(n, "passkey", AGENT))) for n in ("petra", "paul", "clara")]
    return _once(race(*(partial(i.gate.review, s[0], 10**6 + turn, "justified") for s in sessions if s)))


def refresh_tokens(r: Rivals, turn: int) -> bool:
    """One refresh token, used by two."""
    i = r.installation
    if turn == 0:
        i.apps.add("app", (BACK,), SCOPE)
    app = i.apps.get("app")
    code = i.apps.allow("clara", app, BACK, SCOPE, create_s256_code_challenge(VERIFIER))
    token = i.apps.redeem(app, code, BACK, VERIFIER).refresh
    once = _once(race(*[partial(i.apps.refresh, app, token)] * 2))
    return once and i.apps.allowed_by("clara") == []


def partial_sessions(r: Rivals, _turn: int) -> bool:
    """One partial session, completed by three."""
    half = r.installation.people.begin_half("clara")
    return _once(race(*[partial(r.installation.people.finish_half, half, "passkey", AGENT)] * 3))


def budgets(r: Rivals, turn: int) -> bool:
    """Three reservations of a budget that holds one."""
    ledger = r.installation.ledger
    ledger.declare(f"clinic-{turn}", epsilon=1.0, delta=1e-8, actor="paul")
    return _once(race(*[partial(ledger.reserve, f"clinic-{turn}", epsilon=1.0, delta=1e-8, purpose="t", actor="paul")] * 3))


KINDS = (
    sign_off, outcome, recall, roles, policies, recovery_codes, passwords, confirmations, reviews, refresh_tokens,
    partial_sessions, budgets,
)  # fmt: skip


@contextmanager
def postgresql() -> Iterator[str | None]:
    """URL of a database in a cluster of its own; None where PostgreSQL's server is not installed."""
    tools = {}
    for name in ("initdb", "pg_ctl"):
        installed = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
        tools[name] = shutil.which(name) or (installed[-1] if installed else None)
    if None in tools.values():
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="galenic-pg-"))
    owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if owner:
        shutil.chown(folder, "postgres")

    def run(*words: object) -> None:
        command = [*owner, *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    data, options = folder / "data", f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder}"
    run(tools["initdb"], "-D", data, "-A", "trust", "-U", "galenic")
    run(tools["pg_ctl"], "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        engine = sa.create_engine(f"postgresql+psycopg://galenic@/postgres?host={folder}", isolation_level="AUTOCOMMIT")
        with engine.connect() as c:
            c.execute(sa.text("CREATE ROLE app LOGIN"))
            c.execute(sa.text("CREATE DATABASE races OWNER app"))
        engine.dispose()
        yield f"postgresql+psycopg://app@/races?host={folder}"
    finally:
        run(tools["pg_ctl"], "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def raced(url: str | None) -> dict[str, int]:
    """Broken races by kind, on SQLite (None) or PostgreSQL."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if url is not None:
            os.environ["GALENIC_DATABASE"] = url
        stack.callback(os.environ.pop, "GALENIC_DATABASE", None)
        rivals = Rivals(stack.enter_context(a_site(home / "home")))
        return {kind.__name__: sum(not kind(rivals, turn) for turn in range(TIMES)) for kind in KINDS}


def measure(row: Callable[..., dict]) -> list[dict]:
    """Races every kind on each database that is here."""
    from galenic.security import sign_in_limits  # noqa: PLC0415

    ARTIFACTS["toy"] = ToyArtifact()
    sign_in_limits.PLACE = 10**6  # all rivals come from one address
    found = {"SQLite": raced(None)}
    with postgresql() as url:
        if url is not None:
            found["PostgreSQL"] = raced(url)
    broken = {f"{kind} on {name}": n for name, kinds in found.items() for kind, n in kinds.items() if n}
    what = f"kinds of decisions raced {TIMES} times on {' and '.join(found)} ({len(KINDS)} kinds), broken: {broken or 'none'}"
    return [row("faults.races", what, "kinds", len({b.partition(" on ")[0] for b in broken}), "0", not broken)]
