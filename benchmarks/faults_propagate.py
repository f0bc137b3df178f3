"""Seconds until a change of a policy, role, care relation, consent, session or key holds in a running server, its worker and another process.

A real server process with its worker is under load: a system and a clinician read all the time. Each change is made by the command line, by
another process, or by the server itself. Its time is that of its row in the audit log, which is written before it takes effect. Server: the
last request that began after that and was still answered. Worker: the last decision of an export that was asked for just before the change.
"""

import itertools
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import httpx
import pyotp

from galenic.custody import withdraw_role
from galenic.installation import Installation, open_installation
from galenic.security import AuditEntry, SystemAccess, parse_policy, shipped_policy, token_name

ROUNDS = int(os.environ.get("ROUNDS", "3"))
PATIENTS = int(os.environ.get("PATIENTS", "60"))
PORT = 18_443
BASE = f"http://localhost:{PORT}"
FORBIDDEN = '\n[[forbid]]\nid = "closed"\nroles = ["service"]\nactions = ["read", "search"]\nreason = "closed"\n'
PASSWORD = "orbit-walnut-thirteen-lanterns"


class RunningInstallation:
    """A served installation under load."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.installation = open_installation(home)
        self.found: dict[str, list[float]] = defaultdict(list)
        self.failed_reads = 0
        self.versions = itertools.count(2)
        self.answers: deque[tuple[float, str, int]] = deque(maxlen=2_000)
        self.patient = ""
        self.tokens: dict[str, str] = {}
        self.ending = threading.Event()

    def cli(self, *words: str) -> str:
        """One command; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "galenic", *words],
            env={**os.environ, "GALENIC_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def token_of_the_system(self) -> None:
        """A new access token of the system."""
        self.tokens["ehr"] = self.cli("client", "token", "ehr", "--purpose", "operations").strip()

    def token_of_the_clinician(self) -> None:
        """An access token that an application has from a clinician."""
        secret, gate = secrets.token_urlsafe(32), self.installation.gate
        about = (("purposes", "treatment"), ("scope", "user/*.rs"))
        gate.begin("clara", how="application bench", seconds=3_600, name=token_name(secret), about=about)
        self.tokens["clara"] = secret

    def allow(self) -> None:
        """Gives the system its role again, as two people do in the console."""
        self.installation.systems.register("ehr", SystemAccess(), proposed_by="sven", approved_by="paul")
        self.token_of_the_system()

    def reads(self, who: str) -> None:
        """Reads one patient again and again."""
        with httpx.Client(base_url=BASE, trust_env=False, timeout=30) as web:
            while not self.ending.wait(0.01):
                began = time.time()
                with suppress(httpx.HTTPError):
                    answer = web.get(f"/fhir/Patient/{self.patient}", headers={"Authorization": f"Bearer {self.tokens[who]}"})
                    self.failed_reads += answer.status_code >= 500
                    self.answers.append((began, who, answer.status_code))

    def since(self, action: str, before: int) -> tuple[float, list[AuditEntry]]:
        """(when a change was made, the rows since a number of rows)."""
        rows = list(self.installation.audit.entries(before))
        return next(seconds(e.time) for e in rows if e.action == action), rows

    def measure(self, kind: str, who: str, change: Callable[[], object], action: str) -> None:
        """Makes a change, and notes how long after it the server still answered by the old rights."""
        before = self.installation.audit.head()[0]
        change()
        time.sleep(1.5)
        changed, _rows = self.since(action, before)
        answered = [(at - changed, status) for at, whose, status in list(self.answers) if whose == who and at > changed]
        assert any(status != 200 for _at, status in answered), f"{kind} never held"
        self.found[f"{kind}, server"].append(max((at for at, status in answered if status == 200), default=0.0))

    def measure_worker(self, kind: str, change: Callable[[], object], action: str, undo: Callable[[], object]) -> None:
        """Makes a change just after an export was asked for, and notes how long after it the worker decided by the old rights. An
        export that the worker had decided before the change says nothing: it is asked for again, five times at most."""
        for _attempt in range(5):
            headers = {"Authorization": f"Bearer {self.tokens['ehr']}", "Prefer": "respond-async"}
            asked = httpx.get(f"{BASE}/fhir/$export", headers=headers, trust_env=False, timeout=30)
            assert asked.status_code == 202, asked.text
            before = self.installation.audit.head()[0]
            change()
            time.sleep(4)
            changed, rows = self.since(action, before)
            undo()
            decided = [(seconds(e.time) - changed, e.outcome) for e in rows if is_of_worker(e)]
            if all(at > 0 for at, _outcome in decided):
                self.found[f"{kind}, worker"].append(max((at for at, outcome in decided if outcome == "allowed"), default=0.0))
                return


def is_of_worker(entry: AuditEntry) -> bool:
    """Whether the row is a decision of the worker for the system's export."""
    return entry.actor == "ehr" and "verb" in entry.detail and str(entry.detail["session"]).startswith("job-")


def seconds(time_of_row: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(time_of_row).timestamp()


@contextmanager
def served(home: Path) -> Iterator[tuple[RunningInstallation, str]]:
    """A server process, and the set-up code that it printed."""
    command = [sys.executable, "-m", "galenic", "serve", "--plain", "--host", "localhost", "--base", BASE, "--port", str(PORT)]
    server = subprocess.Popen(
        [*command, "--simulated", str(PATIENTS)],
        env={**os.environ, "GALENIC_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = "".join(server.stdout.readline() for _ in range(2)).replace("\n", " ")
        code = re.search(r"set-up code\s+(\S+)", said + server.stdout.readline())
        house = RunningInstallation(home)
        yield house, code[1] if code else ""
        house.ending.set()
        house.installation.close()
    finally:
        server.terminate()
        server.wait(30)
        time.sleep(3)  # the worker ends after the server


def prepare(house: RunningInstallation, code: str, elsewhere: Installation) -> None:
    """Accounts, tokens and the load."""
    for name, role, person in (
        ("sven", "security-officer", "sven"),
        ("sven2", "security-officer", "sven"),
        ("paul", "privacy-officer", "paul"),
        ("inge", "integration-engineer", "inge"),
    ):
        house.cli("key", name, "--role", role, "--person", person)
    house.cli("client", "add", "ehr")
    house.token_of_the_system()
    changes_by_the_server(house, code, elsewhere)
    people = house.installation.people
    people.write("clara", "clara@example.org", "Clara", "active")
    people.grant("clara", "clara@example.org", "clinician", by="sven", approved="paul")
    house.token_of_the_clinician()
    with httpx.Client(base_url=BASE, trust_env=False) as web:
        bundle = web.get("/fhir/Patient?_count=1", headers={"Authorization": f"Bearer {house.tokens['ehr']}"}).json()
    house.patient = bundle["entry"][0]["resource"]["id"]
    for who in ("ehr", "clara"):
        threading.Thread(target=house.reads, args=(who,), daemon=True).start()


def policy_text(version: int, more: str) -> str:
    """The shipped policy under another version, with further rules."""
    return shipped_policy().text.replace("version = 1", f"version = {version}", 1) + more


def activate(house: RunningInstallation, more: str = "") -> None:
    """Two people put a policy in force, by the command line."""
    file = house.home / "policy.toml"
    file.write_text(policy_text(next(house.versions), more))
    said = house.cli("policy", "propose", str(file), "--key", "sven")
    name = re.search(r"house-\d+-[0-9a-f]{8}", said)
    assert name, said
    house.cli("policy", "approve", name[0], "--key", "paul")


def propose(house: RunningInstallation, more: str) -> str:
    """Proposes a policy in this process: its approval then takes no start of a command. Returns its name."""
    policy = parse_policy(policy_text(next(house.versions), more))
    return house.installation.policies.propose(policy, house.installation.keys.get("sven"))[0]


def changes_by_the_command_line(house: RunningInstallation) -> None:
    """Policies, roles, care relations, sessions and keys."""
    house.measure("policy", "ehr", lambda: activate(house, FORBIDDEN), "policy.activated")
    activate(house)
    names = [propose(house, FORBIDDEN) for _attempt in range(5)]
    paul = house.installation.keys.get("paul")
    house.measure_worker(
        "policy", lambda: house.installation.policies.approve(names.pop(), paul), "policy.activated", lambda: activate(house)
    )
    house.measure("role", "ehr", lambda: house.cli("withdraw-role", "ehr", "service"), "fact.grant")
    house.allow()
    house.measure_worker("role", lambda: withdraw_role(house.installation, "ehr", "service"), "fact.grant", house.allow)
    relate = ("relate", "records", house.patient, "--who", "clara", "--key", "inge")
    house.cli(*relate)
    time.sleep(0.5)
    house.measure("care relation", "clara", lambda: house.cli(*relate, "--ended"), "fact.care")
    house.cli(*relate)
    session = house.installation.gate.session(token_name(house.tokens["ehr"]))
    assert session is not None
    house.measure("session", "ehr", lambda: house.installation.gate.end(session[0]), "fact.session")
    house.token_of_the_system()
    end = lambda: house.installation.people.end_sessions("ehr")  # noqa: E731
    house.measure_worker("session", end, "session.ended", house.token_of_the_system)
    time.sleep(0.5)
    failed = house.failed_reads
    house.cli("rotate", "--key", "sven", "--second", "sven2")
    time.sleep(1)
    house.found["reads that failed during and after a rotation of keys"].append(house.failed_reads - failed)


def until(what: Callable[[], bool], seconds_at_most: float = 10.0) -> float:
    """Seconds until it is so."""
    started = time.monotonic()
    while not what() and time.monotonic() - started < seconds_at_most:
        time.sleep(0.002)
    return time.monotonic() - started


def changes_by_the_server(house: RunningInstallation, code: str, elsewhere: Installation) -> None:
    """A browser's session that the server opens and ends, seen in another process that runs."""
    with httpx.Client(base_url=BASE, trust_env=False, headers={"User-Agent": "bench"}) as web:
        form = {"code": code, "name": "sofia", "shown": "Sofia", "human": "sofia@example.org", "password": PASSWORD}
        web.post("/set-up", data=form)
        web.post("/sign-in", data={"name": "sofia", "password": PASSWORD})
        secret = re.search(r"<code>([A-Z2-7]{32})</code>", web.get("/sign-in/second").text)
        assert secret, "no authenticator was offered"
        web.post("/sign-in/second", data={"code": pyotp.TOTP(secret[1]).now()})
        name = token_name(web.cookies["galenic"])
        house.found["session opened by the server, other process"].append(
            until(lambda: elsewhere.gate.session(name) is not None)
        )
        csrf = re.search(r'name="csrf" value="([^"]+)"', web.get("/account").text)
        assert csrf
        web.post("/sign-out", data={"csrf": csrf[1]})
        house.found["session ended by the server, other process"].append(until(lambda: elsewhere.gate.session(name) is None))


def consents(house: RunningInstallation, elsewhere: Installation) -> None:
    """A consent that the command line withdraws, seen in another process that runs and asks all the time."""
    ids = house.home / "ids.txt"
    ids.write_text(house.patient)
    subject = house.installation.facts.of("care", who="clara")[0].subject
    words = ("consent", "records", str(ids), "--purpose", "research", "--key", "inge")
    house.cli(*words)

    def stands() -> bool:
        facts = elsewhere.gate.cache.relations("clara", subject)
        return any(f.kind == "consent" and f.state == "given" for f in facts)

    until(stands)
    log: list[tuple[float, bool]] = []
    ending = threading.Event()

    def watch() -> None:
        while not ending.is_set():
            log.append((time.time(), stands()))
            time.sleep(0.001)

    watching = threading.Thread(target=watch)
    watching.start()
    before = house.installation.audit.head()[0]
    house.cli(*words, "--withdrawn")
    time.sleep(1)
    ending.set()
    watching.join()
    changed = next(seconds(e.time) for e in house.installation.audit.entries(before) if e.action == "fact.consent")
    late = [at - changed for at, stood in log if stood and at > changed]
    house.found["consent, other process"].append(max(late, default=0.0))


def measure(row: Callable[..., dict]) -> list[dict]:
    """The rows of results/faults.json."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, served(Path(folder) / "home") as (house, code):
        elsewhere = open_installation(house.home)
        prepare(house, code, elsewhere)
        for _round in range(ROUNDS):
            changes_by_the_command_line(house)
            consents(house, elsewhere)
        house.ending.set()
        elsewhere.close()
        found = dict(house.found)
    failed = sum(found.pop("reads that failed during and after a rotation of keys"))
    for name, values in sorted(found.items()):
        print(f"  {name}: {len(values)} changes, at most {max(values):.3f} s")
    wanted = [f"{kind}, {place}" for kind in ("policy", "role", "session") for place in ("server", "worker")]
    unseen = [name for name in (*wanted, "care relation, server", "consent, other process") if name not in found]
    worst = round(max(v for values in found.values() for v in values), 3)
    count = sum(map(len, found.values()))
    what = (
        "seconds until a policy, role, care relation, consent or session changed elsewhere holds in server, worker and another "
        f"process: the most of {count} observations; not observed: {', '.join(unseen) or 'none'}"
    )
    return [
        row("faults.propagate", what, "s", worst, "≤ 1", worst <= 1 and not unseen),
        row("faults.propagate.keys", f"reads that failed during {ROUNDS} rotations of keys", "reads", failed, "0", failed == 0),
    ]
