"""The commands that take identity out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import flows
from galenic.cli import show
from galenic.cli.app import Json, app
from galenic.errors import DescriptionError


@app.command(epilog="Example: galenic deidentify notes --out clean --policy safe-harbor --report report.html")
def deidentify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Notes, FHIR R4, tables, DICOM, MEDS, or folders of them."),
    ],
    out: Annotated[Path, typer.Option(help="A new folder for what comes out.")],
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
    day_first: Annotated[bool, typer.Option(help="03/04/2020 is the third of April.")] = False,
    as_json: Json = False,
) -> int:
    """Write files again without what identifies. What can not be read does not come out, and the exit code is then 2."""
    key = _key(key_file) if key_file else None
    table: dict[str, Any] = {"quasi": quasi, "sensitive": sensitive, "k": k, "l": l, "t": t, "method": method} if quasi else {}
    table |= {"fraction": fraction} if fraction else {}
    with show.progress(as_json) as tell:
        done = flows.deidentify(
            paths, out, policy=policy, language=language, model=model, key=key, day_first=day_first, table=table, progress=tell
        )
    if report:
        flows.write_deidentification(done, report)
    if as_json:
        show.print_json(flows.deidentification_json(done))
        return 2 if done.refused else 0
    held = f"{done.taken.touched:,} of {done.taken.texts:,} texts held identifiers"
    show.out.print(f"{len(done.files):,} files by policy {done.policy.name}: {held}", markup=False)
    kinds: dict[str, int] = {}
    for (kind, _layer), n in done.taken.found.items():
        kinds[kind] = kinds.get(kind, 0) + n
    for kind, n in sorted(kinds.items(), key=lambda x: -x[1]):
        how = ", ".join(sorted({t for (k, t) in done.treated if k == kind}))
        show.out.print(f"  {n:>7,} {kind:<13} {how}", markup=False)
    if done.residual is not None:
        show.out.print(f"  about {done.residual:.0f} identifiers are to be expected unfound: read a sample before this leaves")
    for where, why in done.refused[:20]:
        show.out.print(f"  did not come out: {where}: {why}", markup=False)
    return 2 if done.refused else 0


def _key(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise DescriptionError(
            f"{place} can not be read ({error.strerror}). Expected a file of at least 32 random bytes."
        ) from None
