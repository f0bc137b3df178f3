"""Searches of the index against a plain evaluation of the same search, over every way in which a search can be executed."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galenic import store
from galenic.records.fhir import normalize_text, parse_search, search_values_of
from galenic.schema import SearchScope
from galenic.store import criterion_sql, resource_query

Resource = dict[str, Any]
Test = Callable[[Resource], bool]
Search = tuple[str, Test]  # a parameter with its value, and whether a resource meets it
PATIENTS, OTHERS = 7, 24


def entry(row: int, resource: Resource, subject: int) -> store.IndexEntry:
    """A resource as the index takes it."""
    values = search_values_of(resource)
    texts = [(name, normalize_text(text), text) for name, text in values.texts]
    return store.IndexEntry(
        row, resource["resourceType"], resource["id"], subject, True, row * 1000, True,
        values.tokens, texts, values.spans, values.amounts, values.links,
    )  # fmt: skip


def coding(code: str) -> Resource:
    return {"coding": [{"system": "s", "code": code, "display": f"Display {code}"}]}


def hospital(seed: int) -> list[tuple[Resource, int]]:
    """Resources with their subjects."""
    draw = random.Random(seed)
    found: list[tuple[Resource, int]] = []
    for i in range(PATIENTS):
        patient: Resource = {"resourceType": "Patient", "id": f"p{i}", "gender": draw.choice(["male", "female"])}
        patient["name"] = [{"family": draw.choice(["Smith", "Stone", "Ray", "Roth"])} for _ in range(draw.choice([0, 1, 2]))]
        found.append((patient, i + 1))
    for i in range(OTHERS):
        subject, kind = draw.randrange(PATIENTS), draw.choice(["Observation", "Observation", "Condition"])
        one: Resource = {"resourceType": kind, "id": f"x{i}", "code": coding(draw.choice("abc"))}
        one["subject"] = {"reference": f"Patient/p{subject}"}
        if kind == "Observation":
            one["status"] = draw.choice(["final", "amended"])
            if i and draw.random() < 0.6:
                one["derivedFrom"] = [{"reference": f"Observation/x{draw.randrange(i)}"}]
            if draw.random() < 0.8:
                one["effectiveDateTime"] = f"2026-01-0{draw.randrange(1, 6)}"
            if draw.random() < 0.8:
                one["component"] = [
                    {"code": coding("k"), "valueQuantity": {"value": draw.randrange(4), "unit": "mg"}} for _ in range(2)
                ]
        found.append((one, subject + 1))
    return found


def names(resource: Resource) -> list[str]:
    return [str(n["family"]).lower() for n in resource.get("name", [])]


def code_of(resource: Resource) -> str:
    return str(resource["code"]["coding"][0]["code"])


LEAVES: dict[str, list[Search]] = {
    "Patient": [
        ("name=s", lambda r: any(n.startswith("s") for n in names(r))),
        ("name=smi,ro", lambda r: any(n.startswith(("smi", "ro")) for n in names(r))),
        ("name:contains=t,a", lambda r: any("t" in n or "a" in n for n in names(r))),
        ("family:exact=Roth,Ray", lambda r: any(n in ("roth", "ray") for n in names(r))),
        ("gender=male", lambda r: r["gender"] == "male"),
        ("gender:not=male", lambda r: r["gender"] != "male"),
        ("name:missing=true", lambda r: not names(r)),
        ("_id=p1,p2,p3", lambda r: r["id"] in ("p1", "p2", "p3")),
    ],
    "Condition": [
        ("code=a", lambda r: code_of(r) == "a"),
        ("code:not=a,b", lambda r: code_of(r) == "c"),
        ("code=s|a,t|b", lambda r: code_of(r) == "a"),
        ("subject=Patient/p1,Patient/p2", lambda r: r["subject"]["reference"] in ("Patient/p1", "Patient/p2")),
    ],
    "Observation": [
        ("code=a,b,z", lambda r: code_of(r) in "ab"),
        ("code=a", lambda r: code_of(r) == "a"),
        ("code:text=display b", lambda r: code_of(r) == "b"),
        ("status:not=final", lambda r: r["status"] != "final"),
        ("date:missing=true", lambda r: "effectiveDateTime" not in r),
        ("date=ge2026-01-03", lambda r: r.get("effectiveDateTime", "") >= "2026-01-03"),
        ("derived-from:missing=false", lambda r: "derivedFrom" in r),
        ("component-value-quantity=lt2", lambda r: any(c["valueQuantity"]["value"] < 2 for c in r.get("component", []))),
    ],
}
FORWARD = {  # by type: (parameter, type at its end)
    "Observation": [
        ("subject", "Patient"),
        ("patient", "Patient"),
        ("subject:Patient", "Patient"),
        ("derived-from", "Observation"),
    ],
    "Condition": [("subject", "Patient"), ("patient", "Patient")],
    "Patient": [],
}
REVERSE = {
    "Patient": [("Observation", "patient"), ("Condition", "subject"), ("Observation", "subject")],
    "Observation": [("Observation", "derived-from")],
    "Condition": [],
}


def targets(resource: Resource, parameter: str) -> list[str]:
    if parameter.startswith("derived"):
        return [d["reference"] for d in resource.get("derivedFrom", [])]
    return [resource["subject"]["reference"]] if "subject" in resource else []


@st.composite
def searches(draw: st.DrawFn, kind: str, depth: int, records: dict[str, Resource]) -> Search:
    """One parameter of a type, chained up to a depth, with a plain evaluation of it among visible records."""
    steps = [("leaf", "", "")]
    if depth:
        steps += [("forward", p, of) for p, of in FORWARD[kind]] + [("reverse", p, of) for of, p in REVERSE[kind]]
    way, parameter, other = draw(st.sampled_from(steps))
    if way == "leaf":
        return draw(st.sampled_from(LEAVES[kind]))
    text, holds = draw(searches(other, depth - 1, records))
    if way == "forward":

        def forward(resource: Resource) -> bool:
            return any(t in records and t.startswith(f"{other}/") and holds(records[t]) for t in targets(resource, parameter))

        return f"{parameter}.{text}", forward

    def reverse(resource: Resource) -> bool:
        name = f"{resource['resourceType']}/{resource['id']}"
        return any(name in targets(r, parameter) and holds(r) for r in records.values() if r["resourceType"] == other)

    return f"_has:{other}:{parameter}:{text}", reverse


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[store.ResourceIndex, list[tuple[Resource, int]]]]:
    """Indexes of a few hospitals."""
    folder, found = tmp_path_factory.mktemp("indexes"), []
    for seed in range(4):
        index, records = store.ResourceIndex(folder / f"{seed}.db", b"k" * 32), hospital(seed)
        index.put([entry(row, one, subject) for row, (one, subject) in enumerate(records, 1)])
        found.append((index, records))
    return found


def limits(patch: pytest.MonkeyPatch, size: int) -> None:
    """Few rows count as many, so that each way of executing a search is taken."""
    patch.setattr(resource_query, "MOST_DRIVING_ROWS", size)
    patch.setattr(resource_query, "FEW_CANDIDATES", size // 3)
    patch.setattr(criterion_sql, "FEW_VALUES", size // 3)


@pytest.mark.parametrize(
    "size", [pytest.param(1, id="all is many"), pytest.param(6, id="some"), pytest.param(2000, id="all is few")]
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_search_finds_what_a_plain_evaluation_finds(
    opened: list[tuple[store.ResourceIndex, list[tuple[Resource, int]]]], size: int, data: st.DataObject
) -> None:
    index, every = data.draw(st.sampled_from(opened))
    visible = data.draw(st.none() | st.frozensets(st.integers(1, PATIENTS)))
    records = {f"{r['resourceType']}/{r['id']}": r for r, s in every if visible is None or s in visible}
    kind = data.draw(st.sampled_from(["Observation", "Patient", "Condition"]))
    some = data.draw(st.lists(searches(kind, 3, records), min_size=1, max_size=3))
    expected = {r["id"] for r in records.values() if r["resourceType"] == kind and all(holds(r) for _, holds in some)}
    query = "&".join(text for text, _ in some)
    scope = None if visible is None else SearchScope(visible, str(sorted(visible)))
    with pytest.MonkeyPatch.context() as patch:
        limits(patch, size)
        request = replace(parse_search(kind, parse_qsl(query)), scope=scope)
        assert not request.unknown
        compiled = index.compile(request)
        hits, following = index.page(compiled, limit=100)
        counted = index.count(compiled)
    found = [h.name.partition("/")[2] for h in hits]
    assert (sorted(found), counted, following) == (sorted(expected), len(expected), None), query


SORTS: dict[str, Callable[[Resource], list[Any]]] = {
    "date": lambda r: [r["effectiveDateTime"]] if "effectiveDateTime" in r else [],
    "component-value-quantity": lambda r: [c["valueQuantity"]["value"] for c in r.get("component", [])],
    "name": names,
    "_lastUpdated": lambda r: [int(r["id"][1:])],
}


@pytest.mark.parametrize("size", [pytest.param(1, id="many"), pytest.param(2000, id="few")])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_a_sorted_search_hold_each_match_once_in_order(
    opened: list[tuple[store.ResourceIndex, list[tuple[Resource, int]]]],
    sort: str,
    descending: bool,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits(monkeypatch, size)
    for index, every in opened:
        kind = "Patient" if sort == "name" else "Observation"
        records = {r["id"]: r for r, _ in every if r["resourceType"] == kind}
        request = parse_search(kind, [("_sort", f"-{sort}" if descending else sort)])
        compiled, start, found = index.compile(request), store.SearchPlace(), list[str]()
        while start is not None:
            hits, start = index.page(compiled, limit=3, start=start)
            found += [h.name.partition("/")[2] for h in hits]
        assert sorted(found) == sorted(records)
        values = [(max if descending else min)(v) for i in found if (v := SORTS[sort](records[i]))]
        assert values == sorted(values, reverse=descending)
        assert all(not SORTS[sort](records[i]) for i in found[len(values) :]), "resources without a value come last"


def test_a_search_takes_time_in_proportion_to_the_index(tmp_path: Path) -> None:
    """One patient with 4,000 Observations: a chain with _has took 16 million comparisons, and a name that many share as many."""
    index = store.ResourceIndex(tmp_path / "index.db", b"k" * 32)
    rows = [
        entry(i, {"resourceType": "Patient", "id": f"p{i}", "name": [{"family": f"S{i}"}], "birthDate": "1970-01-01"}, i)
        for i in range(1, 2501)
    ]
    for i in range(2501, 6501):
        about = {"subject": {"reference": "Patient/p1"}, "code": coding(str(i % 3)), "status": "final"}
        rows.append(entry(i, {"resourceType": "Observation", "id": f"o{i}", **about}, 1))
    index.put(rows)
    queries = [
        "Observation?subject._has:Observation:patient:_id=o2501",
        "Observation?subject._has:Observation:patient:code=1",
        "Observation?patient.name=S&patient._has:Observation:patient:code=0,1,2",
        "Patient?name=S&_has:Observation:patient:status=final",
    ]
    for query in queries:
        kind, _, parameters = query.partition("?")
        started = time.perf_counter()
        compiled = index.compile(parse_search(kind, parse_qsl(parameters)))
        assert index.count(compiled) == (1 if kind == "Patient" else 4000)
        assert time.perf_counter() - started < 1.5, query
    started = time.perf_counter()
    assert index.count(index.compile(parse_search("Patient", [("name", "S")]))) == 2500
    assert time.perf_counter() - started < 0.5
