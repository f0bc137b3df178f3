"""R4 as HL7 defines it: what is valid passes, what is not is named with its place and rule, and nothing crashes."""

import copy
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.records.fhir import r4, validate_resource

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>A patient</p></div>'},
    "name": [
        {
            "family": "Quillfeather",
            "given": ["Ottoline", None],
            "_given": [None, {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}],
        }
    ],
    "gender": "female",
    "birthDate": "2020-02-29",
    "deceasedBoolean": False,
    "managingOrganization": {"reference": "Organization/o1"},
    "contact": [{"name": {"text": "kin"}}],
    "multipleBirthInteger": 2,
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "contained": [{"resourceType": "Device", "id": "d1"}],
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
    "subject": {"reference": "Patient/p1"},
    "device": {"reference": "#d1"},
    "effectivePeriod": {"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T11:00:00Z"},
    "valueQuantity": {"value": 120.5, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
    "extension": [{"url": "http://example.org/x", "valueString": "y"}],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001",
            "resource": {"resourceType": "Patient", "name": [{"text": "a"}]},
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "fullUrl": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000002",
            "resource": {
                "resourceType": "Condition",
                "clinicalStatus": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
                },
                "subject": {"reference": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001"},
                "recorder": {"reference": "Practitioner?identifier=http://example.org|7"},
            },
            "request": {"method": "POST", "url": "Condition"},
        },
    ],
}


@pytest.mark.parametrize("resource", [PATIENT, OBSERVATION, BUNDLE], ids=lambda r: r["resourceType"])
def test_what_is_valid_passes(resource: dict[str, Any]) -> None:
    assert validate_resource(resource) == ()


def set_at(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    out = copy.deepcopy(resource)
    *steps, last = [int(s) if s.isdigit() else s for s in path.split("/")]
    node: Any = out
    for step in steps:
        node = node[step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return out


DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
CASES: list[tuple[dict[str, Any], str, Any, str, str]] = [
    (PATIENT, "birthDate", "2020-02-30", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "2019-02-29", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "1900-02-29", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "2020-04-31", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "0000", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "2020-1-1", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", "2020-01-01\n", "format", "Patient.birthDate"),
    (PATIENT, "birthDate", 2020, "type", "Patient.birthDate"),
    (PATIENT, "gender", "banana", "binding", "Patient.gender"),
    (PATIENT, "gender", None, "null", "Patient.gender"),
    (PATIENT, "gender", ["female"], "cardinality", "Patient.gender"),
    (PATIENT, "id", "x" * 65, "format", "Patient.id"),
    (PATIENT, "id", "a_b", "format", "Patient.id"),
    (PATIENT, "name", [], "ele-1", "Patient.name"),
    (PATIENT, "name", {"text": "x"}, "cardinality", "Patient.name"),
    (PATIENT, "name/0", {}, "ele-1", "Patient.name[0]"),
    (PATIENT, "name/0/given", ["a", None, None], "null", "Patient.name[0].given[2]"),
    (PATIENT, "name/0/family", "", "format", "Patient.name[0].family"),
    (PATIENT, "name/0/family", "  ", "format", "Patient.name[0].family"),
    (PATIENT, "name/0/family", "a\x00b", "format", "Patient.name[0].family"),
    (PATIENT, "brithDate", "2020", "unknown-element", "Patient.brithDate"),
    (PATIENT, "_contact", {"id": "x"}, "unknown-element", "Patient._contact"),
    (PATIENT, "deceasedDateTime", "2021", "choice", "Patient.deceased"),
    (PATIENT, "multipleBirthInteger", 2**31, "range", "Patient.multipleBirthInteger"),
    (PATIENT, "multipleBirthInteger", 1.5, "type", "Patient.multipleBirthInteger"),
    (PATIENT, "deceasedBoolean", "false", "type", "Patient.deceasedBoolean"),
    (PATIENT, "contact/0", {"gender": "male"}, "pat-1", "Patient.contact[0]"),
    (PATIENT, "managingOrganization/reference", "Patient/1", "reference-target", "Patient.managingOrganization"),
    (PATIENT, "managingOrganization/reference", "Org/1", "reference-type", "Patient.managingOrganization.reference"),
    (PATIENT, "managingOrganization/reference", "somewhere", "reference-form", "Patient.managingOrganization.reference"),
    (PATIENT, "managingOrganization/reference", "#gone", "ref-1", "Patient.managingOrganization"),
    (PATIENT, "managingOrganization/type", "Patient", "reference-type", "Patient.managingOrganization.type"),
    (PATIENT, "text/div", DIV + "<script>x</script>a</div>", "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", DIV + '<p onclick="x">a</p></div>', "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", DIV + '<a href=" javascript:x">a</a></div>', "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", DIV + "<p>a</div>", "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", "<!DOCTYPE d [<!ENTITY a 'b'>]>" + DIV + "&a;</div>", "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", "<p>a</p>", "txt-1", "Patient.text.div"),
    (PATIENT, "text/div", DIV + " </div>", "txt-2", "Patient.text.div"),
    (OBSERVATION, "status", ..., "cardinality", "Observation.status"),
    (OBSERVATION, "code", ..., "cardinality", "Observation.code"),
    (OBSERVATION, "valueString", "x", "choice", "Observation.value"),
    (OBSERVATION, "dataAbsentReason", {"text": "x"}, "obs-6", "Observation"),
    (OBSERVATION, "valueQuantity/system", ..., "qty-3", "Observation.valueQuantity"),
    (OBSERVATION, "valueQuantity/value", "120", "type", "Observation.valueQuantity.value"),
    (OBSERVATION, "valueQuantity/system", "no uri", "format", "Observation.valueQuantity.system"),
    (OBSERVATION, "effectivePeriod/end", "2019-01-01T11:00:00Z", "per-1", "Observation.effectivePeriod"),
    (OBSERVATION, "effectivePeriod/end", "2020-01-01T11:00:00", "format", "Observation.effectivePeriod.end"),
    (OBSERVATION, "effectivePeriod/end", "2020-01-01T25:00:00Z", "format", "Observation.effectivePeriod.end"),
    (OBSERVATION, "extension/0/valueString", ..., "ext-1", "Observation.extension[0]"),
    (OBSERVATION, "extension/0/extension", [{"url": "u", "valueCode": "c"}], "ext-1", "Observation.extension[0]"),
    (OBSERVATION, "extension/0/url", ..., "cardinality", "Observation.extension[0].url"),
    (OBSERVATION, "device", ..., "dom-3", "Observation.contained[0]"),
    (OBSERVATION, "contained/0/id", ..., "contained-id", "Observation.contained[0]"),
    (OBSERVATION, "contained/0/meta", {"versionId": "1"}, "dom-4", "Observation.contained[0].meta"),
    (OBSERVATION, "contained/0/meta", {"security": [{"code": "R"}]}, "dom-5", "Observation.contained[0].meta"),
    (OBSERVATION, "contained/0/contained", [{"resourceType": "Device", "id": "d2"}], "dom-2", "Observation.contained[0]"),
    (OBSERVATION, "contained/0/status", "x", "binding", "Observation.contained[0].status"),
    (OBSERVATION, "resourceType", "Obsevation", "resource-type", "resourceType"),
    (OBSERVATION, "resourceType", "InventoryItem", "resource-type", "resourceType"),
    (OBSERVATION, "component", [{"code": OBSERVATION["code"], "valueInteger": 1}], "obs-7", "Observation"),
    (BUNDLE, "entry/1/fullUrl", BUNDLE["entry"][0]["fullUrl"], "bdl-7", "Bundle"),
    (BUNDLE, "entry/0/fullUrl", "Patient/1", "bundle-full-url", "Bundle.entry[0].fullUrl"),
    (BUNDLE, "entry/0/request", ..., "bdl-3", "Bundle"),
    (BUNDLE, "entry/0/fullUrl", "urn:uuid:6f1a2b3c-0000-4000-8000-00000000ffff", "reference-inside", "Bundle.entry[1].resource.subject"),
    (BUNDLE, "entry/1/resource/clinicalStatus/coding/0/code", "x", "binding", "Bundle.entry[1].resource.clinicalStatus"),
    (BUNDLE, "entry/1/resource/subject", ..., "cardinality", "Bundle.entry[1].resource.subject"),
    (BUNDLE, "type", "pile", "binding", "Bundle.type"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "path", "value", "rule", "where"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_wrong_is_named(resource: dict[str, Any], path: str, value: Any, rule: str, where: str) -> None:
    found = validate_resource(set_at(resource, path, value))
    assert (rule, where) in {(i.rule, i.expression) for i in found}, found
    assert all(i.level == "error" and i.text for i in found)


def test_an_unknown_modifier_extension_is_a_warning() -> None:
    found = validate_resource({**PATIENT, "modifierExtension": [{"url": "http://example.org/not", "valueBoolean": True}]})
    assert [(i.level, i.rule) for i in found] == [("warning", "modifier-extension")]


def test_no_issue_repeats_a_value() -> None:
    secret = "Zebulon-secret"
    for change in (
        {"gender": secret},
        {"birthDate": secret},
        {"id": secret + "!"},
        {"text": {"status": "generated", "div": f"<p>{secret}</p>"}},
        {"managingOrganization": {"reference": secret}},
        {"contact": secret},
        {f"{secret} ": 1},
        {"multipleBirthInteger": secret},
    ):
        found = validate_resource({**PATIENT, **change})
        assert found
        assert not any(secret in i.text or secret in i.expression for i in found)


def test_every_type_and_rule_of_r4_is_here() -> None:
    assert len(r4().resources) == 146
    assert {"Patient", "Bundle", "Parameters", "Binary", "VisionPrescription"} <= r4().resources
    for kind in r4().resources:  # each compiles, and an unknown element is refused
        assert any(i.rule == "unknown-element" for i in validate_resource({"resourceType": kind, "nonsense": 1}))


@pytest.mark.parametrize("value", [10**30, "half a pair: \ud800", {1: 2}, object()])
def test_what_json_can_not_hold_is_said_and_not_raised(value: object) -> None:
    given = {**OBSERVATION, "valueQuantity": {"value": 1, "unit": value}}
    found = validate_resource(given)
    assert found and all(i.level == "error" for i in found), found


@pytest.mark.parametrize("depth", [100, 400, 2_000])
def test_depth_does_not_make_it_crash(depth: int) -> None:
    node: dict[str, Any] = {"url": "http://example.org/u", "valueString": "a"}
    for _ in range(depth // 2):
        node = {"url": "http://example.org/u", "extension": [node]}
    found = validate_resource({"resourceType": "Patient", "extension": [node]})
    assert [i.rule for i in found] == ([] if depth < 500 else ["depth"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "id", "contained", "extension", "name", "entry", "resource", "reference", "x", "_id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(anything, st.sampled_from(sorted(r4().resources)))
def test_no_json_makes_it_crash(value: Any, kind: str) -> None:
    for resource in (value, {**value, "resourceType": kind} if isinstance(value, dict) else value):
        for issue in validate_resource(resource):
            assert issue.level in ("error", "warning")


def read(path: Path) -> Any:
    return orjson.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


def errors(resource: Any) -> Counter[tuple[str, str]]:
    return Counter((i.rule, i.expression) for i in validate_resource(resource) if i.level == "error")


# HL7's own examples that break HL7's own definitions
ERRATA: dict[str, Callable[[Counter[tuple[str, str]]], bool]] = {
    "bundle-questionnaire": lambda e: set(e) > {("cardinality", "Questionnaire.item[0].item[0].linkId")},
    "codesystem-example": lambda e: set(e) == {("csd-1", "CodeSystem")},  # a code stands there twice
    "capabilitystatement-example": lambda e: (
        set(e) == {("format", "CapabilityStatement.messaging[0].supportedMessage[0].definition")}
    ),  # a relative canonical
    "operationdefinition-example": lambda e: set(e) == {("format", "OperationDefinition.base")},  # a relative canonical
    "devicemetric-example": lambda e: set(e) == {("reference-target", "DeviceMetric.parent")},
    "deviceusestatement-example": lambda e: set(e) == {("reference-target", "DeviceUseStatement.reasonReference[0]")},
    "medicationrequest0301": lambda e: set(e) == {("reference-target", "MedicationRequest.dispenseRequest.performer")},
}


def test_official_examples_are_accepted_but_those_known_to_be_bad(data: Path) -> None:
    for path in sorted((data / "ehr" / "fhir-test-cases" / "r4-examples").glob("*.json*")):
        name = path.name.split(".")[0]
        found = errors(read(path))
        assert ERRATA.get(name, lambda e: not e)(found), (name, found)


def test_synthea_holds_no_error(data: Path) -> None:
    for path in sorted((data / "ehr" / "synthea-hiv-bundles").glob("*.json*")):
        assert not errors(read(path))
    counted = 0
    for path in sorted((data / "ehr" / "synthea-bulk-10").glob("*.ndjson*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in raw.splitlines():
            assert not errors(orjson.loads(line))
            counted += 1
    assert counted == 7_160


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        pytest.param(
            {"resourceType": "Patient", "meta": {"account": {"reference": "Organization/1"}}}, "meta.account", id="of a server"
        ),
        pytest.param(
            {"resourceType": "Binary", "contentType": "text/plain", "url": "http://a.example/1"}, "url", id="of a server, too"
        ),
        pytest.param({"resourceType": "ResearchStudy", "status": "active", "label": [{"value": "x"}]}, "label", id="of R5"),
        pytest.param(
            {"resourceType": "EvidenceVariable", "status": "draft", "characteristic": [{"linkId": "a"}]},
            "characteristic",
            id="R5 within",
        ),
    ],
)
def test_elements_that_others_added_to_r4_are_refused(resource: dict, place: str) -> None:
    assert any(place in issue.expression for issue in validate_resource(resource) if issue.level == "error")


def test_evidence_variables_are_those_of_r4() -> None:
    characteristic = {"definitionCodeableConcept": {"text": "smokers"}, "groupMeasure": "mean", "timeFromStart": {"value": 3}}
    assert not validate_resource({"resourceType": "EvidenceVariable", "status": "draft", "characteristic": [characteristic]})


def test_what_surely_holds_holds_by_the_rule_itself(data: Path) -> None:
    """On every element of the official examples, as it is and with each of its parts taken away or doubled."""
    from galenic.records.fhir.definitions import r4
    from galenic.records.fhir.invariant_shortcuts import SUFFICIENT
    from galenic.records.fhir.invariants import compile_rule

    rules = {r[0]: compile_rule(r[3]) for t in r4().types.values() for r in t.rules if r[0] in SUFFICIENT}
    assert rules.keys() == SUFFICIENT.keys()
    asked = dict.fromkeys(SUFFICIENT, 0)
    made: list[dict] = [
        {"start": a, "end": b}
        for a in (
            "2020",
            "2020-02",
            "2020-02-03",
            "2020-02-03T10:00:00Z",
            "2020-02-03T10:00:00+01:00",
            "2020-02-03T10:00:00.5Z",
        )
        for b in (
            "2020",
            "2019-12-31",
            "2020-02-03",
            "2020-02-03T09:00:00Z",
            "2020-02-03T10:00:00+02:00",
            "2020-02-03T10:00:00.25Z",
        )
    ]
    parts = [
        {"fullUrl": "urn:uuid:a"},
        {"fullUrl": "http://x/_history/1"},
        {"resource": {}},
        {"request": {}},
        {"response": {}},
        {},
    ]
    made += [
        {"resourceType": "Bundle", "type": kind, "entry": [{**a, **b}, c]}
        for kind in ("batch", "transaction", "history", "batch-response", "collection")
        for a in parts
        for b in parts
        for c in parts
    ]
    for path in sorted((data / "ehr" / "fhir-test-cases").rglob("*.json")):
        try:
            root = json.loads(path.read_bytes())
        except ValueError:
            continue
        stack = [root]
        while stack:
            one = stack.pop()
            if isinstance(one, dict):
                made += [one, *({k: v for k, v in one.items() if k != gone} for gone in one)]
                stack += one.values()
            elif isinstance(one, list):
                stack += one
    for node in made:
        kind = node.get("resourceType")
        for key, surely in SUFFICIENT.items():
            fits = {
                "bdl-3": "Bundle",
                "bdl-4": "Bundle",
                "bdl-7": "Bundle",
                "obs-6": "Observation",
                "obs-7": "Observation",
            }.get(key)
            if kind != fits or not all(
                isinstance(e, dict) for e in node.get("entry", ()) if isinstance(node.get("entry"), list)
            ):
                continue
            if surely(node):
                asked[key] += 1
                assert rules[key](node, node), key
    assert all(asked.values()), asked


def test_contained_resources_may_name_each_other_and_themselves() -> None:
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "a"}}
    observation |= {"subject": {"reference": "#p"}, "hasMember": [{"reference": "#o"}]}
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "a"}, "result": [{"reference": "#o"}]}
    report |= {"contained": [{"resourceType": "Patient", "id": "p"}, observation]}
    assert not validate_resource(report)
    observation["subject"] = {"reference": "#nobody"}
    assert "ref-1" in {i.rule for i in validate_resource(report)}
