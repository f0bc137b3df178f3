"""Identifiers that no record states, planted at the places of real FHIR and C-CDA samples, DICOM headers and HL7 v2 messages, sent through
`galenic deidentify`: places that come out, places that are refused, and the recall of strangers' names in long free text.

Names are of countries whose lists the product does not have, or made of ordinary words. GALENIC_PLACES: places tried per format (default
6,000 FHIR, a sixth of it C-CDA, a tenth DICOM and texts). GALENIC_BEFORE: the src folder of another version, whose share of surviving codes
and quantities is shown beside ours.
"""

import base64
import csv
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

from scipy.special import betaincinv

HERE = Path(__file__).parent
DATA = Path(os.environ.get("GALENIC_DATA", HERE.parent.parent / "shared" / "data"))
PLACES = int(os.environ.get("GALENIC_PLACES", "6000"))
UNLISTED = ("cs_CZ", "da_DK", "et_EE", "hr_HR", "lt_LT", "lv_LV", "no_NO", "sk_SK", "sl_SI", "zu_ZA")
GIVEN_WORDS = re.findall(
    r"\w+", "Hope Grace Faith Joy Rose Summer Dawn Frank Heather Ivy Olive Violet Ruby Pearl Amber Autumn Will Mark Grant Chase"
)
FAMILY_WORDS = re.findall(
    r"\w+", "Young Long Short Brown King Price Cook Field Baker Fisher Hunter Mason Parker Stone Waters Woods Marsh Banks"
)
SENTENCES = (
    "{} was seen today.", "Seen by Dr. {}.", "{} saw the patient.", "Discussed with {} by telephone.", "Mrs. {} reports no pain.",
    "Daughter {} is at the bedside.", "Referred by {}, MD.", "Accompanied by her husband, {}.", "Nurse {} checked the wound.",
    "Per {}, continue the same dose.", "{} called this morning.", "I spoke with {} about the results.",
)  # fmt: skip
PATIENT = {
    "resourceType": "Patient",
    "id": "p-1",
    "name": [{"family": "Zantuvel", "given": ["Qwexibor"]}],
    "birthDate": "1931-03-04",
}


@dataclass(frozen=True)
class Stranger:
    """An identifier that no record states. words: of a name, digits: of a number; either must not come out."""

    value: str
    words: tuple[str, ...] = ()
    digits: str = ""

    def is_in(self, text: str, before: str) -> bool:
        """Whether a part of it is in an output and was not in the input without it."""
        text, plain = _readable(text), _letters(before)
        if self.digits:
            return self.digits in re.sub(r"\D", "", text) and self.digits not in re.sub(r"\D", "", before)
        found = _letters(text)
        return any(w in found and w not in plain for w in self.words)


def _letters(text: str) -> set[str]:
    return {w.casefold() for w in re.findall(r"[^\W\d_]{3,}", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))}


def _readable(text: str) -> str:
    text += " ".join(map(_decoded, re.findall(r'"([A-Za-z0-9+/]{12,}={0,2})"', text)))
    return re.sub(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)


def _decoded(word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode("utf-8", "ignore")
    except ValueError:
        return ""


def _names() -> tuple[list[str], list[str]]:
    given, family = set(), set()
    for locale in UNLISTED:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for place, part in ((given, "first_names"), (family, "last_names")):
            place.update(n for n in getattr(provider, part, ()) if isinstance(n, str) and n.isalpha() and len(n) > 3)
    return sorted(given), sorted(family)


class Strangers:
    """Makes identifiers; one name in four is made of ordinary words."""

    def __init__(self, seed: int) -> None:
        self.rng, (self.given, self.family) = random.Random(seed), _names()

    def name(self) -> tuple[str, str]:
        """Given name, family name."""
        common = self.rng.random() < 0.25
        given, family = (GIVEN_WORDS, FAMILY_WORDS) if common else (self.given, self.family)
        return self.rng.choice(given), self.rng.choice(family)

    def one(self, number: int) -> Stranger:
        """An identifier of the kinds and forms in turn."""
        given, family = self.name()
        words = (given.casefold(), family.casefold())
        forms = (
            f"{given} {family}", f"{given} {family}".upper(), f"{family}, {given}", f"{given.lower()}{family}", f"{given}-{family}".lower(),
            f"{given}%20{family}", f"http://example.org/{family}".lower(), f"{given} {family}",
        )  # fmt: skip
        a, b = self.rng.randint(201, 988), self.rng.randint(1001, 9999)
        numbers = (f"{a}-555-{b}", f"{a}555{b}", f"{a}-45-{b}", f"{a}.45{b}1", f"MRN {a}{b}", f"{a} 555 {b}")
        kind = number % (len(forms) + len(numbers))
        if kind < len(forms):
            return Stranger(forms[kind], words)
        value = numbers[kind - len(forms)]
        return Stranger(value, digits=re.sub(r"\D", "", value))


def _clean(source: Path, out: Path, path: str = "") -> dict:
    """De-identify a folder; what the command printed."""
    environment = {**os.environ, "GALENIC_HOME": str(out.parent / "home")} | ({"PYTHONPATH": path} if path else {})
    words = [sys.executable, "-m", "galenic", "deidentify", str(source), "--out", str(out), "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if not out.is_dir():
        raise SystemExit(f"galenic deidentify wrote nothing: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def _resources() -> list[dict]:
    """Resources of the samples, with those in Bundles, and three of each bulk file."""
    files = sorted(f for folder in ("fhir-test-cases", "synthea-hiv-bundles") for f in (DATA / "ehr" / folder).rglob("*.json*"))
    bulk = sorted((DATA / "ehr" / "synthea-bulk-10").glob("*ndjson*"))
    texts = [_bytes(f) for f in files] + [line for f in bulk for line in _bytes(f).splitlines()[:3]]
    found = []
    for text in texts:
        try:
            one = json.loads(text)
        except ValueError:
            continue
        entries = one.get("entry", ()) if isinstance(one, dict) else ()
        resources = [e.get("resource") for e in entries if isinstance(e, dict)] or [one]
        found += [r for r in resources if isinstance(r, dict) and r.get("resourceType") not in (None, "Bundle")]
    return found


def _bytes(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def _leaves(node: object, trail: tuple = ()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*trail, key))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from _leaves(value, (*trail, at))
    elif isinstance(node, str | int | float) and not isinstance(node, bool) and trail[-1:] != ("resourceType",):
        yield trail


def _with(resource: dict, trail: tuple, one: Stranger) -> tuple[dict, Stranger]:
    """The resource with an identifier at a place, as a number where the value is one; and the identifier."""
    copy = json.loads(json.dumps(resource))
    node = copy
    for step in trail[:-1]:
        node = node[step]
    before = node[trail[-1]]
    if isinstance(before, str):
        node[trail[-1]] = one.value
        return copy, one
    digits = one.digits or str(sum(map(ord, one.value)) + 219_090_001)
    node[trail[-1]] = int(digits) if isinstance(before, int) else float(f"{digits[:3]}.{digits[3:]}")
    return copy, Stranger(digits, digits=digits)


@dataclass
class Tried:
    """Places of one format. out: by element or type."""

    written: int
    refused: int
    out: Counter


def _refused_lines(report: dict, name: str) -> set[int]:
    found = (re.fullmatch(rf"{re.escape(name)}, line (\d+)", one["where"]) for one in report["refused"])
    return {int(m[1]) for m in found if m}


def _fhir(folder: Path) -> Tried:
    places = {(r["resourceType"], tuple(s for s in t if isinstance(s, str))): (r, t) for r in _resources() for t in _leaves(r)}
    chosen = random.Random(7).sample(sorted(places), min(PLACES, len(places)))
    source = folder / "in"
    source.mkdir()
    (source / "a.ndjson").write_text(json.dumps(PATIENT), encoding="utf-8")
    made, strangers = [], Strangers(7)
    with (source / "b.ndjson").open("w", encoding="utf-8") as file:
        for number, key in enumerate(chosen):
            resource, trail = places[key]
            planted, one = _with(resource, trail, strangers.one(number))
            made.append((".".join((key[0], *key[1])), one, json.dumps(resource)))
            file.write(json.dumps(planted) + "\n")
    report = _clean(source, folder / "out")
    refused = _refused_lines(report, "b.ndjson")
    kept = [one for line, one in enumerate(made, start=1) if line not in refused]
    lines = (folder / "out" / "b.ndjson").read_text(encoding="utf-8").splitlines()
    if len(lines) != len(kept):
        raise SystemExit(f"{len(lines)} lines were written, and {len(kept)} were not refused.")
    out = Counter(where for line, (where, one, before) in zip(lines, kept, strict=True) if one.is_in(line, before))
    return Tried(len(kept), len(refused), out)


def _ccda(folder: Path) -> Tried:
    """One document for each place."""
    source = folder / "ccda"
    source.mkdir()
    made: dict[str, tuple[str, Stranger, str]] = {}
    strangers, seen = Strangers(8), set()
    for file in sorted((DATA / "ehr" / "ccda").glob("*.gz")):
        root = ElementTree.fromstring(gzip.decompress(file.read_bytes()))
        for node in root.iter():
            for place in (*node.attrib, "text", "vendor"):
                if (node.tag, place) in seen or len(made) >= max(PLACES // 6, 1):
                    continue
                seen.add((node.tag, place))
                one = strangers.one(len(made))
                own = ElementTree.Element(node.tag, dict(node.attrib))
                own.text = one.value if place == "text" else node.text
                own.attrib |= {} if place == "text" else {place: one.value}
                document = ElementTree.Element(root.tag)
                document.append(own)
                name = f"n{len(made)}.xml"
                made[name] = (f"{node.tag.rpartition('}')[2]}/{place}", one, ElementTree.tostring(node, encoding="unicode"))
                ElementTree.ElementTree(document).write(source / name)
    return _by_files(source, folder / "ccda-out", made)


def _by_files(source: Path, target: Path, made: dict[str, tuple[str, Stranger, str]]) -> Tried:
    """One file for each place; an output that is numbered has the number of its file in the order of names."""
    _clean(source, target)
    names = sorted(made)
    out, written = Counter(), 0
    for path in (p for p in sorted(target.rglob("*")) if p.is_file()):
        name = path.name if path.name in made else names[int(path.stem)]
        where, one, before = made[name]
        written += 1
        out[where] += one.is_in(_text_of(path), before)
    return Tried(written, len(made) - written, +out)


def _text_of(path: Path) -> str:
    if path.suffix != ".dcm":
        return path.read_text(encoding="utf-8")
    return str(import_module("pydicom").dcmread(path))


def _dicom(folder: Path) -> Tried:
    """One header for each attribute that holds text."""
    pydicom = import_module("pydicom")
    source = folder / "dicom"
    source.mkdir()
    made, strangers = {}, Strangers(9)
    every = [
        (e[4], e[0])
        for e in import_module("pydicom._dicom_dict").DicomDictionary.values()
        if e[0] in ("LO", "SH", "ST", "LT", "UT", "PN", "CS", "UC") and e[4]
    ]
    for number, (keyword, vr) in enumerate(
        random.Random(9).sample(sorted(set(every)), min(max(PLACES // 10, 1), len(set(every))))
    ):
        one = strangers.one(number)
        ds = pydicom.Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality, ds.PatientID = (
            "1.2.840.10008.5.1.4.1.1.4",
            f"1.2.3.{number}",
            "MR",
            "P-1",
        )
        value = (
            re.sub(r"[^A-Z0-9 _]", " ", one.value.upper())[:16] if vr == "CS" else one.value[:16] if vr == "SH" else one.value
        )
        try:
            setattr(ds, keyword, value)
            ds.save_as(source / f"n{number}.dcm", enforce_file_format=True)
        except (ValueError, TypeError):
            (source / f"n{number}.dcm").unlink(missing_ok=True)
            continue
        made[f"n{number}.dcm"] = (keyword, one, "MR P-1")
    return _by_files(source, folder / "dicom-out", made)


def _hl7v2(folder: Path) -> tuple[int, int]:
    """(messages under names of notes and of HL7, those that were written)."""
    source = folder / "hl7"
    source.mkdir()
    strangers, number = Strangers(10), 0
    files = sorted(p for p in (DATA / "ehr" / "hl7v2").rglob("*") if p.is_file())
    texts = [
        t for p in files for t in re.split(r"(?=MSH\|)", p.read_bytes().decode("utf-8", "replace")) if t.startswith("MSH|")
    ]
    for text in texts[: max(PLACES // 100, 1)]:
        given, family = strangers.name()
        planted = re.sub(r"(PID\|(?:[^|]*\|){4})[^|]*", rf"\g<1>{family}^{given}", text)
        for extension in ("txt", "md", "hl7"):
            (source / f"m{number}.{extension}").write_text(planted, encoding="utf-8")
            number += 1
    words = [sys.executable, "-m", "galenic", "deidentify", str(source), "--out", str(folder / "hl7-out"), "--json"]
    subprocess.run(words, env={**os.environ, "GALENIC_HOME": str(folder / "home")}, capture_output=True, check=False)
    out = folder / "hl7-out"
    return number, sum(p.is_file() for p in out.rglob("*")) if out.exists() else 0


def _long_texts(folder: Path) -> tuple[int, int]:
    """(strangers' names in free-text elements of more than 90 characters, names that come out)."""
    with (DATA / "guard" / "aci-bench" / "valid.csv").open(encoding="utf-8") as file:
        notes = [re.sub(r"\s+", " ", one["note"]) for one in csv.DictReader(file)]
    sentences = [s for note in notes for s in re.split(r"(?<=[.]) ", note) if 40 < len(s) < 300]
    strangers, rng = Strangers(11), random.Random(11)
    source, made = folder / "long", []
    source.mkdir()
    with (source / "t.ndjson").open("w", encoding="utf-8") as file:
        for _ in range(max(PLACES // 10, 1)):
            given, family = strangers.name()
            before = " ".join(rng.sample(sentences, 3))
            parts = before.split(". ", 1)
            text = f"{parts[0]}. {rng.choice(SENTENCES).format(f'{given} {family}')} {parts[-1]}"
            made.append((Stranger(text, (given.casefold(), family.casefold())), before))
            resource = {"resourceType": "Observation", "status": "final", "code": {"text": "Note"}, "valueString": text}
            file.write(json.dumps(resource) + "\n")
    _clean(source, folder / "long-out")
    lines = (folder / "long-out" / "t.ndjson").read_text(encoding="utf-8").splitlines()
    return len(made), sum(one.is_in(line, before) for line, (one, before) in zip(lines, made, strict=True))


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
    resources = [r for r in _resources() if "id" in r][:2_000]
    (source / "s.ndjson").write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
    _clean(source, folder / f"{name}-out", path)
    lines = (folder / f"{name}-out" / "s.ndjson").read_text(encoding="utf-8").splitlines()
    before = Counter(v for r in resources for v in _values(r))
    after = Counter(v for line in lines for v in _values(json.loads(line)))
    return (before & after).total() / before.total()


def _interval(found: int, of: int) -> tuple[float, float]:
    """Exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low = float(betaincinv(found, of - found + 1, 0.025)) if found else 0.0
    return round(low, 4), round(float(betaincinv(found + 1, of - found, 0.975)) if found < of else 1.0, 4)


def measure(row) -> list[dict]:
    """The rows of this part."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, tried in (("FHIR", _fhir(folder)), ("C-CDA", _ccda(folder)), ("DICOM", _dicom(folder))):
            count = tried.out.total()
            what = f"identifiers that no record states, planted at {title} places that were written ({tried.refused:,} more were refused): out"
            unit = f"of {tried.written:,} places"
            ident = "privacy.records" + ("" if title == "FHIR" else f".{title.lower()}")
            rows.append(row(ident, what, unit, count, "0", count == 0, interval=dict(tried.out.most_common(40)) or None))
        messages, written = _hl7v2(folder)
        what = "HL7 v2 messages under names of notes and of HL7 that were written instead of refused"
        rows.append(row("privacy.records.hl7v2", what, f"of {messages:,} files", written, "0", written == 0))
        names, missed = _long_texts(folder)
        what = (
            "recall of strangers' names in free text of more than 90 characters, a fourth of ordinary words; the detector alone"
        )
        interval = _interval(names - missed, names)
        rows.append(
            row(
                "privacy.records.strangers",
                what,
                f"share of {names:,}",
                round(1 - missed / names, 4),
                "shown",
                None,
                interval=interval,
            )
        )
        kept = _surviving(folder, "now")
        earlier = os.environ.get("GALENIC_BEFORE")
        peers = {"before": round(_surviving(folder, "before", earlier), 3)} if earlier else {}
    what = "codes and quantities of clean real samples that come out unchanged (refused resources count as lost)"
    return [*rows, row("privacy.records.kept", what, "share", round(kept, 3), "shown", None, peers=peers)]
