"""Care relations in the console: form, ward, CSV, second person, and how soon a record opens and closes."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hospital_made import Hospital, a_hospital
from systems_made import add_client, issue_token


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with a_hospital(tmp_path_factory.mktemp("care")) as made:
        yield made


def add(hospital: Hospital, who: str, clinician: str, patients: str = "", **more: str) -> str:
    return hospital.post(who, "/care", **{"clinician": clinician, "until": "2099-01-01", "patients": patients, **more})


def next_year() -> str:
    return f"{time.gmtime().tm_year + 1}-01-31"


def test_a_clinician_sees_a_patient_as_soon_as_somebody_adds_a_relation(hospital: Hospital) -> None:
    assert "No patients in your care yet" in hospital.get("noah", "/patients")
    assert "Patient not found" in hospital.get("noah", "/patients/1")
    text = add(hospital, "ines", "noah", "1\n2", until=next_year())
    assert "2 care relations are recorded" in text
    assert "Timeline" in hospital.get("noah", "/patients/1")
    assert "Patient 2" in hospital.get("noah", "/patients")
    assert "Patient not found" in hospital.get("noah", "/patients/3")
    rows = [e for e in hospital.site.installation.audit.entries() if e.action == "fact.care" and e.actor == "ines"]
    assert sum(e.resource.startswith("noah/") for e in rows) == 2


def test_a_relation_that_is_ended_closes_the_record_at_once(hospital: Hospital) -> None:
    add(hospital, "ines", "nell", "4", until=next_year())
    assert "Timeline" in hospital.get("nell", "/patients/4")
    found = re.search(r'value="nell"><input type="hidden" name="subject" value="(\d+)"', hospital.get("ines", "/care"))
    assert found
    assert "care relation is ended" in hospital.post("ines", "/care/end", clinician="nell", subject=found[1])
    assert "Patient not found" in hospital.get("nell", "/patients/4")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"patients": "1\nnobody-here"}, "line 2 of the patients", id="an unknown patient"),
        pytest.param({"patients": ""}, "enter at least one patient", id="no patient"),
        pytest.param({"patients": "1", "until": "2001-01-01"}, "in the past", id="a day in the past"),
        pytest.param({"patients": "1", "until": "31.12.2099"}, "YYYY-MM-DD", id="another form of date"),
        pytest.param({"patients": "1", "clinician": "paul"}, "is a clinician, nurse or pharmacist", id="a privacy officer"),
        pytest.param({"ward": "Location/nowhere"}, "no patient has an encounter in progress", id="an empty ward"),
        pytest.param({"ward": "ward 7"}, "Location/ID", id="a ward that is no reference"),
    ],
)
def test_a_wrong_entry_writes_nothing_and_says_where(hospital: Hospital, values: dict[str, str], text: str) -> None:
    before = len(hospital.site.installation.facts.of("care"))
    page = add(hospital, "ines", **{"clinician": "clara", "until": next_year(), **values})
    assert text in page
    assert 'aria-invalid="true"' in page
    assert len(hospital.site.installation.facts.of("care")) == before


def test_nobody_without_the_role_adds_relations(hospital: Hospital) -> None:
    for who in ("clara", "paul", "sofia"):
        assert "this page is for the role" in add(hospital, who, "clara", "5", until=next_year())
    assert "Patient not found" in hospital.get("clara", "/patients/5")


def test_a_relation_for_oneself_takes_a_second_person(hospital: Hospital) -> None:
    text = add(hospital, "carl", "carl", "6", until=next_year())
    assert "second person has to approve" in text
    assert "Patient not found" in hospital.get("carl", "/patients/6")
    key = hospital.site.installation.facts.of("care-change", who="carl", state="proposed")[0].key
    assert "take two people" in hospital.post("carl", "/care/decide", key=key, verb="approve")
    assert "Patient not found" in hospital.get("carl", "/patients/6")
    assert "1 care relations are approved" in hospital.post("paul", "/care/decide", key=key, verb="approve")
    assert "Timeline" in hospital.get("carl", "/patients/6")
    assert "decided already" in hospital.post("ines", "/care/decide", key=key, verb="reject")


def upload(hospital: Hospital, text: str) -> str:
    return hospital.post("ines", "/care/csv", files={"table": ("care.csv", text.encode(), "text/csv")})


def test_a_csv_file_is_previewed_and_recorded_whole(hospital: Hospital) -> None:
    text = f"patient;clinician;until\n7;clara;{next_year()}\n8;clara;\n"
    page = upload(hospital, text)
    assert "Relations to add</dt><dd>2" in page
    assert "Patient not found" in hospital.get("clara", "/patients/7"), "a preview writes nothing"
    assert "2 care relations are recorded" in hospital.post("ines", "/care/csv/record", text=text)
    assert "Timeline" in hospital.get("clara", "/patients/8")


def test_a_csv_file_with_one_wrong_row_writes_nothing_and_names_the_line(hospital: Hospital) -> None:
    text = (
        f"patient,clinician,until\n9,clara,{next_year()}\nsecret-mrn,clara,{next_year()}\n9,secret-name,\n9,clara,2001-01-01\n"
    )
    page = upload(hospital, text)
    assert "3 rows have errors" in page
    assert re.findall(r'<td class="figure">(\d+)</td>', page) == ["3", "4", "5"]
    assert "secret" not in page, "an error repeats no value"
    assert "no longer valid" in hospital.post("ines", "/care/csv/record", text=text)
    assert "Patient not found" in hospital.get("clara", "/patients/9")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param("", "is empty", id="an empty file"),
        pytest.param("patient,doctor\n1,clara\n", "lacks the column clinician", id="another column"),
        pytest.param("patient,clinician,note\n1,clara,x\n", "columns that are not known", id="one column too many"),
        pytest.param("patient,clinician\n", "no rows below its header", id="only a header"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(hospital: Hospital, raw: str, text: str) -> None:
    assert text in upload(hospital, raw)


def test_a_relation_of_a_ward_reaches_the_patients_who_are_there(hospital: Hospital) -> None:
    installation = hospital.site.installation
    add_client(installation, "ehr")
    token = issue_token(installation, "ehr", scope="system/*.cruds", purposes=("treatment", "operations"))
    web = hospital.site.browser().web
    for number, status in (("10", "in-progress"), ("11", "finished")):
        visit = {
            "resourceType": "Encounter", "id": f"ward-{number}", "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "subject": {"reference": f"Patient/{number}"}, "location": [{"location": {"reference": "Location/ward-7"}}],
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        answer = web.put(f"/fhir/Encounter/ward-{number}", json=visit, headers=headers)
        assert answer.status_code == 201, answer.text
    assert "1 care relations are recorded" in add(hospital, "ines", "nina", ward="Location/ward-7", until=next_year())
    assert "Timeline" in hospital.get("nina", "/patients/10")
    assert "Patient not found" in hospital.get("nina", "/patients/11")


def test_more_than_100_within_a_day_take_a_second_person_also_in_parts(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galenic.custody.care_relations.MOST_ALONE", 4)
    facts = hospital.site.installation.facts
    for fact in facts.of("care-change", state="counted"):
        facts.put(replace(fact, body=()))
    assert "3 care relations are recorded" in add(hospital, "ines", "clara", "1\n2\n3", until=next_year())
    page = add(hospital, "ines", "clara", "10\n11", until=next_year())
    assert "2 care relations are proposed" in page
    assert "Show the relations" in page
    assert "Patient not found" in hospital.get("clara", "/patients/10")
    assert "1 care relations are recorded" in add(hospital, "ines", "clara", "4", until=next_year())


def test_a_proposal_is_checked_again_when_it_is_approved(hospital: Hospital) -> None:
    installation = hospital.site.installation
    add(hospital, "carl", "carl", "7", until=next_year())
    fact = installation.facts.of("care-change", who="carl", state="proposed")[0]
    body = {**dict(fact.body), "rows": [["carl", 1, "2001-01-01T23:59:59+00:00", False]]}
    installation.facts.put(replace(fact, body=tuple(sorted(body.items()))))
    assert "a last day is over" in hospital.post("paul", "/care/decide", key=fact.key, verb="approve")
    hospital.post("paul", "/care/decide", key=fact.key, verb="reject")


def test_ending_a_relation_that_does_not_exist_says_so(hospital: Hospital) -> None:
    assert "is in force" in hospital.post("ines", "/care/end", clinician="nina", subject="3")
    browser = hospital.browsers["ines"]
    data = {"csrf": browser.csrf(), "clinician": "nina", "subject": "9" * 40}
    assert browser.web.post("/care/end", data=data).status_code in (400, 422)
    assert "no care relation with this patient that could end" in upload(hospital, "patient,clinician,action\n3,nina,end\n")


def test_a_pair_that_is_twice_in_a_file_is_an_error_of_its_row(hospital: Hospital) -> None:
    assert "twice. Remove one" in upload(hospital, f"patient,clinician,until\n9,nina,{next_year()}\n9,nina,\n")
