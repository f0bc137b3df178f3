"""Definitions of FHIR R4, compiled by scripts/compile_fhir.py: types, elements, required codes, invariants."""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

CURRENCIES = "http://hl7.org/fhir/ValueSet/currencies"
Rule = tuple[str, str, str, str]  # key, severity ("error" or "warning"), HL7's words, FHIRPath


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. types: FHIR type names, or "@Path" for elements with elements of their own."""

    name: str  # without [x]
    choice: bool
    least: int
    most: int | None  # None: any number
    types: tuple[str, ...]
    targets: tuple[str, ...]  # types to which a reference may point; empty for any
    binding: str | None  # value set whose codes are required
    modifier: bool
    rules: tuple[Rule, ...]
    summary: bool = False  # included by _summary=true

    @property
    def listed(self) -> bool:
        """True if JSON writes it as a list."""
        return self.most is None or self.most > 1

    def names(self) -> tuple[tuple[str, str], ...]:
        """(property name, type) of each form: one, or one per type of a choice such as valueString."""
        if not self.choice:
            return ((self.name, self.types[0]),)
        return tuple((self.name + t[0].upper() + t[1:], t) for t in self.types)


@dataclass(frozen=True, slots=True)
class Type:
    """A resource, a data type, or a part of one ("Patient.contact")."""

    path: str
    elements: tuple[Element, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class ExtensionDefinition:
    """One of R4's own extensions. values: the properties that its value may have (valueString, …), none if it holds extensions;
    contexts: types and paths of what it may stand in."""

    values: tuple[str, ...]
    contexts: tuple[str, ...]
    modifier: bool


@dataclass(frozen=True)
class Definitions:
    """All definitions that validation needs."""

    version: str
    source: str
    resources: frozenset[str]
    primitives: dict[str, str]  # name: pattern, empty for none
    types: dict[str, Type]
    codes: dict[str, dict[str, list[str]]]  # value set: codes by system
    extensions: dict[str, ExtensionDefinition]  # by the last part of the URL


@cache
def r4() -> Definitions:
    """The definitions, read once per process."""
    packed = resources.files("galenic.records.fhir").joinpath("r4.json.gz").read_bytes()
    data = json.loads(gzip.decompress(packed))
    types = {
        path: Type(path, tuple(_element(n, e) for n, e in one["elements"].items()), tuple(tuple(r) for r in one["rules"]))
        for path, one in data["types"].items()
    }
    extensions = {
        name: ExtensionDefinition(tuple(values), tuple(contexts), modifier)
        for name, (values, contexts, modifier) in data["extensions"].items()
    }
    codes = {**data["codes"], CURRENCIES: {"urn:iso:std:iso:4217": _currencies()}}
    resource_types = frozenset(data["resources"])
    return Definitions(data["version"], data["source"], resource_types, data["primitives"], types, codes, extensions)


def _currencies() -> list[str]:
    """Codes of ISO 4217, which R4 binds and does not list."""
    text = resources.files("galenic.records.fhir").joinpath("currencies.csv").read_text(encoding="utf-8")
    return text.split()[1:]


def _element(name: str, about: dict[str, Any]) -> Element:
    return Element(
        name.removesuffix("[x]"),
        name.endswith("[x]"),
        about["min"],
        None if about["max"] == "*" else int(about["max"]),
        tuple(about["types"]),
        tuple(about.get("targets", ())),
        about.get("binding"),
        about.get("modifier", False),
        tuple(tuple(r) for r in about.get("rules", ())),
        about.get("summary", False),
    )
