"""The index of resources: derived, sealed, and never what is lost when it is gone."""

from pathlib import Path

import pytest

from galenic import custody, flows
from galenic.custody import ImportRequest, server_session
from galenic.custody.fhir_import import import_fhir
from galenic.generators.simulated import SimulationRequest, simulate
from server_made import Fhir, a_server, observation


def test_what_was_imported_past_the_server_is_found(ehr: Fhir, tmp_path: Path) -> None:
    simulate(SimulationRequest(3, seed=5), tmp_path / "sim", form="fhir")
    session = server_session(ehr.installation)
    done = import_fhir(ehr.installation, session, sorted((tmp_path / "sim").glob("*.ndjson")), ImportRequest("records"))
    assert done.patients == 3
    ehr.repository.catch_up()
    own = ehr.found("Patient?_tag:missing=true&_count=3")[0]
    read = ehr("GET", f"/Patient/{own}")
    assert read.status_code == 200
    assert read.json()["meta"]["versionId"] == "1"
    assert ehr("GET", f"/Observation?patient={own}&_count=1").json()["total"] > 0


def test_the_index_holds_no_text_in_clear(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        ehr.make({"resourceType": "Patient", "name": [{"family": "Kanarienvogel"}], "birthDate": "1961-02-03"})
        assert ehr.found("Patient?name=kanarien") != []
    files = [p for p in (tmp_path / "home").rglob("*") if p.is_file()]
    assert any(p.suffix == ".db" and p.parent.name == "builds" for p in files)
    for place in files:
        raw = place.read_bytes().lower()
        assert b"kanarienvogel" not in raw, place
        assert b"1961-02-03" not in raw, place


def test_a_lost_index_is_made_anew(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        own = served("ehr").make({"resourceType": "Patient", "name": [{"family": "Muster"}]})
    for place in (tmp_path / "home" / "builds").glob("resources-*"):
        place.write_bytes(b"not a database at all" * 500)
    with a_server(tmp_path / "home") as again:
        assert again("ehr").found("Patient?name=muster") == [own]


def test_an_erased_patient_is_gone_from_the_index(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        for own in ("stays", "goes"):
            ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own, "name": [{"family": own.title()}]})
            ehr.make({**observation(own), "note": [{"text": own}]})
        for key in ("paul", "paul2"):
            custody.make_key(ehr.installation, key, "privacy-officer", person="Paul")
        before = ehr.repository.index.key
        flows.erase(ehr.installation, ehr.installation.sign_in("paul", "paul2"), "records|goes")
        assert ehr("GET", "/Patient/goes").status_code in (404, 410)
        assert ehr.found("Patient") == ["stays"]
        assert ehr.found("Observation?patient=goes") == []
        assert ehr.repository.index.key != before
        assert ehr.repository.index.locate("Patient/goes")[0] is None
        assert ehr("PUT", "/Patient/goes", {"resourceType": "Patient", "id": "goes"}).status_code == 400, (
            "only by a new consent"
        )


@pytest.mark.parametrize("count", [1, 64])
def test_writes_at_once_are_all_there(ehr: Fhir, count: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    own = ehr.make({"resourceType": "Patient"})
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: ehr.make(observation(own, value=i)), range(count)))
    assert len(set(made)) == count
    assert sorted(ehr.found(f"Observation?patient={own}&_count=200")) == sorted(made)


def test_a_receipt_counts_other_patients_documents_that_refer_to_the_erased_one(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        for own, more in (("goes", {}), ("stays", {"link": [{"other": {"reference": "Patient/goes"}, "type": "seealso"}]})):
            ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own, **more})
        ehr.make(observation("goes"))
        ehr.make(observation("stays"))
        about = ehr.make({**observation("stays"), "focus": [{"reference": "Patient/goes"}]})
        for key in ("paul", "paul2"):
            custody.make_key(ehr.installation, key, "privacy-officer", person="Paul")
        done = flows.erase(ehr.installation, ehr.installation.sign_in("paul", "paul2"), "records|goes")
        assert done.facts["references_in_others_documents"] == {"records": 2}
        assert ehr("GET", f"/Observation/{about}").json()["focus"] == [{"reference": "Patient/goes"}], (
            "it is the other's record"
        )
