"""Content of the page of a run: summary, criteria, patients, columns, signatures, questions, and earlier runs of the same patients."""

from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.errors import GalenicError, StoreError
from galenic.installation import Installation
from galenic.release import (
    Caution,
    Criterion,
    Question,
    Run,
    RunStatus,
    list_releases,
    plain_summary,
    questions_of,
    run_cautions,
    run_criteria,
    run_statuses,
    trust_of_run,
)
from galenic.server.console.run_advice import advise

MOST_EARLIER = 10  # releases of the same patients that are listed
ORIGINS = {
    "declared": "stated by the data's owner",
    "dictionary": "from the shipped dictionary",
    "paid": "learned within the privacy budget",
    "observed": "observed in the table",
}


@dataclass(frozen=True)
class SignedLine:
    """One role of the policy: who signed in it, when, and the comment. name: empty while the signature is missing."""

    role: str
    name: str = ""
    at: str = ""
    comment: str = ""
    comment_error: str = ""


@dataclass(frozen=True)
class ComparedCriterion:
    """A criterion of this run, with the value of the previous run of the same patients."""

    now: Criterion
    before: str = ""


@dataclass(frozen=True)
class ReleaseView:
    """Everything that the page of a readable run shows beside its status."""

    summary: tuple[str, ...]
    criteria: tuple[ComparedCriterion, ...]
    cautions: tuple[Caution, ...]
    patients: str
    columns: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str], ...]
    signed: tuple[SignedLine, ...]
    questions: tuple[Question, ...]
    released: dict[str, Any]
    earlier: tuple[dict[str, Any], ...]
    previous: RunStatus | None
    keys: dict[str, str]
    advice: tuple[str, ...]


def view_run(installation: Installation, status: RunStatus) -> ReleaseView:
    """The view of a run that can be read. GalenicError where a file of its folder is damaged."""
    run = Run(installation, status.run)
    sheet, registered = run.sheet, list_releases(installation)
    previous = _previous(installation, status)
    return ReleaseView(
        summary=plain_summary(run),
        criteria=_compared(run, previous, installation),
        cautions=run_cautions(run),
        patients=_patients(installation, run, sheet),
        columns=tuple((_column(c), ORIGINS.get(c["values"], c["values"])) for c in sheet.get("columns", ())),
        dropped=(*sheet.get("dropped", {}).items(), *_treated(sheet)),
        signed=_signed(run, status),
        questions=questions_of(installation, status.run),
        released=next((r for r in registered if r["run"] == status.run), {}),
        earlier=_earlier(registered, status),
        previous=previous,
        keys=trust_of_run(run) if run.signatures else {},
        advice=advise(sheet, run.report) if status.state == "refused" else (),
    )


def _column(entry: dict[str, str]) -> str:
    table = f"{entry['table']}." if entry["table"] != "data" else ""
    return f"{table}{entry['column']} ({entry['kind']})"


def _treated(sheet: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """(column, treatment) of each column that a de-identified copy withholds or that was declared."""
    return tuple((str(c["column"]), str(c["what"])) for c in sheet.get("deidentification", {}).get("columns", ()))


def _signed(run: Run, status: RunStatus) -> tuple[SignedLine, ...]:
    lines = {}
    for signature in run.signatures:
        comment, error = "", ""
        try:
            comment = run.comment_of(signature)
        except StoreError as damaged:
            error = str(damaged)
        lines[signature.role] = SignedLine(signature.role, signature.name or signature.account, signature.at, comment, error)
    return tuple(lines.get(role, SignedLine(role)) for role in status.roles)


def _patients(installation: Installation, run: Run, sheet: dict[str, Any]) -> str:
    """Number of patients, and whether they agreed."""
    kept = next((k for k in ("model", "copy") if store.artefact(installation.db, f"{k}/{run.id}") is not None), "")
    if kept:
        count = store.count_subjects(installation.db, f"{kept}/{run.id}")
        agreed = "each with a consent for synthetic data" if kept == "model" else "as the access decision allowed"
        return f"{count:,} patients of the encrypted record store, {agreed}."
    split = sheet.get("split", {})
    rows = "Patients"
    if "train_rows" in split:
        rows = f"{int(split['train_rows']):,} rows to learn from and {int(split['test_rows']):,} held-out rows"
    return f"{rows} of files. Galenic does not hold these patients' consents: the requester answers for the right to use the files."


def _same_patients(one: str, other: str) -> bool:
    return bool(one) and one == other and not one.startswith("none")


def _earlier(registered: list[dict[str, Any]], status: RunStatus) -> tuple[dict[str, Any], ...]:
    rows = (
        r for r in reversed(registered) if _same_patients(str(r["population"]), status.population) and r["run"] != status.run
    )
    return tuple(r for r, _ in zip(rows, range(MOST_EARLIER), strict=False))


def _previous(installation: Installation, status: RunStatus) -> RunStatus | None:
    """The latest earlier run of the same patients that can be read."""
    if not _same_patients(status.population, status.population):
        return None  # a run without a population has no patients to compare
    runs = (r for r in run_statuses(installation) if r.run < status.run and r.state != "unreadable")
    return next((r for r in runs if _same_patients(r.population, status.population)), None)


def _compared(run: Run, previous: RunStatus | None, installation: Installation) -> tuple[ComparedCriterion, ...]:
    before: dict[str, str] = {}
    if previous is not None:
        try:
            before = {c.name: c.value for c in run_criteria(Run(installation, previous.run))}
        except (GalenicError, LookupError, TypeError, ValueError):  # the page of that run tells of the damage
            before = {}
    return tuple(ComparedCriterion(c, before.get(c.name, "")) for c in run_criteria(run))
