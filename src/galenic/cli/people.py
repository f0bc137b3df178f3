"""The commands of people: roles, approvals of exports, reviews of emergency access."""

from dataclasses import dataclass
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Key, Second, expand_options
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer(help="Grant and revoke roles, approve exports, review emergency access.", no_args_is_help=True)


@dataclass(frozen=True, kw_only=True)
class ApprovalOptions:
    """Options of `galenic people approve-export`."""

    who: Annotated[str, typer.Option(help="Key of the person who may export.")]
    purpose: Annotated[str, typer.Option(help="For what.")]
    key: Key
    second: Second
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (default: no end).")] = ""
    withdrawn: Annotated[bool, typer.Option(help="The approval is taken back.")] = False


@commands.command(epilog="Example: galenic people approve-export clinic --who rosa --purpose research --key eli --second eli2")
@expand_options
def approve_export(dataset: str, options: ApprovalOptions) -> None:
    """Record that the ethics board lets somebody export a data set for a purpose."""
    installation = open_installation()
    session = installation.sign_in(options.key, options.second)
    if options.withdrawn:
        custody.withdraw_approval(installation, session, dataset, options.who, options.purpose)
    else:
        custody.record_approval(installation, session, dataset, options.who, options.purpose, until=options.until)
    state = "no longer approved" if options.withdrawn else "approved"
    show.out.print(f"export of {dataset} by {options.who} for {options.purpose} is {state}")


@commands.command("grant-role", epilog="Example: galenic people grant-role olga security-officer")
def grant_role(account: str, role: str) -> None:
    """Give an account a role that approves, where fewer than two accounts in use have one."""
    custody.give_role_to_account(open_installation(), account, role)
    show.out.print(f"{account} is {role}")


@commands.command("revoke-role", epilog="Example: galenic people revoke-role ada clinician")
def revoke_role(key: str, role: str) -> None:
    """Take a role back; what it opened is cut."""
    custody.withdraw_role(open_installation(), key, role)
    show.out.print(f"{key} is no longer {role}")


@commands.command(epilog="Example: galenic people review-emergency 17 --key paul --finding justified")
def review_emergency(decision: int, key: Key, finding: Annotated[str, typer.Option(help="justified, or misuse.")]) -> None:
    """Close the review of an emergency access."""
    if finding not in ("justified", "misuse"):
        raise OptionError("a review finds the access justified, or misuse.")
    installation = open_installation()
    installation.gate.review(installation.sign_in(key), decision, finding)
    show.out.print(f"decision {decision}: {finding}")
