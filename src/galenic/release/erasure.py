"""Effect of a patient's erasure on models, copies, exports and releases."""

from collections.abc import Callable
from typing import Any

from galenic import store
from galenic.installation import Installation
from galenic.release.artifacts import ARTIFACTS
from galenic.release.run import Run
from galenic.schema import ErasureOutcome
from galenic.security import Grant

Forget = Callable[[Run, dict[str, Any]], str]


def forget(installation: Installation, _grant: Grant, subject: int) -> tuple[ErasureOutcome, ...]:
    """Applies the erasure of a subject to the artifacts of runs, and says what can be done about those outside. May be repeated."""
    by_kind: dict[str, Forget] = {"release": _release}
    by_kind |= {kind.lineage_kind: kind.forget for kind in ARTIFACTS.values()}
    rows = [row for row in store.artefacts_of(installation.db, subject) if row["kind"] in by_kind]
    return tuple(
        ErasureOutcome(str(row["id"]), str(row["kind"]), str(row["place"]), by_kind[row["kind"]](_run(installation, row), row))
        for row in rows
    )


def retrain_tasks(installation: Installation) -> list[dict[str, Any]]:
    """Models that contain an erased patient and were made without a privacy budget."""
    return [row for row in store.artefacts_in(installation.db, "retrain") if row["kind"] == "model"]


def _run(installation: Installation, artifact: dict[str, Any]) -> Run:
    """Run that made an artifact: the id of its row in store.lineage is kind/run."""
    return Run(installation, str(artifact["id"]).partition("/")[2])


def _release(run: Run, artifact: dict[str, Any]) -> str:
    """A release is outside: it can be recalled but not deleted."""
    row = run.registered
    if row is None:
        return "was not released; nothing is outside"
    if row["state"] == "recalled":
        return "outside and recalled"
    source = store.artefact(run.installation.db, str(artifact["made_from"]))
    if source is None or source["kind"] != "model":
        return f"outside: de-identified records, among them the patient's; recall it (galenic release recall {run.id})"
    if not source["private"]:
        return f"outside, made without a formal guarantee: recall it (galenic release recall {run.id})"
    return "outside: synthetic rows within a privacy budget, which bounds what they can tell of one patient; may be recalled"
