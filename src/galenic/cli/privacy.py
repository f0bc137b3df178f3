"""The commands that take identity out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import flows, release
from galenic.cli import show
from galenic.cli.app import Json, app
from galenic.errors import DescriptionError
from galenic.installation import open_installation
from galenic.privacy import deidentification


@app.command(epilog="Example: galenic deidentify notes --out clean --policy safe-harbor --report report.html")
def deidentify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Notes, FHIR R4, tables, DICOM, MEDS, or folders of them."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for what comes out, for you alone. Without it: a run, to be signed and released."),
    ] = None,
    policy: Annotated[str, typer.Option(help="safe-harbor, limited-data-set, expert, or a TOML file.")] = "safe-harbor",
    report: Annotated[
        Path | None, typer.Option(help="Where to write the report: .html for people, .json for machines.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the texts: en, es.")] = "en",
    model: Annotated[str, typer.Option(help="A tagger of your own instead of the one that is shipped.")] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="32 bytes or more: the same key gives the same surrogates again.")
    ] = None,
    quasi: Annotated[
        list[str] | None, typer.Option(help="A column of a table that others may know; repeat. Rows are then made alike.")
    ] = None,
    sensitive: Annotated[str, typer.Option(help="The column that nobody may learn of a person.")] = "",
    k: Annotated[int, typer.Option(min=1, help="Rows that are alike at least.")] = 5,
    l: Annotated[int, typer.Option(min=1, help="Sensitive values among them at least.")] = 1,  # noqa: E741
    t: Annotated[float, typer.Option(min=0, max=1, help="How far their sensitive values may be from everybody's.")] = 1.0,
    method: Annotated[str, typer.Option(help="mondrian (least loss) or global (the same steps for all rows).")] = "mondrian",
    fraction: Annotated[float | None, typer.Option(min=0, max=1, help="Share of the population that the table holds.")] = None,
    rare: Annotated[
        int, typer.Option(min=0, help="Other values that fewer rows of a table share are left out (11 is usual).")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the files.")] = 1,
    engine: Annotated[str, typer.Option(help="Where they run: pool (this machine) or ray.")] = "pool",
    day_first: Annotated[bool, typer.Option(help="03/04/2020 is the third of April.")] = False,
    release_policy: Annotated[str, typer.Option(help="Without --out: what the copy must satisfy to leave.")] = "deidentified",
    where: Annotated[str, typer.Option("--from", help="file, or store: a FHIR data set in custody, past the gate.")] = "file",
    signed_in: Annotated[str | None, typer.Option("--key", help="With --from store: your key.")] = None,
    vault: Annotated[bool, typer.Option(help="With --from store: tokens lead back, by galenic reveal.")] = False,
    as_json: Json = False,
) -> int:
    """Write files again without what identifies. What can not be read does not come out, and the exit code is then 2."""
    if (
        where not in ("file", "store")
        or (where == "store") != (signed_in is not None)
        or (where == "store" and out is not None)
    ):
        raise DescriptionError(
            "--from is file, or store together with --key NAME and without --out: what is in custody leaves by release."
        )
    key = _key(key_file) if key_file else None
    table: dict[str, Any] = {"quasi": quasi, "sensitive": sensitive, "k": k, "l": l, "t": t, "method": method} if quasi else {}
    table |= ({"fraction": fraction} if fraction else {}) | ({"rare": rare} if rare else {})
    with show.progress(as_json) as tell:

        def make(place: Path) -> deidentification.DeidentificationReport:
            return deidentification.deidentify(
                paths, place, policy=policy, language=language, model=model, key=key, day_first=day_first, table=table, workers=workers,
                engine=engine, progress=tell,
            )  # fmt: skip

        if out is not None:
            done, copy = make(out), None
        else:
            installation = open_installation()
            if where == "store":
                copy = flows.deidentify_stored(
                    installation, installation.sign_in(str(signed_in)), str(paths[0]), policy=policy, release_policy=release_policy,
                    language=language,
                    vault=vault, progress=tell,
                )  # fmt: skip
            else:
                copy = release.deidentify_run(installation, make, policy=release_policy)
            done = copy.done
    if copy is not None:
        return _run(copy, done, report, as_json)
    return _written(done, report, as_json)


def _check_from(where: str, key: str | None, out: Path | None) -> None:
    if where not in ("file", "store") or (where == "store") != (key is not None) or (where == "store" and out is not None):
        raise DescriptionError(
            "--from is file, or store together with --key NAME and without --out: what is in custody leaves by release."
        )


def _written(done: deidentification.DeidentificationReport, report: Path | None, as_json: bool) -> int:
    """Says what came out, by kind: 2 where something did not."""
    if report:
        deidentification.write_report(done, report)
    if as_json:
        show.print_json(deidentification.deidentification_json(done))
        return 2 if done.refused else 0
    held = f"{done.taken.touched:,} of {done.taken.texts:,} texts held identifiers"
    show.out.print(f"{len(done.files):,} file{'s' * (len(done.files) != 1)} by policy {done.policy.name}: {held}", markup=False)
    kinds: dict[str, int] = {}
    for (kind, _layer), n in done.taken.found.items():
        kinds[kind] = kinds.get(kind, 0) + n
    for kind, n in sorted(kinds.items(), key=lambda x: -x[1]):
        how = ", ".join(sorted({t for (k, t) in done.treated if k == kind}))
        show.out.print(f"  {n:>7,} {kind:<13} {how}", markup=False)
    for one in done.risks:
        now = one["after"] or one["before"]
        known = ", ".join(one["known to others"])
        show.out.print(
            f"  {one['file']}: found by {known} with a chance of {now['prosecutor']['highest']:.2g} at most", markup=False
        )
    if done.residual is not None and done.taken.texts:
        show.out.print(f"  about {done.residual:.0f} identifiers are to be expected unfound: read a sample before this leaves")
    for place, why in done.refused[:20]:
        show.out.print(f"  did not come out: {place}: {why}", markup=False)
    return 2 if done.refused else 0


def _run(
    copy: release.DeidentifiedRun, done: deidentification.DeidentificationReport, report: Path | None, as_json: bool
) -> int:
    """Says how a run ended: 1 where its policy refused it."""
    if report:
        deidentification.write_report(done, report)
    if as_json:
        said = {"run": copy.run, "folder": str(copy.folder), **show.report_json(copy.report, copy.decision)}
        show.print_json({**said, "deidentification": deidentification.deidentification_json(done)})
    else:
        show.run(copy.run, copy.folder, copy.decision)
    return (2 if done.refused else 0) if copy.decision.accepted else 1


@app.command(
    epilog="Example: galenic reveal clinic 8f0c2b1e99aa4710aa31c2d4e5f60718 --purpose patient-safety --key petra --second petra-2"
)
def reveal(
    dataset: Annotated[str, typer.Argument(help="The data set in custody that the copy was made from.")],
    token: Annotated[str, typer.Argument(help="A token of the copy.")],
    purpose: Annotated[str, typer.Option(help="patient-safety or incident.")],
    key: Annotated[str, typer.Option(help="Your key.")],
    second: Annotated[str | None, typer.Option(help="Your second key: the house's policy asks for one.")] = None,
    as_json: Json = False,
) -> None:
    """Lead a token back to what it stands for. Every try is on the audit chain."""
    installation = open_installation()
    kind, value = flows.reveal_token(installation, installation.sign_in(key, second), dataset, token, purpose)
    installation.close()
    if as_json:
        show.print_json({"kind": kind, "value": value})
    else:
        show.out.print(f"{kind}: {value}", markup=False)


def _key(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise DescriptionError(
            f"{place} can not be read ({error.strerror}). Expected a file of at least 32 random bytes."
        ) from None
