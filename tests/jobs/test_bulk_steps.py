"""Steps of a bulk export: what a failed step leaves."""

from typing import Any

import pytest

from galenic import store
from galenic.errors import StoreError
from galenic.installation import Installation, open_installation
from galenic.jobs import bulk_steps
from galenic.jobs.bulk_steps import advance_bulk
from galenic.security import BUILDS


def test_a_failed_first_step_drops_the_build_and_its_key(custody: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    custody.gate.begin("ada", how="job bulk", seconds=60, name="job-1")
    state = {
        "home": str(custody.home), "session": "job-1", "by": "ada", "ticket": "t", "dataset": "clinic", "level": "Patient",
        "kinds": ["Patient"], "purpose": "treatment", "since": 0,
    }  # fmt: skip
    seen: dict[str, Any] = {}

    def fail(step: Any) -> None:
        installation, build = step.installation, step.state["build"]
        number = BUILDS + int(build.rpartition("-")[2])
        (installation.shards / build).mkdir(parents=True)
        (installation.shards / build / "part").write_bytes(b"x")
        assert installation.tree.keys([number])
        assert [b["id"] for b in store.list_builds(installation.db, kind="bulk")] == [build]
        seen.update(build=build, number=number)
        raise StoreError("the disk is full.")

    monkeypatch.setattr(bulk_steps._Step, "run", fail)
    after = advance_bulk(state)
    assert (after["done"], after["error"], after["files"]) == (True, "the disk is full.", [])
    assert after["build"] == seen["build"]
    installation = open_installation(custody.home)
    assert not (installation.shards / seen["build"]).exists()
    assert store.list_builds(installation.db, kind="bulk") == []
    assert installation.tree.keys([seen["number"]]) == {}
    installation.close()


def test_a_first_step_that_is_refused_makes_no_build(custody: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    custody.gate.begin("ada", how="job bulk", seconds=60, name="job-1")
    state = {"home": str(custody.home), "session": "job-1", "by": "ada", "dataset": "clinic"}

    def refuse(*_: Any) -> None:
        raise StoreError("the subjects were not read.")

    monkeypatch.setattr(store, "subjects_of", refuse)
    assert advance_bulk(state)["error"] == "the subjects were not read."
    assert store.list_builds(custody.db, kind="bulk") == []
