"""The official tests of SQL on FHIR v2: every one, and why some views are refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from galenic.errors import GalenicError
from galenic.records.fhir import flatten_resource


def cases(data: Path) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    for path in sorted((data / "ehr" / "fhir-test-cases" / "sql-on-fhir").glob("*.json")):
        if path.name != "manifest.json":
            suite = json.loads(path.read_text())
            for test in suite["tests"]:
                yield f"{path.stem}: {test['title']}", suite["resources"], test


def passes(resources: list[dict[str, Any]], test: dict[str, Any]) -> bool:
    try:
        rows = list(flatten_resource(test["view"], resources))
    except GalenicError:
        return bool(test.get("expectError"))
    if "expectCount" in test:
        return len(rows) == test["expectCount"]
    wanted = test.get("expect")
    return wanted is not None and sorted(json.dumps(r, sort_keys=True) for r in rows) == sorted(
        json.dumps(r, sort_keys=True) for r in wanted
    )


def test_the_official_suite(data: Path) -> None:
    found = {name: passes(resources, test) for name, resources, test in cases(data)}
    assert len(found) == 118
    assert [name for name, good in found.items() if not good] == []


PEOPLE = [
    {
        "resourceType": "Patient",
        "id": "a",
        "name": [{"family": "A", "given": ["x", "y"]}, {"family": "B"}],
        "birthDate": "1970-06",
    },
    {"resourceType": "Patient", "id": "b"},
    {"resourceType": "Basic", "id": "c"},
]


def view(*columns: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"resource": "Patient", "select": [{"column": [{"name": n, "path": p} for n, p in columns], **more}]}


def test_rows_come_per_place_and_nothing_is_invented() -> None:
    assert list(flatten_resource(view(("id", "id"), ("born", "birthDate")), PEOPLE)) == [
        {"id": "a", "born": "1970-06"},
        {"id": "b", "born": None},
    ]
    assert list(flatten_resource(view(("family", "family"), forEach="name"), PEOPLE)) == [{"family": "A"}, {"family": "B"}]
    assert list(flatten_resource(view(("family", "family"), forEachOrNull="name"), PEOPLE))[2] == {"family": None}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"select": []}, "has no “resource”"),
        ({"resource": "Patient"}, "has no “select”"),
        ({"resource": "Patient", "select": [{"forEach": "name"}]}, "has none"),
        (view(("a", "id"), ("a", "id")), "the same name"),
        (view(("1a", "id")), "valid name"),
        (view(("a", "id)")), "at character 3"),
        (view(("a", "id id")), "not valid FHIRPath"),
        (view(("a", "name..given")), "not valid FHIRPath"),
        (view(("a", "name.where(")), "not valid FHIRPath"),
        (view(("a", "'open")), "not valid FHIRPath"),
        (view(("a", "")), "not valid FHIRPath"),
        (view(("a", "id.nonsense()")), "evaluated"),
        ({**view(("a", "id")), "where": [{"path": "name.family"}]}, "not a condition"),
        (view(("a", "name.given")), "several values"),
        (view(("a", "family"), forEach="name", forEachOrNull="name"), "Keep one"),
    ],
)
def test_a_bad_view_is_refused_with_what_is_wrong(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(GalenicError, match=says):
        list(flatten_resource(bad, PEOPLE))
