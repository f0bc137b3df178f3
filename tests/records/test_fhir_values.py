# ruff: noqa: E501  # one case a line
"""Values of R4's types as its datatypes page defines them: what only looks right is named, what is unusual and right passes."""

import copy
import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.records.fhir import r4, validate_resource

CORE = "http://hl7.org/fhir/StructureDefinition/"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
UUID = "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001"


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def extended(kind: str = "x", **value: Any) -> dict[str, Any]:
    return patient(extension=[{"url": f"http://example.org/{kind}", **value}])


def div(text: str) -> dict[str, Any]:
    return patient(text={"status": "generated", "div": text})


def period(start: str, end: str) -> dict[str, Any]:
    return patient(name=[{"period": {"start": start, "end": end}}])


def birth_time(**value: Any) -> dict[str, Any]:
    return patient(birthDate="2020-01-01", _birthDate={"extension": [{"url": f"{CORE}patient-birthTime", **value}]})


def bundle(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", **more}


def link(*relations: str) -> list[dict[str, str]]:
    return [{"relation": r, "url": f"http://example.org/{i}"} for i, r in enumerate(relations)]


def json(text: str) -> dict[str, Any]:
    return dict(orjson.loads(text))


WRONG: list[Any] = [
    pytest.param(json('{"resourceType":"Patient","multipleBirthInteger":2.0}'), "format", "Patient.multipleBirthInteger", id="integer 2.0"),
    pytest.param(json('{"resourceType":"Patient","multipleBirthInteger":2e0}'), "format", "Patient.multipleBirthInteger", id="integer 2e0"),
    pytest.param(json('{"resourceType":"Patient","telecom":[{"rank":1.0}]}'), "format", "Patient.telecom[0].rank", id="positiveInt 1.0"),
    pytest.param(json('{"resourceType":"Patient","photo":[{"size":1e1}]}'), "format", "Patient.photo[0].size", id="unsignedInt 1e1"),
    pytest.param(extended(valueInteger=1.0), "format", "Patient.extension[0].valueInteger", id="integer of an extension 1.0"),
    pytest.param(patient(telecom=[{"rank": 0}]), "range", "Patient.telecom[0].rank", id="positiveInt 0"),
    pytest.param(patient(photo=[{"size": -1}]), "range", "Patient.photo[0].size", id="unsignedInt -1"),
    pytest.param(extended(valueInteger=-(2**31) - 1), "range", "Patient.extension[0].valueInteger", id="integer of 33 bits"),
    pytest.param(patient(birthDate="0000-01-01"), "format", "Patient.birthDate", id="a day of the year 0"),
    pytest.param(patient(birthDate="0000-02-29"), "format", "Patient.birthDate", id="a leap day of the year 0"),
    pytest.param(patient(deceasedDateTime="0000-12-31T00:00:00Z"), "format", "Patient.deceasedDateTime", id="a time of the year 0"),
    pytest.param(patient(deceasedDateTime="2020-01-01T24:00:00Z"), "format", "Patient.deceasedDateTime", id="24:00"),
    pytest.param(patient(deceasedDateTime="2020-01-01T10:00Z"), "format", "Patient.deceasedDateTime", id="no seconds"),
    pytest.param(patient(deceasedDateTime="2020-01-01T10:00:61Z"), "format", "Patient.deceasedDateTime", id="second 61"),
    pytest.param(patient(deceasedDateTime="2020-01-01T10:00:00+14:30"), "format", "Patient.deceasedDateTime", id="an offset over 14 h"),
    pytest.param(observation(issued="2020-01-01"), "format", "Observation.issued", id="an instant of a day"),
    pytest.param(observation(valueTime="10:00"), "format", "Observation.valueTime", id="a time without seconds"),
    pytest.param(patient(photo=[{"data": "aGVsbG8"}]), "format", "Patient.photo[0].data", id="base64 without padding"),
    pytest.param(patient(photo=[{"data": "aGVs=bG8="}]), "format", "Patient.photo[0].data", id="base64 with padding within"),
    pytest.param(patient(photo=[{"data": "===="}]), "format", "Patient.photo[0].data", id="base64 of padding"),
    pytest.param(patient(photo=[{"data": "aGVsbG8-"}]), "format", "Patient.photo[0].data", id="base64 for URLs"),
    pytest.param({"resourceType": "Binary", "contentType": "text/plain", "data": "a"}, "format", "Binary.data", id="base64 of one character"),
    pytest.param(patient(_birthDate={"id": "x"}), "ele-1", "Patient._birthDate", id="an id without a value"),
    pytest.param(observation(_valueString={"id": "x"}), "ele-1", "Observation._valueString", id="an id of a choice without a value"),
    pytest.param(patient(name=[{"id": "x"}]), "ele-1", "Patient.name[0]", id="an element of an id"),
    pytest.param(patient(contact=[{"id": "x"}]), "ele-1", "Patient.contact[0]", id="a part of a resource of an id"),
    pytest.param(patient(name=[{"given": ["a", None], "_given": [None, {"id": "x"}]}]), "ele-1", "Patient.name[0]._given[1]", id="an id in a list"),
    pytest.param(observation(code={"_text": {"id": "x"}}), "ele-1", "Observation.code._text", id="an id without a text"),
    pytest.param(observation(code={"coding": [{"_code": {"id": "x"}, "display": "y"}]}), "ele-1", "Observation.code.coding[0]._code", id="an id without a code"),
    pytest.param(patient(name=[{"id": "a b", "family": "x"}]), "format", "Patient.name[0].id", id="an id of an element with a space"),
    pytest.param(
        observation(_valueString={"extension": [{"url": "http://a.example", "valueCode": "x"}]},
                    _valueBoolean={"extension": [{"url": "http://a.example", "valueCode": "x"}]}),
        "choice", "Observation.value", id="two forms without values"),
    pytest.param(period("2020-01-01T10:00:00+02:00", "2020-01-01T07:30:00Z"), "per-1", "Patient.name[0].period", id="a period across offsets"),
    pytest.param(period("2020-01-01T10:00:00.5Z", "2020-01-01T10:00:00.25Z"), "per-1", "Patient.name[0].period", id="a period of fractions"),
    pytest.param(period("2020-01-01T00:30:00Z", "2019-12-30"), "per-1", "Patient.name[0].period", id="a period that ends on a day before"),
    pytest.param(period("2021", "2020-12-30"), "per-1", "Patient.name[0].period", id="a period that begins in a year after"),
    pytest.param(div("<div>a</div>"), "txt-1", "Patient.text.div", id="narrative without a namespace"),
    pytest.param(div('<div xmlns="http://www.w3.org/2000/svg">a</div>'), "txt-1", "Patient.text.div", id="narrative of another namespace"),
    pytest.param(div(f'<div {XHTML}><p xmlns="">a</p></div>'), "txt-1", "Patient.text.div", id="narrative that leaves its namespace"),
    pytest.param(extended(valueUri="urn:oid:1.02.3"), "format", "Patient.extension[0].valueUri", id="an OID with a zero"),
    pytest.param(extended(valueUri="urn:oid:3.1"), "format", "Patient.extension[0].valueUri", id="an OID of no arc"),
    pytest.param(extended(valueUri="urn:uuid:XYZ"), "format", "Patient.extension[0].valueUri", id="no UUID"),
    pytest.param(extended(valueUrl="urn:uuid:XYZ"), "format", "Patient.extension[0].valueUrl", id="no UUID as a url"),
    pytest.param(extended(valueOid="1.2.3"), "format", "Patient.extension[0].valueOid", id="an OID without urn:oid:"),
    pytest.param(extended(valueUuid=UUID.upper()), "format", "Patient.extension[0].valueUuid", id="a UUID in capitals"),
    pytest.param(extended(valueCode="a  b"), "format", "Patient.extension[0].valueCode", id="a code with two spaces"),
    pytest.param(extended(valueCode="a\tb"), "format", "Patient.extension[0].valueCode", id="a code with a tab"),
    pytest.param(extended(valueCode=" a"), "format", "Patient.extension[0].valueCode", id="a code after a space"),
    pytest.param(extended(valueMarkdown="\x0b"), "format", "Patient.extension[0].valueMarkdown", id="a control character"),
    pytest.param(extended(valueUri="http://a.example/\x01"), "format", "Patient.extension[0].valueUri", id="a control character in a URI"),
    pytest.param(observation(subject={"reference": "urn:uuid:XYZ"}), "reference-form", "Observation.subject.reference", id="a reference to no UUID"),
    pytest.param(observation(code={"coding": [{"system": "local", "code": "x"}]}), "format", "Observation.code.coding[0].system", id="a system that is relative"),
    pytest.param(patient(identifier=[{"system": "MRN", "value": "1"}]), "format", "Patient.identifier[0].system", id="a system of identifiers that is relative"),
    pytest.param(observation(valueQuantity={"value": 1, "system": "ucum", "code": "mg"}), "format", "Observation.valueQuantity.system", id="a system of units that is relative"),
    pytest.param({"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/1"}, "format", "QuestionnaireResponse.questionnaire", id="a canonical that is relative"),
    pytest.param(patient(meta={"profile": ["us-core-patient"]}), "format", "Patient.meta.profile[0]", id="a profile that is relative"),
    pytest.param({"resourceType": "ValueSet", "status": "draft", "url": "my-set"}, "format", "ValueSet.url", id="a definition's url that is relative"),
    pytest.param(extended() | {"extension": [{"url": "foo", "valueString": "x"}]}, "extension-url", "Patient.extension[0].url", id="an extension's url that is relative"),
    pytest.param(observation(code={"text": "x", "extension": [{"url": "foo", "valueString": "x"}]}), "extension-url", "Observation.code.extension[0].url", id="an extension's url within a type"),
    pytest.param(patient(_birthDate={"extension": [{"url": "foo", "valueString": "x"}]}), "extension-url", "Patient._birthDate.extension[0].url", id="an extension's url of a primitive"),
    pytest.param(extended(valueMoney={"value": 1, "currency": "ZZZ"}), "binding", "Patient.extension[0].valueMoney.currency", id="no currency"),
    pytest.param(patient(photo=[{"contentType": "not a mime"}]), "format", "Patient.photo[0].contentType", id="no media type"),
    pytest.param(patient(photo=[{"contentType": "pdf"}]), "format", "Patient.photo[0].contentType", id="a file's ending"),
    pytest.param({"resourceType": "Binary", "contentType": "text/"}, "format", "Binary.contentType", id="half a media type"),
    pytest.param(birth_time(valueString="10:00"), "extension-value", "Patient._birthDate.extension[0]", id="birthTime as a string"),
    pytest.param(birth_time(extension=[{"url": "x", "valueCode": "y"}]), "extension-value", "Patient._birthDate.extension[0]", id="birthTime of extensions"),
    pytest.param(patient(extension=[{"url": f"{CORE}patient-birthTime", "valueDateTime": "2020-01-01T10:00:00Z"}]), "extension-context", "Patient.extension[0]", id="birthTime of a patient"),
    pytest.param({"resourceType": "Organization", "name": "x", "extension": [{"url": f"{CORE}patient-birthTime", "valueDateTime": "2020-01-01T10:00:00Z"}]}, "extension-context", "Organization.extension[0]", id="birthTime of an organization"),
    pytest.param(patient(name=[{"family": "x", "extension": [{"url": f"{CORE}humanname-own-name", "valueString": "x"}]}]), "extension-context", "Patient.name[0].extension[0]", id="own-name of a name, not of its family"),
    pytest.param(patient(modifierExtension=[{"url": f"{CORE}patient-religion", "valueCodeableConcept": {"text": "x"}}]), "extension-modifier", "Patient.modifierExtension[0]", id="an extension as a modifier"),
    pytest.param(bundle(link=link("self", "self")), "bundle-link", "Bundle.link", id="two self links"),
    pytest.param(bundle(link=link("next", "self", "next")), "bundle-link", "Bundle.link", id="two next links"),
    pytest.param(
        {"resourceType": "Bundle", "type": "collection", "entry": [
            {"fullUrl": UUID, "resource": {"resourceType": "Organization", "name": "x"}},
            {"resource": observation(subject={"reference": UUID}, performer=[{"reference": UUID}], encounter={"reference": UUID})}]},
        "reference-target", "Bundle.entry[1].resource.encounter", id="a reference to an entry of another type"),
    pytest.param(patient(contained=[{"resourceType": "Patient", "id": "o"}], managingOrganization={"reference": "#o"}), "reference-target", "Patient.managingOrganization", id="a contained resource of another type"),
    pytest.param(observation(contained=[{"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "#p"}, "type": "refer"}]}]), "dom-3", "Observation.contained[0]", id="a contained resource that only names itself"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "rule", "where"), WRONG)
def test_what_only_looks_right_is_named(resource: dict[str, Any], rule: str, where: str) -> None:
    found = validate_resource(resource)
    assert (rule, where) in {(i.rule, i.expression) for i in found}, found


RIGHT: list[Any] = [
    pytest.param(patient(birthDate="0001-01-01"), id="the year 1"),
    pytest.param(patient(birthDate="2000-02-29"), id="a leap day of a century"),
    pytest.param(patient(deceasedDateTime="2016-12-31T23:59:60Z"), id="a leap second"),
    pytest.param(patient(deceasedDateTime="2020-01-01T10:00:00.123456789+14:00"), id="nine digits and the widest offset"),
    pytest.param(patient(photo=[{"contentType": "text/plain", "data": "aGVsbG8="}]), id="base64"),
    pytest.param(patient(photo=[{"contentType": "text/plain", "data": "aGVs\r\nbG8h\n"}]), id="base64 in lines"),
    pytest.param(patient(_birthDate={"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}), id="an extension for a value"),
    pytest.param(patient(birthDate="2020", _birthDate={"id": "x"}), id="an id beside a value"),
    pytest.param(period("2020-01-01T10:00:00+02:00", "2020-01-01T08:00:00Z"), id="a period of one moment"),
    pytest.param(period("2020-01-01T10:00:00Z", "2020-01-01"), id="a period that ends on its day"),
    pytest.param(period("2020-01-02T05:00:00+14:00", "2020-01-01"), id="a period that ends on its day elsewhere"),
    pytest.param(period("2020-05", "2020"), id="a period that ends in its year"),
    pytest.param(div('<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p xml:lang="de">a</h:p></h:div>'), id="narrative by a prefix"),
    pytest.param(extended(valueUri="urn:ietf:rfc:3986"), id="another URN"),
    pytest.param(extended(valueUri="relative/uri#x"), id="a relative URI"),
    pytest.param(extended(valueUri=UUID.upper().replace("URN:UUID", "urn:uuid")), id="a UUID in capitals as a URI"),
    pytest.param(extended(valueUri="urn:oid:2.16.840.1.113883.0"), id="an OID with an arc of zero"),
    pytest.param(extended(valueCanonical="http://example.org/x|1.0#part"), id="a canonical with version and part"),
    pytest.param(extended(valueCode="a b c"), id="a code with spaces"),
    pytest.param(extended(valueMarkdown="a\r\n\tb"), id="lines and a tab"),
    pytest.param(extended(valueMoney={"value": 1, "currency": "EUR"}), id="a currency"),
    pytest.param(patient(photo=[{"contentType": 'text/plain; charset="utf-8"; x=y'}]), id="a media type with parameters"),
    pytest.param(patient(photo=[{"contentType": "application/vnd.ms-excel.sheet+xml"}]), id="a vendor's media type"),
    pytest.param(extended() | {"extension": [{"url": "http://example.org/x", "extension": [{"url": "short", "valueCode": "y"}]}]}, id="a short name within an extension"),
    pytest.param(birth_time(valueDateTime="2020-01-01T10:00:00Z"), id="birthTime where it belongs"),
    pytest.param(patient(name=[{"family": "x", "_family": {"extension": [{"url": f"{CORE}humanname-own-name", "valueString": "x"}]}}]), id="own-name of a family name"),
    pytest.param(patient(birthDate="2020", _birthDate={"extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "masked"}]}), id="an extension that fits everywhere"),
    pytest.param(bundle(link=link("self", "next", "alternate", "alternate")), id="two other links"),
    pytest.param({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "resource:0", "resource": patient()}, {"fullUrl": "resource:1", "resource": observation(subject={"reference": "resource:0"})}]}, id="a SMART Health Card"),
    pytest.param(observation(contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"}), id="a contained patient"),
    pytest.param(patient(contained=[{"resourceType": "Provenance", "id": "p", "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}], "target": [{"reference": "#"}]}]), id="a contained resource that names its container"),
    pytest.param(observation(valueQuantity={"value": 1e-20}), id="a small decimal"),
]  # fmt: skip


@pytest.mark.parametrize("resource", RIGHT)
def test_what_is_unusual_and_right_passes(resource: dict[str, Any]) -> None:
    assert validate_resource(resource) == ()


@pytest.mark.parametrize(
    ("coding", "said"),
    [
        pytest.param(
            [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "x"}],
            "system is correct",
            id="code",
        ),
        pytest.param(
            [{"system": "http://example.org", "code": "active"}], "code is correct, but has another system", id="system"
        ),
        pytest.param([{"code": "active"}], "code is correct, but has no system", id="no system"),
        pytest.param([{"system": "http://example.org", "code": "x"}], "Neither the system nor the code", id="both"),
        pytest.param(None, "no coding", id="neither"),
    ],
)
def test_a_code_outside_its_value_set_is_refused_with_the_part_that_is_wrong(coding: Any, said: str) -> None:
    status = {"coding": coding} if coding else {"text": "active"}
    (issue,) = validate_resource({"resourceType": "Condition", "subject": {"display": "x"}, "clinicalStatus": status})
    assert issue.rule == "binding"
    assert said in issue.text


# properties, on HL7's own examples

BAD: dict[str, tuple[Any, ...]] = {
    "boolean": ("true", 1, 0),
    "integer": (1.0, "1", True, 2**31, -(2**31) - 1),
    "unsignedInt": (1.0, -1, True, 2**31),
    "positiveInt": (1.0, 0, -1, True, 2**31),
    "decimal": ("1.5", True),
    "date": ("2020-13", "2020-02-30", "0000", "0000-01-01", "2020-1-1", "2020-01-01T00:00:00Z", " 2020", "20"),
    "dateTime": ("2020-02-30", "0000-01-01", "2020-01-01T24:00:00Z", "2020-01-01T10:00Z", "2020-01-01T10:00:00", "2020-01-01 10:00:00Z"),
    "instant": ("2020", "2020-01-01", "2021-02-29T00:00:00Z", "2020-01-01T00:00:00", "0000-01-01T00:00:00Z"),
    "time": ("24:00:00", "10:00", "10:00:00Z", "1:00:00"),
    "id": ("", "a_b", "x" * 65, "a b"),
    "code": ("", " a", "a ", "a  b", "a\nb"),
    "oid": ("1.2.3", "urn:oid:1.02", "urn:oid:3.1", "urn:oid:1"),
    "uuid": ("urn:uuid:XYZ", UUID.upper(), UUID.removeprefix("urn:uuid:")),
    "uri": ("", "a b", "urn:oid:1.02.3", "urn:uuid:XYZ", "a\x01"),
    "url": ("", "a b", "urn:uuid:XYZ"),
    "canonical": ("", "a b", "Questionnaire/1", "urn:oid:1.02.3"),
    "base64Binary": ("aGVsbG8", "a", "====", "aGV-"),
    "string": ("", " ", "a\x00", 1, "\x1f"),
    "markdown": ("", "\n", "a\x0b"),
}  # fmt: skip
Place = tuple[dict[str, Any] | list[Any], Any, str]  # container, key, type


def primitives(node: dict[str, Any], kind: str) -> Iterator[Place]:
    """Every primitive value of a valid node."""
    types = {n: of for e in r4().types[kind].elements for n, of in e.names()}
    for name, value in node.items():
        of = types.get(name)
        if of is None:
            continue
        for container, key, one in (
            [(value, i, v) for i, v in enumerate(value)] if isinstance(value, list) else [(node, name, value)]
        ):
            if of in BAD and one is not None:
                yield container, key, of
            elif isinstance(one, dict):
                inner = one.get("resourceType", "") if of == "Resource" else of.removeprefix("@")
                yield from primitives(one, inner)


def examples(data: Path) -> list[dict[str, Any]]:
    paths = sorted((data / "ehr" / "fhir-test-cases" / "r4-examples").glob("*.json*"))
    read = [orjson.loads(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()) for p in paths]
    return [r for r in read if not any(i.level == "error" for i in validate_resource(r))]


def test_every_bad_value_of_a_type_is_refused_wherever_it_stands(data: Path) -> None:
    """Up to 40 places of each example and each type, every bad value of the type at one place."""
    chance, tried = random.Random(7), dict.fromkeys(BAD, 0)
    for example in examples(data):
        whole = copy.deepcopy(example)
        places = list(primitives(whole, whole["resourceType"]))
        for container, key, of in chance.sample(places, min(40, len(places))):
            before = container[key]
            container[key] = chance.choice(BAD[of])
            assert any(i.level == "error" for i in validate_resource(whole)), (of, container[key], key)
            container[key] = before
            tried[of] += 1
        assert whole == example
    assert sum(tried.values()) > 1_500
    assert {of for of, n in tried.items() if n} >= {
        "string",
        "code",
        "uri",
        "date",
        "dateTime",
        "instant",
        "canonical",
        "markdown",
        "id",
    }


def turned(node: Any, chance: random.Random) -> Any:
    """The node with its properties in another order."""
    if isinstance(node, list):
        return [turned(one, chance) for one in node]
    if not isinstance(node, dict):
        return node
    names = list(node)
    chance.shuffle(names)
    return {n: turned(node[n], chance) for n in names}


def test_order_and_unknown_extensions_make_nothing_invalid(data: Path) -> None:
    chance = random.Random(7)
    for example in examples(data):
        changed = turned(example, chance)
        if example["resourceType"] not in ("Bundle", "Parameters", "Binary"):
            more = {"url": "http://example.org/more", "valueString": "x"}
            changed["extension"] = [*changed.get("extension", ()), more]
            changed["_language"] = {"extension": [more]}
        assert not [i for i in validate_resource(changed) if i.level == "error"]


@settings(max_examples=200, deadline=None)
@given(st.datetimes(), st.integers(0, 10**7), st.integers(-12, 14), st.integers(-12, 14))
def test_a_period_is_in_order_whatever_the_offsets(start: Any, seconds: int, first: int, last: int) -> None:
    from datetime import timedelta, timezone

    if not 2 < start.year < 9990:
        return
    begin = start.replace(microsecond=0, tzinfo=timezone(timedelta(hours=first)))
    end = (begin + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=last)))

    def said(a: Any, b: Any) -> list[str]:
        return [i.rule for i in validate_resource(period(a.isoformat(), b.isoformat()))]

    assert said(begin, end) == []
    assert said(end, begin) == (["per-1"] if seconds else [])
