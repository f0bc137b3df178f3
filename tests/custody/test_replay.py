"""Imports, requests and erasures in any order leave what a plain replay leaves."""

import json
from pathlib import Path
from typing import Any

import pytest

from galenic import custody, flows
from replay import Actions, History
from server_made import Fhir


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_leave_what_a_plain_replay_leaves(ehr: Fhir, tmp_path: Path, seed: int) -> None:
    installation = ehr.installation
    for key in (f"paul-{seed}", f"paul2-{seed}"):
        custody.make_key(installation, key, "privacy-officer", person="Paul")

    def request(method: str, path: str, resource: dict[str, Any] | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        answer = ehr(method, path, resource, **headers)
        return answer.status_code, answer.json() if answer.content else {}

    def bring(documents: list[dict[str, Any]]) -> None:
        place = tmp_path / "in.ndjson"
        place.write_text("".join(json.dumps(d) + "\n" for d in documents), encoding="utf-8")
        session = custody.server_session(installation)
        assert custody.import_fhir(installation, session, [place], custody.ImportRequest("records")).refused == 0

    def erase(person: str) -> None:
        flows.erase(installation, installation.sign_in(f"paul-{seed}", f"paul2-{seed}"), f"records|{person}")

    actions = Actions(request, bring, erase)
    histories = [History(f"s{seed}h{i}", 1_000 * seed + i, 12) for i in range(8)]
    while histories[0].left:
        documents = [d for history in histories for d in history.step(actions)]
        bring(documents)
        assert [d for history in histories for d in history.differences(actions)] == []
    assert custody.check_index(installation, "records").is_consistent
