"""Planted copies of C-CDA documents: values of identity elements are replaced; narratives, texts and labels get additional
identifiers."""

import copy
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from defusedxml.ElementTree import fromstring

from galenic.errors import RecordError
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.dates import days_of_a_week
from galenic.privacy.deidentification.planting.identifiers import Plant
from galenic.privacy.deidentification.planting.labels import HEADS, plant_behind_labels
from galenic.records import HL7, read_ccda, write_ccda

MOST_SECTIONS, MOST_ROWS = 4, 12  # of one copy: sections, and rows, items or entries of one element
MOST_PER_STRATUM = 60  # places of one copy at which identifiers are planted
REPEATED, PARAGRAPHS = 15, 8  # repetitions of the patient's names, addresses, …; identifiers in an added paragraph
MOST_BEFORE = 4 << 20  # characters of the input that are compared with the planted values
_THINGS = ("manufacturedMaterial", "labeledDrug", "playingDevice", "playingEntity")  # their names are no identifiers
_MANY = ("tr", "item", "paragraph", "entry")
_STRATA = {  # of elements with text, by name
    **dict.fromkeys(("given", "family"), "C-CDA names"),
    **dict.fromkeys(("streetAddressLine", "city", "county", "postalCode", "houseNumber", "streetName"), "C-CDA addresses"),
    **dict.fromkeys(("lotNumberText", "signatureText"), "C-CDA identifiers"),
    **dict.fromkeys(
        ("title", "originalText", "desc", "manufacturerModelName", "softwareName", "value"), "C-CDA titles and short strings"
    ),
    **dict.fromkeys(("td", "th"), "C-CDA table cells, text"),
    **dict.fromkeys(("paragraph", "item", "content", "caption", "text"), "C-CDA narrative text"),
}
_KINDS = {"C-CDA names": "name", "C-CDA names in one piece": "name", "C-CDA addresses": "place", "C-CDA identifiers": "record"}
_HEADED, _LABELLED = "C-CDA table columns with heads", "C-CDA text behind labels"
_UNKNOWN, _LABELS, _DATES = "C-CDA unknown elements and attributes", "C-CDA labels of codes", "C-CDA dates"
_DAY = re.compile(r"(?:18|19|20)\d{6}(?:\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?)?")
_WORD = re.compile(r"[^\W\d_]{2,}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class CcdaPlanter:
    """Planter whose copies have the header and some sections of a document."""

    most_copies = 40

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of a document."""
        try:
            root = read_ccda(file)
        except RecordError:
            return
        before = "\n".join(v for node in root.iter() for v in (node.text, node.tail, *node.attrib.values()) if v)[:MOST_BEFORE]
        while True:
            document = _DocumentCopy(_sampled(root, planting), planting)
            plants = document.plant()
            if not plants:
                return
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_ccda(document.root, target)
            yield PlantedCopy(target, plants, before)

    def parts(self, _output: Path) -> frozenset[str] | None:
        """None: a document is written or refused as a whole."""
        return None

    def part_of(self, _stratum: str) -> str:
        """None."""
        return ""


def _local(node: Element) -> str:
    return node.tag.rpartition("}")[2]


def _sampled(root: Element, planting: Planting) -> Element:
    """A copy with some sections, one once enough was planted in narratives; the patient's names, addresses, … are repeated."""
    rng, found = planting.maker.rng, copy.deepcopy(root)
    is_read = all(planting.is_enough(stratum) for stratum in ("C-CDA narrative text", "C-CDA table cells, text"))
    for node in list(found.iter()):
        name = _local(node)
        for kind in ("component",) if name == "structuredBody" else _MANY:
            same = [child for child in node if _local(child) == kind]
            most = MOST_ROWS if kind != "component" else 1 if is_read else MOST_SECTIONS
            for at in rng.permutation(len(same))[most:]:
                node.remove(same[at])
        if name in ("patientRole", "patient"):
            for child in [c for c in node if _local(c) in ("name", "addr", "telecom", "id")]:
                for _ in range(REPEATED):
                    node.insert(list(node).index(child), copy.deepcopy(child))
    return found


@dataclass
class _DocumentCopy:
    """Copy in memory. planting: planting of identifiers into it."""

    root: Element
    planting: Planting

    def plant(self) -> list[Plant]:
        """Plant identifiers in each stratum. Returns the planted identifiers."""
        self.parents = {child: parent for parent in self.root.iter() for child in parent}
        self.days = days_of_a_week(self.planting.maker.rng)
        places: dict[str, list[Callable[[str], list[Plant]]]] = {}
        for node in list(self.root.iter()):
            for stratum, place in self._places(node):
                if not self.planting.is_enough(stratum):
                    places.setdefault(stratum, []).append(place)
        plants: list[Plant] = []
        for stratum, found in places.items():
            most = len(found) if stratum == _DATES else MOST_PER_STRATUM
            for at in self.planting.maker.rng.permutation(len(found))[:most]:
                plants += found[at](stratum)
        return plants

    def _places(self, node: Element) -> Iterator[tuple[str, Callable[[str], list[Plant]]]]:
        """(stratum, what plants there) of each place of one element."""
        name, parent = _local(node), self.parents.get(node)
        outer = _local(parent) if parent is not None else ""
        has_text = bool(_WORD.search(node.text or ""))
        stratum = _STRATA.get(name, "")
        if name == "name" and not len(node) and has_text and outer not in _THINGS:
            yield "C-CDA names in one piece", lambda s: self._in_text(node, s)
        elif stratum in _KINDS and (node.text or "").strip():
            yield stratum, lambda s: self._in_text(node, s)
        elif stratum and has_text and not node.get("representation"):
            yield stratum, lambda s: self._within(node, s)
        if name == "text" and outer == "section":
            yield "C-CDA narrative text", lambda s: self._added(node, s)
            yield _UNKNOWN, lambda s: self._unknown(node, s)
            yield _HEADED, lambda s: self._headed(node, s)
            yield _LABELLED, lambda s: self._labelled(node, s)
        if name == "telecom" and node.get("value", "").partition(":")[0] in ("tel", "mailto", "fax"):
            yield "C-CDA contact points", lambda s: self._telecom(node, s)
        if name in ("id", "setId") and (node.get("extension") or _UUID.fullmatch(node.get("root", ""))):
            yield "C-CDA identifiers", lambda s: self._id(node, s)
        if node.get("displayName"):
            yield _LABELS, lambda s: self._label(node, s)
        if not node.get("unit") and _DAY.fullmatch(node.get("value", "")):
            yield _DATES, lambda s: self._date(node, s)

    def _value(self, stratum: str, kind: str, like: str = "") -> list[Plant]:
        """A planted value of a kind; none if the policy keeps the kind."""
        if kind in self.planting.kept or (stratum == "C-CDA names in one piece" and "organisation" in self.planting.kept):
            return []
        value, day = self.planting.maker.value(kind, like)
        return [Plant(stratum, kind, value, day)]

    def _in_text(self, node: Element, stratum: str) -> list[Plant]:
        like = (
            "Word" if stratum == "C-CDA names" else "Two Words" if stratum in _KINDS and "names" in stratum else node.text or ""
        )
        plants = self._value(stratum, _KINDS[stratum], like)
        node.text = plants[0].value if plants else node.text
        return plants

    def _within(self, node: Element, stratum: str) -> list[Plant]:
        """An identifier in a sentence of its own."""
        node.text, plants = self.planting.texts.plant((node.text or "")[:TEXT_LIMIT], stratum, 1)
        return plants

    def _added(self, node: Element, stratum: str) -> list[Plant]:
        """A further paragraph of a narrative."""
        text, plants = self.planting.texts.plant("\n" * PARAGRAPHS, stratum, PARAGRAPHS)
        SubElement(node, f"{{{HL7}}}paragraph").text = text
        return plants

    def _headed(self, node: Element, stratum: str) -> list[Plant]:
        """A table whose columns' heads alone tell what the cells are."""
        columns = {head: self._value(stratum, *of) for head, of in HEADS.items()}
        table = SubElement(node, f"{{{HL7}}}table")
        for part, name in (("thead", "th"), ("tbody", "td")):
            row = SubElement(SubElement(table, f"{{{HL7}}}{part}"), f"{{{HL7}}}tr")
            for head, plants in columns.items():
                SubElement(row, f"{{{HL7}}}{name}").text = head if name == "th" else "".join(p.value for p in plants)
        return [p for plants in columns.values() for p in plants]

    def _labelled(self, node: Element, stratum: str) -> list[Plant]:
        """Paragraphs, lists and lines whose labels alone tell what they hold."""
        markup, plants = plant_behind_labels(self.planting, stratum, xhtml=False)
        node.extend(fromstring(f'<text xmlns="{HL7}">{markup}</text>'))
        return plants

    def _unknown(self, node: Element, stratum: str) -> list[Plant]:
        """Elements that the standard does not have, attributes where no name belongs, and anchors that are named after somebody."""
        plants = [p for kind in ("name", "name", "name", "record", "phone") for p in self._value(stratum, kind)]
        for number, plant in enumerate(plants):
            element = SubElement(node, f"{{{HL7}}}{('paragraph', 'remark', 'content')[number % 3]}")
            if number % 3 == 1:
                element.text = plant.value
            else:
                element.set(("ID", "styleCode")[number % 2], plant.value.replace(" ", "-"))
        return plants

    def _telecom(self, node: Element, stratum: str) -> list[Plant]:
        scheme, _, number = node.get("value", "").partition(":")
        plants = self._value(stratum, "email" if scheme == "mailto" else "phone", number)
        if plants:
            node.set("value", f"{scheme}:{plants[0].value}")
        return plants

    def _id(self, node: Element, stratum: str) -> list[Plant]:
        if "record" in self.planting.kept:
            return []
        if not node.get("extension"):
            node.set("root", str(uuid.uuid4()))
            return [Plant(stratum, "record", node.get("root", ""))]
        plants = self._value(stratum, "record", node.get("extension", ""))
        node.set("extension", plants[0].value)
        return plants

    def _label(self, node: Element, stratum: str) -> list[Plant]:
        plants = self._value(stratum, "name", "Two Words")
        if plants:
            node.set("displayName", f"{node.get('displayName')}, {plants[0].value}")
        return plants

    def _date(self, node: Element, stratum: str) -> list[Plant]:
        if "date" in self.planting.kept:
            return []
        day = self.days[int(self.planting.maker.rng.integers(len(self.days)))]
        node.set("value", f"{day:%Y%m%d}{node.get('value', '')[8:]}")
        return [Plant(stratum, "date", day.isoformat(), day)]
