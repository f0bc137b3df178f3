"""Values that a resource is found by: dates to the microsecond, quantities with comparators, tokens, texts and composites."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from galenic.records.fhir.search_values import (
    PERIOD_ENDS,
    SearchValues,
    _left_out,
    component_names,
    component_plans,
    composite,
    date_range,
    normalize_text,
    search_values_of,
)

SECOND = 1_000_000
DAY = 86_400 * SECOND


def micros(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "start", "width"),
    [
        pytest.param("2023", micros(2023, 1, 1), 365 * DAY, id="a year"),
        pytest.param("2024", micros(2024, 1, 1), 366 * DAY, id="a leap year"),
        pytest.param("2000", micros(2000, 1, 1), 366 * DAY, id="a leap year of a century"),
        pytest.param("1900", micros(1900, 1, 1), 365 * DAY, id="a century that is none"),
        pytest.param("2024-02", micros(2024, 2, 1), 29 * DAY, id="February"),
        pytest.param("2024-12", micros(2024, 12, 1), 31 * DAY, id="December"),
        pytest.param("2024-02-29", micros(2024, 2, 29), DAY, id="a day"),
        pytest.param("2024-02-29T10:20Z", micros(2024, 2, 29, 10, 20), 60 * SECOND, id="a minute"),
        pytest.param("2024-02-29T10:20+01:00", micros(2024, 2, 29, 9, 20), 60 * SECOND, id="a minute of a zone"),
        pytest.param("2024-02-29T10:20", micros(2024, 2, 29, 10, 20), 60 * SECOND, id="a minute without a zone"),
        pytest.param("2024-02-29T10:20:30", micros(2024, 2, 29, 10, 20, 30), SECOND, id="a second without a zone"),
        pytest.param("2024-02-29T10:20:30-05:00", micros(2024, 2, 29, 15, 20, 30), SECOND, id="a second of a zone"),
        pytest.param("2024-02-29T10:20:30.5Z", micros(2024, 2, 29, 10, 20, 30) + 500_000, 100_000, id="a tenth"),
        pytest.param("2024-02-29T10:20:30.123456Z", micros(2024, 2, 29, 10, 20, 30) + 123_456, 1, id="a microsecond"),
        pytest.param("2024-02-29T10:20:30.1234567Z", micros(2024, 2, 29, 10, 20, 30) + 123_456, 1, id="finer than that"),
        pytest.param("2016-12-31T23:59:60Z", micros(2016, 12, 31, 23, 59, 59), SECOND, id="a leap second"),
        pytest.param("1969-12-31T23:59:59Z", -SECOND, SECOND, id="before 1970"),
    ],
)
def test_a_date_reaches_from_its_first_to_past_its_last_microsecond(text: str, start: int, width: int) -> None:
    assert date_range(text) == (start, start + width)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  A \t B ", "a b"), ("Müller", "muller"), ("STRASSE", "strasse"), ("Straße", "strasse"), ("é", "e"), ("İ x", "i x")],
)
def test_texts_are_compared_without_case_accents_and_repeated_spaces(text: str, expected: str) -> None:
    assert normalize_text(text) == expected


def of(kind: str, **more: Any) -> SearchValues:
    return search_values_of({"resourceType": kind, "id": "x", **more})


def quantity(**value: Any) -> tuple[float, float]:
    """Least and most of an Observation's value-quantity."""
    found = [a for a in of("Observation", status="final", valueQuantity=value).amounts if a[0] == "value-quantity"]
    ((_, low, high, *_),) = found
    return low, high


@pytest.mark.parametrize(
    ("comparator", "low", "high"),
    [
        (None, 5.0, 5.0),
        ("<", -math.inf, math.nextafter(5.0, 0.0)),
        ("<=", -math.inf, 5.0),
        (">", math.nextafter(5.0, 9.0), math.inf),
        (">=", 5.0, math.inf),
    ],
)
def test_a_comparator_makes_a_quantity_a_range(comparator: str | None, low: float, high: float) -> None:
    assert quantity(value=5, **({"comparator": comparator} if comparator else {})) == (low, high)


def test_quantities_keep_their_unit() -> None:
    found = of(
        "Observation",
        status="final",
        valueQuantity={"value": 5, "system": "http://unitsofmeasure.org", "code": "mg", "unit": "milli"},
    )
    assert ("value-quantity", 5.0, 5.0, "http://unitsofmeasure.org", "mg", "milli") in found.amounts


@pytest.mark.parametrize(
    ("age", "low", "high", "unit"),
    [
        ({"low": {"value": 3, "code": "a"}, "high": {"value": 5, "code": "a"}}, 3.0, 5.0, "a"),
        ({"low": {"value": 3, "code": "a"}}, 3.0, math.inf, "a"),
        ({"high": {"value": 5, "code": "mo"}}, -math.inf, 5.0, "mo"),
    ],
)
def test_a_range_may_be_open(age: dict[str, Any], low: float, high: float, unit: str) -> None:
    found = of("Condition", subject={"reference": "Patient/1"}, onsetRange=age)
    assert ("onset-age", low, high, "", unit, "") in found.amounts


def test_numbers_and_money_are_amounts_too() -> None:
    assert ("probability", 0.5, 0.5, "", "", "") in of("RiskAssessment", prediction=[{"probabilityDecimal": 0.5}]).amounts
    bill = of("Invoice", totalNet={"value": 12.5, "currency": "EUR"})
    assert ("totalnet", 12.5, 12.5, "urn:iso:std:iso:4217", "EUR", "EUR") in bill.amounts


def span(**period: str) -> tuple[int, int]:
    ((_, low, high),) = (s for s in of("Encounter", status="finished", period=period).spans if s[0] == "date")
    return low, high


def test_an_open_period_has_the_ends_that_the_index_stores() -> None:
    assert PERIOD_ENDS == (-4_611_686_018_427_387_904, 4_611_686_018_427_387_904)


def test_a_period_is_open_where_an_end_is_absent() -> None:
    assert span(start="2024-01-01", end="2024-01-31") == (micros(2024, 1, 1), micros(2024, 2, 1))
    assert span(start="2024-01-01") == (micros(2024, 1, 1), PERIOD_ENDS[1])
    assert span(end="2024-01-31") == (PERIOD_ENDS[0], micros(2024, 2, 1))
    assert not of("Encounter", status="finished", period={"id": "p"}).spans


def test_a_timing_reaches_from_its_first_to_its_last_event() -> None:
    timing = {"event": ["2024-03-01", "2024-01-01"], "repeat": {"boundsPeriod": {"end": "2024-05-31"}}}
    found = of("Observation", status="final", effectiveTiming=timing)
    assert ("date", micros(2024, 1, 1), micros(2024, 6, 1)) in found.spans
    assert not of("Observation", status="final", effectiveTiming={"repeat": {"count": 1}}).spans


def test_tokens_of_codes_identifiers_contacts_and_truth_values() -> None:
    found = of(
        "Patient",
        active=True,
        gender="female",
        identifier=[
            {"system": "s", "value": "1", "type": {"coding": [{"system": "t", "code": "MR"}, {"display": "x"}], "text": "mrn"}}
        ],
        telecom=[{"system": "phone", "use": "home", "value": "5"}, {"system": "phone"}],
    )
    assert ("active", "", "true") in found.tokens
    assert ("gender", "http://hl7.org/fhir/administrative-gender", "female") in found.tokens
    assert ("identifier", "s", "1") in found.tokens
    assert ("identifier:of-type", "t", "MR|1") in found.tokens
    assert len([t for t in found.tokens if t[0] == "identifier:of-type"]) == 1
    assert ("identifier:text", "mrn") in found.texts
    assert ("telecom", "home", "5") in found.tokens
    assert len([t for t in found.tokens if t[0] == "telecom"]) == 1
    assert ("active", "", "false") in of("Patient", active=False).tokens


def test_an_identifier_without_a_value_is_no_token() -> None:
    assert not [t for t in of("Patient", identifier=[{"system": "s"}]).tokens if t[0] == "identifier"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2020"}, "true"),
    ],
)
def test_a_patient_has_died_where_deceased_is_there_and_not_false(more: dict[str, Any], expected: str) -> None:
    assert [t for t in of("Patient", **more).tokens if t[0] == "deceased"] == [("deceased", "", expected)]
    assert not [t for t in of("Group").tokens if t[0] == "deceased"]


def test_a_concept_gives_its_codings_and_its_texts() -> None:
    code = {"coding": [{"system": "s", "code": "c", "display": "d"}, {"system": "only"}, {"display": "words"}], "text": "t"}
    found = of("Observation", status="final", code=code)
    assert [t for t in found.tokens if t[0] == "code"] == [("code", "s", "c"), ("code", "only", "")]
    assert {t for t in found.texts if t[0] == "code:text"} == {("code:text", "d"), ("code:text", "words"), ("code:text", "t")}


def test_names_are_found_by_each_of_their_parts() -> None:
    found = of(
        "Patient", name=[{"family": "Roe", "given": ["Jo", "Al"], "use": "official"}], address=[{"line": ["1 St"], "city": "C"}]
    )
    assert {t for n, t in found.texts if n == "name"} == {"Roe", "Jo", "Al"}
    assert {t for n, t in found.texts if n == "address"} == {"1 St", "C"}
    assert ("family", "Roe") in found.texts


def test_references_lose_their_version_and_contained_ones_are_none() -> None:
    found = of("Observation", status="final", subject={"reference": "Patient/1/_history/2"}, performer=[{"reference": "#p"}])
    assert ("subject", "Patient/1") in found.links
    assert ("patient", "Patient/1") in found.links
    assert not [link for link in found.links if link[0] == "performer"]
    group = of("Observation", status="final", subject={"reference": "Group/1"})
    assert [link for link in group.links if link[0] in ("subject", "patient")] == [("subject", "Group/1")]
    named = of("Observation", status="final", subject={"identifier": {"system": "s", "value": "7"}})
    assert ("subject:identifier", "s", "7") in named.tokens


@pytest.mark.parametrize(
    ("value", "only", "left_out"),
    [
        ({"reference": "Patient/1"}, ("@Patient",), False),
        ({"reference": "http://h/Patient/1"}, ("@Patient",), False),
        ({"reference": "Group/1"}, ("@Patient",), True),
        ({"display": "A"}, ("@Patient",), True),
        ("Patient/1", ("@Patient",), True),
        ({"system": "phone"}, ("system=phone",), False),
        ({"system": "email"}, ("system=phone",), True),
        ({}, ("system=phone",), True),
        ("phone", ("system=phone",), True),
        ({"system": "phone", "use": "home"}, ("system=phone", "use=home"), False),
        ({"system": "phone", "use": "work"}, ("system=phone", "use=home"), True),
        ({}, (), False),
    ],
)
def test_values_that_a_parameter_does_not_mean_are_left_out(value: Any, only: tuple[str, ...], left_out: bool) -> None:
    assert _left_out(value, only) is left_out


def test_a_canonical_reference_is_found_with_and_without_its_version() -> None:
    found = of("QuestionnaireResponse", status="completed", questionnaire="http://q|2")
    assert [link for link in found.links if link[0] == "questionnaire"] == [
        ("questionnaire", "http://q|2"),
        ("questionnaire", "http://q"),
    ]
    plain = of("QuestionnaireResponse", status="completed", questionnaire="http://q")
    assert [link for link in plain.links if link[0] == "questionnaire"] == [("questionnaire", "http://q")]


def test_a_composite_joins_the_two_components_of_one_element() -> None:
    component = [
        {"code": {"coding": [{"system": "l", "code": "a"}]}, "valueQuantity": {"value": 1}},
        {"code": {"coding": [{"system": "l", "code": "b"}]}, "valueQuantity": {"value": 2}},
        {"code": {"coding": [{"system": "l", "code": "c"}]}},
    ]
    found = of("Observation", status="final", component=component)
    key = "component-code-value-quantity"
    assert [(a[0], a[1]) for a in found.amounts if a[0].startswith(key)] == [
        (composite(key, "a"), 1.0),
        (composite(key, "b"), 2.0),
    ]
    coded = of(
        "Observation",
        status="final",
        code={"coding": [{"code": "x"}]},
        valueCodeableConcept={"coding": [{"system": "s", "code": "y"}], "text": "t"},
    )
    assert (composite("code-value-concept", "x"), "s", "y") in coded.tokens
    assert composite("code-value-concept", "x") == "code-value-concept=x"


def test_the_second_component_may_be_a_text_or_a_time() -> None:
    coded = {"status": "final", "code": {"coding": [{"code": "x"}]}}
    words = of("Observation", **coded, valueString="tall")
    assert (composite("code-value-string", "x"), "tall") in words.texts
    time = of("Observation", **coded, valueDateTime="2024-01-01")
    assert (composite("code-value-date", "x"), micros(2024, 1, 1), micros(2024, 1, 2)) in time.spans
    assert not [t for t in words.tokens if "=" in t[0]]


def test_components_of_parameters_that_are_unknown_are_nowhere() -> None:
    assert component_plans("Observation", (), (("code",),), "nothing") == ()
    assert component_names("Observation", (), (("code",),), "nothing") == frozenset()
    assert component_names("Observation", (), (("code",),), "code") == {"code"}
