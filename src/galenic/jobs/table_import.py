"""An import that survives its process: rows are sealed in steps, and a step that was cut short goes on inside itself."""

from pathlib import Path
from typing import Any

from galenic import records, store
from galenic.custody import import_table
from galenic.errors import UnknownNameError
from galenic.installation import Installation, open_installation

STEP_ROWS = 50_000


def import_state(
    installation: Installation, file: Path, name: str, patient: str, key: str, *, label: str = "clinical", region: str = ""
) -> dict[str, Any]:
    """The first state of an import job."""
    installation.keys.get(key)
    total = records.read(file).count()
    return {
        "home": str(installation.home), "file": str(file.absolute()), "name": name, "patient": patient, "label": label, "region": region,
        "key": key, "at": 0, "total": total, "rows_before": _rows(installation, name), "step": STEP_ROWS,
    }  # fmt: skip


def advance_import(state: dict[str, Any]) -> dict[str, Any]:
    """One step: the next rows of the file. What a process that died had written of this step is not written twice."""
    installation = open_installation(Path(state["home"]))
    try:
        stop = state["at"] + state["step"]
        there = _rows(installation, state["name"]) - state["rows_before"]
        import_table(
            installation, installation.sign_in(state["key"]), records.read(Path(state["file"])), state["name"], patient=state["patient"],
            label=state["label"], region=state["region"], span=(state["at"], stop), skip=there,
        )  # fmt: skip
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


def jobs_url(installation: Installation) -> str:
    """Where jobs are kept: a file beside the database, or the same PostgreSQL."""
    return (
        f"sqlite:///{installation.home / 'jobs.db'}"
        if installation.db.is_sqlite
        else installation.db.url.render_as_string(hide_password=False)
    )
