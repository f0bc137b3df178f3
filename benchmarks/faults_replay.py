"""State at the FHIR endpoint against a plain replay of random histories: imports and erasures by one process, requests to the server of
another. `python benchmarks/faults_replay.py 200 3200` measures 200 histories from number 3200 on."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from server import served

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from replay import Actions, History, Resource

HISTORIES, AT_ONCE, STEPS, CLIENTS = 2_000, 200, 6, 4


def importer(home: str, calls: Connection) -> None:
    """A process beside the server that imports documents and erases patients as it is told."""
    from galenic import custody, flows  # noqa: PLC0415
    from galenic.installation import open_installation  # noqa: PLC0415

    installation = open_installation(Path(home))
    for key in ("paul", "paul2"):
        custody.make_key(installation, key, "privacy-officer", person="Paul")
    place = Path(home) / "in.ndjson"
    while (call := calls.recv()) is not None:
        kind, what = call
        if kind == "erase":
            flows.erase(installation, installation.sign_in("paul", "paul2"), what)
        else:
            place.write_text("".join(json.dumps(d) + "\n" for d in what), encoding="utf-8")
            session = custody.server_session(installation)
            assert custody.import_fhir(installation, session, [place], custody.ImportRequest("records")).refused == 0
        calls.send("done")
    installation.close()


@contextlib.contextmanager
def running(home: Path) -> Iterator[tuple[Actions, list[int]]]:
    """Actions on a server and an importer of one installation; and how often a search had to be repeated."""
    ours, theirs = get_context("spawn").Pipe()
    repeated = [0]
    with served(home, 0) as (port, token), httpx.Client(base_url=f"http://127.0.0.1:{port}/fhir", timeout=120) as web:
        beside = get_context("spawn").Process(target=importer, args=(str(home), theirs))
        beside.start()

        def request(method: str, path: str, resource: Resource | None, headers: dict[str, str]) -> tuple[int, Resource]:
            given = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json", **headers}
            while True:
                content = None if resource is None else json.dumps(resource)
                answer = web.request(method, path, content=content, headers=given)
                if answer.status_code == 403:  # nothing in a history is forbidden
                    print("refused:", method, answer.json()["issue"][0].get("diagnostics"), file=sys.stderr)
                if answer.status_code != 503:
                    return answer.status_code, answer.json() if answer.content else {}
                repeated[0] += 1

        def tell(kind: str, what: Any) -> None:
            ours.send((kind, what))
            assert ours.recv() == "done"

        yield Actions(request, lambda documents: tell("import", documents), lambda p: tell("erase", f"records|{p}")), repeated
        ours.send(None)
        beside.join()


def measure(row: Any, histories: int = HISTORIES, first: int = 0) -> list[dict[str, Any]]:
    """The number of differences, and what was done."""
    differences: list[str] = []
    erased = resources = 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home") as (actions, repeated):
        for start in range(first, first + histories, AT_ONCE):
            some = [History(f"h{i}", i, STEPS) for i in range(start, min(start + AT_ONCE, first + histories))]
            for _ in range(STEPS):
                take_step(some, actions)
            with ThreadPoolExecutor(CLIENTS) as pool:
                differences += [d for found in pool.map(lambda h: h.differences(actions), some) for d in found]
            erased += sum(len(h.replay.erased) for h in some)
            resources += sum(len(h.replay.versions) for h in some)
    print("\n".join(differences[:20]))
    what = (
        f"state at the FHIR endpoint against a plain replay of {histories:,} random histories of {STEPS} steps (import, HTTP, "
        "conditional, deletion, erasure), imports by another process: differences in status, content, version or search"
    )
    about = {"patients erased": erased, "resources": resources, "searches that were told to wait": repeated[0]}
    return [row("faults.replay", what, "differences", len(differences), "0", not differences, peers=about)]


def take_step(histories: list[History], actions: Actions) -> None:
    """A step of each history, and an import of what they bring; an erasure is done alone."""
    erasing = [h for h in histories if h.next == "erase"]
    with ThreadPoolExecutor(CLIENTS) as pool:
        brought = list(pool.map(lambda h: h.step(actions), [h for h in histories if h not in erasing]))
    for history in erasing:
        history.step(actions)
    documents = [d for some in brought for d in some]
    if documents:
        actions.bring(documents)


if __name__ == "__main__":
    from rows import row

    measure(row, *(int(number) for number in sys.argv[1:3]))
