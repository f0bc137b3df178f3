"""Consent, the data download and erasure in the console: recorded, withdrawn, previewed, and decided by two people."""

import json
import re
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from galenic.cli.app import app
from galenic.custody import require_no_accounts, require_other_person, server_session, withdraw_role
from galenic.errors import GalenicError, StateError, StoreError, VerificationError
from galenic.security import require_subject, verify_receipt
from galenic.store import only_erasure
from hospital_made import Hospital, a_hospital


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with a_hospital(tmp_path_factory.mktemp("rights"), patients=16) as made:
        yield made


def consent(hospital: Hospital, patient: str, decision: str, who: str = "paul", **more: str) -> str:
    values = {"patient": patient, "dataset": "records", "purpose": "research", "decision": decision, **more}
    return hospital.post(who, "/consent/change", **values)


def states(hospital: Hospital, patient: str) -> list[str]:
    page = hospital.post("paul", "/consent", patient=patient)
    return re.findall(r"<td>research</td><td>clinical</td><td><span[^>]*>(?:<svg.*?</svg>)?(\w+)</span>", page, re.S)


def test_a_consent_is_recorded_with_evidence_and_withdrawn(hospital: Hospital) -> None:
    assert "No consent is recorded" in hospital.post("paul", "/consent", patient="1")
    text = consent(hospital, "1", "given", until="2099-01-01", evidence="form of 4 May")
    assert "recorded as given" in text
    assert "form of 4 May" in text
    assert states(hospital, "1") == ["given"]
    facts = hospital.site.installation.facts.of("consent")
    assert "form of 4 May" not in str(facts), "evidence is kept under the patient's key"
    assert "recorded as withdrawn" in consent(hospital, "1", "withdrawn")
    assert states(hospital, "1") == ["withdrawn"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"decision": "given"}, "needs evidence", id="no evidence"),
        pytest.param({"decision": "given", "evidence": "form", "until": "2001-01-01"}, "in the past", id="a past day"),
        pytest.param({"decision": "given", "evidence": "form", "purpose": "gossip"}, "not a purpose", id="another purpose"),
        pytest.param({"decision": "perhaps", "evidence": "form"}, "neither given nor withdrawn", id="another decision"),
        pytest.param({"decision": "given", "evidence": "form", "patient": "nobody"}, "no patient", id="nobody"),
    ],
)
def test_a_wrong_consent_is_refused_with_what_to_do(hospital: Hospital, values: dict[str, str], text: str) -> None:
    before = hospital.site.installation.facts.of("consent")
    assert text in consent(hospital, values.pop("patient", "2"), values.pop("decision"), **values)
    assert hospital.site.installation.facts.of("consent") == before


def test_consents_come_by_csv_whole_or_not_at_all(hospital: Hospital) -> None:
    none = "patient,purpose,decision\n3,research,given\n"
    twice = "patient,purpose,decision,evidence\n3,research,given,form A\n3,research,withdrawn,\n"
    good = "patient,purpose,decision,evidence\n3,research,given,form A\n4,research,given,form B\n"

    def upload(text: str) -> str:
        files = {"table": ("c.csv", text.encode(), "text/csv")}
        return hospital.post("paul", "/consent/csv", dataset="records", files=files)

    assert "needs evidence" in upload(none)
    assert "twice. Remove one" in upload(twice)
    assert "Consents given</dt><dd>2" in upload(good)
    assert states(hospital, "3") == []
    bad = good + "secret,research,given,\n"
    assert "1 rows have errors" in upload(bad)
    assert "no longer valid" in hospital.post("paul", "/consent/csv/record", dataset="records", text=bad)
    assert states(hospital, "3") == []
    assert "2 consents are recorded" in hospital.post("paul", "/consent/csv/record", dataset="records", text=good)
    assert states(hospital, "4") == ["given"]


def test_only_a_privacy_officer_records_consents(hospital: Hospital) -> None:
    for who in ("ines", "clara", "sofia"):
        assert "this page is for the role" in consent(hospital, "5", "given", who=who, evidence="form")


def test_the_access_log_holds_no_accesses_to_other_patients(hospital: Hospital) -> None:
    """B16: care relations and consents of other patients were listed as accesses."""
    hospital.post("ines", "/care", clinician="clara", until="2035-01-01", patients="5")
    consent(hospital, "6", "given", evidence="form")
    page = hospital.post("paul", "/consent", patient="7")
    assert "care relation" not in page.split("Accesses, newest first")[1]
    assert "consent: given" not in page
    assert "care relation: given" in hospital.post("paul", "/consent", patient="5")


def test_the_patient_gets_all_data_as_a_file(hospital: Hospital) -> None:
    browser = hospital.browsers["paul"]
    answer = browser.web.post("/consent/download", data={"csrf": browser.csrf(), "patient": "2"})
    assert "attachment" in answer.headers["content-disposition"]
    record = answer.json()
    assert any(row["type"] == "Patient" and row["id"] == "2" for row in record["rows"]["records"])
    assert not any(row["type"] == "Patient" and row["id"] == "3" for row in record["rows"]["records"])
    assert {"consents", "looked at by", "went into"} <= set(record)


def request_erasure(hospital: Hospital, patient: str) -> str:
    page = hospital.post("paul", "/erasure/preview", patient=patient)
    assert "stored rows and documents" in page
    assert "The audit log" in page
    assert "tick the box" in hospital.post("paul", "/erasure", patient=patient, reason="letter")
    text = hospital.post("paul", "/erasure", patient=patient, reason="letter of 4 May", sure="yes")
    found = re.search(r"Erasure (\w+) is requested", text)
    assert found, text
    return found[1]


def test_an_erasure_takes_two_people_and_gives_a_receipt(hospital: Hospital) -> None:
    installation = hospital.site.installation
    name = request_erasure(hospital, "8")
    assert "is requested already" in hospital.post("paul", "/erasure", patient="8", reason="again", sure="yes")
    assert "takes two people" in hospital.post("paul", f"/erasure/{name}/decide", verb="approve")
    assert "second person has to approve" in hospital.post("paul", f"/erasure/{name}/erase")
    assert "is approved" in hospital.post("sofia", f"/erasure/{name}/decide", verb="approve")
    assert "this page is for the role" in hospital.post("sofia", f"/erasure/{name}/erase")
    text = hospital.post("paul", f"/erasure/{name}/erase")
    assert "The patient is erased" in text
    salt = re.search(r"Salt of the receipt:</strong> <code>(\w+)</code>", text)
    assert salt
    receipt = hospital.browsers["paul"].web.get(f"/erasure/{name}/receipt").text
    facts = verify_receipt(receipt, installation.keys.gate().public)
    require_subject(facts, "8", salt[1])
    assert facts["key"]["destroyed"]
    assert "no patient with this identifier" in hospital.post("paul", "/consent", patient="8")
    assert "decided already" in hospital.post("paul", f"/erasure/{name}/erase")
    assert json.loads(receipt)


def approved_erasure(hospital: Hospital, patient: str, officer: str = "sofia") -> str:
    name = request_erasure(hospital, patient)
    assert "is approved" in hospital.post(officer, f"/erasure/{name}/decide", verb="approve")
    return name


def interrupt(hospital: Hospital, name: str) -> None:
    """Ends an erasure after the key is destroyed, before its receipt is signed."""

    def stop(*_: object) -> str:
        raise StoreError("the power failed.")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("galenic.flows.erasure.sign_receipt", stop)
        assert "the power failed" in hospital.post("paul", f"/erasure/{name}/erase")


def test_an_interrupted_and_repeated_erasure_signs_a_receipt_about_the_patient(hospital: Hospital) -> None:
    """H3: the repeated erasure signed a receipt about an empty identifier, and the salt was lost with its page."""
    name = approved_erasure(hospital, "11")
    interrupt(hospital, name)
    assert "has erased rows" in hospital.post("paul", f"/erasure/{name}/decide", verb="reject")
    assert "The patient is erased" in hospital.post("paul", f"/erasure/{name}/erase")
    salt = re.search(r"Salt of the receipt:</strong> <code>(\w+)</code>", hospital.post("paul", f"/erasure/{name}/salt"))
    assert salt
    assert salt[1] not in str(hospital.site.installation.erasure_requests.get(name)), "kept sealed"
    receipt = hospital.browsers["paul"].web.get(f"/erasure/{name}/receipt").text
    facts = verify_receipt(receipt, hospital.site.installation.keys.gate().public)
    require_subject(facts, "11", salt[1])
    with pytest.raises(VerificationError):
        require_subject(facts, "", salt[1])


def test_an_interrupted_erasure_whose_approver_left_is_taken_over_and_finished_by_another_pair(hospital: Hospital) -> None:
    """H4: it could neither be rejected nor be finished."""
    people = hospital.site.installation.people
    people.grant("nina", "nina@clinic.example", "privacy-officer", by="sofia", approved="otto")
    name = approved_erasure(hospital, "12", officer="nina")
    interrupt(hospital, name)
    withdraw_role(hospital.site.installation, "nina", "privacy-officer")
    assert "no longer holds the role" in hospital.post("paul", f"/erasure/{name}/erase")
    assert "is yours now" in hospital.post("paul", f"/erasure/{name}/decide", verb="take-over")
    assert "second person has to approve" in hospital.post("paul", f"/erasure/{name}/erase")
    assert "takes two people" in hospital.post("paul", f"/erasure/{name}/decide", verb="approve")
    assert "is approved" in hospital.post("sofia", f"/erasure/{name}/decide", verb="approve")
    assert "The patient is erased" in hospital.post("paul", f"/erasure/{name}/erase")


def test_an_erasure_that_began_and_erased_nothing_can_be_rejected(hospital: Hospital) -> None:
    installation = hospital.site.installation
    name = approved_erasure(hospital, "13")

    def stop(*_: object) -> str:
        raise StoreError("the power failed.")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("galenic.store.forget", stop)
        assert "the power failed" in hospital.post("paul", f"/erasure/{name}/erase")
    assert installation.erasure_requests.get(name).state == "running"
    with only_erasure(installation.db, installation.home):
        for place, verb in (("erase", ""), ("decide", "reject"), ("decide", "take-over")):
            assert "an erasure is running" in hospital.post("paul", f"/erasure/{name}/{place}", verb=verb)
    assert "is rejected" in hospital.post("paul", f"/erasure/{name}/decide", verb="reject")
    assert "Consents" in hospital.post("paul", "/consent", patient="13")


def test_the_second_person_sees_the_reason_and_what_is_erased(hospital: Hospital) -> None:
    """M1: the second person decided without either. L12: copies of the database before upgrades were not in the preview."""
    installation = hospital.site.installation
    folder = installation.home / "before-upgrade"
    copies = installation.db.upgrade_copies
    with pytest.MonkeyPatch.context() as upgraded:
        upgraded.setattr(installation.db, "upgrade_copies", lambda: [*copies(), str(folder / "1.db")])
        name = request_erasure(hospital, "14")
        for who in ("sofia", "paul"):
            page = hospital.get(who, f"/erasure/{name}")
            assert "letter of 4 May" in page
            assert "stored rows and documents" in page
            assert "The copy of the database before an upgrade" in page
    assert 'value="approve"' in hospital.get("sofia", f"/erasure/{name}")
    assert 'value="approve"' not in hospital.get("paul", f"/erasure/{name}")
    assert "letter of 4 May" not in hospital.get("sofia", "/erasure"), "only there"
    assert "this page is for the role" in hospital.get("clara", f"/erasure/{name}")
    decisions = [e for e in installation.audit.entries() if e.action == "gate.opened" and e.actor == "sofia"]
    assert decisions[-1].detail["purpose"] == "erasure-request"
    hospital.post("paul", f"/erasure/{name}/decide", verb="reject")


def test_the_command_line_keeps_the_rules_of_two_people_once_people_have_accounts(hospital: Hospital) -> None:
    """H5: two keys of one person erased a patient, and a person recorded a care relation of their own."""
    installation = hospital.site.installation
    with pytest.raises(StateError, match="takes two of them"):
        require_no_accounts(installation)
    session = server_session(installation)
    with pytest.raises(StateError, match="second person"):
        require_other_person(installation, session, session.who)
    place = {"GALENIC_HOME": str(installation.home)}
    result = CliRunner().invoke(app, ["patient", "erase", "4", "--key", "paul", "--second", "paul2", "--yes"], env=place)
    assert isinstance(result.exception, StateError)
    assert "Consents" in hospital.post("paul", "/consent", patient="4")


def test_a_rejected_erasure_erases_nothing(hospital: Hospital) -> None:
    name = request_erasure(hospital, "9")
    assert "Nothing is erased" in hospital.post("sofia", f"/erasure/{name}/decide", verb="reject")
    assert "decided already" in hospital.post("sofia", f"/erasure/{name}/decide", verb="approve")
    assert "Consents" in hospital.post("paul", "/consent", patient="9")


def test_one_person_with_two_accounts_never_holds_request_and_approval(hospital: Hospital) -> None:
    """The database refuses it, too: request and approval of one person have one unique name."""
    from dataclasses import replace

    installation = hospital.site.installation
    name = request_erasure(hospital, "15")
    request = installation.erasure_requests.get(name).request
    forged = replace(request, key=f"{name}/approval", state="approved", who="paul-again")
    with pytest.raises(GalenicError, match="another erasure has this id"):
        installation.facts.put(forged)
    assert installation.erasure_requests.get(name).state == "requested"
    hospital.post("paul", f"/erasure/{name}/decide", verb="reject")


def test_an_approved_erasure_runs_once_however_often_it_is_sent_at_once(hospital: Hospital) -> None:
    installation = hospital.site.installation
    name = request_erasure(hospital, "10")
    outcomes: list[str] = []

    def race(work: list[tuple[str, str]]) -> None:
        barrier = threading.Barrier(len(work))

        def one(who: str, place: str) -> None:
            browser = hospital.browsers[who]
            csrf = browser.csrf()
            barrier.wait()
            answer = browser.web.post(place, data={"csrf": csrf, "verb": "approve"}, follow_redirects=True)
            outcomes.append(answer.text)

        threads = [threading.Thread(target=one, args=pair) for pair in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    race([("sofia", f"/erasure/{name}/decide"), ("paul", f"/erasure/{name}/decide"), ("sofia", f"/erasure/{name}/decide")])
    facts = [f for f in installation.facts.of("erasure") if f.key.startswith(name)]
    assert len({f.label for f in facts}) == len(facts) == 2
    outcomes.clear()
    race([("paul", f"/erasure/{name}/erase")] * 4)
    assert sum("The patient is erased" in text for text in outcomes) == 1
    erased = [e for e in installation.audit.entries() if e.action == "erased"]
    receipt = installation.erasure_requests.get(name).receipt
    assert [e.resource for e in erased].count(receipt) == 1
