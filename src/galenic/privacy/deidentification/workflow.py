"""Files leave their identity behind: same format out, with a report of what was found, what was done, what was refused."""

import secrets
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError, RecordError
from galenic.privacy import text
from galenic.privacy.deidentification.fhir import is_fhir, learn_fhir
from galenic.privacy.deidentification.files import files_of, in_partitions, names_for, run_for, write_one
from galenic.privacy.deidentification.residual_search import search_residuals
from galenic.privacy.deidentification.run import DeidentificationReport
from galenic.records import gc
from galenic.schema import Progress, no_progress
from galenic.store import folder_aside


def deidentify(
    places: list[Path], out: Path, *, policy: str = "safe-harbor", language: str = "en", model: str = "", key: bytes | None = None,
    day_first: bool = False, table: dict[str, Any] | None = None, workers: int = 1, engine: str = "pool", progress: Progress = no_progress,
) -> DeidentificationReport:  # fmt: skip
    """Writes each file again without what identifies, into a new folder. Notes (.txt, .md), FHIR R4 (JSON, NDJSON, plain or gzip), tables
    (CSV, Parquet, Arrow), C-CDA (XML), DICOM, MEDS data sets.

    table: of tables, over the policy's own: quasi, sensitive, k, l, t, method, fraction.
    workers: processes (engine pool) or workers of Ray (engine ray) that share the files; the same files come out.
    key: 32 bytes that make surrogates and tokens; default: new ones that are forgotten at the end, so nothing leads back.
    What can not be read or scanned does not come out; the report says which and why.
    """
    files = [f for p in places for f in files_of(p)]
    absent = next((p for p in places if not p.exists()), None)
    if absent is not None or not files:
        raise RecordError(
            f"{absent or places[0]} is not there, or holds no file. "
            "Name notes (.txt, .md), FHIR (.json, .ndjson, .gz), tables (.csv, .parquet), DICOM, MEDS."
        )
    if key is not None and len(key) < 32:
        raise DescriptionError(f"the key has {len(key)} bytes. Expected at least 32 bytes of random data.")
    plan = text.read_policy(policy)
    plan = replace(plan, table={**plan.table, **(table or {})})
    said = {
        "policy": asdict(plan),
        "language": language,
        "model": model,
        "key": (key or secrets.token_bytes(32)).hex(),
        "day_first": day_first,
    }
    run = run_for(said)
    for file in files:
        if is_fhir(file):
            learn_fhir(file, run)
    run.learned()
    names = names_for(files, run)
    with folder_aside(out) as aside, gc.paused_gc():
        if workers > 1 and len(files) > 1:
            in_partitions(files, names, aside, run, {"engine": engine, "workers": workers, "run": said})
            return run.done
        for at, (file, name) in enumerate(zip(files, names, strict=True)):
            progress("de-identifying", at / len(files))
            write_one(file, name, aside, run)
        run.done.stated = search_residuals([aside], run)
    return run.done
