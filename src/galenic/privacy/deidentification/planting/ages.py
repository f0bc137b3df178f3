"""Ages above 89 to plant into FHIR observations, in every type of value that can contain one."""

from typing import Any

from galenic.privacy.deidentification.planting.copies import Planting
from galenic.privacy.deidentification.planting.identifiers import Plant

STRATUM = "FHIR ages"
PER_OBSERVATION = 8
_WHOLE = (1,)  # forms of which R4 demands an integer; others have decimals, which tell them from other numbers of the input
_AGE = {"coding": [{"system": "http://loinc.org", "code": "30525-0", "display": "Age"}]}
_YEARS = {"unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}


def holds_observation(node: Any) -> bool:
    """True if a document is or contains an Observation."""
    return next(_observations(node), None) is not None


def plant_ages(document: Any, planting: Planting) -> list[Plant]:
    """Further components of the observations of a document that state an age; none if the policy keeps ages or enough are
    planted."""
    plants: list[Plant] = []
    if "age" in planting.kept or planting.is_enough(STRATUM):
        return plants
    for observation in _observations(document):
        for number in range(PER_OBSERVATION):
            whole, _ = planting.maker.value("age", "95")
            part = int(planting.maker.rng.integers(11, 99))
            age = int(whole) if number in _WHOLE else float(f"{whole}.{part + (part % 10 == 0)}")
            observation.setdefault("component", []).append({"code": _AGE, **_value(age, number)})
            plants.append(Plant(STRATUM, "age", str(age)))
    return plants


def _value(age: float, number: int) -> dict[str, Any]:
    """The age as one of R4's types of a value, in turn."""
    forms: tuple[dict[str, Any], ...] = (
        {"valueQuantity": {"value": age, **_YEARS}},
        {"valueInteger": age},
        {"valueString": str(age)},
        {"valueRange": {"low": {"value": age, **_YEARS}}},
        {"valueQuantity": {"value": age}},
        {"valueCodeableConcept": {"text": f"{age} years"}},
        {"valueRatio": {"numerator": {"value": age, **_YEARS}, "denominator": {"value": 1}}},
        {"valueString": f"Age: {age}"},
    )
    return forms[number % len(forms)]


def _observations(node: Any) -> Any:
    if isinstance(node, dict):
        if node.get("resourceType") == "Observation":
            yield node
        for value in node.values():
            yield from _observations(value)
    elif isinstance(node, list):
        for value in node:
            yield from _observations(value)
