"""The commands that record facts for access decisions: consent, care relations, approvals, roles, reviews."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Key, Second, expand_options
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer()


@commands.command(epilog="Example: galenic consent clinic ids.txt --purpose research --key inge")
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


@commands.command(epilog="Example: galenic relate clinic P000001 --who ada --key inge")
def relate(
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


@dataclass(frozen=True, kw_only=True)
class ApprovalOptions:
    """Options of `galenic approve`."""

    who: Annotated[str, typer.Option(help="Key of the person who may export.")]
    purpose: Annotated[str, typer.Option(help="For what.")]
    key: Key
    second: Second
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (default: no end).")] = ""
    withdrawn: Annotated[bool, typer.Option(help="The approval is taken back.")] = False


@commands.command(epilog="Example: galenic approve clinic --who rosa --purpose research --key eli --second eli2")
@expand_options
def approve(dataset: str, options: ApprovalOptions) -> None:
    """Record that the ethics board lets somebody export a data set for a purpose."""
    installation = open_installation()
    session = installation.sign_in(options.key, options.second)
    if options.withdrawn:
        custody.withdraw_approval(installation, session, dataset, options.who, options.purpose)
    else:
        custody.record_approval(installation, session, dataset, options.who, options.purpose, until=options.until)
    state = "no longer approved" if options.withdrawn else "approved"
    show.out.print(f"export of {dataset} by {options.who} for {options.purpose} is {state}")


@commands.command("give-role", epilog="Example: galenic give-role olga security-officer")
def give_role(account: str, role: str) -> None:
    """Give an account a role that approves, where fewer than two accounts in use have one."""
    custody.give_role_to_account(open_installation(), account, role)
    show.out.print(f"{account} is {role}")


@commands.command("withdraw-role", epilog="Example: galenic withdraw-role ada clinician")
def withdraw_role(key: str, role: str) -> None:
    """Take a role back; what it opened is cut."""
    custody.withdraw_role(open_installation(), key, role)
    show.out.print(f"{key} is no longer {role}")


@commands.command(epilog="Example: galenic review 17 --key paul --finding justified")
def review(decision: int, key: Key, finding: Annotated[str, typer.Option(help="justified, or misuse.")]) -> None:
    """Close the review of an emergency access."""
    if finding not in ("justified", "misuse"):
        raise OptionError("a review finds the access justified, or misuse.")
    installation = open_installation()
    installation.gate.review(installation.sign_in(key), decision, finding)
    show.out.print(f"decision {decision}: {finding}")
