"""Import of a table as a durable job. Rows are stored in steps, and an interrupted step continues at the same place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galenic import records, store
from galenic.custody import IMPORTERS, ImportPlan, ImportRequest, RowRange
from galenic.errors import UnknownNameError
from galenic.installation import Installation, open_installation
from galenic.jobs.cost import CostEstimate
from galenic.security import Session

STEP_ROWS = 50_000


def import_state(installation: Installation, kind: str, plan: ImportPlan, key: str) -> dict[str, Any]:
    """First state of an import job. kind: kind of data, the key of its importer."""
    installation.keys.get(key)
    file, request = plan.files[0], plan.request
    return {
        "home": str(installation.home),
        "kind": kind,
        "file": str(file.absolute()),
        "name": request.dataset,
        "patient": request.patient,
        "label": request.label,
        "region": request.region,
        "key": key,
        "at": 0,
        "total": records.read(file).count(),
        "rows_before": _rows(installation, request.dataset),
        "step": STEP_ROWS,
    }


def estimate_import(_installation: Installation, _session: Session, parameters: Mapping[str, Any]) -> CostEstimate:
    """Number of rows of the file. Time and memory were not measured for this kind."""
    return CostEstimate(rows=int(parameters["total"]))


def advance_import(state: dict[str, Any]) -> dict[str, Any]:
    """Runs one step: imports the next rows of the file, without those that a stopped process had stored in this step."""
    installation = open_installation(Path(state["home"]))
    try:
        importer = IMPORTERS[state.get("kind", "table")]  # jobs of earlier versions have no kind: they import tables
        stop = state["at"] + state["step"]
        stored = _rows(installation, state["name"]) - state["rows_before"]
        request = ImportRequest(state["name"], patient=state["patient"], label=state["label"], region=state["region"])
        plan = importer.plan([Path(state["file"])], request)
        rows = RowRange(state["at"], stop, skip=stored)
        importer.resume(installation, installation.sign_in(state["key"]), plan, rows)
        installation.audit.flush()
        done, total = stop >= state["total"], max(state["total"], 1)
        return {
            **state,
            "at": stop,
            "rows_before": _rows(installation, state["name"]),
            "done": done,
            "share": min(stop / total, 1.0),
        }
    finally:
        installation.close()


def _rows(installation: Installation, name: str) -> int:
    try:
        return int(str(store.dataset(installation.db, name, "home")["next_row"]))
    except UnknownNameError:
        return 0
