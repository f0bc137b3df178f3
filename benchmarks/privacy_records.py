"""Identifiers planted at the elements and attributes of real FHIR and C-CDA samples, sent through `galenic deidentify`: places that come out.

GALENIC_PLACES: places tried per format (default 6,000 FHIR, a sixth of it C-CDA). GALENIC_BEFORE: the src folder of another version, whose
share of surviving codes and quantities is shown beside ours.
"""

import base64
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
DATA = Path(os.environ.get("GALENIC_DATA", HERE.parent.parent / "shared" / "data"))
PLACES = int(os.environ.get("GALENIC_PLACES", "6000"))
WORDS = ("Qwexibor", "Zantuvel")
TEXTS = (
    *("Qwexibor Zantuvel", "QWEXIBOR ZANTUVEL", "qwexiborZantuvel", "qwexibor-zantuvel", "Qwexibor%20Zantuvel", "&#81;wexibor"),
    *("415-555-2671", "4155552671", "219-09-9999", "zq@qwexibor.org", "http://example.org/qwexibor", "03/04/1931", "19310304"),
)
GONE = ("qwexibor", "zantuvel", "4155552671", "219099999", "19310304", "03041931")
PATIENT = {
    "resourceType": "Patient", "id": "p-1", "name": [{"family": "Zantuvel", "given": ["Qwexibor"]}], "birthDate": "1931-03-04",
    "telecom": [{"system": "phone", "value": "415-555-2671"}],
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "219-09-9999"}],
}  # fmt: skip


def _clean(source: Path, out: Path, path: str = "") -> None:
    environment = {**os.environ, "GALENIC_HOME": str(out.parent / "home")} | ({"PYTHONPATH": path} if path else {})
    words = [sys.executable, "-m", "galenic", "deidentify", str(source), "--out", str(out), "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if not out.is_dir():
        raise SystemExit(f"galenic deidentify wrote nothing: {done.stderr[-500:]}")


def _decoded(word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode("utf-8", "ignore")
    except ValueError:
        return ""


def _found(text: str) -> bool:
    text += " ".join(map(_decoded, re.findall(r'"([A-Za-z0-9+/]{12,}={0,2})"', text)))
    text = re.sub(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
    plain = "".join(c for c in text.casefold() if c.isalnum())
    return any(one in plain for one in GONE)


def _resources() -> list[dict]:
    files = sorted((DATA / "ehr" / "fhir-test-cases").rglob("*.json"))
    bulk = sorted((DATA / "ehr" / "synthea-bulk-10").glob("*ndjson*"))
    lines = [f.read_bytes() for f in files]
    lines += [
        line
        for f in bulk
        for line in (gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes()).splitlines()[:3]
    ]
    found = []
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict) and one.get("resourceType") not in (None, "Bundle"):
            found.append(one)
    return found


def _leaves(node: object, trail: tuple = ()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*trail, key))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from _leaves(value, (*trail, at))
    elif isinstance(node, str) and trail != ("resourceType",):
        yield trail


def _with(resource: dict, trail: tuple, value: str) -> dict:
    copy = json.loads(json.dumps(resource))
    node = copy
    for step in trail[:-1]:
        node = node[step]
    node[trail[-1]] = value
    return copy


def _fhir(folder: Path) -> tuple[int, int, Counter]:
    """(places accepted, places that came out, places that came out by element)."""
    places = {(r["resourceType"], tuple(s for s in t if isinstance(s, str))): (r, t) for r in _resources() for t in _leaves(r)}
    chosen = random.Random(7).sample(sorted(places), min(PLACES, len(places)))
    source = folder / "in"
    source.mkdir()
    (source / "a.ndjson").write_text(json.dumps(PATIENT), encoding="utf-8")
    with (source / "b.ndjson").open("w", encoding="utf-8") as file:
        for number, key in enumerate(chosen):
            file.write(json.dumps(_with(*places[key], TEXTS[number % len(TEXTS)])) + "\n")
    _clean(source, folder / "out")
    lines = (folder / "out" / "b.ndjson").read_text(encoding="utf-8").splitlines()
    out = Counter(json.loads(line)["resourceType"] for line in lines if _found(line))
    return len(lines), sum(out.values()), out


def _ccda(folder: Path) -> tuple[int, int]:
    """(places, documents with a place that came out): one document for each place."""
    source = folder / "ccda"
    source.mkdir()
    seen, number = set(), 0
    for file in sorted((DATA / "ehr" / "ccda").glob("*.gz")):
        root = ElementTree.fromstring(gzip.decompress(file.read_bytes()))
        for node in root.iter():
            for place in (*node.attrib, "text", "vendor"):
                if (node.tag, place) in seen or number >= max(PLACES // 6, 1):
                    continue
                seen.add((node.tag, place))
                own = ElementTree.Element(node.tag, dict(node.attrib))
                own.text, value = node.text, TEXTS[number % len(TEXTS)]
                own.text = value if place == "text" else own.text
                own.attrib |= {} if place == "text" else {place: value}
                document = ElementTree.Element(root.tag)
                document.append(own)
                ElementTree.ElementTree(document).write(source / f"n{number}.xml")
                number += 1
    _clean(source, folder / "ccda-out")
    written = sorted((folder / "ccda-out").glob("*.xml"))
    return len(written), sum(_found(f.read_text(encoding="utf-8")) for f in written)


def _values(node: object):
    if isinstance(node, dict):
        if isinstance(node.get("code"), str) and isinstance(node.get("system"), str):
            yield ("code", node["system"], node["code"], str(node.get("value", "")))
        for value in node.values():
            yield from _values(value)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value)


def _surviving(folder: Path, name: str, path: str = "") -> float:
    """Share of codes with their system, and of quantities with their unit, of a real sample that come out unchanged."""
    source = folder / f"{name}-in"
    source.mkdir()
    resources = [r for r in _resources() if "id" in r]
    (source / "s.ndjson").write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
    _clean(source, folder / f"{name}-out", path)
    lines = (folder / f"{name}-out" / "s.ndjson").read_text(encoding="utf-8").splitlines()
    before = Counter(v for r in resources for v in _values(r))
    after = Counter(v for line in lines for v in _values(json.loads(line)))
    return (before & after).total() / before.total()


def measure(row) -> list[dict]:
    """The rows of this part."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tried, out, by_type = _fhir(folder)
        documents, leaking = _ccda(folder)
        kept = _surviving(folder, "now")
        earlier = os.environ.get("GALENIC_BEFORE")
        peers = {"before": round(_surviving(folder, "before", earlier), 3)} if earlier else {}
    what = f"identifiers planted at {tried:,} FHIR and {documents:,} C-CDA places of real samples that were accepted: out"
    rows = [row("privacy.records", what, "places", out + leaking, "0", out + leaking == 0, interval=dict(by_type) or None)]
    what = "codes and quantities of clean real samples that come out unchanged (refused resources count as lost)"
    return [*rows, row("privacy.records.kept", what, "share", round(kept, 3), "shown", None, peers=peers)]
