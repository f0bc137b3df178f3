"""De-identification of files and folders, in the same formats, with a report of findings, replacements and refusals."""

import secrets
from pathlib import Path

from galenic.errors import RecordError
from galenic.privacy.deidentification.files import deidentify_file, files_of, output_names
from galenic.privacy.deidentification.options import MIN_KEY_BYTES, DeidentificationOptions
from galenic.privacy.deidentification.partitions import deidentify_in_processes
from galenic.privacy.deidentification.planting.measurement import measure_planted
from galenic.privacy.deidentification.registry import deidentifier_for
from galenic.privacy.deidentification.residual_search import search_residuals, search_table_values
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun, ResidualSearch, start_run
from galenic.records import paused_gc
from galenic.schema import Progress, no_progress
from galenic.store import folder_aside, scratch_folder


def deidentify(
    paths: list[Path],
    out: Path,
    options: DeidentificationOptions | None = None,
    progress: Progress = no_progress,
) -> DeidentificationReport:
    """Write each file without identifiers into the new folder `out`.

    Formats: notes (.txt, .md), FHIR R4 (JSON, NDJSON, plain or gzip), tables (CSV, Parquet, Arrow), C-CDA (XML), DICOM, MEDS. A
    file that cannot be read or searched is not written; the report names it with the reason. Recall is measured on identifiers
    planted into copies of the input, which are deleted.
    """
    options = options or DeidentificationOptions()
    files = _existing_files(paths)
    settings = options.settings(options.key or secrets.token_bytes(MIN_KEY_BYTES))
    run = start_run(settings)
    _learn(files, run)
    names = output_names(files, run)
    by_name = dict(zip(names, files, strict=True))
    run.report.sources = {name: file.name for name, file in by_name.items()}
    with folder_aside(out) as aside, paused_gc():
        if options.workers > 1 and len(files) > 1:
            deidentify_in_processes(by_name, aside, run, settings, options)
            run.report.residual_search += ResidualSearch(fields=run.stating_records)
        else:
            _deidentify_in_turn(by_name, aside, run, progress)
        report = run.report
        report.residual_search += search_table_values([aside], [by_name[name] for _, name in report.files], run)
        if options.measured:
            progress("measuring on planted identifiers", 0.9)
            with scratch_folder(out) as scratch:
                report.planted = measure_planted(by_name, aside, run, scratch)
    return run.report


def _deidentify_in_turn(files: dict[str, Path], out: Path, run: DeidentificationRun, progress: Progress) -> None:
    for at, (name, file) in enumerate(files.items()):
        progress("de-identifying", at / len(files))
        deidentify_file(file, name, out, run)
    run.report.residual_search = search_residuals([out], run)


def _existing_files(paths: list[Path]) -> list[Path]:
    files = [f for p in paths for f in files_of(p)]
    absent = next((p for p in paths if not p.exists()), None)
    if absent is not None or not files:
        raise RecordError(
            f"{absent or paths[0]} does not exist, or contains no file. Give notes (.txt, .md), FHIR (.json, .ndjson, "
            ".gz), tables (.csv, .parquet), DICOM or MEDS files."
        )
    return files


def _learn(files: list[Path], run: DeidentificationRun) -> None:
    """Read what patients' own records state before any file is de-identified."""
    for file in files:
        deidentifier = deidentifier_for(file)
        if deidentifier is not None:
            deidentifier.learn(file, run)
    run.reserve_names()
