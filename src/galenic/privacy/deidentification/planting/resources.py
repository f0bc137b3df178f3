"""Planted copies of FHIR documents: values of identity elements are replaced, and texts get additional identifiers."""

import base64
import binascii
import datetime
import gzip
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.planting.ages import STRATUM as AGES
from galenic.privacy.deidentification.planting.ages import holds_observation, plant_ages
from galenic.privacy.deidentification.planting.bare_values import SHORT, bare_plant
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.identifiers import Plant
from galenic.privacy.deidentification.planting.labels import plant_behind_labels

MOST_RESOURCES = 200  # of one NDJSON file that are sampled
MOST_ENTRIES = 6  # resources of one copy, without those that they refer to
MOST_PER_STRATUM = 40  # places of one copy at which identifiers are planted
MOST_BEFORE = 4 << 20  # characters of the input that are compared with the planted values
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T.*)?")
_TEXT_KEYS = frozenset(
    "text comment description conclusion valueString valueMarkdown patientInstruction detail reasonText title instructions".split()  # noqa: SIM905
)
_NARRATIVE, _LABELLED = "FHIR narrative text", "FHIR text behind labels"
_STRATA = {  # by the last two elements of a path, or by the last
    ("", "div"): _NARRATIVE,
    ("", "family"): "FHIR names",
    ("", "given"): "FHIR names",
    ("name", "text"): "FHIR names",
    ("telecom", "value"): "FHIR contact points",
    ("address", "line"): "FHIR addresses",
    ("address", "city"): "FHIR addresses",
    ("address", "district"): "FHIR addresses",
    ("address", "postalCode"): "FHIR addresses",
    ("identifier", "value"): "FHIR identifiers",
}
_TEXT_STRATA = frozenset(("FHIR free text", "FHIR labels of codes, text"))
_LABELS = frozenset(("display", "unit"))  # short strings beside codes
_ATTACHMENTS = frozenset(("attachment", "presentedForm", "content", "photo", "valueAttachment", "contentAttachment"))
_REPEATED = frozenset(("name", "telecom", "address", "identifier"))
REPEATED = 10  # repetitions of one element in a copy
PER_TEXT, PARAGRAPHS = 2, 8  # identifiers in one text, and in one narrative
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORDS = re.compile(r"[^\W\d_]{2,}")
Json = Any


@dataclass(frozen=True)
class TextElement:
    """A string of a document. holder, key: where it is; path: names of elements from the resource."""

    holder: Json
    key: str | int
    path: tuple[str, ...]

    @property
    def value(self) -> str:
        """The string."""
        return str(self.holder[self.key])


class FhirPlanter:
    """Planter whose copies have a sample of the resources of a file or Bundle."""

    most_copies = 120

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of some of the file's resources, as one file of the same format."""
        sample = ResourceSample.read(file, planting)
        while sample is not None and (documents := sample.documents(planting)):
            copies, plants = [], list[Plant]()
            for document in documents:
                copy, more = plant_document(document, planting)
                copies.append(copy)
                plants += more
            if not plants:
                return
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = "\n".join(copies).encode() + b"\n"
            target.write_bytes(gzip.compress(content) if file.name.endswith(".gz") else content)
            yield PlantedCopy(target, plants, sample.before)

    def parts(self, _output: Path) -> frozenset[str] | None:
        """None: resources are written or refused as a whole."""
        return None

    def part_of(self, _stratum: str) -> str:
        """None."""
        return ""


class ResourceSample:
    """Resources of a file, or entries of a Bundle. strata: of each."""

    def __init__(self, units: list[Json], envelope: Json | None = None) -> None:
        self.units, self.envelope = units, envelope
        self.strata = [frozenset(s for leaf in leaves(u, ()) for s in strata_of(leaf)) for u in units]
        self.with_ages = [holds_observation(u) for u in units]
        self.before = "\n".join(json.dumps(u, ensure_ascii=False) for u in units)[:MOST_BEFORE]
        self.place_of = {str(e["fullUrl"]): i for i, e in enumerate(units) if envelope is not None and "fullUrl" in e}

    @classmethod
    def read(cls, file: Path, planting: Planting) -> "ResourceSample | None":
        """Random sample of the valid resources of a file, its Patients first; or all entries of a Bundle."""
        from galenic.records import fhir  # noqa: PLC0415  # its definitions are loaded on first use

        try:
            if fhir.is_ndjson(file):
                return cls(_resources(file, planting))
            document = _plain(fhir.parse(fhir.read_whole(file), "the file").exact)
        except RecordError:
            return None
        return cls(document.pop("entry"), document) if document.get("entry") else cls([document])

    def places(self, planting: Planting) -> list[int]:
        """Places in some resources that need further identifiers."""
        ages = "age" not in planting.kept and not planting.is_enough(AGES)
        wanted = [
            i
            for i, strata in enumerate(self.strata)
            if any(not planting.is_enough(s) for s in strata) or (ages and self.with_ages[i])
        ]
        return [wanted[i] for i in planting.maker.rng.permutation(len(wanted))[:MOST_ENTRIES]]

    def documents(self, planting: Planting) -> list[Json]:
        """Some of the resources that need further identifiers; in a Bundle with those that they refer to."""
        chosen = self.places(planting)
        if self.envelope is None or not chosen:
            return [self.units[i] for i in chosen]
        return [{**self.envelope, "entry": [self.units[i] for i in self._with_references(chosen)]}]

    def _with_references(self, chosen: list[int]) -> list[int]:
        found, pending = set[int](), list(chosen)
        while pending:
            place = pending.pop()
            if place not in found:
                found.add(place)
                pending += [self.place_of[leaf.value] for leaf in leaves(self.units[place], ()) if leaf.value in self.place_of]
        return sorted(found)


def _resources(file: Path, planting: Planting) -> list[Json]:
    from galenic.records import fhir  # noqa: PLC0415

    rng, chosen = planting.maker.rng, list[tuple[float, Json]]()
    for line in fhir.read_ndjson(file):
        if line.document is None:
            continue
        resource = line.document.exact
        if not any(i.level == "error" for i in fhir.validate_resource(line.document.resource)):
            chosen.append((rng.random() - 2 * (resource.get("resourceType") == "Patient"), resource))
        if len(chosen) > 2 * MOST_RESOURCES:
            chosen = sorted(chosen, key=lambda c: c[0])[:MOST_RESOURCES]
    return [_plain(resource) for _, resource in sorted(chosen, key=lambda c: c[0])[:MOST_RESOURCES]]


def _plain(resource: Json) -> Json:
    from galenic.records import fhir  # noqa: PLC0415

    return json.loads(fhir.write_json(resource))


def plant_document(document: Json, planting: Planting) -> tuple[str, list[Plant]]:
    """(JSON of a copy, its plants)."""
    copy = json.loads(json.dumps(document))
    _repeat(copy)
    by_stratum: dict[str, list[TextElement]] = {}
    for leaf in leaves(copy, ()):
        wanted = [s for s in strata_of(leaf) if not planting.is_enough(s)]
        if wanted:
            by_stratum.setdefault(planting.maker.pick(tuple(wanted)), []).append(leaf)
    plants: list[Plant] = plant_ages(copy, planting)
    for stratum, found in by_stratum.items():
        order = planting.maker.rng.permutation(len(found))[:MOST_PER_STRATUM]
        for at in order:
            plants += _TREATMENTS.get(stratum, _bare)(found[at], stratum, planting)
    return json.dumps(copy, ensure_ascii=False), plants


def _repeat(node: Json) -> None:
    """Repeat names, addresses, identifiers and contact points, so that fewer copies hold as many planted values."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        _repeat(value)
        if key in _REPEATED and isinstance(value, list) and value and len(value) < REPEATED:
            value += [json.loads(json.dumps(value[-1])) for _ in range(REPEATED - len(value))]


def leaves(node: Json, path: tuple[str, ...]) -> Iterator[TextElement]:
    """The strings of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        inner = path if isinstance(key, int) else (*path, key)
        if isinstance(value, str):
            yield TextElement(node, key, inner)
        else:
            yield from leaves(value, inner)


def strata_of(leaf: TextElement) -> tuple[str, ...]:
    """Strata of a string: as part of a text, and as a short value that consists of an identifier."""
    stratum, key = _stratum_of(leaf), leaf.path[-1]
    short = len(leaf.value) <= SHORT and "\n" not in leaf.value and _WORDS.search(leaf.value) is not None
    is_label = key in _LABELS and "reference" not in leaf.holder and leaf.path[-2:-1] != ("identifier",)
    if stratum == _NARRATIVE:
        return stratum, _LABELLED
    if short and (stratum in _TEXT_STRATA or (not stratum and is_label)):
        return (*((stratum,) if stratum else ()), f"FHIR short values, {key} element")
    return (stratum,) if stratum else ()


def _bare(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    """An identifier in place of the whole value."""
    plant = bare_plant(planting.maker, stratum, int(planting.maker.rng.integers(1 << 20)), planting.kept)
    if plant is None:
        return []
    leaf.holder[leaf.key] = plant.value
    return [plant]


def _stratum_of(leaf: TextElement) -> str:
    """The stratum of a string by its path; "" where nothing is planted."""
    key, parent = leaf.path[-1], leaf.path[-2] if len(leaf.path) > 1 else ""
    if (parent, key) in _STRATA or ("", key) in _STRATA:
        return _STRATA.get((parent, key)) or _STRATA["", key]
    if key == "data":
        return "FHIR attached text" if parent in _ATTACHMENTS and _attached_text(leaf.value) else ""
    if _DATE.fullmatch(leaf.value):
        return "FHIR dates"
    if key == "display":
        return "FHIR names in references" if "reference" in leaf.holder else ""
    if key not in _TEXT_KEYS or parent in ("identifier", "attachment") or not _WORDS.search(leaf.value):
        return ""
    return "FHIR labels of codes, text" if "coding" in leaf.holder else "FHIR free text"


def _in_place(kind: str) -> Callable[[TextElement, str, Planting], list[Plant]]:
    def replace(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
        found = kind
        if kind == "phone" and "@" in leaf.value:
            found = "email"
        if found in planting.kept:
            return []
        if _UUID.fullmatch(leaf.value):
            value, day = str(uuid.uuid4()), None
        else:
            value, day = planting.maker.value(found, leaf.value)
        leaf.holder[leaf.key] = value
        return [Plant(stratum, found, value, day)]

    return replace


def _date(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    """Another day; the start of a period moves back and its end forward, so that it stays valid."""
    if "date" in planting.kept:
        return []
    way = {"start": -1, "end": 1}.get(str(leaf.key), int(planting.maker.rng.choice((-1, 1))))
    day = datetime.date.fromisoformat(leaf.value[:10]) + datetime.timedelta(days=way * int(planting.maker.rng.integers(1, 800)))
    leaf.holder[leaf.key] = day.isoformat() + leaf.value[10:]
    return [Plant(stratum, "date", day.isoformat(), day)]


def _in_text(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    text, plants = planting.texts.plant(leaf.value[:TEXT_LIMIT], stratum, PER_TEXT)
    leaf.holder[leaf.key] = text
    return plants


def _attached_text(content: str) -> str:
    """The text of an attachment in Base64; "" if it holds none."""
    try:
        return base64.b64decode(content, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _in_attachment(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    text, plants = planting.texts.plant(_attached_text(leaf.value)[:TEXT_LIMIT], stratum, PER_TEXT)
    leaf.holder[leaf.key] = base64.b64encode(text.encode()).decode()
    return plants


def _in_narrative(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    """Paragraphs at the end, and a name in an attribute or a comment of one."""
    sentence, plants = planting.texts.plant("\n" * PARAGRAPHS, stratum, PARAGRAPHS)
    end = leaf.value.rfind("</div>")
    if end < 0 or not plants:
        return []
    hidden = Plant(stratum, "name", planting.maker.name("Two Words"))
    form = planting.maker.pick(('<p title="{}">', "<p><!-- {} -->", '<p id="{}">')).format(hidden.value.replace(" ", "-"))
    leaf.holder[leaf.key] = f"{leaf.value[:end]}{form}{sentence}</p>{leaf.value[end:]}"
    return [*plants, hidden]


def _behind_labels(leaf: TextElement, stratum: str, planting: Planting) -> list[Plant]:
    """Paragraphs, lists and lines whose labels alone tell what they hold."""
    markup, plants = plant_behind_labels(planting, stratum, xhtml=True)
    end = leaf.value.rfind("</div>")
    if end < 0:
        return []
    leaf.holder[leaf.key] = f"{leaf.value[:end]}{markup}{leaf.value[end:]}"
    return plants


_TREATMENTS: dict[str, Callable[[TextElement, str, Planting], list[Plant]]] = {
    _NARRATIVE: _in_narrative,
    _LABELLED: _behind_labels,
    "FHIR names": _in_place("name"),
    "FHIR names in references": _in_place("name"),
    "FHIR contact points": _in_place("phone"),
    "FHIR addresses": _in_place("place"),
    "FHIR identifiers": _in_place("record"),
    "FHIR dates": _date,
    "FHIR free text": _in_text,
    "FHIR labels of codes, text": _in_text,
    "FHIR attached text": _in_attachment,
}
