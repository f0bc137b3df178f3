"""The commands of data subjects' rights: access to the own record, erasure with a receipt."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, flows
from galenic.cli import show
from galenic.cli.files import read_text, require_writable, reserved, write_text
from galenic.cli.options import Json, Key, Second
from galenic.errors import GalenicError, StoreError
from galenic.installation import open_installation
from galenic.security import require_subject, verify_receipt

commands = typer.Typer()


@commands.command(epilog="Example: galenic patient access P000001 --key paul --out record.json")
def access(
    patient: str,
    key: Key,
    out: Annotated[Path | None, typer.Option(help="Write here instead of to stdout.")] = None,
) -> None:
    """Everything about one patient, and who looked: for the patient (GDPR articles 15 and 20)."""
    if out is not None:
        require_writable(out)
    installation = open_installation()
    session = installation.sign_in(key)
    if out is None:
        typer.echo(custody.record_text(custody.own_record(installation, session, patient)))
    else:
        custody.write_own_record(installation, session, patient, out)
        show.messages.print(f"written to {out}")


@commands.command(epilog="Example: galenic patient erase P000001 --key paul --second paul2 --receipt receipt.json")
def erase(
    patient: str,
    key: Key,
    second: Second,
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt here.")] = None,
    as_json: Json = False,
) -> None:
    """Erase a patient: key, rows, derived copies, backups; with a signed receipt (GDPR article 17)."""
    installation = open_installation()
    session = installation.sign_in(key, second)
    with reserved(receipt), show.progress(as_json) as progress:
        erased = flows.erase(installation, session, patient, progress)
    lost = None if receipt is None else _write_receipt(receipt, erased)
    if as_json:
        show.print_json({**erased.facts, "salt": erased.salt, **({"envelope": erased.envelope} if lost else {})})
    else:
        _print_erasure(erased)
        if lost:
            typer.echo(erased.envelope)
    if lost:
        raise lost


def _write_receipt(place: Path, erased: flows.ErasureResult) -> StoreError | None:
    """Writes the receipt of an erasure; returns the error if that fails."""
    try:
        write_text(place, erased.envelope)
    except (GalenicError, OSError):
        return StoreError(
            f"the patient is erased, but the receipt {erased.name} could not be written to {place}. The signed receipt and its salt are "
            "on standard output instead: save both there. The receipt is also in the installation's database; the salt is nowhere else."
        )
    return None


def _print_erasure(erased: flows.ErasureResult) -> None:
    facts = erased.facts
    show.out.print(f"[green]ERASED[/]  {erased.name}: {facts['rows']} rows; key destroyed in {facts['key']['milliseconds']} ms")
    for artifact in facts["artefacts"]:
        show.out.print(f"  {artifact['id']}: {artifact['fate']}")
    for name, count in facts["references_in_others_documents"].items():
        number = "not counted, for want of a search index" if count is None else count
        show.out.print(f"  {name}: documents of other patients that refer to this patient, which stay: {number}")
    for backup in facts["backups"]:
        show.out.print(f"  backup {backup['folder']}: {_key_in_backup(backup['opens_with_todays_root'])}")
    if facts["log_emptied"] is False:
        show.out.print(
            "  [red]the database's log was not emptied[/], since others used it all the time: it holds sealed rows of the patient, whose "
            "key is destroyed, until the next erasure or the end of those processes"
        )
    show.out.print(f"  last escrowed older root dies: {facts['last_escrowed_older_root_dies'] or 'none is kept'}")
    show.out.print(f"  salt {erased.salt}: give it to the patient with the receipt. It is not kept here.")


def _key_in_backup(opens: bool | None) -> str:
    """Sentence about the patient's key in a backup."""
    if opens is None:
        return (
            "not checked, since it was not reached: its keys lie under older roots, and after a loss of this installation it opens only "
            "with --keys"
        )
    return "[red]the patient's key still opens[/]" if opens else "the patient's key is dead"


@commands.command(
    "verify-receipt",
    epilog="Example: galenic patient verify-receipt receipt.json --public gate.pub --patient P000001 --salt 6c1f",
)
def verify_receipt_(
    receipt: Path,
    public: Annotated[Path, typer.Option(help="The gate's public key, received by another way.")],
    patient: Annotated[str, typer.Option(help="Also check that the receipt is about this patient.")] = "",
    salt: Annotated[str, typer.Option(help="The salt that galenic patient erase printed; needed with --patient.")] = "",
) -> None:
    """Check an erasure receipt offline."""
    facts = verify_receipt(read_text(receipt), read_text(public).strip())
    if patient or salt:
        require_subject(facts, patient, salt)
    show.print_json(facts)
