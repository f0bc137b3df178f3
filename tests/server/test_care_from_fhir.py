"""Care relations from FHIR: CareTeam, Encounter and EpisodeOfCare whose Practitioner has a staff identifier of one account."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from galenic.custody import fhir
from galenic.custody.fhir.care_teams import participations
from galenic.store import StoredDocument
from hospital_made import Hospital, a_hospital
from people_made import confirmed
from systems_made import add_client, issue_token

STAFF = "https://hospital.example/staff"
SEEN, HIDDEN = "Timeline", "Patient not found"


class Ehr:
    """A system that writes records."""

    def __init__(self, hospital: Hospital) -> None:
        installation = hospital.site.installation
        add_client(installation, "ehr")
        token = issue_token(installation, "ehr", scope="system/*.cruds", purposes=("treatment", "operations"))
        self.web, self.headers = hospital.site.browser().web, {"Authorization": f"Bearer {token}"}

    def put(self, resource: dict[str, Any]) -> None:
        place = f"/fhir/{resource['resourceType']}/{resource['id']}"
        answer = self.web.put(place, json=resource, headers=self.headers)
        assert answer.status_code in (200, 201), answer.text

    def practitioner(self, name: str, value: str, system: str = STAFF) -> None:
        identifier = [{"system": system, "value": value}]
        self.put({"resourceType": "Practitioner", "id": name, "identifier": identifier})

    def team(self, name: str, patient: str, member: dict[str, Any], **more: Any) -> None:
        self.put(
            {
                "resourceType": "CareTeam",
                "id": name,
                "status": "active",
                "subject": {"reference": f"Patient/{patient}"},
                "participant": [{"member": member}],
                **more,
            }
        )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with a_hospital(tmp_path_factory.mktemp("teams"), patients=12) as made:
        yield made


@pytest.fixture(scope="module")
def ehr(hospital: Hospital) -> Ehr:
    """A hospital whose two officers have approved the system of staff IDs."""
    ehr = Ehr(hospital)
    ehr.practitioner("dr-clara", "clara@clinic.example")
    ehr.team("before", "12", {"reference": "Practitioner/dr-clara"})
    assert HIDDEN in hospital.get("clara", "/patients/12"), "no system is approved"
    hospital.post("sofia", "/care/fhir", uri=STAFF, verb="propose")
    assert "takes two people" in hospital.post("sofia", "/care/fhir", uri=STAFF, verb="approve")
    assert HIDDEN in hospital.get("clara", "/patients/12")
    assert "1 care relations were added" in hospital.post("paul", "/care/fhir", uri=STAFF, verb="approve")
    assert SEEN in hospital.get("clara", "/patients/12"), "what was stored before is read at the approval"
    return ehr


def clara(name: str = "dr-clara") -> dict[str, Any]:
    return {"reference": f"Practitioner/{name}"}


def test_a_care_team_opens_the_record_and_its_end_closes_it(hospital: Hospital, ehr: Ehr) -> None:
    ehr.team("t1", "1", clara())
    assert SEEN in hospital.get("clara", "/patients/1")
    ehr.team("t1", "1", clara(), period={"start": "2020-01-01", "end": "2020-02-01"})
    assert HIDDEN in hospital.get("clara", "/patients/1")
    ehr.team("t1", "1", clara())
    assert SEEN in hospital.get("clara", "/patients/1")
    ehr.team("t1", "2", clara())
    assert HIDDEN in hospital.get("clara", "/patients/1"), "the team is another patient's now"
    ehr.put({"resourceType": "CareTeam", "id": "t1", "status": "inactive", "subject": {"reference": "Patient/2"}})
    assert HIDDEN in hospital.get("clara", "/patients/2")


def test_a_period_to_the_end_of_time_is_open_and_stops_nothing(hospital: Hospital, ehr: Ehr) -> None:
    for end in ("9999-12-31", "9999", "9999-12-31T23:59:59-05:00"):
        ehr.team("far", "11", clara(), period={"start": "2020-01-01", "end": end})
        assert SEEN in hospital.get("clara", "/patients/11"), end
    ehr.team("far", "11", clara(), period={"start": "0001-01-01T00:00:00+14:00"})
    assert HIDDEN in hospital.get("clara", "/patients/11"), "a start that cannot be read grants nothing"


def test_one_malformed_resource_does_not_stop_the_others(hospital: Hospital, ehr: Ehr) -> None:
    repository = hospital.site.console.repository
    team = {"resourceType": "CareTeam", "status": "active", "participant": [{"member": clara()}], "period": "x"}
    stored = [StoredDocument(1, 1, 1, "CareTeam", n, "", {}, json.dumps({**team, "id": n})) for n in ("a", "b")]
    before = repository.care.failed
    repository.care.follow([(s, True) for s in stored])
    assert repository.care.failed == before + 2, "each is reported on its own"


def test_an_encounter_and_an_episode_open_the_record(hospital: Hospital, ehr: Ehr) -> None:
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "subject": {"reference": "Patient/3"},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "participant": [{"individual": clara()}],
    }
    ehr.put(visit)
    assert SEEN in hospital.get("clara", "/patients/3")
    ehr.put({**visit, "status": "finished"})
    assert HIDDEN in hospital.get("clara", "/patients/3")
    ehr.put(
        {
            "resourceType": "EpisodeOfCare",
            "id": "p1",
            "status": "active",
            "patient": {"reference": "Patient/4"},
            "careManager": clara(),
        }
    )
    assert SEEN in hospital.get("clara", "/patients/4")


def test_a_practitioner_who_comes_later_is_found(hospital: Hospital, ehr: Ehr) -> None:
    ehr.team("late", "5", clara("dr-late"))
    assert HIDDEN in hospital.get("nina", "/patients/5")
    ehr.practitioner("dr-late", "nina@clinic.example")
    assert SEEN in hospital.get("nina", "/patients/5")


def test_an_identifier_that_is_ambiguous_or_of_another_system_gives_nothing(hospital: Hospital, ehr: Ehr) -> None:
    ehr.practitioner("dr-noah", "noah@clinic.example")
    ehr.practitioner("dr-noah-too", "noah@clinic.example")
    ehr.team("twice", "6", clara("dr-noah"))
    assert HIDDEN in hospital.get("noah", "/patients/6"), "two Practitioners have the identifier"
    ehr.practitioner("dr-other", "nell@clinic.example", "https://elsewhere.example/ids")
    ehr.team("other", "6", clara("dr-other"))
    assert HIDDEN in hospital.get("nell", "/patients/6"), "the system is not approved"


def test_who_imports_records_gets_no_relation_from_them(hospital: Hospital, ehr: Ehr) -> None:
    ehr.practitioner("dr-carl", "carl@clinic.example")
    ehr.team("own", "7", clara("dr-carl"))
    assert HIDDEN in hospital.get("carl", "/patients/7")


def test_a_relation_that_a_person_ended_stays_ended_when_the_records_are_read_again(hospital: Hospital, ehr: Ehr) -> None:
    ehr.team("hand", "8", {"identifier": {"system": STAFF, "value": "nell@clinic.example"}}, period={"end": "2090-01-01"})
    assert SEEN in hospital.get("nell", "/patients/8"), "a logical reference names the practitioner by identifier"
    fact = hospital.site.installation.facts.of("care", label="CareTeam/hand")[0]
    hospital.post("ines", "/care/end", clinician="nell", subject=str(fact.subject))
    assert HIDDEN in hospital.get("nell", "/patients/8")
    hospital.post("paul", "/care/fhir", verb="scan")
    assert HIDDEN in hospital.get("nell", "/patients/8")


def test_a_clinician_cannot_extend_their_own_access_by_writing_a_team(hospital: Hospital, ehr: Ehr) -> None:
    installation = hospital.site.installation
    more = [{"member": clara()}, {"member": {"identifier": {"system": STAFF, "value": "nell@clinic.example"}}}]
    ehr.team("mine", "9", clara(), period={"end": "2090-01-01"}, participant=more)
    ends = {f.who: f.until for f in installation.facts.of("care", label="CareTeam/mine")}
    assert set(ends) == {"clara", "nell"}
    resource = {
        "resourceType": "CareTeam",
        "id": "mine",
        "status": "active",
        "subject": {"reference": "Patient/9"},
        "participant": [*more, {"member": {"identifier": {"system": STAFF, "value": "noah@clinic.example"}}}],
        "period": {"end": "2099-01-01"},
    }
    context = fhir.RequestContext(confirmed(installation, "clara"), "treatment", f"{hospital.site.base}/fhir", "")
    fhir.update(hospital.site.console.repository, context, "CareTeam", "mine", json.dumps(resource).encode())
    after = {f.who: f.until for f in installation.facts.of("care", label="CareTeam/mine") if f.state == "given"}
    assert after == ends, "a person's version neither adds nor extends, and colleagues keep their access"
    assert SEEN in hospital.get("clara", "/patients/9")
    resource["participant"] = more[:1]
    fhir.update(hospital.site.console.repository, context, "CareTeam", "mine", json.dumps(resource).encode())
    assert HIDDEN in hospital.get("nell", "/patients/9"), "a person's version can end"


def test_a_corrected_or_ambiguous_identifier_ends_relations_at_once(hospital: Hospital, ehr: Ehr) -> None:
    nell = "nell@clinic.example"
    ehr.practitioner("dr-nell", nell)
    ehr.team("fix", "4", {"reference": "Practitioner/dr-nell"})
    assert SEEN in hospital.get("nell", "/patients/4")
    ehr.practitioner("dr-nell", "nina@clinic.example")
    assert HIDDEN in hospital.get("nell", "/patients/4"), "the staff ID was corrected"
    ehr.practitioner("dr-nell", nell)
    ehr.team("logical", "5", {"identifier": {"system": STAFF, "value": nell}})
    ehr.put({
        "resourceType": "PractitionerRole", "id": "role-nell", "practitioner": {"reference": "Practitioner/dr-nell"},
    })  # fmt: skip
    ehr.team("by-role", "6", {"reference": "PractitionerRole/role-nell"})
    assert all(SEEN in hospital.get("nell", f"/patients/{n}") for n in (4, 5, 6))
    ehr.practitioner("dr-nell-too", nell)
    assert all(HIDDEN in hospital.get("nell", f"/patients/{n}") for n in (4, 5, 6)), "two Practitioners have the identifier"
    ehr.practitioner("dr-nell-too", "other")
    hospital.post("paul", "/care/fhir", verb="scan")
    assert SEEN in hospital.get("nell", "/patients/4")
    answer = ehr.web.delete("/fhir/Practitioner/dr-nell", headers=ehr.headers)
    assert answer.status_code < 300, answer.text
    assert HIDDEN in hospital.get("nell", "/patients/4"), "the practitioner was deleted"


def test_the_start_and_the_end_of_a_period_may_be_partial_dates() -> None:
    team = {"resourceType": "CareTeam", "status": "active", "period": {"start": "2024", "end": "2024-02"}}
    found = participations({**team, "participant": [{"member": {"reference": "Practitioner/x"}}]})
    assert (found[0].start, found[0].end) == ("2024-01-01T00:00:00+00:00", "2024-02-29T23:59:59+00:00")
    assert participations({**team, "status": "proposed", "participant": [{"member": {"reference": "Practitioner/x"}}]}) == []
