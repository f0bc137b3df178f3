"""Emergency access: opened from the Patients page, seen with its reason by a reviewer, who comments, finds misuse or escalates."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from galenic.custody import server_session
from galenic.errors import OptionError
from hospital_made import Hospital, a_hospital

WHY = "unconscious after a fall, allergies are not known"


@pytest.fixture
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with a_hospital(tmp_path_factory.mktemp("emergency"), patients=4) as made:
        yield made


def decision_of(hospital: Hospital) -> int:
    entries = [e for e in hospital.site.installation.audit.entries() if e.action == "gate.break-glass"]
    return entries[-1].seq


def test_the_patients_page_leads_to_an_emergency_access_that_reveals_one_record(hospital: Hospital) -> None:
    assert 'href="/emergency"' in hospital.get("clara", "/patients")
    assert 'href="/emergency"' not in hospital.get("nina", "/patients")
    page = hospital.post("clara", "/emergency", identifier="2", why=WHY)
    assert "Emergency access." in page
    assert WHY in page
    assert "Timeline" in page
    assert "Patient not found" in hospital.get("clara", "/patients/2"), "once"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"identifier": "2", "why": "urgent"}, "reason is too short", id="a short reason"),
        pytest.param({"identifier": "999", "why": WHY}, "no patient matches", id="nobody"),
        pytest.param({"name": "Smith", "why": WHY}, "both the name and the date of birth", id="a name alone"),
        pytest.param({"why": WHY}, "enter a patient ID or MRN", id="nothing to search by"),
    ],
)
def test_a_refused_emergency_access_says_what_to_do_and_keeps_what_was_typed(
    hospital: Hospital, values: dict[str, str], text: str
) -> None:
    page = hospital.post("clara", "/emergency", **values)
    assert text in page
    assert 'aria-invalid="true"' in page
    assert values["why"] in page
    assert not [e for e in hospital.site.installation.audit.entries() if e.action == "gate.break-glass"]


def test_only_a_clinician_opens_one(hospital: Hospital) -> None:
    for who in ("nina", "paul", "ines"):
        assert "this page is for the role" in hospital.post(who, "/emergency", identifier="2", why=WHY)


def test_the_reviewer_sees_reason_patient_time_and_history_and_comments(hospital: Hospital) -> None:
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    first = decision_of(hospital)
    page = hospital.get("paul", f"/reviews/{first}")
    assert WHY in page
    assert "record 1" in page
    assert "None." in page, "no earlier one"
    assert re.search(r"Documents read</dt><dd>[1-9]\d*<", page)
    text = hospital.post("paul", f"/reviews/{first}", finding="justified", comment="The ward confirmed it.")
    assert f"Emergency access {first}: justified" in text
    assert "The ward confirmed it." in text, "the history"
    hospital.post("clara", "/emergency", identifier="2", why=WHY)
    page = hospital.get("paul", f"/reviews/{decision_of(hospital)}")
    assert "The ward confirmed it." in page
    rows = [e for e in hospital.site.installation.audit.entries() if e.action == "fact.review" and e.outcome == "justified"]
    assert [e.actor for e in rows] == ["paul"]
    assert not [e for e in hospital.site.installation.audit.entries() if WHY in str(e)], "the audit log holds no reason"


def test_misuse_needs_a_comment_and_tells_the_person_and_the_security_officers(hospital: Hospital) -> None:
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    number = decision_of(hospital)
    assert "need a comment" in hospital.post("paul", f"/reviews/{number}", finding="misuse")
    assert "misuse" in hospital.post("paul", f"/reviews/{number}", finding="misuse", comment="Not on duty.")
    assert "was found to be misuse" in hospital.get("clara", "/account")
    assert f"emergency access {number} was found to be misuse" in hospital.get("sofia", "/account")
    assert "was found to be misuse" not in hospital.get("ines", "/account")


def test_an_escalated_access_waits_for_the_security_officer_and_is_closed_once(hospital: Hospital) -> None:
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    number = decision_of(hospital)
    assert "security officer other than" in hospital.post(
        "paul", f"/reviews/{number}", finding="escalated", comment="Please look.", to="clara"
    )
    assert "escalated" in hospital.post("paul", f"/reviews/{number}", finding="escalated", comment="Please look.", to="sofia")
    assert "escalated" in hospital.get("sofia", "/account")
    page = hospital.get("sofia", f"/reviews/{number}")
    assert "Please look." in page
    assert WHY in page, "M5: the officer who decides saw neither reason nor patient"
    assert "record 1" in page
    assert "closes the review" in hospital.get("paul", f"/reviews/{number}")
    assert "it was escalated to" in hospital.post("paul", f"/reviews/{number}", finding="justified")
    assert "justified" in hospital.post("sofia", f"/reviews/{number}", finding="justified", comment="Fine.")
    assert "no review of decision" in hospital.post("paul", f"/reviews/{number}", finding="misuse", comment="x")


def test_a_security_officer_who_was_not_asked_sees_no_patient(hospital: Hospital) -> None:
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    page = hospital.get("sofia", f"/reviews/{decision_of(hospital)}")
    assert WHY not in page
    assert "A privacy officer closes this review" in page


def test_misuse_needs_a_comment_in_every_way_to_review(hospital: Hospital) -> None:
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    installation = hospital.site.installation
    session = server_session(installation)
    with pytest.raises(OptionError, match="need a comment"):
        installation.gate.review(session, decision_of(hospital), "misuse", comment=" ")


def test_a_reason_is_kept_if_the_review_was_restored_first(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """M6: a review restored from the audit log, between the decision and its review, had no reason."""
    gate = hospital.site.installation.gate
    open_review = gate.reviews.open

    def restored_first(*words: Any) -> None:
        gate.reviews.restore()
        open_review(*words)

    monkeypatch.setattr(gate.reviews, "open", restored_first)
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    assert WHY in hospital.get("paul", f"/reviews/{decision_of(hospital)}")


def test_nobody_reviews_their_own_access(hospital: Hospital) -> None:
    installation = hospital.site.installation
    installation.people.grant("clara", "clara@clinic.example", "privacy-officer", by="sofia", approved="otto")
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    number = decision_of(hospital)
    assert "This is your own access" in hospital.get("clara", f"/reviews/{number}")
    assert "never by the person who used it" in hospital.post("clara", f"/reviews/{number}", finding="justified")


def test_an_access_that_was_not_reviewed_in_time_blocks_the_next_one(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galenic.security.gate.REVIEW_HOURS", 0)
    hospital.post("clara", "/emergency", identifier="1", why=WHY)
    assert "was not reviewed in time" in hospital.post("clara", "/emergency", identifier="2", why=WHY)
