"""Records' figures: FHIR NDJSON checked, memory as input grows, OMOP to events. `records.py ID ...` runs some."""

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from hashlib import md5
from pathlib import Path

from galenic import custody
from galenic.generators import simulated
from galenic.installation import open_installation
from galenic.records.fhir import read_ndjson, validate_resource
from galenic.records.omop import Omop
from rows import peer, row, write

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ehr"

UUID = re.compile(r"(?<![|])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SEARCH = re.compile(r'"([A-Z][A-Za-z]+)\?identifier=([^|"]*)\|([^"]+)"')


def bulk(folder: Path, times: int) -> list[Path]:
    """Synthea's bulk export as plain NDJSON, each file so many times over."""
    folder.mkdir()
    places = []
    for path in sorted((DATA / "synthea-bulk-10").glob("*.ndjson*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        place = folder / path.name.removesuffix(".gz")
        place.write_bytes((raw.rstrip(b"\n") + b"\n") * times)
        places.append(place)
    return places


def checked(places: list[str]) -> None:
    """In a process of its own: reads and checks every line; prints figures as JSON."""
    count = refused = 0
    for warm in places:
        validate_resource(next(read_ndjson(Path(warm))).document.resource)  # compiles the type's schema
    wall, start = time.perf_counter(), time.process_time()
    for name in places:
        for line in read_ndjson(Path(name)):
            found = validate_resource(line.document.resource) if line.document else ()
            refused += line.document is None or any(i.level == "error" for i in found)
            count += 1
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    high = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    peak = int(high.split()[1]) / 1024  # not ru_maxrss, which remembers the parent
    print(
        json.dumps({"per_second": count / wall, "per_cpu": count / spent, "refused": refused, "count": count, "peak_mb": peak})
    )


def ours(places: list[Path]) -> dict:
    words = [sys.executable, __file__, "--checked", *places]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def ndjson(folder: Path) -> list[dict]:
    """records.ndjson: resources read and checked per second, one process; the peak of memory at 1x and 10x."""
    once, tenfold = bulk(folder / "1", 1), bulk(folder / "10", 10)
    best = max((ours(once) for _ in range(3)), key=lambda r: r["per_second"])
    assert best["refused"] == 0, best
    grown = ours(tenfold)
    words = [peer("r4b"), Path(__file__).parent / "peers" / "r4b.py", *once]
    other = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    peers = {
        "ours per CPU-second": round(best["per_cpu"]),
        "fhir.resources 8.3.0 R4B (parse only), per CPU-second": round(other["per_second"]),
        "R4B refused": other["refused"],
    }
    rate = best["per_second"]
    what = f"NDJSON resources/s read and checked, {best['count']:,} resources, best of 3"
    small, large = round(best["peak_mb"]), round(grown["peak_mb"])
    flat = large < 300 and large <= small * 1.1
    memory = {"at 1x": small, "R4B at 1x": round(other["peak_mb"])}
    return [
        row("records.ndjson", what, "1/s", round(rate), ">= 8,000", rate >= 8_000, peers=peers),
        row("records.ndjson.memory", "peak memory at 10x", "MB", large, "< 300, constant", flat, peers=memory),
    ]


def omop(_folder: Path) -> list[dict]:
    """records.omop: GiBleed's CSV files to events, one thread."""
    best, events = 0.0, 0
    for _ in range(3):
        start = time.perf_counter()
        events = sum(t.num_rows for t in Omop(DATA / "omop-eunomia" / "gibleed").events())
        best = max(best, events / (time.perf_counter() - start))
    what = f"OMOP CSV to events/s, one thread, {events:,} events, best of 3"
    return [row("records.omop", what, "1/s", round(best), ">= 100,000", best >= 100_000)]


def bundles(folder: Path, times: int) -> list[Path]:
    """Synthea's patient Bundles, each so many times with other ids, and what they refer to by search (made here) in one more."""
    folder.mkdir()
    places, searches = [], set()
    for number, path in enumerate(sorted((DATA / "synthea-hiv-bundles").glob("*.json*"))):
        raw = gzip.decompress(path.read_bytes()).decode()
        searches |= set(SEARCH.findall(raw))
        for k in range(times):
            place = folder / f"{number:02d}-{k:03d}.json"
            place.write_text(
                UUID.sub(lambda m, k=k: f"{md5(f'{m[0][:8]}{k}'.encode()).hexdigest()[:8]}{m[0][8:]}", raw), encoding="utf-8"
            )
            places.append(place)
    entries = []
    for kind, system, value in sorted(searches):
        own = f"{md5(value.encode()).hexdigest()}"
        name = {"Practitioner": [{"family": "of the benchmark"}]}.get(kind, "of the benchmark")
        resource = {"resourceType": kind, "id": own, "identifier": [{"system": system, "value": value}], "name": name}
        entries.append({"fullUrl": f"urn:uuid:{own}", "resource": resource, "request": {"method": "POST", "url": kind}})
    (folder / "zz-hospital.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}), encoding="utf-8"
    )
    return [*places, folder / "zz-hospital.json"]


def received(home: str, places: list[str]) -> None:
    """In a process of its own: Bundles into custody, then events; prints figures as JSON."""
    installation = open_installation(Path(home))
    custody.initialize(installation)
    for key, role in (("inge", "integration-engineer"), ("paul", "privacy-officer")):
        installation.keys.create(key, role)
        custody.grant_role(installation, key, role, person=key)
    inge, paul = installation.sign_in("inge"), installation.sign_in("paul")
    custody.import_fhir(installation, inge, [Path(places[0]), Path(places[-1])], custody.ImportRequest("warm"))
    wall, start = time.perf_counter(), time.process_time()
    done = custody.import_fhir(
        installation,
        inge,
        [Path(p) for p in places],
        custody.ImportRequest("hospital"),
        workers=int(os.environ["H"]) if "H" in os.environ else None,
    )
    stored = time.perf_counter() - wall
    with custody.open_timelines(installation, paul, "hospital", "quality", action="index") as lines:
        wall, spent = time.perf_counter() - wall, time.process_time() - start
        events = lines.events
    again = time.perf_counter()
    second = custody.import_fhir(
        installation,
        inge,
        [Path(p) for p in places],
        custody.ImportRequest("hospital"),
        workers=int(os.environ["H"]) if "H" in os.environ else None,
    )
    again = time.perf_counter() - again
    assert second.new == 0 and second.already_stored >= done.new, second
    count = done.seen.total()
    print(
        json.dumps(
            {"count": count, "wall": wall, "cpu": spent, "stored": stored, "again": again, "events": events}
            | {"new": done.new, "refused": done.refused, "unresolved": done.unresolved}
        )
    )
    installation.close()


def bundle(folder: Path) -> list[dict]:
    """records.bundle: Bundles to references, checked, stored under patients' keys, found again, events; one process."""
    places = bundles(folder / "in", 24)
    runs = []
    for i in range(3):
        words = [sys.executable, __file__, "--received", folder / f"home{i}", *places]
        runs.append(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout))
    got = min(runs, key=lambda r: r["wall"])
    assert got["refused"] == 0 and got["unresolved"] == 0 and got["new"] == got["count"], got
    rate = got["count"] / got["wall"]
    peers = {
        "stored only": round(got["count"] / got["stored"]),
        "slowest of 3": round(got["count"] / max(r["wall"] for r in runs)),
        "the same again, passed over": round(got["count"] / got["again"]),
        "events": got["events"],
        "Aidbox (published, 8 vCPU; not run here)": 2678,
        "HAPI (published, 8 vCPU; not run here)": 2214,
    }
    what = f"resources/s: {len(places)} Bundles, {got['count']:,} resources, to sealed originals and events, durable per Bundle, best of 3"
    return [row("records.bundle", what, "1/s", round(rate), ">= 4,000", rate >= 4_000, peers=peers)]


def simulated_people(folder: Path) -> list[dict]:
    """records.simulate: patients per second to MEDS, one process; and to FHIR."""
    best, events = 0.0, 0
    for i in range(3):
        start = time.perf_counter()
        done = simulated.simulate(simulated.SimulationRequest(20_000, seed=i), folder / f"meds{i}")
        best, events = max(best, 20_000 / (time.perf_counter() - start)), done.events
    start = time.perf_counter()
    simulated.simulate(simulated.SimulationRequest(1_000, seed=1), folder / "fhir", form="fhir")
    peers = {"events/s": round(best * events / 20_000), "patients/s as FHIR": round(1_000 / (time.perf_counter() - start))}
    what = f"simulated patients/s to MEDS, one process, {events:,} events of 20,000 patients, best of 3"
    return [row("records.simulate", what, "1/s", round(best), ">= 1,000", best >= 1_000, peers=peers)]


GROUPS = {"simulate": simulated_people, "ndjson": ndjson, "omop": omop, "bundle": bundle}


def main() -> None:
    if sys.argv[1:2] == ["--checked"]:
        checked(sys.argv[2:])
        return
    if sys.argv[1:2] == ["--received"]:
        received(sys.argv[2], sys.argv[3:])
        return
    for group in sys.argv[1:] or list(GROUPS):
        with tempfile.TemporaryDirectory() as name:
            write("records", GROUPS[group](Path(name)))


if __name__ == "__main__":
    main()
