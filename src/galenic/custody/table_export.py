"""Export of a table's rows as CSV."""

import json
from pathlib import Path

from galenic import records, store
from galenic.installation import Installation
from galenic.security import Session


def export_table(installation: Installation, session: Session, name: str, purpose: str, target: Path) -> int:
    """Writes the rows that an access decision covers as CSV, and the decision in a file beside it; returns the number of rows.

    The copy is recorded as outside of the installation.
    """
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "export", store.resource(name), purpose) as grant:
        grant.to = str(target)
        with store.file_aside(target) as aside:
            rows = records.write_stream(store.read(installation.db, grant, dataset), aside)
            grant.beat()
        subjects = store.subjects_of(installation.db, grant, name)
        mark = {"decision": grant.decision, "watermark": grant.watermark, "dataset": name, "purpose": purpose, "rows": rows}
        artifact: store.Row = {
            "id": f"export/{grant.decision}",
            "kind": "export",
            "made_from": f"table/{name}",
            "place": "outside",
        }
        store.add_artefact(installation.db, artifact, subjects)
    with store.file_aside(target.with_name(target.name + ".decision.json")) as aside:
        aside.write_text(json.dumps(mark, indent=1), encoding="utf-8")
    return rows
