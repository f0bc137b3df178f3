"""The commands of the audit log."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galenic import store
from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Json
from galenic.custody import changed_outside
from galenic.errors import InputError
from galenic.installation import open_installation
from galenic.security import AuditLog, check_audit_proof, to_audit_event

commands = typer.Typer(help="Show and verify the audit log.", no_args_is_help=True)


@commands.command("show", epilog="Example: galenic audit show")
def audit_show(as_json: Json = False) -> None:
    """Show all entries of the audit log, and check that it is complete. Ends with 1 if it is not."""
    log = open_installation().audit
    faults, _count = log.faults()
    if as_json:
        entries = [e.__dict__ for e in log.entries()]
        show.print_json({"intact": not faults, "why": faults or None, "head": log.head(), "entries": entries})
    else:
        for e in log.entries():
            show.out.print(f"{e.seq:>5}  {e.time}  {e.actor}  {e.action}  {e.resource}  {e.outcome}", markup=False)
        show.out.print("[green]INTACT[/]" if not faults else f"[red]BROKEN[/]: {faults[0]}")
    raise typer.Exit(0 if not faults else 1)


@commands.command("verify", epilog="Example: galenic audit verify --first-key first.key --witness heads.jsonl")
def audit_verify(
    first_key: Annotated[
        Path | None, typer.Option(help="File of the first key of the log. Default: the file in this installation.")
    ] = None,
    witness: Annotated[
        Path | None, typer.Option(help="File of signed heads from another place. Default: the installation's witness.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the audit log: each entry, the signed heads and the witness. Then compare permissions and budgets with the log.

    Names the first wrong entry. Ends with 1 if something was changed.
    """
    installation = open_installation()
    log = installation.audit
    key = _read_first_key(first_key) if first_key else None
    faults, count = log.faults(key, _witness_heads(witness) if witness else None)
    changed = changed_outside(installation)
    unclosed = _unclosed_decisions(log)
    running = bool(store.lock_holder(installation.db, installation.home, "server"))
    opened, interrupted = ([], unclosed) if not running else (unclosed, [])
    if as_json:
        states = {"open": opened, "interrupted": interrupted, "opened, never closed": unclosed}
        show.print_json({"intact": not faults, "rows": count, "faults": faults, "changed": changed, **states})
    else:
        for fault in (*faults, *changed):
            show.out.print(fault, style="red", markup=False)
        _print_unclosed(opened, interrupted)
        size, root = log.head()
        verdict = "[red]BROKEN[/]" if faults or changed else "[green]INTACT[/]"
        show.out.print(f"{verdict}: {count} entries verified; signed head covers {size}, root {root[:16]}…")
    raise typer.Exit(1 if faults or changed else 0)


def _print_unclosed(opened: list[int], interrupted: list[int]) -> None:
    """Prints decisions without an end: those of a running server are normal."""
    if opened:
        show.out.print(f"{len(opened)} decisions are open while the server is running (entries {opened[:10]}).")
    if interrupted:
        show.out.print(
            f"{len(interrupted)} decisions have no end: their process was stopped before it could log one (entries {interrupted[:10]})."
        )


def _read_first_key(path: Path) -> bytes:
    try:
        return bytes.fromhex(read_text(path).strip())
    except ValueError:
        raise InputError(f"{path} is not the first key of an audit log. Expected a file with one hexadecimal number.") from None


def _witness_heads(path: Path) -> list[tuple[str, str]]:
    """(head, signature) of each line of a witness's file."""
    try:
        rows = [json.loads(line) for line in read_text(path).splitlines() if line]
        return [(str(r["head"]), str(r["signature"])) for r in rows]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} is not a file of signed heads. Expected one JSON object per line with head and signature."
        ) from None


def _unclosed_decisions(log: AuditLog) -> list[int]:
    """Decisions whose grant was opened and never closed."""
    unclosed: set[int] = set()
    for entry in log.entries():
        if entry.action in ("gate.opened", "gate.break-glass"):
            unclosed.add(entry.seq)
        elif entry.action == "gate.closed":
            unclosed.discard(int(entry.detail["decision"]))
    return sorted(unclosed)


@commands.command("proof", epilog="Example: galenic audit proof 3")
def audit_proof(
    row: Annotated[int, typer.Argument(metavar="ROW", help="Number of the entry, as in: galenic audit show")],
) -> None:
    """Print a proof that an entry is in the audit log (RFC 6962). Check it with: galenic audit check-proof"""
    show.print_json(open_installation().audit.proof(row))


@commands.command("check-proof", epilog="Example: galenic audit check-proof proof.json --public gate.pub")
def audit_check_proof(
    proof: Annotated[Path, typer.Argument(help="Proof of an entry: from galenic audit proof, or from the console.")],
    public: Annotated[Path, typer.Option(help="Public key of the installation. Get it by another way.")],
    as_json: Json = False,
) -> None:
    """Check a proof offline: that the entry is in the audit log that this installation signed. Ends with 1 if it is not."""
    proved = check_audit_proof(read_text(proof), read_text(public).strip())
    if as_json:
        show.print_json({"row": proved.row, "log_size": proved.log_size, "entry": proved.entry})
        return
    show.out.print(f"[green]VERIFIED[/] entry {proved.row} is in the audit log of {proved.log_size} entries that was signed.")
    if proved.entry is None:
        show.out.print("The proof is of an earlier version and does not hold the content of the entry.")
    else:
        shown = " ".join(
            f"{name}: {proved.entry[name]}"
            for name in ("time", "actor", "action", "resource", "outcome")
            if name in proved.entry
        )
        show.out.print(f"  {shown}", markup=False)


@commands.command("events", epilog="Example: galenic audit events --after 100")
def audit_events(after: Annotated[int, typer.Option(help="Print only entries after this number.")] = 0) -> None:
    """Print entries as FHIR R4 AuditEvent resources, one JSON object per line."""
    for entry in open_installation().audit.entries(after):
        typer.echo(json.dumps(to_audit_event(entry)))


@commands.command("public-key", epilog="Example: galenic audit public-key")
def audit_public_key() -> None:
    """Print the public key of the installation (base64). Auditors verify with it."""
    typer.echo(open_installation().keys.gate().public)
