"""Resources that come in beside a writing server: are they found at once, and after a restart? `python benchmarks/faults_visible.py 2000`
measures fewer."""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from rows import galenic
from server import served

RESOURCES, IMPORTS, CLIENTS = 20_000, 40, 4
NAMES = 100  # in one search
READ = 3  # of so many resources, one is read by its id; all are searched
PAUSE = 0.02  # s, between writes over HTTP
Resource = dict[str, Any]


def patient(own: str) -> Resource:
    """A patient."""
    return {"resourceType": "Patient", "id": own, "name": [{"family": "Visible"}], "birthDate": "1970-01-01"}


def observation(own: str, of: str) -> Resource:
    """A laboratory value of a patient."""
    code = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
    about = {"subject": {"reference": f"Patient/{of}"}, "effectiveDateTime": "2024-05-01"}
    return {"resourceType": "Observation", "id": own, "status": "final", "code": code, **about, "valueInteger": 5}


def resources_of(number: int, count: int) -> Iterator[Resource]:
    """One import: new patients and their values, values of known patients, an organization, or one patient with many values."""
    if number % 4 == 3:
        yield patient(f"many-{number}")
        yield from (observation(f"m{number}-{i}", f"many-{number}") for i in range(count - 1))
        return
    if number % 4 == 2:
        yield from ({"resourceType": "Organization", "id": f"org{number}-{i}", "name": "House"} for i in range(count // 10))
        yield from (observation(f"k{number}-{i}", f"p{number - 1}-{i % 20}") for i in range(count - count // 10))
        return
    for i in range(count // 2):
        yield patient(f"p{number}-{i}")
        yield observation(f"o{number}-{i}", f"p{number}-{i}")


class Client:
    """A client that waits as the server says, and counts that."""

    def __init__(self, port: int, token: str) -> None:
        head = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{port}/fhir", headers=head, timeout=120)
        self.waits = 0

    def get(self, path: str) -> httpx.Response:
        """A response other than 503."""
        while (answer := self.web.get(path)).status_code == 503:
            self.waits += 1
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        return answer

    def read(self, names: list[str]) -> int:
        """How many of these can be read."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            return sum(pool.map(lambda name: self.get(f"/{name}").status_code == 200, names))

    def search(self, names: list[str]) -> int:
        """How many of these a search finds."""
        found: set[str] = set()
        for kind in ("Patient", "Observation", "Organization"):
            ids = [n.partition("/")[2] for n in names if n.startswith(f"{kind}/")]
            for start in range(0, len(ids), NAMES):
                answer = self.get(f"/{kind}?_id={','.join(ids[start : start + NAMES])}&_count={NAMES}&_elements=id")
                found |= {f"{kind}/{e['resource']['id']}" for e in answer.json().get("entry", ())}
        return len(found & set(names))


def measure(row: Any, resources: int = RESOURCES) -> list[dict[str, Any]]:
    """Shares found at once and after a restart."""
    every: list[str] = []
    read = asked = found = 0
    stop, written = threading.Event(), [0]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with served(home, 0) as (port, token):
            galenic(home, "key", "inge", "--role", "integration-engineer", "--person", "inge")
            client = Client(port, token)
            writer = threading.Thread(target=write, args=(client, stop, written))
            writer.start()
            try:
                for number in range(IMPORTS):
                    names = bring(home, Path(folder), number, resources // IMPORTS)
                    some = names[::READ]
                    read, asked, found = read + client.read(some), asked + len(some), found + client.search(names)
                    every += names
            finally:
                stop.set()
                writer.join()
            waits = client.waits
        with served(home, 0) as (port, token):
            again = Client(port, token).search([*every, *(f"Patient/w{i}" for i in range(written[0]))])
        checked = galenic(home, "index", "check", "records")
    total = len(every)
    shares = {
        f"of {asked:,} read at once": read / asked,
        "searched at once": found / total,
        "searched after a restart": again / (total + written[0]),
    }
    about = {**shares, "written over HTTP meanwhile": written[0], "searches that were told to wait": waits}
    about["index as stored"] = checked["consistent"]
    what = (
        f"share of {total:,} resources, imported by {IMPORTS} runs beside a writing server, that are found by read and search, at once "
        "and after a restart"
    )
    worst = min(shares.values())
    return [row("faults.visible", what, "%", round(100 * worst, 3), "100", worst == 1, peers=about)]


def bring(home: Path, folder: Path, number: int, count: int) -> list[str]:
    """Imports one part; returns the names of its resources."""
    resources = list(resources_of(number, count))
    place = folder / f"part-{number}.ndjson"
    place.write_text("".join(json.dumps(r) + "\n" for r in resources), encoding="utf-8")
    galenic(home, "import", place, "--as", "records", "--key", "inge")
    return [f"{r['resourceType']}/{r['id']}" for r in resources]


def write(client: Client, stop: threading.Event, written: list[int]) -> None:
    """Writes patients over HTTP until told to stop."""
    while not stop.is_set():
        own = f"w{written[0]}"
        answer = client.web.put(f"/Patient/{own}", content=json.dumps(patient(own)))
        assert answer.status_code == 201, answer.text
        written[0] += 1
        time.sleep(PAUSE)


if __name__ == "__main__":
    from rows import row

    measure(row, int(sys.argv[1]) if len(sys.argv) > 1 else RESOURCES)
