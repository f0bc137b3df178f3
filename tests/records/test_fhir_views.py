"""SQL on FHIR: the least and greatest value of what is known less exactly, and the functions that views add to FHIRPath."""

from typing import Any

import pytest

from galenic.errors import DescriptionError, RecordError
from galenic.records.fhir import flatten_resource


def column(path: str, resource: dict[str, Any], **more: Any) -> Any:
    """What one path of a view gives for one resource."""
    view = {"resource": resource["resourceType"], "select": [{"column": [{"name": "x", "path": path, **more}]}]}
    (row,) = flatten_resource(view, [resource])
    return row["x"]


@pytest.mark.parametrize(
    ("born", "low", "high"),
    [
        pytest.param("1970", "1970-01-01", "1970-12-31", id="a year"),
        pytest.param("1970-02", "1970-02-01", "1970-02-28", id="February"),
        pytest.param("1972-02", "1972-02-01", "1972-02-29", id="February of a leap year"),
        pytest.param("1970-04", "1970-04-01", "1970-04-30", id="a month of 30 days"),
        pytest.param("1970-12", "1970-12-01", "1970-12-31", id="December"),
    ],
)
def test_a_date_begins_and_ends_by_the_calendar(born: str, low: str, high: str) -> None:
    patient = {"resourceType": "Patient", "id": "a", "birthDate": born}
    assert column("birthDate.lowBoundary()", patient) == low
    assert column("birthDate.highBoundary()", patient) == high


@pytest.mark.parametrize(
    ("time", "low", "high"),
    [
        pytest.param("2020-02-03", "2020-02-03T00:00:00.000+14:00", "2020-02-03T23:59:59.999-12:00", id="a day"),
        pytest.param("2020-02-03T04:05:06Z", "2020-02-03T04:05:06.000Z", "2020-02-03T04:05:06.999Z", id="a second"),
        pytest.param("2020-02-03T04:05:06.7Z", "2020-02-03T04:05:06.700Z", "2020-02-03T04:05:06.799Z", id="a tenth"),
        pytest.param("2020-02-03T04:05:06.12345Z", "2020-02-03T04:05:06.123Z", "2020-02-03T04:05:06.123Z", id="finer than ms"),
        pytest.param(
            "2020-02-03T04:05:06.789+01:00", "2020-02-03T04:05:06.789+01:00", "2020-02-03T04:05:06.789+01:00", id="exact"
        ),
    ],
)
def test_a_date_time_begins_and_ends_in_the_zone_that_is_stated_or_in_any(time: str, low: str, high: str) -> None:
    observation = {"resourceType": "Observation", "id": "o", "effectiveDateTime": time}
    assert column("effective.ofType(dateTime).lowBoundary()", observation) == low
    assert column("effective.ofType(dateTime).highBoundary()", observation) == high


@pytest.mark.parametrize(
    ("time", "low", "high"),
    [
        ("12:34", "12:34:00.000", "12:34:59.999"),
        ("12:34:56", "12:34:56.000", "12:34:56.999"),
        ("12:34:56.7", "12:34:56.700", "12:34:56.799"),
    ],
)
def test_a_time_of_day_begins_and_ends(time: str, low: str, high: str) -> None:
    observation = {"resourceType": "Observation", "id": "o", "valueTime": time}
    assert column("value.ofType(time).lowBoundary()", observation) == low
    assert column("value.ofType(time).highBoundary()", observation) == high


@pytest.mark.parametrize(("number", "low", "high"), [(1, 0.5, 1.5), (1.5, 1.45, 1.55), (-0.25, -0.255, -0.245)])
def test_a_number_reaches_half_a_unit_of_its_last_digit(number: float, low: float, high: float) -> None:
    observation = {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": number}}
    assert column("value.ofType(Quantity).value.lowBoundary()", observation) == pytest.approx(low, abs=1e-12)
    assert column("value.ofType(Quantity).value.highBoundary()", observation) == pytest.approx(high, abs=1e-12)


@pytest.mark.parametrize(
    ("path", "low"),
    [
        pytest.param("birthDate", "2020-02-03", id="a date"),
        pytest.param("deceased.ofType(dateTime)", "2020-01-01T00:00:00.000+14:00", id="a dateTime of a month"),
        pytest.param("identifier.period.start", "2020-01-01T00:00:00.000+14:00", id="a dateTime of a year"),
        pytest.param("meta.lastUpdated", "2020-01-01T10:00:00.000Z", id="an instant"),
        pytest.param("extension.value.ofType(time)", "10:00:00.000", id="a time"),
        pytest.param("multipleBirth.ofType(integer)", 1.5, id="a number"),
        pytest.param("identifier.value", None, id="a string that looks like a date"),
        pytest.param("identifier.system", None, id="a uri that looks like a time"),
        pytest.param("active", None, id="a boolean"),
    ],
)
def test_a_boundary_has_the_type_of_its_element(path: str, low: object) -> None:
    patient = {
        "resourceType": "Patient", "id": "a", "birthDate": "2020-02-03", "deceasedDateTime": "2020-01", "active": True,
        "identifier": [{"value": "2020", "system": "10:00:00", "period": {"start": "2020"}}], "multipleBirthInteger": 2,
        "meta": {"lastUpdated": "2020-01-01T10:00:00Z"}, "extension": [{"url": "http://example.org/x", "valueTime": "10:00:00"}],
    }  # fmt: skip
    assert column(f"{path}.lowBoundary()", patient) == low


def test_a_truth_value_has_no_boundary() -> None:
    assert column("active.lowBoundary()", {"resourceType": "Patient", "id": "a", "active": True}) is None


OBSERVATION = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/7"}}


def test_keys_of_resources_and_references_are_type_and_id() -> None:
    assert column("getResourceKey()", OBSERVATION) == "Observation/o"
    assert column("subject.getReferenceKey()", OBSERVATION) == "Patient/7"
    assert column("subject.getReferenceKey(Patient)", OBSERVATION) == "Patient/7"
    assert column("subject.getReferenceKey(Group)", OBSERVATION) is None
    assert column("subject.getReferenceKey()", {**OBSERVATION, "subject": {"display": "somebody"}}) is None


NAMED = {"resourceType": "Patient", "id": "a", "name": [{"family": "A", "given": ["x", "y"]}, {"family": "B"}]}


def test_texts_are_joined_with_and_without_a_separator() -> None:
    assert column("name.given.join(',')", NAMED) == "x,y"
    assert column("name.given.join()", NAMED) == "xy"


def test_a_collection_is_a_list_and_several_values_of_another_column_are_refused() -> None:
    assert column("name.family", NAMED, collection=True) == ["A", "B"]
    assert column("name.suffix", NAMED, collection=True) == []
    assert column("name.first().family", NAMED) == "A"
    with pytest.raises(RecordError, match="several values"):
        column("name.family", NAMED)


@pytest.mark.parametrize("name", ["a-b", "1a", "_a", "", None, 7])
def test_a_column_needs_a_usable_name(name: Any) -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": name, "path": "id"}]}]}
    with pytest.raises(DescriptionError, match="valid name"):
        list(flatten_resource(view, [NAMED]))


def rows(view: dict[str, Any], *resources: dict[str, Any]) -> list[dict[str, Any]]:
    return list(flatten_resource({"resource": "Patient", **view}, resources or (NAMED,)))


ID = {"column": [{"name": "id", "path": "id"}]}
FAMILY = {"forEach": "name", "column": [{"name": "family", "path": "family"}]}


def test_selects_beside_each_other_multiply_and_those_of_a_union_follow_each_other() -> None:
    assert rows({"select": [ID, FAMILY]}) == [{"id": "a", "family": "A"}, {"id": "a", "family": "B"}]
    given = {"forEach": "name.given", "column": [{"name": "family", "path": "$this"}]}
    assert [r["family"] for r in rows({"select": [{"unionAll": [FAMILY, given]}]})] == ["A", "B", "x", "y"]
    with pytest.raises(DescriptionError, match="branches of a unionAll have different columns"):
        rows({"select": [{"unionAll": [FAMILY, ID]}]})


def test_where_keeps_what_is_true_of_all_conditions() -> None:
    def kept(*paths: str) -> int:
        return len(rows({"select": [ID], "where": [{"path": p} for p in paths]}))

    assert kept("id = 'a'") == 1
    assert kept("id = 'b'") == 0
    assert kept("id = 'a'", "name.exists()") == 1
    assert kept("id = 'a'", "active.exists()") == 0
    assert kept("active") == 0  # empty: neither true nor false
    with pytest.raises(DescriptionError, match="not a condition"):
        kept("name.given.select($this = 'x')")


def test_constants_are_named_and_have_one_value() -> None:
    view = {"select": [{"column": [{"name": "c", "path": "%limit"}]}]}
    assert rows({**view, "constant": [{"name": "limit", "valueInteger": 3}]}) == [{"c": 3}]
    for bad in ({"name": "limit"}, {"valueInteger": 3}, {"name": "limit", "valueInteger": 3, "valueString": "3"}):
        with pytest.raises(DescriptionError, match="a constant"):
            rows({**view, "constant": [bad]})


def test_resources_of_other_types_and_without_an_id_have_no_rows_or_no_key() -> None:
    assert rows({"select": [ID]}, OBSERVATION) == []
    assert rows({"select": [{"column": [{"name": "k", "path": "getResourceKey()"}]}]}, {"resourceType": "Patient"}) == [
        {"k": None}
    ]


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(DescriptionError, match="not a string"):
        rows({"select": [{"column": [{"name": "a", "path": None}]}]})
