"""The command that de-identifies files and stored records."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import flows, release
from galenic.cli import options as shared
from galenic.cli import show
from galenic.cli.options import DetailOptions, Json, OptionalKey, ReleasePolicy, Source, expand_options
from galenic.errors import InputError, OptionError
from galenic.installation import open_installation
from galenic.privacy import deidentification
from galenic.privacy.deidentification import MINUTES_PER_FILE, DeidentificationOptions, DeidentificationReport
from galenic.schema import NotMeasured, Report

top_level = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class DetectionOptions:
    """Options of `galenic deidentify`: the policy, and how identifiers are found and replaced."""

    deidentification_policy: Annotated[
        str, typer.Option(help="Rules of de-identification. One of safe-harbor, limited-data-set, expert, or a TOML file.")
    ] = "safe-harbor"
    language: Annotated[str, typer.Option(help="Language of texts that do not state one: en or es.")] = "en"
    other_languages: Annotated[
        str, typer.Option(help="Texts in other languages: refuse the file, or redact all but measurements.")
    ] = "refuse"
    model: Annotated[str, typer.Option(help="Model file (.npz) that replaces the built-in name detector.")] = ""
    key_file: Annotated[
        Path | None, typer.Option(help="File with a secret of 32 bytes or more. The same secret gives the same replacements.")
    ] = None
    day_first: Annotated[bool, typer.Option("--day-first", help="Read 03/04/2020 as 3 April 2020.")] = False
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1
    minutes_per_file: Annotated[float, typer.Option(help="Processor minutes after which a file is refused.")] = MINUTES_PER_FILE
    engine: Annotated[str, typer.Option(help="Where the processes run: pool (this machine) or ray (a cluster).")] = "pool"


@dataclass(frozen=True, kw_only=True)
class AnonymizationOptions:
    """Options of `galenic deidentify` for tables."""

    quasi: Annotated[
        list[str] | None,
        typer.Option(help="Quasi-identifier: a column that others may know, such as age. Repeat for more."),
    ] = None
    sensitive: Annotated[str, typer.Option(help="Sensitive column, for l-diversity and t-closeness.")] = ""
    k: Annotated[int, typer.Option(min=1, help="k-anonymity: minimum number of rows in a group.")] = 5
    l: Annotated[int, typer.Option(min=1, help="l-diversity: minimum number of sensitive values in a group.")] = 1  # noqa: E741
    t: Annotated[
        float, typer.Option(min=0, max=1, help="t-closeness: maximum distance of a group's sensitive values from the table's.")
    ] = 1.0
    method: Annotated[
        str, typer.Option(help="mondrian (smallest information loss) or global (the same levels for all rows).")
    ] = "mondrian"
    fraction: Annotated[float | None, typer.Option(min=0, max=1, help="Share of the population that is in the table.")] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=KIND",
            help="Kind of a column that would be withheld otherwise. Repeat for more. KIND: category, number, date, birth, age, "
            "zip, text, patient, drop, a kind of identifier, or verbatim.",
        ),
    ] = None
    rare: Annotated[
        int, typer.Option(min=0, help="Remove values that fewer rows than this share. 11 is usual, 0 removes none.")
    ] = 0

    def section(self) -> dict[str, Any]:
        """The overrides of the policy's [table] section."""
        section: dict[str, Any] = {}
        if self.quasi:
            section = {
                "quasi": self.quasi,
                "sensitive": self.sensitive,
                "k": self.k,
                "l": self.l,
                "t": self.t,
                "method": self.method,
            }
        section |= {"columns": dict(map(_declaration, self.column))} if self.column else {}
        section |= {"fraction": self.fraction} if self.fraction else {}
        return section | ({"rare": self.rare} if self.rare else {})


def _declaration(text: str) -> tuple[str, str]:
    name, separator, kind = text.rpartition("=")
    if not separator or not name:
        raise OptionError(f"--column {text} declares nothing. Expected NAME=KIND, such as --column ward=category.")
    return name, kind


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """Options of `galenic deidentify`: the source of the records, and the destination of the copy."""

    out: Annotated[
        Path | None,
        typer.Option(help="Write the result here. Without it the copy becomes a run that two people sign and release."),
    ] = None
    report: shared.Report = None
    release_policy: ReleasePolicy = "deidentified"
    where: Source = "file"
    signed_in: OptionalKey = None
    vault: Annotated[
        bool,
        typer.Option("--vault", help="With --from store: keep replaced values, so that galenic patient reveal can show them."),
    ] = False

    def check(self) -> None:
        """OptionError if the options do not go together."""
        stored = self.where == "store"
        if self.where not in ("file", "store") or stored != (self.signed_in is not None) or (stored and self.out is not None):
            raise OptionError(
                "--from is file or store. With store, --key NAME is needed and --out is not allowed: stored data leaves only by a release."
            )


@top_level.command(
    epilog="Example: galenic deidentify notes --out clean --deidentification-policy safe-harbor --report report.html"
)
@expand_options
def deidentify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Notes, FHIR R4, tables, DICOM or MEDS files, or folders of them."),
    ],
    detection: DetectionOptions,
    anonymization: AnonymizationOptions,
    copying: CopyOptions,
    texts: DetailOptions,
    as_json: Json = False,
) -> int:
    """Remove identifiers from notes, tables, FHIR, DICOM and MEDS files.

    Ends with 2 if a file cannot be read: it is then not written. Ends with 1 if the release policy refuses the copy, or if with --out a
    name or number from the records is still in the output.
    """
    copying.check()
    details = texts.details()
    options = _options(detection, anonymization)
    with _cleaned_up_on_sigterm(), show.progress(as_json) as progress:

        def make(folder: Path) -> DeidentificationReport:
            return deidentification.deidentify(paths, folder, options, progress)

        if copying.out is not None:
            return _show_files(make(copying.out), copying.report, as_json)
        installation = open_installation()
        if copying.where == "store":
            session = installation.sign_in(str(copying.signed_in))
            request = replace(_stored_copy(str(paths[0]), detection, copying), details=details)
            copy = flows.deidentify_stored(installation, session, request, progress)
        else:
            copy = release.deidentify_run(installation, make, release.CopyRequest(copying.release_policy, details=details))
    return _show_run(copy, copying.report, as_json)


def _options(detection: DetectionOptions, anonymization: AnonymizationOptions) -> DeidentificationOptions:
    return DeidentificationOptions(
        policy=detection.deidentification_policy,
        language=detection.language,
        model=detection.model,
        key=_read_key(detection.key_file) if detection.key_file else None,
        day_first=detection.day_first,
        table=anonymization.section(),
        workers=detection.workers,
        engine=detection.engine,
        other_languages=detection.other_languages,
        minutes_per_file=detection.minutes_per_file,
    )


@contextlib.contextmanager
def _cleaned_up_on_sigterm() -> Iterator[None]:
    """Within the block SIGTERM ends the command as Ctrl+C does, so that planted copies and temporary files are deleted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stored_copy(dataset: str, detection: DetectionOptions, copying: CopyOptions) -> flows.StoredCopyRequest:
    return flows.StoredCopyRequest(
        dataset,
        policy=detection.deidentification_policy,
        release_policy=copying.release_policy,
        language=detection.language,
        vault=copying.vault,
    )


def _show_files(result: DeidentificationReport, report: Path | None, as_json: bool) -> int:
    """Print findings and refusals by kind; returns the exit code."""
    if report:
        deidentification.write_report(result, report)
    if as_json:
        show.print_json(deidentification.deidentification_json(result))
        return _exit_code(result)
    findings = result.findings
    texts = f"{findings.texts_with_identifiers:,} of {findings.texts:,} texts contained identifiers"
    files = f"{len(result.files):,} file{'s' * (len(result.files) != 1)}"
    show.out.print(f"{files} by policy {result.policy.name}: {texts}", markup=False)
    counts: dict[str, int] = {}
    for (kind, _layer), n in findings.counts.items():
        counts[kind] = counts.get(kind, 0) + n
    for kind, n in sorted(counts.items(), key=lambda x: -x[1]):
        treatments = ", ".join(sorted({t for (k, t) in result.replacements if k == kind}))
        show.out.print(f"  {n:>7,} {kind:<13} {treatments}", markup=False)
    for risk in result.risks:
        measured = risk["after"] or risk["before"]
        columns, highest = ", ".join(risk["known to others"]), measured["prosecutor"]["highest"]
        show.out.print(
            f"  {risk['file']}: re-identification risk at most {highest:.2g} for a recipient who knows {columns}", markup=False
        )
    for file, what in result.remarks[:20]:
        show.out.print(f"  {_input_name(file, result)}: {what}", markup=False)
    _show_columns(result)
    _show_measured(result)
    _show_prospect(result)
    for file, reason in result.refusals[:20]:
        show.out.print(f"  refused: {_input_name(file, result)}: {reason}", markup=False)
    return _exit_code(result)


def _exit_code(result: DeidentificationReport) -> int:
    """2 if a file was refused, else 1 if stated names or numbers are in the output, else 0."""
    return 2 if result.refusals else 1 if result.residual_search.places else 0


def _input_name(where: str, result: DeidentificationReport) -> str:
    """The place with the name of the input file: outputs and reports may have a number for it."""
    name, comma, line = where.partition(", line ")
    return result.sources.get(name, name) + comma + line


def _show_columns(result: DeidentificationReport) -> None:
    """Print columns of tables that were withheld or declared."""
    for one in result.columns[:100]:
        show.out.print(f"  {one['file']}, column {one['column']}: {one['what']}", markup=False)
    if len(result.columns) > 100:
        show.out.print(f"  {len(result.columns) - 100:,} further columns: see --report or --json", markup=False)


def _show_measured(result: DeidentificationReport) -> None:
    """Print what was measured on the input, and what the model card lets expect."""
    for item in release.residual_risk(result):
        if isinstance(item, NotMeasured):
            if item.name in ("deid.planted.recall", "deid.stated"):
                show.out.print(f"  {item.name}: not measured: {item.why}", markup=False)
        elif item.name == "deid.planted.recall":
            show.out.print(f"  {item.name}: {item.value:.3f} measured: {item.method}", markup=False)
        elif item.name == "deid.stated":
            show.out.print(f"  {item.name}: {item.value:.0f} measured: {item.method}", markup=False)
    if result.expected_missed is not None and result.findings.texts:
        corpus = result.detector_accuracy.get("what", "unseen text")
        show.out.print(
            f"  expected from the model card ({corpus}): about {result.expected_missed:.0f} identifiers missed. Read a sample before "
            "the files leave",
            markup=False,
        )


def _show_prospect(result: DeidentificationReport) -> None:
    """Print whether the shipped release policy would accept the copy, which --out leaves undecided."""
    decision = release.decide(Report("copy", tuple(release.residual_risk(result))), release.load_policy("deidentified"))
    unmet = ", ".join(f"{item.finding} ({item.outcome})" for item in decision.refusals)
    verdict = f"would refuse it: {unmet}" if unmet else "would accept it"
    show.out.print(f"  not decided by a policy, because of --out; the release policy “deidentified” {verdict}", markup=False)
    if result.residual_search.places:
        advice = (
            "Do not pass the output on: declare the columns that hold these values with --column NAME=KIND, then run again."
        )
        show.out.print(
            f"  {result.residual_search.places:,} stated names or numbers are still in the output. {advice}", markup=False
        )


def _show_run(copy: release.DeidentifiedRun, report: Path | None, as_json: bool) -> int:
    """Print the decision of the run; 1 if its policy refused it."""
    result = copy.deidentification
    if report:
        deidentification.write_report(result, report)
    if as_json:
        run = {"run": copy.run, "folder": str(copy.folder), **show.report_json(copy.report, copy.decision)}
        show.print_json({**run, "deidentification": deidentification.deidentification_json(result)})
    else:
        _show_measured(result)
        show.run(copy.run, copy.folder, copy.decision)
        _show_columns(result)
        for file, reason in result.refusals[:20]:
            show.out.print(f"  refused: {_input_name(file, result)}: {reason}", markup=False)
    return (2 if result.refusals else 0) if copy.decision.accepted else 1


def _read_key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}). Expected a file of at least 32 random bytes.") from None
