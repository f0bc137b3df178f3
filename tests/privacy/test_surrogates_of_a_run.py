"""One name has one surrogate in all files of a run, and each patient's dates move together, whatever the file."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from galenic.privacy.deidentification import DeidentificationOptions, deidentify

OPTIONS = DeidentificationOptions(policy="expert", measured=False)


def patient(ident: str, family: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": ident, "name": [{"family": family}]}


def observation(ident: str, day: str) -> dict[str, Any]:
    reference = {"reference": f"Patient/{ident}"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": reference,
        "effectiveDateTime": day,
    }


def test_one_name_has_one_surrogate_in_all_notes_of_a_run(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(
            f"Mrs. Hansen was seen today in ward {name[0]} with a cough and went home.", encoding="utf-8"
        )
    deidentify([tmp_path / "a.txt", tmp_path / "b.txt"], tmp_path / "out", OPTIONS)
    words = [(tmp_path / "out" / name).read_text(encoding="utf-8").split()[1] for name in ("a.txt", "b.txt")]
    assert words[0] == words[1] != "Hansen"


@pytest.mark.parametrize("together", [True, False])
def test_a_patient_in_several_bundles_has_one_surrogate_and_one_shift(tmp_path: Path, together: bool) -> None:
    others = [patient("p2", "Garcia"), observation("p2", "2021-03-04")] if together else []
    for name, more in (("one", []), ("two", others)):
        entries = [patient("p1", "Hansen"), observation("p1", "2021-03-04"), *more]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in entries]}
        (tmp_path / f"{name}.json").write_text(json.dumps(bundle), encoding="utf-8")
    deidentify([tmp_path / "one.json", tmp_path / "two.json"], tmp_path / "out", OPTIONS)
    one, two = (json.loads((tmp_path / "out" / f"{n}.json").read_text(encoding="utf-8"))["entry"] for n in ("one", "two"))
    assert one[0]["resource"]["name"] == two[0]["resource"]["name"]
    assert one[1]["resource"]["effectiveDateTime"] == two[1]["resource"]["effectiveDateTime"]
    shift = date.fromisoformat(one[1]["resource"]["effectiveDateTime"]) - date(2021, 3, 4)
    assert shift.days < -365 and shift.days % 7 == 0


P1, P2 = "urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222"
SERVER = "https://records.example.org/fhir"


def entry(resource: dict[str, Any], url: str = "") -> dict[str, Any]:
    return {
        "resource": resource,
        **({"fullUrl": url} if url else {}),
        "request": {"method": "POST", "url": resource["resourceType"]},
    }


def shifts(folder: Path, bundle: list[dict[str, Any]], options: DeidentificationOptions = OPTIONS) -> list[int]:
    """The days by which the dates of each entry's resource moved; born or observed on 2021-03-04."""
    (folder / "in").mkdir()
    (folder / "in" / "a.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": bundle}), "utf-8"
    )
    assert deidentify([folder / "in" / "a.json"], folder / "out", options).refusals == []
    clean = [one["resource"] for one in json.loads((folder / "out" / "a.json").read_text(encoding="utf-8"))["entry"]]
    days = [one.get("birthDate") or one.get("effectiveDateTime") or one["recorded"][:10] for one in clean]
    return [(date.fromisoformat(day) - date(2021, 3, 4)).days for day in days]


@pytest.mark.parametrize("has_ids", [True, False])
@pytest.mark.parametrize(
    ("full_urls", "references"),
    [
        ((P1, P2), (P1, P2)),
        ((f"{SERVER}/Patient/p1", f"{SERVER}/Patient/p2"), (f"{SERVER}/Patient/p1", f"{SERVER}/Patient/p2")),
        ((f"{SERVER}/Patient/p1", f"{SERVER}/Patient/p2"), ("Patient/p1", "Patient/p2/_history/2")),
        ((P1, P2), ("Patient?identifier=urn:mrn|71", "Patient?identifier=urn:mrn|72")),
    ],
)
def test_each_form_of_reference_moves_dates_with_those_of_the_patient(
    tmp_path: Path, has_ids: bool, full_urls: tuple[str, str], references: tuple[str, str]
) -> None:
    patients = [{**patient(f"p{n}", "Hansen"), "birthDate": "2021-03-04"} for n in (1, 2)]
    for number, one in enumerate(patients, 1):
        one["identifier"] = [{"system": "urn:mrn", "value": f"7{number}"}]
        if not has_ids:
            del one["id"]
    observed = [observation("", "2021-03-04") | {"subject": {"reference": r}} for r in references]
    both = observed[0] | {"focus": [{"reference": references[1]}]}
    through = {
        "resourceType": "Provenance",
        "target": [{"reference": "urn:uuid:33333333-3333-4333-8333-333333333333"}],
        "recorded": "2021-03-04T10:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }
    bundle = [*map(entry, patients, full_urls), *map(entry, observed), entry(both), entry(through)]
    bundle[2]["fullUrl"] = "urn:uuid:33333333-3333-4333-8333-333333333333"
    first, second, *others = shifts(tmp_path, bundle)
    assert first != second
    assert others == [first, second, first, first]


def test_a_resource_of_several_patients_moves_with_the_bundle_and_not_with_one_of_them(tmp_path: Path) -> None:
    patients = [{**patient(f"p{n}", "Hansen"), "birthDate": "2021-03-04"} for n in (1, 2)]
    shared = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "effectiveDateTime": "2021-03-04",
        "focus": [{"reference": "Patient/p1"}, {"reference": "Patient/p2"}],
    }
    first, second, third, fourth = shifts(tmp_path, [*map(entry, patients), entry(shared), entry(shared)])
    assert third == fourth
    assert third not in (first, second)


def test_under_expert_only_names_have_one_surrogate_for_all_patients(tmp_path: Path) -> None:
    people = [
        {
            **patient(f"p{n}", "Hansen"),
            "identifier": [{"system": "urn:mrn", "value": "8412377"}],
            "address": [{"line": ["12 Oak Street"], "city": "Oakland", "postalCode": "94612"}],
            "telecom": [{"system": "phone", "value": "415-555-2671"}, {"system": "email", "value": "hansen@example.com"}],
        }
        for n in range(8)
    ]
    (tmp_path / "a.ndjson").write_text("".join(json.dumps(p) + "\n" for p in people), encoding="utf-8")
    deidentify([tmp_path / "a.ndjson"], tmp_path / "out", OPTIONS)
    clean = [json.loads(line) for line in (tmp_path / "out" / "a.ndjson").read_text(encoding="utf-8").splitlines()]
    assert len({one["name"][0]["family"] for one in clean}) == 1
    places, phones = [one["address"][0] for one in clean], [one["telecom"] for one in clean]
    values = [
        [p["postalCode"], p["city"], p["line"][0], *(t["value"] for t in ts)] for p, ts in zip(places, phones, strict=True)
    ]
    assert all(len(set(of_one_field)) > 1 for of_one_field in zip(*values, strict=True))


def test_one_name_has_one_surrogate_in_notes_documents_and_bundles_that_refer_by_urn(tmp_path: Path) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry(patient("p1", "Hansen"), P1)]}
    (tmp_path / "a.json").write_text(json.dumps(bundle), encoding="utf-8")
    (tmp_path / "b.txt").write_text("Mrs. Hansen was seen today in ward b with a cough and went home.", encoding="utf-8")
    for name, day in (("c.xml", "20210304"), ("d.xml", "20210311")):
        (tmp_path / name).write_text(
            '<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><id root="1.2.3" extension="71"/><patient><name>'
            f'<family>Hansen</family></name></patient></patientRole></recordTarget><effectiveTime value="{day}"/></ClinicalDocument>',
            encoding="utf-8",
        )
    deidentify([tmp_path / n for n in ("a.json", "b.txt", "c.xml", "d.xml")], tmp_path / "out", OPTIONS)
    bundle = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    made = bundle["entry"][0]["resource"]["name"][0]["family"]
    documents = [(tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("c.xml", "d.xml")]
    assert made != "Hansen"
    assert (tmp_path / "out" / "b.txt").read_text(encoding="utf-8").split()[1] == made
    assert all(f"family>{made}</" in one for one in documents)
    first, second = (date.fromisoformat(re.search(r'effectiveTime value="(\d{8})', one)[1]) for one in documents)  # type: ignore[index]
    assert (second - first).days == 7
    assert first < date(2020, 3, 4)
