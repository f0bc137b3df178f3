"""Output of an import: JSON and text for each kind of data."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from galenic import custody
from galenic.cli import show
from galenic.custody import ImportResult

SHOWN = 3  # issues of each kind in the text
WHOLE = ("reference-absolute", "profile-not-checked")  # kinds that are summaries: each is shown


def print_import(kind: str, result: ImportResult, as_json: bool) -> int:
    """Prints the result of an import; returns the exit code: 2 if documents were refused, or every file is empty."""
    to_json, to_text = REPORTS.get(kind, (_documents_json, _documents_text))
    if as_json:
        show.print_json(to_json(result))
    else:
        to_text(result)
    is_empty = kind == "fhir" and not result.seen and ("warning", "file-empty") in result.issues
    return 2 if result.refused or is_empty else 0


def _table_json(result: ImportResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "rows": result.new,
        "patients": result.patients,
        "erased": result.erased_patients,
        "erased_rows": result.erased,
    }


def _table_text(result: ImportResult) -> None:
    show.out.print(f"{result.new} rows of {result.patients} patients are in custody as “{result.dataset}”")
    if result.erased_patients:
        show.out.print(f"[yellow]{result.erased} rows of {result.erased_patients} patients were left out: erased before[/]")


def _fhir_json(result: ImportResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "seen": dict(result.seen),
        "new": result.new,
        "again": result.already_stored,
        "erased": result.erased,
        "refused": result.refused,
        "nobodys": result.without_patient,
        "unresolved": result.unresolved,
        "people": result.patients,
        "issues": [{"level": level, "rule": rule, "count": n} for (level, rule), n in result.issues.items()],
        "shown": result.examples,
        "most_shown": custody.EXAMPLES,
    }


def _fhir_text(result: ImportResult) -> None:
    show.out.print(
        f"{result.new:,} resources of {result.patients:,} people are in custody as “{result.dataset}”; "
        f"{result.already_stored:,} were there already"
    )
    show.out.print(f"came: {', '.join(f'{n:,} {kind}' for kind, n in result.seen.most_common())}", markup=False)
    for count, text in (
        (result.without_patient, "are about nobody (organisations, medications)"),
        (result.erased, "were left out: whose they are was erased before"),
        (result.unresolved, "references name by a search what is not here yet"),
        (result.refused, "resources were REFUSED, or could not be read: see below"),
    ):
        if count:
            show.out.print(f"{count:,} {text}")
    for issue, more in first_of_each(result.examples, result.issues):
        where = ", ".join(part for part in (issue["where"], issue["expression"]) if part)
        count = result.issues[issue["level"], issue["rule"]]
        show.out.print(f"  {issue['level']} {issue['rule']} ({count:,}): {where} {issue['text']}", markup=False)
        if more:
            show.out.print(f"    and {more:,} more: --json lists up to {custody.EXAMPLES:,} of each kind")


def first_of_each(examples: list[dict[str, Any]], counts: Counter[tuple[str, str]]) -> Iterator[tuple[dict[str, Any], int]]:
    """The first issues of each level and rule; with the last one shown of each, how many are kept beside those."""
    by_kind: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for issue in examples:
        by_kind.setdefault((issue["level"], issue["rule"]), []).append(issue)
    for kind, issues in by_kind.items():
        if kind[1] in WHOLE:
            yield from ((issue, 0) for issue in issues)
            continue
        last = min(SHOWN, len(issues)) - 1
        for number, issue in enumerate(issues[:SHOWN]):
            yield issue, counts[kind] - SHOWN if number == last and counts[kind] > SHOWN else 0


def _documents_json(result: ImportResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "rows": dict(result.seen),
        "new": result.new,
        "again": result.already_stored,
        "people": result.patients,
        "erased": result.erased,
        "counted": result.left_out,
        "absent": {table: differences.absent for table, differences in result.columns.items()},
        "strange": {table: differences.unknown for table, differences in result.columns.items()},
    }


def _documents_text(result: ImportResult) -> None:
    show.out.print(
        f"{result.seen.total():,} rows of {result.patients:,} people are in custody as “{result.dataset}”: {result.new:,} documents new, "
        f"{result.already_stored:,} there already"
    )
    for table, rows in result.seen.most_common():
        notes = _notes(result, table)
        show.out.print(f"  {table}: {rows:,}" + (f" ({'; '.join(notes)})" if notes else ""), markup=False)
    if result.erased:
        show.out.print(f"[yellow]{result.erased:,} documents were left out: whose they are was erased before[/]")


def _notes(result: ImportResult, table: str) -> list[str]:
    """Remarks on one table: absent and unknown columns, rows that were left out."""
    notes = []
    if table in result.columns:
        absent, unknown = result.columns[table].absent, result.columns[table].unknown
        notes += [f"without {', '.join(absent)}"] if absent else []
        notes += [f"not of the standard: {', '.join(unknown)}"] if unknown else []
    return notes + [f"{n:,} {reason}" for reason, n in result.left_out.get(table, {}).items()]


REPORTS: dict[str, tuple[Callable[[ImportResult], dict[str, Any]], Callable[[ImportResult], None]]] = {
    "table": (_table_json, _table_text),
    "fhir": (_fhir_json, _fhir_text),
}
"""JSON and text of the result, by kind of data; other kinds are shown as rows by table."""
