"""The commands of patients: consent, care relations, access, erasure."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show, subjects
from galenic.cli.files import read_text
from galenic.cli.options import Dataset, Json, Key, OptionalSecond, PatientId, Person, Purpose, Until, Withdrawn
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer(
    help="Record consent and care relations; give access to or erase a patient's record.", no_args_is_help=True
)
commands.add_typer(subjects.commands)


@commands.command(epilog="Example: galenic patient consent clinic ids.txt --purpose research --key inge")
def consent(
    dataset: Dataset,
    patients: Annotated[Path, typer.Argument(metavar="FILE", help="Text file with one patient identifier per line.")],
    purpose: Purpose,
    key: Key,
    withdrawn: Withdrawn = False,
    until: Until = "",
) -> None:
    """Record that patients consented to a purpose, or withdrew their consent. A withdrawal also stops running exports."""
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
    dataset: Dataset,
    patient: PatientId,
    who: Person,
    key: Key,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Number of days that the relation lasts.")] = 30,
    ended: Annotated[bool, typer.Option("--ended", help="Record that the relation has ended.")] = False,
) -> None:
    """Record that a person treats a patient, and may therefore read the record.

    While people have active accounts, nobody records a relation of their own: a second person approves it in the console.
    """
    installation = open_installation()
    session = installation.sign_in(key)
    if not (installation.facts.of("grant", who=who) or installation.people.get(who)):
        raise OptionError(f"there is no key or account {who!r}. Give the name of a key or account: --who NAME")
    if ended:
        custody.end_care_relation(installation, session, dataset, patient, who)
    else:
        custody.require_other_person(installation, session, who)
        custody.record_care_relation(installation, session, dataset, patient, who, days=days)
    show.out.print(f"care relation of {who} {'ended' if ended else 'recorded'}")


@commands.command(
    epilog="Example: galenic patient reveal clinic 8f0c2b1e99aa4710aa31c2d4e5f60718 --purpose patient-safety --key petra --second petra-2"
)
def reveal(
    dataset: Dataset,
    token: Annotated[str, typer.Argument(help="Token in the de-identified copy.")],
    purpose: Purpose,
    key: Key,
    second: OptionalSecond = None,
    as_json: Json = False,
) -> None:
    """Show the value that a token replaced. Purposes: patient-safety or incident. Each attempt is logged."""
    installation = open_installation()
    kind, value = custody.reveal_token(installation, installation.sign_in(key, second), dataset, token, purpose)
    installation.close()
    if as_json:
        show.print_json({"kind": kind, "value": value})
    else:
        show.out.print(f"{kind}: {value}", markup=False)
