"""The commands of people: roles, approvals of exports, reviews of emergency access."""

from dataclasses import dataclass
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Dataset, Key, Person, Purpose, Second, Until, Withdrawn, expand_options
from galenic.errors import OptionError
from galenic.installation import open_installation
from galenic.security import ROLES

Role = Annotated[str, typer.Argument(help=f"Role: {', '.join(ROLES)}.")]
commands = typer.Typer(help="Grant and revoke roles, approve exports, review emergency access.", no_args_is_help=True)


@dataclass(frozen=True, kw_only=True)
class ApprovalOptions:
    """Options of `galenic people approve-export`."""

    who: Person
    purpose: Purpose
    key: Key
    second: Second
    until: Until = ""
    withdrawn: Withdrawn = False


@commands.command(epilog="Example: galenic people approve-export clinic --who rosa --purpose research --key eli --second eli2")
@expand_options
def approve_export(dataset: Dataset, options: ApprovalOptions) -> None:
    """Record that the ethics board approved an export of a data set, or withdrew the approval."""
    installation = open_installation()
    session = installation.sign_in(options.key, options.second)
    if options.withdrawn:
        custody.withdraw_approval(installation, session, dataset, options.who, options.purpose)
    else:
        custody.record_approval(installation, session, dataset, options.who, options.purpose, until=options.until)
    state = "no longer approved" if options.withdrawn else "approved"
    show.out.print(f"export of {dataset} by {options.who} for {options.purpose} is {state}")


@commands.command("grant-role", epilog="Example: galenic people grant-role olga security-officer")
def grant_role(
    account: Annotated[str, typer.Argument(help="Name of the account.")],
    role: Role,
) -> None:
    """Give an account a role that approves. Works only while fewer than two active accounts have one."""
    custody.give_role_to_account(open_installation(), account, role)
    show.out.print(f"{account} is {role}")


@commands.command("revoke-role", epilog="Example: galenic people revoke-role ada clinician")
def revoke_role(
    key: Annotated[str, typer.Argument(help="Name of the key.")],
    role: Role,
) -> None:
    """Take a role away from a key. Sessions that use it end."""
    custody.withdraw_role(open_installation(), key, role)
    show.out.print(f"{key} is no longer {role}")


@commands.command(epilog="Example: galenic people review-emergency 17 --key paul --finding justified")
def review_emergency(
    decision: Annotated[int, typer.Argument(help="Number of the decision, as in: galenic audit show")],
    key: Key,
    finding: Annotated[str, typer.Option(help="Result of the review: justified or misuse.")],
    comment: Annotated[str, typer.Option(help="Why; needed for misuse. Write no patient data here.")] = "",
) -> None:
    """Record the review of an emergency access."""
    if finding not in ("justified", "misuse"):
        raise OptionError(f"{finding!r} is not a result of a review. Expected justified or misuse: --finding justified")
    installation = open_installation()
    installation.gate.review(installation.sign_in(key), decision, finding, comment=comment.strip())
    show.out.print(f"decision {decision}: {finding}")
