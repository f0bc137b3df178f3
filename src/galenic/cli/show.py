"""Output of commands: messages and progress to stderr; results to stdout, as text or as JSON."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from galenic.privacy import Statement
from galenic.release import Decision, report_page
from galenic.schema import NotMeasured, Report, to_json

messages = Console(stderr=True, highlight=False, emoji=False)
out = Console(highlight=False, soft_wrap=True, emoji=False)


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, indent=1) + "\n")


def protects(unit: str, *, private: bool) -> str:
    """Prints whom a run protects, as its first line, and returns the sentence."""
    sentence = f"protects each {unit}" if private else f"no formal guarantee; each {unit}"
    messages.print(escape(sentence[0].upper() + sentence[1:] + "."), soft_wrap=True)
    return sentence


@contextlib.contextmanager
def progress(hidden: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on stderr; yields the function that reports (step, share of the work that is done)."""
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=messages, disable=hidden, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)


def before_first(progress: Callable[[str, float], None], announce: Callable[[], None]) -> Callable[[str, float], None]:
    """The progress function, which calls `announce` once before its first step: the input has been checked by then."""
    waiting = [announce]

    def step(name: str, share: float) -> None:
        while waiting:
            waiting.pop()()
        progress(name, share)

    return step


def findings(report: Report) -> None:
    """A table of findings."""
    table = Table(title=f"Findings about {report.subject}", title_justify="left")
    for heading in ("finding", "value", "95 % interval", "method"):
        table.add_column(heading, overflow="fold")
    for f in report.findings:
        if isinstance(f, NotMeasured):
            table.add_row(f.name, "[yellow]not measured[/]", "", f.why)
        else:
            interval = f"{f.interval[0]:.3f} to {f.interval[1]:.3f}" if f.interval else ""
            table.add_row(f.name, f"{f.value:.4g}", interval, f.method)
    out.print(table)


def decision(d: Decision) -> None:
    """The decision, item by item."""
    verdict = "[green]ACCEPTED[/] by" if d.accepted else "[red]REFUSED[/] by"
    out.print(f"{verdict} policy “{d.policy}”")
    for item in d.items:
        color = {"met": "green", "not applicable": "yellow"}.get(item.outcome, "red")
        mark = f"[{color}]{item.outcome:<7}[/]"
        out.print(f"  {mark} {item.finding} ({item.threshold}): {item.why}")


def run(name: str, folder: Path, d: Decision) -> None:
    """The decision on a run, and the next step."""
    decision(d)
    out.print(f"Report for the signers: {report_page(folder)}")
    if d.accepted:
        out.print(f"Next: two people sign (galenic release sign {name} --key NAME), then galenic release write {name} FOLDER")


def statement(s: Statement) -> None:
    """The budget of a population with its charges."""
    out.print(
        f"[bold]{s.population}[/]: epsilon {s.epsilon_spent:.4g} of {s.epsilon_limit:g} spent at delta {s.delta:g} "
        f"(rho {s.rho_spent:.4g} of {s.rho_limit:.4g}); {s.refusals} refused attempt(s)"
    )
    for c in s.charges:
        state = "settled" if c["settled_at"] else "reserved, counts as spent"
        spent = c["rho_spent"] if c["rho_spent"] is not None else c["rho_reserved"]
        out.print(f"  {str(c['reserved_at'])[:19]}  {c['actor']}  {c['purpose']}  rho {int(str(spent)) / 1e12:.4g}  {state}")


def report_json(report: Report, d: Decision | None = None) -> dict[str, Any]:
    """The report as JSON, with the decision if there is one."""
    data: dict[str, Any] = to_json(report)
    if d is not None:
        data["decision"] = {
            "policy": d.policy,
            "accepted": d.accepted,
            "refusals": [{"finding": i.finding, "outcome": i.outcome, "threshold": i.threshold} for i in d.refusals],
        }
    return data
