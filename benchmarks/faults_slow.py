"""Reads beside hostile searches: twelve at once, of several kinds, by four systems, against `galenic serve` on the same cores.

SECONDS seconds without and with hostile searches: reads of one resource and small searches by a system of its own, one request at a
time each. Then all hostile clients close their connections in the middle of a search, and the server's CPU time is measured.
"""

import http.client
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from rows import galenic
from server import served

SECONDS = int(os.environ.get("FAULTS_SLOW_SECONDS", "40"))
PATIENTS, NAMED_S, OBSERVATIONS = 2_651, 2_451, 6_100
HOSTILE, SYSTEMS = 12, 4
TARGET_MS, IDLE_SHARE = 200, 0.1


def values(parameter: str, count: int) -> str:
    """One parameter with many values."""
    return f"{parameter}=" + ",".join([*(f"no{i}" for i in range(count - 1)), "s"])


KINDS = [
    "Patient?name=S&_count=5&_total=accurate",
    "Patient?name=S&_count=1000&_total=accurate&_sort=-birthdate",
    "Observation?subject._has:Observation:patient:_id=o1",
    "Observation?subject._has:Condition:patient:code=160903007&_count=5&_total=accurate",
    "Patient?_has:Observation:patient:_has:Provenance:target:agent:missing=true&_total=accurate",
    "Patient?_id=p0&_revinclude=Observation:patient&_include:iterate=Observation:*",
    "Patient?name=S&_count=500&_revinclude=Observation:patient&_revinclude=Condition:patient",
    "Patient?_summary=count&" + "&".join([values("name:contains", 150)] * 20),
    "Observation?_sort=value-quantity,date,_id&_count=1000",
    "Observation?patient.name=S&value-quantity=gt1,lt90&date=ge2020&_total=accurate",
]


def resources(rng: random.Random) -> list[dict]:
    """Patients, of whom most have a name with S, Conditions of every second one, and Observations, most of them of one patient."""
    found: list[dict] = []
    for i in range(PATIENTS):
        family = ("S" if i < NAMED_S else "K") + "".join(rng.choices("abcdefghij", k=6)).capitalize()
        name = [{"family": family, "given": [f"Given{i % 300}"]}]
        born = f"{rng.randrange(1920, 2020)}-0{rng.randrange(1, 10)}-11"
        found.append({"resourceType": "Patient", "id": f"p{i}", "name": name, "birthDate": born})
        subject = {"reference": f"Patient/p{i}"}
        if i % 2 == 0:
            code = {"coding": [{"system": "http://snomed.info/sct", "code": "160903007"}]}
            found.append({"resourceType": "Condition", "id": f"c{i}", "subject": subject, "code": code})
    for i in range(OBSERVATIONS):
        subject = {"reference": f"Patient/p{0 if i < OBSERVATIONS * 0.8 else rng.randrange(PATIENTS)}"}
        code = {"coding": [{"system": "http://loinc.org", "code": f"{i % 30}-1"}]}
        value = {"value": i % 100, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
        at = f"2026-01-{1 + i % 28:02d}T10:00:00Z"
        about = {"status": "final", "subject": subject, "code": code, "effectiveDateTime": at, "valueQuantity": value}
        found.append({"resourceType": "Observation", "id": f"o{i}", **about})
    return found


def fill(port: int, token: str, given: list[dict]) -> None:
    """Writes resources by transactions."""
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    for start in range(0, len(given), 500):
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
            for r in given[start : start + 500]
        ]
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        httpx.post(f"http://127.0.0.1:{port}/fhir", content=body, headers=head, timeout=120).raise_for_status()


def get(connection: http.client.HTTPConnection, path: str, token: str) -> tuple[int, float]:
    """(status, seconds) of one request."""
    started = time.perf_counter()
    connection.request("GET", f"/fhir/{path}", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - started


def honest(port: int, token: str, paths: list[str], seconds: float) -> list[float]:
    """Seconds of each request, one after the other, in order of size. All must be answered."""
    connection, rng, times = http.client.HTTPConnection("127.0.0.1", port, timeout=60), random.Random(1), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, took = get(connection, rng.choice(paths), token)
        assert status == 200, status
        times.append(took)
    return sorted(times)


def both(port: int, token: str, seconds: float) -> dict[str, list[float]]:
    """Times of reads and of small searches, at the same time."""
    reads = [f"Patient/p{i}" for i in range(0, PATIENTS, 7)] + [f"Observation/o{i}" for i in range(0, OBSERVATIONS, 7)]
    searches = [f"Condition?patient=Patient/p{i}" for i in range(0, PATIENTS, 2)] + [
        f"Patient?_id=p{i}" for i in range(PATIENTS)
    ]
    found: dict[str, list[float]] = {}
    threads = [
        threading.Thread(target=lambda n=name, p=paths: found.update({n: honest(port, token, p, seconds)}))
        for name, paths in (("reads", reads), ("searches", searches))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class HostileClient(threading.Thread):
    """Sends one expensive search after the other, until it leaves in the middle of one."""

    def __init__(self, port: int, token: str, number: int) -> None:
        super().__init__(daemon=True)
        self.port, self.token, self.number = port, token, number
        self.leaves, self.answers, self.slowest = threading.Event(), Counter(), 0.0
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def run(self) -> None:
        """Searches."""
        for turn in range(10**6):
            if self.leaves.is_set():
                return
            try:
                status, took = get(self.connection, KINDS[(self.number + turn) % len(KINDS)], self.token)
            except (OSError, http.client.HTTPException):
                self.answers["none"] += not self.leaves.is_set()
                self.connection.close()
                continue
            self.answers[str(status)] += 1
            self.slowest = max(self.slowest, took)

    def leave(self) -> None:
        """Closes the connection, whatever it waits for."""
        self.leaves.set()
        if self.connection.sock is not None:
            self.connection.sock.shutdown(2)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child() -> int:
    """The process that this one has started."""
    return int(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1])


def p95(times: list[float]) -> float:
    """Milliseconds that 95 % of the requests took at most."""
    return round(1_000 * times[int(0.95 * (len(times) - 1))], 1)


def measure(row) -> list[dict]:
    """The rows of faults.slow."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with served(home, 1) as (port, token):
            server = child()
            fill(port, token, resources(random.Random(7)))
            for number in range(SYSTEMS):
                galenic(home, "client", "add", f"hostile{number}")
            tokens = [
                galenic(home, "client", "token", f"hostile{i % SYSTEMS}", "--hours", "1")["access_token"]
                for i in range(HOSTILE)
            ]
            calm = both(port, token, SECONDS / 4)
            clients = [HostileClient(port, t, i) for i, t in enumerate(tokens)]
            for client in clients:
                client.start()
            time.sleep(2)
            beside = both(port, token, SECONDS)
            for client in clients:
                client.leave()
            time.sleep(1)
            before = cpu_seconds(server)
            time.sleep(3)
            after = (cpu_seconds(server) - before) / 3
    answers = sum((c.answers for c in clients), Counter())
    slowest = round(max(c.slowest for c in clients), 1)
    reads, searches = p95(beside["reads"]), p95(beside["searches"])
    about = f"{len(beside['reads'])} reads, {SECONDS} s; hostile answers {dict(answers)}, slowest {slowest} s"
    return [
        row("faults.slow", f"p95 of reads beside 12 hostile searches ({about})", "ms", reads, f"<= {TARGET_MS}", reads <= TARGET_MS),
        row("faults.slow.calm", "p95 of reads without them", "ms", p95(calm["reads"]), "shown", None),
        row("faults.slow.searches", f"p95 of {len(beside['searches'])} small searches beside them", "ms", searches, "shown", None),
        row("faults.slow.left", "CPU of the server, in cores, after the hostile clients left", "cores", round(after, 2),
            f"<= {IDLE_SHARE}", after <= IDLE_SHARE),
    ]  # fmt: skip
