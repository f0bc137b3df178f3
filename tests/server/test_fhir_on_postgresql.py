"""The same door over PostgreSQL: the database is another, what is answered is the same."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galenic import custody
from server_made import Fhir, a_server, observation, treats


def test_records_are_written_found_and_kept_apart(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", postgresql)
    with a_server(tmp_path / "home") as served:
        ehr: Fhir = served("ehr")
        for own in ("one", "two"):
            made = ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own, "name": [{"family": own.title()}]})
            assert made.status_code == 201, made.text
        entries = [
            {"resource": observation("one", value=100 + i), "request": {"method": "POST", "url": "Observation"}}
            for i in range(30)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert ehr("POST", "", bundle).status_code == 200
        changed = ehr("PUT", "/Patient/one", {"resourceType": "Patient", "id": "one", "active": True}, If_Match='W/"1"')
        assert changed.headers["etag"] == 'W/"2"'
        late = ehr("PUT", "/Patient/one", {"resourceType": "Patient", "id": "one"}, If_Match='W/"1"')
        assert late.status_code == 412
        assert ehr("GET", "/Patient/one/_history/1").json()["name"] == [{"family": "One"}]
        assert len(ehr.found("Observation?patient=one&value-quantity=ge110&_count=50")) == 20
        assert ehr.along("Observation?patient=one&_count=1&_include=Observation:subject") == {"Patient/one"}
        treats(ehr, "one", "clara")
        clara = served("clara", role="clinician", scope="user/*.rs", purposes="treatment")
        assert clara.found("Patient") == ["one"]
        assert clara("GET", "/Patient/two").status_code == 404
        assert ehr("DELETE", "/Patient/two").status_code == 204
        assert ehr("GET", "/Patient/two").status_code == 410
    with a_server(tmp_path / "home") as again:  # its index is made of what the database holds
        assert again("ehr").found("Patient") == ["one"]
        (tmp_path / "home" / "builds").rename(tmp_path / "lost")
    with a_server(tmp_path / "home") as anew:
        assert anew("ehr").found("Observation?value-quantity=105") != []


def test_servers_and_imports_that_write_at_once_lose_nothing(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", postgresql)
    with a_server(tmp_path / "home") as one, a_server(tmp_path / "home") as other:
        first, second = one("ehr"), other("ehr")

        def put(client: Fhir, own: str) -> str:
            patient = {"resourceType": "Patient", "id": own, "name": [{"family": "Muster"}]}
            assert client("PUT", f"/Patient/{own}", patient).status_code == 201
            return own

        def bring(number: int) -> list[str]:
            place = tmp_path / f"{number}.ndjson"
            names = [f"i{number}-{i}" for i in range(10)] + ["shared"]
            place.write_text("\n".join(json.dumps({"resourceType": "Patient", "id": n}) for n in names), encoding="utf-8")
            session = custody.server_session(first.installation)
            result = custody.import_fhir(first.installation, session, [place], custody.ImportRequest("records"))
            assert result.refused == 0
            return names

        put(first, "start")
        with ThreadPoolExecutor(6) as pool:
            imports = [pool.submit(bring, i) for i in range(6)]
            puts = [pool.submit(put, client, f"{n}-{i}") for i in range(10) for n, client in (("a", first), ("b", second))]
            names = {own for done in imports for own in done.result()} | {done.result() for done in puts} | {"start"}
        for client in (first, second):
            assert set(client.found("Patient?_count=200")) == names
            assert client("GET", "/Patient/b-3").status_code == 200
        assert custody.check_index(first.installation, "records").is_consistent
