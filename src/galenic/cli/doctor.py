"""The command that checks an installation and its environment."""

from pathlib import Path

import typer

from galenic import settings, store
from galenic.cli import show
from galenic.cli.environment_checks import (
    OK,
    PROBLEM,
    WARNING,
    Check,
    certificate_check,
    extras_check,
    home_check,
    port_check,
    python_check,
    space_check,
)
from galenic.cli.installation_checks import installation_checks
from galenic.cli.options import Base, Certificate, Json, Port
from galenic.errors import GalenicError
from galenic.installation import installation_if_any

top_level = typer.Typer()
COLORS = {OK: "green", WARNING: "yellow", PROBLEM: "red"}


@top_level.command(epilog="Example: galenic doctor")
def doctor(port: Port = 8443, base: Base = "", certificate: Certificate = None, as_json: Json = False) -> int:
    """Check this installation and its environment, and print what to do. Ends with 1 if there is a problem.

    Warnings do not change the exit code. Give --port, --base and --certificate as you give them to galenic serve.
    """
    checks = _all_checks(port, base, certificate)
    counts = {state: sum(check.state == state for check in checks) for state in COLORS}
    if as_json:
        show.print_json({"counts": counts, "checks": [check.__dict__ for check in checks]})
    else:
        for check in checks:
            _print_check(check)
        show.out.print(f"Summary: {counts[OK]} ok, {counts[WARNING]} warning(s), {counts[PROBLEM]} problem(s).")
    return 1 if counts[PROBLEM] else 0


def _all_checks(port: int, base: str, certificate: Path | None) -> list[Check]:
    found = settings.load()
    checks = [python_check(), extras_check(), home_check(found), space_check(found)]
    server = ""
    try:
        installation = installation_if_any()
        if installation is None:
            checks.append(
                Check("Installation", WARNING, f"There is no installation at {found.home}.", "Create one: galenic init")
            )
        else:
            server = store.lock_holder(installation.db, installation.home, "server")
            checks += installation_checks(installation)
    except GalenicError as error:
        checks.append(Check("Installation", PROBLEM, "The installation cannot be opened.", str(error)))
    checks.append(port_check(port, server))
    return [*checks, certificate_check(certificate or found.home / "tls" / "certificate.pem", base)]


def _print_check(check: Check) -> None:
    show.out.print(f"[{COLORS[check.state]}]{check.state:<8}[/] {check.name}: ", end="")
    show.out.print(check.finding, markup=False)
    if check.advice:
        show.out.print(f"           To do: {check.advice}", markup=False)
