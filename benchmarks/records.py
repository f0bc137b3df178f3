"""Records' figures: FHIR NDJSON checked, memory as input grows, OMOP to events. `records.py ID ...` runs some."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from galenic.records.fhir import check, read_ndjson
from galenic.records.omop import Omop
from rows import peer, row, write

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ehr"


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
        check(next(read_ndjson(Path(warm))).document.resource)  # compiles the type's schema
    wall, start = time.perf_counter(), time.process_time()
    for name in places:
        for line in read_ndjson(Path(name)):
            found = check(line.document.resource) if line.document else ()
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


GROUPS = {"ndjson": ndjson, "omop": omop}


def main() -> None:
    if sys.argv[1:2] == ["--checked"]:
        checked(sys.argv[2:])
        return
    for group in sys.argv[1:] or list(GROUPS):
        with tempfile.TemporaryDirectory() as name:
            write("records", GROUPS[group](Path(name)))


if __name__ == "__main__":
    main()
