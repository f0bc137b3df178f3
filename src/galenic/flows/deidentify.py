"""Notes and FHIR leave their identity behind: same format out, with a report of what was found, what was done, what was refused."""

import gzip
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError, MissingExtra, RecordError
from galenic.flows.house import Progress, quiet
from galenic.privacy import structured, text
from galenic.records import calm
from galenic.store import file_aside, folder_aside

NOTES = (".txt", ".text", ".md", ".note")
MOST_KNOWN = 200_000  # patients whose own identifiers are held while their records go by


@dataclass
class Deidentification:
    """What a run did. files: in and out; refused: by file or line, why it did not come out; residual: what to expect to be left.
    Files are called as they come out: a number, in the order of the input, where their own name says who somebody is."""

    policy: text.Policy
    files: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    taken: text.Taken = field(default_factory=text.Taken)
    treated: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def residual(self) -> float | None:
        """Identifiers to expect unfound in what was scanned as text, from the finder's recall on text it never saw; None where that
        was not measured."""
        recall = self.measured.get("recall")
        scanned = sum(n for (_, layer), n in self.taken.found.items() if layer not in ("field", "known"))
        return None if recall is None else scanned * (1 - recall) / recall


@dataclass
class Run:
    """One run under way. key: 32 bytes; without it no surrogate and no token leads back."""

    done: Deidentification
    finder: text.Finder
    key: bytes
    day_first: bool
    known: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def replacer(self, patient: str) -> text.Replacer:
        """Of one patient, under a key of their own."""
        key = hmac.digest(self.key, f"patient\0{patient}".encode(), "sha256")
        return text.Replacer(self.done.policy, key, text.states(), self.day_first)

    def of(self, patients: list[str]) -> text.Known | None:
        """What the patients' own records say of them."""
        stated = [self.known[p] for p in patients if p in self.known]
        every = {kind: tuple(v for one in stated for v in one[kind]) for kind in (stated[0] if stated else ())}
        return text.Known(every, self.finder.common) if every else None


def deidentify(
    places: list[Path], out: Path, *, policy: str = "safe-harbor", language: str = "en", model: str = "", key: bytes | None = None,
    day_first: bool = False, progress: Progress = quiet,
) -> Deidentification:  # fmt: skip
    """Writes each file again without what identifies, into a new folder. Notes (.txt, .md), FHIR R4 (JSON, NDJSON, plain or gzip).

    key: 32 bytes that make surrogates and tokens; default: new ones that are forgotten at the end, so nothing leads back.
    What can not be read or scanned does not come out; the report says which and why.
    """
    files = [f for p in places for f in (sorted(q for q in p.rglob("*") if q.is_file()) if p.is_dir() else [p])]
    absent = next((p for p in places if not p.exists()), None)
    if absent is not None or not files:
        raise RecordError(
            f"{absent or places[0]} is not there, or holds no file. Name notes (.txt, .md) or FHIR (.json, .ndjson, .gz)."
        )
    if key is not None and len(key) < 32:
        raise DescriptionError(f"the key has {len(key)} bytes. Expected at least 32 bytes of random data.")
    finder = text.finder_for(language, model)
    run = Run(Deidentification(text.read_policy(policy)), finder, key or secrets.token_bytes(32), day_first)
    run.done.measured = text.measured(language) if not model else {}
    for file in files:
        if _is_fhir(file):
            _learn(file, run)
    total = sum(f.stat().st_size for f in files) or 1
    at = 0
    with folder_aside(out) as aside, calm.calm():
        for number, file in enumerate(files):
            progress("de-identifying", at / total)
            _one(file, number, aside, run)
            at += file.stat().st_size
    return run.done


def _is_fhir(file: Path) -> bool:
    return file.name.removesuffix(".gz").endswith((".json", ".ndjson"))


def _one(file: Path, number: int, out: Path, run: Run) -> None:
    name = _named(file, number, run)
    if (out / name).exists():  # two files of one name, from two folders
        name = _numbered(file, number)
    try:
        if _is_fhir(file):
            _fhir(file, out / name, run)
        elif file.suffix.lower() in NOTES:
            _note(file, out / name, run)
        else:
            run.done.refused.append((name, f"is of a kind that is not read: {file.suffix or 'no ending'}"))
            return
    except RecordError as error:
        (out / name).unlink(missing_ok=True)
        run.done.refused.append((name, str(error)))
        return
    if (out / name).stat().st_size:
        run.done.files.append((file.name, name))
    else:
        (out / name).unlink()


def _named(file: Path, number: int, run: Run) -> str:
    """The file's own name, unless that says who somebody is."""
    stem = file.name.split(".")[0]
    words = [w for w in re.split(r"[\W\d_]+", stem) if len(w) > 1]
    try:
        named = any(text.is_name(w) and w.casefold() not in run.finder.common for w in words)
    except MissingExtra:  # without lists of names every word may be one
        named = any(w.casefold() not in run.finder.common for w in words)
    return _numbered(file, number) if named or sum(c.isdigit() for c in stem) >= 4 else file.name


def _numbered(file: Path, number: int) -> str:
    return f"{number:06d}{file.name[len(file.name.split('.')[0]) :]}"


def _note(file: Path, out: Path, run: Run) -> None:
    raw = file.read_bytes()
    read, encoding = _decoded(raw)
    if encoding != "utf-8":
        run.done.remarks.append((out.name, f"was read as {encoding}"))
    replacer = run.replacer(file.stem)
    clean = text.deidentify_text(read, run.finder, replacer, None, run.done.taken)
    run.done.treated.update(replacer.counted)
    out.write_text(clean, encoding="utf-8", newline="")


def _decoded(raw: bytes) -> tuple[str, str]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError:
            raise RecordError("begins as UTF-16 and is none. Send it again, or export it as UTF-8.") from None
    for encoding in ("utf-8", "cp1252"):
        try:
            read = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(c < " " and c not in "\t\n\r\f\v\x1b" for c in read[:100_000]):
            return read.removeprefix("\ufeff"), encoding
    raise RecordError("is no text that can be read (UTF-8, UTF-16, Windows-1252). Send text, or export it as such.")


# FHIR


def _resources(file: Path) -> Iterator[tuple[int, Any, str]]:
    """Line (0: the whole file), the document or None, and then why there is none."""
    from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

    if fhir.is_ndjson(file):
        for line in fhir.read_ndjson(file):
            yield line.number, line.document, line.fault
    else:
        yield 0, fhir.parse(fhir.read_whole(file), "the file"), ""


def _inside(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield resource
    for entry in resource.get("entry", ()) if resource.get("resourceType") == "Bundle" else ():
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _learn(file: Path, run: Run) -> None:
    """What patients' own records state of them."""
    try:
        for _, whole, _ in _resources(file):
            for resource in _inside(whole.exact) if whole else ():
                if resource.get("resourceType") == "Patient" and "id" in resource and len(run.known) < MOST_KNOWN:
                    run.known[str(resource["id"])] = _stated(resource)
    except RecordError:
        return  # said when the file itself has its turn


def _stated(patient: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    names = [t for n in patient.get("name", ()) for t in (n.get("family"), n.get("text"), *n.get("given", ())) if t]
    names += [
        t for c in patient.get("contact", ()) for n in [c.get("name", {})] for t in (n.get("family"), *n.get("given", ())) if t
    ]
    places = [t for a in patient.get("address", ()) for t in (*a.get("line", ()), a.get("city"), a.get("postalCode")) if t]
    return {
        "name": tuple(names),
        "place": tuple(places),
        "record": tuple(str(i["value"]) for i in patient.get("identifier", ()) if "value" in i),
        "phone": tuple(str(t["value"]) for t in patient.get("telecom", ()) if "value" in t),
    }


def _fhir(file: Path, out: Path, run: Run) -> None:
    from galenic.records import fhir  # noqa: PLC0415

    opened = gzip.GzipFile(out, "wb", mtime=0) if out.name.endswith(".gz") else out.open("wb")
    with opened as target:
        for number, document, fault in _resources(file):
            wrong = (
                [f"{i.expression} {i.rule}: {i.text}" for i in fhir.check(document.resource) if i.level == "error"]
                if document
                else [fault]
            )
            if wrong:
                run.done.refused.append((f"{out.name}, line {number}" if number else out.name, wrong[0]))
                continue
            clean = _resource(document.exact, run)
            target.write(fhir.write(clean) + b"\n")
            run.done.resources.update(r["resourceType"] for r in _inside(clean))


def _resource(resource: dict[str, Any], run: Run) -> dict[str, Any]:
    from galenic.records import fhir  # noqa: PLC0415

    if resource["resourceType"] == "Bundle":
        patients = [str(r["id"]) for r in _inside(resource) if r.get("resourceType") == "Patient" and "id" in r]
    else:
        patients = [(fhir.whose({"id": "", **resource}).person or "").removeprefix("Patient/")]
    replacer = run.replacer(",".join(patients))
    rules = structured.FhirRules(
        run.finder, replacer, hmac.digest(run.key, b"tokens", "sha256"), run.of(patients), run.done.taken
    )
    clean = structured.deidentify_resource(resource, rules)
    run.done.treated.update(replacer.counted)
    run.done.dropped.update(rules.dropped)
    return clean


def deidentification_json(done: Deidentification) -> dict[str, Any]:
    """The report for machines."""
    return {
        "policy": {"name": done.policy.name, "text": done.policy.text, "treat": done.policy.treat},
        "files": len(done.files),
        "refused": [{"where": where, "why": why} for where, why in done.refused],
        "remarks": [{"where": where, "what": what} for where, what in done.remarks],
        "texts": {"read": done.taken.texts, "with identifiers": done.taken.touched, "signs": done.taken.signs},
        "found": [{"kind": k, "layer": layer, "count": n} for (k, layer), n in sorted(done.taken.found.items())],
        "treated": [{"kind": k, "treatment": how, "count": n} for (k, how), n in sorted(done.treated.items())],
        "left out": [{"what": what, "count": n} for what, n in (done.dropped + done.taken.dropped).most_common()],
        "resources": dict(done.resources),
        "residual": {"expected identifiers left": done.residual, "measured": done.measured},
    }


def write_deidentification(done: Deidentification, place: Path) -> None:
    """The report for people (.html) or machines (.json)."""
    page = (
        json.dumps(deidentification_json(done), indent=1) if place.suffix == ".json" else text.page(deidentification_json(done))
    )
    with file_aside(place) as aside:
        aside.write_text(page, encoding="utf-8")
