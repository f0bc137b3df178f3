"""The commands of records: is it what it says it is?"""

from pathlib import Path
from typing import Annotated

import typer

from galenic import flows
from galenic.cli import show
from galenic.cli.app import Json, app


@app.command(epilog="Example: galenic check patients.ndjson.gz")
def check(
    files: Annotated[list[Path], typer.Argument(help="FHIR R4 as JSON (a resource, a Bundle) or NDJSON, plain or gzip.")],
    as_json: Json = False,
) -> int:
    """Check FHIR R4: structure, codes, dates, references, narrative, HL7's rules. Ends with 2 where something is wrong."""
    found = []
    with show.progress(as_json) as tell:
        for path in files:
            found.append(flows.check_fhir(path, tell))
    if as_json:
        show.print_json(
            [
                {
                    "file": f.source,
                    "valid": f.valid,
                    "resources": dict(f.resources),
                    "refused": f.refused,
                    "issues": [{"level": level, "rule": rule, "count": n} for (level, rule), n in f.counted.items()],
                    "shown": f.shown,
                }
                for f in found
            ]
        )
    else:
        for one in found:
            _print(one)
    return 0 if all(f.valid for f in found) else 2


def _print(found: flows.Checked) -> None:
    verdict = "valid" if found.valid else f"{found.refused} refused"
    show.out.print(f"{found.source}: {found.resources.total():,} resources, {verdict}")
    for issue in found.shown:
        count = found.counted[issue["level"], issue["rule"]]
        where = ", ".join(part for part in (issue["where"], issue["expression"]) if part)
        what = f"{where} {issue['text']}".strip()
        show.out.print(f"  {issue['level']} {issue['rule']} ({count:,}): {what}", markup=False)
