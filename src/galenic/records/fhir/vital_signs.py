"""R4's profiles of vital signs (R4, Observation Vital Signs Profile): vitalsigns and the ten that are derived from it."""

import csv
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from galenic.records.fhir.issue import ValidationIssue

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORY = ("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")
PRESSURES = {"systolic": "8480-6", "diastolic": "8462-4"}
Node = dict[str, Any]


@cache
def vital_signs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """(LOINC code, units) by profile; no units where it has no quantity of its own. "vitalsigns" has no code."""
    text = resources.files("galenic.records.fhir").joinpath("vital_signs.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {"vitalsigns": ("", ()), **{r["profile"]: (r["code"], tuple(r["units"].split())) for r in rows}}


def check_vital_sign(observation: Node, profile: str, where: str) -> Iterator[ValidationIssue]:
    """The issues of a valid Observation with one of these profiles."""

    def issue(rule: str, place: str, what: str) -> ValidationIssue:
        return ValidationIssue("error", f"{where}.{place}" if place else where, rule, what)

    for rule, place, what in _wrong_sign(observation, profile):
        yield issue(rule, place, what)
    code, units = vital_signs()[profile]
    if code and not _has(observation.get("code", {}), LOINC, code):
        yield issue("profile", "code", f"has no coding {code} of {LOINC}, which {profile} requires. Add it.")
    for place, what in _wrong_values(observation, profile, units):
        yield issue("profile", place, what)


def _wrong_sign(observation: Node, profile: str) -> Iterator[tuple[str, str, str]]:
    """(rule, place, fault) for the requirements of every vital sign."""
    if not any(_has(concept, *CATEGORY) for concept in observation.get("category", ())):
        yield "profile", "category", f"has no {CATEGORY[1]} of {CATEGORY[0]}, which {profile} requires. Add it."
    if "subject" not in observation:
        yield "profile", "subject", f"is missing. {profile} requires it."
    day = observation.get("effectiveDateTime")
    if day is None and "effectivePeriod" not in observation and "_effectiveDateTime" not in observation:
        yield "profile", "effective", f"is missing. {profile} requires a dateTime or a Period."
    if isinstance(day, str) and len(day) < 8:
        yield "vs-1", "effectiveDateTime", "must be precise at least to the day."
    if "component" not in observation and "hasMember" not in observation and not _has_value(observation):
        yield "vs-2", "", "has no value, no dataAbsentReason, no components and no members. Add one of them."
    for i, component in enumerate(observation.get("component", ())):
        if not _has_value(component):
            yield "vs-3", f"component[{i}]", "has neither a value nor a dataAbsentReason. Add one of them."


def _wrong_values(observation: Node, profile: str, units: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(place, fault) for the values of a derived profile."""
    if profile == "bp":
        yield from _wrong_pressures(observation)
    elif profile == "vitalspanel":
        if any(n.startswith(("value", "_value")) for n in observation):
            yield "value", "is not allowed: a panel has members and no value."
        if not observation.get("hasMember"):
            yield "hasMember", "is missing. A panel must name its members."
    elif units:
        quantity = observation.get("valueQuantity")
        if quantity is None and profile == "bmi":
            yield "valueQuantity", "is missing. bmi requires it."
        if quantity is not None:
            yield from _wrong_quantity(quantity, "valueQuantity", units)


def _wrong_pressures(observation: Node) -> Iterator[tuple[str, str]]:
    if "valueQuantity" in observation:
        yield "valueQuantity", "is not allowed: a blood pressure has its values in components."
    components = list(enumerate(observation.get("component", ())))
    for name, code in PRESSURES.items():
        found = [(i, c) for i, c in components if _has(c.get("code", {}), LOINC, code)]
        if len(found) != 1:
            yield "component", f"has {len(found)} {name} pressures ({code} of {LOINC}). Expected one."
        for i, component in found:
            if "valueQuantity" in component:
                yield from _wrong_quantity(component["valueQuantity"], f"component[{i}].valueQuantity", ("mm[Hg]",))


def _wrong_quantity(quantity: Node, place: str, units: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    missing = [n for n in ("value", "unit", "system", "code") if n not in quantity and "_" + n not in quantity]
    if missing:
        yield place, f"has no {', '.join(missing)}, which the profile requires."
    if quantity.get("system", UCUM) != UCUM:
        yield f"{place}.system", f"is the wrong system. Expected {UCUM}."
    if quantity.get("code", units[0]) not in units:
        yield f"{place}.code", f"is the wrong unit. Expected {' or '.join(units)}."


def _has(concept: Node, system: str, code: str) -> bool:
    return any(c.get("system") == system and c.get("code") == code for c in concept.get("coding", ()))


def _has_value(node: Node) -> bool:
    return "dataAbsentReason" in node or any(n.startswith(("value", "_value")) for n in node)
