"""The commands of one patient's rights and permissions: consent, care relations, access, erasure."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show, subjects
from galenic.cli.files import read_text
from galenic.cli.options import Json, Key
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer(help="Consent, care relations, access to the own record, erasure.", no_args_is_help=True)
commands.add_typer(subjects.commands)


@commands.command(epilog="Example: galenic patient consent clinic ids.txt --purpose research --key inge")
def consent(
    dataset: str,
    patients: Annotated[Path, typer.Argument(help="Text file with one patient identifier per line.")],
    purpose: Annotated[str, typer.Option(help="What the patients agreed to.")],
    key: Key,
    withdrawn: Annotated[bool, typer.Option(help="The consent is taken back.")] = False,
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (default: no end).")] = "",
) -> None:
    """Record that patients consented to a purpose, or withdrew; a withdrawal reaches streams that are open."""
    installation = open_installation()
    names = [line.strip() for line in read_text(patients).splitlines() if line.strip()]
    session = installation.sign_in(key)
    if withdrawn:
        count = custody.withdraw_consent(installation, session, dataset, names, purpose)
    else:
        count = custody.record_consent(installation, session, dataset, names, purpose, until=until)
    show.out.print(f"{count} consents to {purpose} recorded as {'withdrawn' if withdrawn else 'given'}")


@commands.command(epilog="Example: galenic patient care-relation clinic P000001 --who ada --key inge")
def care_relation(
    dataset: str,
    patient: str,
    who: Annotated[str, typer.Option(help="Key of the person who treats the patient.")],
    key: Key,
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how long.")] = 30,
    ended: Annotated[bool, typer.Option(help="The relation is over.")] = False,
) -> None:
    """Record who treats a patient: those who treat read."""
    installation = open_installation()
    session = installation.sign_in(key)
    if not (installation.facts.of("grant", who=who) or installation.people.get(who)):
        raise OptionError(f"there is no key or account {who!r}. Name who treats the patient by their key or account.")
    if ended:
        custody.end_care_relation(installation, session, dataset, patient, who)
    else:
        custody.record_care_relation(installation, session, dataset, patient, who, days=days)
    show.out.print(f"care relation of {who} {'ended' if ended else 'recorded'}")


@commands.command(
    epilog="Example: galenic patient reveal clinic 8f0c2b1e99aa4710aa31c2d4e5f60718 --purpose patient-safety --key petra --second petra-2"
)
def reveal(
    dataset: Annotated[str, typer.Argument(help="Data set in custody that the copy was made from.")],
    token: Annotated[str, typer.Argument(help="Token in the copy.")],
    purpose: Annotated[str, typer.Option(help="patient-safety or incident.")],
    key: Annotated[str, typer.Option(help="Name of your key.")],
    second: Annotated[str | None, typer.Option(help="Name of your second key, if the access policy demands one.")] = None,
    as_json: Json = False,
) -> None:
    """Reveal the value that a token replaced. Every attempt is audited."""
    installation = open_installation()
    kind, value = custody.reveal_token(installation, installation.sign_in(key, second), dataset, token, purpose)
    installation.close()
    if as_json:
        show.print_json({"kind": kind, "value": value})
    else:
        show.out.print(f"{kind}: {value}", markup=False)
