"""The commands of data subjects' rights: access to the own record, erasure with a receipt."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, flows, store
from galenic.cli import show
from galenic.cli.files import read_text, require_writable, reserved, write_text
from galenic.cli.options import Json, Key, PatientId, Second, Yes
from galenic.errors import GalenicError, StateError, StoreError
from galenic.installation import open_installation
from galenic.schema import ErasureResult
from galenic.security import require_subject, verify_receipt

commands = typer.Typer()


@commands.command(epilog="Example: galenic patient access P000001 --key paul --out record.json")
def access(
    patient: PatientId,
    key: Key,
    out: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
) -> None:
    """Give a patient the own record, and the list of people who read it (GDPR articles 15 and 20)."""
    if out is not None:
        require_writable(out)
    installation = open_installation()
    session = installation.sign_in(key)
    if out is None:
        typer.echo(custody.record_text(custody.own_record(installation, session, patient)))
    else:
        custody.write_own_record(installation, session, patient, out)
        show.messages.print(f"Written to {out}")


@commands.command(epilog="Example: galenic patient erase P000001 --key paul --second paul2 --receipt receipt.json")
def erase(
    patient: PatientId,
    key: Key,
    second: Second,
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt to this file.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a patient: rows, derived copies, backups and the key, with a signed receipt (GDPR article 17).

    On a terminal the command first shows what will be erased, and asks. An erasure cannot be undone. While people have active
    accounts, two of them erase in the console.
    """
    installation = open_installation()
    custody.require_no_accounts(installation)
    session = installation.sign_in(key, second)
    if not yes and not as_json and sys.stdin.isatty():
        _confirm_erasure(custody.preview_erasure(installation, session, patient))
    with reserved(receipt), show.progress(as_json) as progress, store.only_erasure(installation.db, installation.home):
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


def _confirm_erasure(preview: custody.ErasurePreview) -> None:
    """Prints what will be erased, and asks. StateError if the answer is no."""
    kinds = {"originals": "rows of tables and events", "documents": "FHIR resources", "vault": "replaced values"}
    counts = [f"{n:,} {kinds[name]}" for name, n in preview.rows.items() if name in kinds and n]
    show.messages.print(f"This erases: {', '.join(counts) or 'no stored row'}; and the patient's key.", markup=False)
    for name, kind, place in preview.artifacts:
        reach = (
            "is erased, replaced or withdrawn"
            if place == "inside"
            else "has left the installation and is NOT erased: its holder must be told"
        )
        show.messages.print(f"  {kind} {name}: {reach}", markup=False)
    for folder, is_reached in preview.backups:
        reach = "the patient's key is removed" if is_reached else "NOT reached now; it opens only with --keys-from after a loss"
        show.messages.print(f"  backup {folder}: {reach}", markup=False)
    for place in preview.copies:
        show.messages.print(f"  copy of the database before an upgrade {place}: is deleted", markup=False)
    for name, count in preview.references.items():
        if count:
            show.messages.print(
                f"  {name}: {count:,} documents of other patients refer to this patient, and stay", markup=False
            )
    if not typer.confirm("Erase this patient? This cannot be undone", err=True):
        raise StateError("nothing was erased. Repeat the command and answer y, or give --yes.")


def _write_receipt(place: Path, erased: ErasureResult) -> StoreError | None:
    """Writes the receipt of an erasure; returns the error if that fails."""
    try:
        write_text(place, erased.envelope)
    except (GalenicError, OSError):
        return StoreError(
            f"the patient is erased, but the receipt {erased.name} could not be written to {place}. The signed receipt and its salt are "
            "on standard output instead: save both there. The receipt is also in the installation's database; the salt is nowhere else."
        )
    return None


def _print_erasure(erased: ErasureResult) -> None:
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
            "with --keys-from"
        )
    return "[red]the patient's key still opens[/]" if opens else "the patient's key is dead"


@commands.command(
    "verify-receipt",
    epilog="Example: galenic patient verify-receipt receipt.json --public gate.pub --patient-id P000001 --salt 6c1f",
)
def verify_receipt_(
    receipt: Annotated[Path, typer.Argument(help="File of the receipt.")],
    public: Annotated[Path, typer.Option(help="Public key of the installation. Get it by another way.")],
    patient_id: Annotated[str, typer.Option(help="Also check that the receipt is about this patient. Needs --salt.")] = "",
    salt: Annotated[str, typer.Option(help="Salt that galenic patient erase printed.")] = "",
) -> None:
    """Check an erasure receipt offline. Ends with 1 if it does not match."""
    facts = verify_receipt(read_text(receipt), read_text(public).strip())
    if patient_id or salt:
        require_subject(facts, patient_id, salt)
    show.print_json(facts)
