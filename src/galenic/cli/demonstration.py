"""The demonstration on public data."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import flows, records
from galenic.cli import show
from galenic.generators import SynthesisRequest
from galenic.installation import open_installation
from galenic.release import report_page

top_level = typer.Typer()


@top_level.command(epilog="Example: galenic demo")
def demo(folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("galenic-demo")) -> None:
    """Run a complete example on public data: synthesize, measure, sign, release and verify. Takes about a minute."""
    records.demo_table()
    place = folder.absolute()
    installation = open_installation(place / "home")
    show.messages.print("RAND Health Insurance Experiment: 20,190 person-years of 5,912 people. epsilon 1, unit: the person.")
    cost = flows.estimate_cost(records.demo_table(), SynthesisRequest())
    show.messages.print(f"About {cost.seconds:.0f} s and {cost.megabytes:.0f} MB.")
    target = _free_folder(place / "release")
    with show.progress() as progress:
        done = flows.run_demo(installation, target, progress=progress)
    show.decision(done.result.decision)
    show.out.print("\nsigned by the demo, not by people (two throw-away keys)")
    show.out.print("[green]VERIFIED[/] offline:")
    for line in done.checked:
        show.out.print(f"  {line}")
    show.out.print("\nThe public policy refuses the same release:")
    show.out.print(f"  [red]REFUSED[/] {done.refusal}")
    show.out.print(f"\nCard for anyone:        {done.folder / 'card.html'}")
    show.out.print(f"Report for the signers: {report_page(done.result.folder)}")
    show.out.print(f"Check it yourself:      python {done.folder / 'verify_release.py'} {done.folder}")


def _free_folder(folder: Path) -> Path:
    """The folder, or the next free name beside it: a second demonstration overwrites nothing."""
    place, n = folder, 2
    while place.exists():
        place, n = folder.with_name(f"{folder.name}-{n}"), n + 1
    return place
