"""De-identification of many files in several processes. The output does not depend on their number."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from galenic.privacy.deidentification.files import deidentify_file
from galenic.privacy.deidentification.options import DeidentificationOptions, RunSettings
from galenic.privacy.deidentification.residual_search import search_residuals
from galenic.privacy.deidentification.run import DeidentificationReport, DeidentificationRun, ResidualSearch, start_run
from galenic.records import paused_gc
from galenic.store import run_partitions

PARTS_PER_WORKER = 4
_FILE_COST = 4_096  # bytes that opening a file is worth


def deidentify_in_processes(
    files: dict[str, Path], out: Path, run: DeidentificationRun, settings: RunSettings, options: DeidentificationOptions
) -> None:
    """De-identify files (by output name) in `options.workers` processes and add their counts to the run's report."""
    folder = out / ".parts"
    shared = {"settings": settings.to_json(), "out": str(out), "identifiers": run.stated_identifiers}
    parts = [json.dumps({**shared, "files": part}) for part in _balanced(files, PARTS_PER_WORKER * options.workers)]
    results = run_partitions(_deidentify_part, parts, folder, engine=options.engine, workers=options.workers)
    for result in results:
        _add(run.report, json.loads(result.read_bytes()))
    shutil.rmtree(folder)
    order = {name: i for i, name in enumerate(files)}
    run.report.files.sort(key=lambda f: order[f[1]])


def _balanced(files: dict[str, Path], count: int) -> list[list[list[str]]]:
    """(path, output name) of files in parts of similar size."""
    sizes = {name: _size(file) for name, file in files.items()}
    parts: list[list[list[str]]] = [[] for _ in range(min(len(files), count))]
    loads = [0] * len(parts)
    for name, file in sorted(files.items(), key=lambda item: -sizes[item[0]]):
        smallest = loads.index(min(loads))
        parts[smallest].append([str(file.absolute()), name])
        loads[smallest] += sizes[name] + _FILE_COST
    return [part for part in parts if part]


def _size(file: Path) -> int:
    return sum(f.stat().st_size for f in file.rglob("*")) if file.is_dir() else file.stat().st_size


def _deidentify_part(raw: str) -> bytes:
    """De-identify one part in a process of its own; returns counts, never values that were found."""
    part = json.loads(raw)
    run = start_run(RunSettings.from_json(part["settings"]))
    run.stated_identifiers = {p: {k: tuple(v) for k, v in s.items()} for p, s in part["identifiers"].items()}
    run.reserve_names()
    out = Path(part["out"])
    with paused_gc():
        for file, name in part["files"]:
            deidentify_file(Path(file), name, out, run)
    run.report.residual_search = search_residuals([out / name for _, name in run.report.files], run)
    return json.dumps(_counts(run.report)).encode()


def _counts(report: DeidentificationReport) -> dict[str, Any]:
    findings = report.findings
    return {
        "files": report.files,
        "refusals": report.refusals,
        "remarks": report.remarks,
        "risks": report.risks,
        "columns": report.columns,
        "residual_search": [report.residual_search.values, report.residual_search.places, report.residual_search.fields],
        "replacements": [[*k, n] for k, n in report.replacements.items()],
        "omissions": report.omissions,
        "resources": report.resources,
        "findings": [[*k, n] for k, n in findings.counts.items()],
        "unreadable": findings.unreadable,
        "texts": [findings.texts, findings.texts_with_identifiers, findings.characters],
    }


def _add(report: DeidentificationReport, counts: dict[str, Any]) -> None:
    report.files += [(a, b) for a, b in counts["files"]]
    report.refusals += [(a, b) for a, b in counts["refusals"]]
    report.remarks += [(a, b) for a, b in counts["remarks"]]
    report.risks += counts["risks"]
    report.columns += counts["columns"]
    values, places, fields = counts["residual_search"]
    before = report.residual_search
    report.residual_search = ResidualSearch(max(before.values, values), before.places + places, before.fields + fields)
    report.replacements.update(Counter({(k, how): n for k, how, n in counts["replacements"]}))
    report.omissions.update(counts["omissions"])
    report.resources.update(counts["resources"])
    findings = report.findings
    findings.counts.update(Counter({(k, layer): n for k, layer, n in counts["findings"]}))
    findings.unreadable.update(counts["unreadable"])
    findings.texts += counts["texts"][0]
    findings.texts_with_identifiers += counts["texts"][1]
    findings.characters += counts["texts"][2]
