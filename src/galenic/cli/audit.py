"""The commands of the audit log."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Json
from galenic.custody import changed_outside
from galenic.errors import InputError
from galenic.installation import open_installation
from galenic.security import AuditLog, to_audit_event

commands = typer.Typer(help="Show and verify the audit log.", no_args_is_help=True)


@commands.command("show", epilog="Example: galenic audit show")
def audit_show(as_json: Json = False) -> None:
    """Show the audit chain and check that it is whole."""
    log = open_installation().audit
    faults, _count = log.faults()
    if as_json:
        entries = [e.__dict__ for e in log.entries()]
        show.print_json({"intact": not faults, "why": faults or None, "head": log.head(), "entries": entries})
    else:
        for e in log.entries():
            show.out.print(f"{e.seq:>5}  {e.time}  {e.actor}  {e.action}  {e.resource}  {e.outcome}", markup=False)
        show.out.print("[green]intact[/]" if not faults else f"[red]BROKEN[/]: {faults[0]}")
    raise typer.Exit(0 if not faults else 1)


@commands.command("verify", epilog="Example: galenic audit verify --first-key first.key --witness heads.jsonl")
def audit_verify(
    first_key: Annotated[Path | None, typer.Option(help="The first key, kept offline (default: the one still here).")] = None,
    witness: Annotated[Path | None, typer.Option(help="Heads kept elsewhere (default: the installation's witness).")] = None,
    as_json: Json = False,
) -> None:
    """Check every row: chain, keyed MACs, Merkle roots, signed heads, witness. Names the first row that is wrong. Then compare
    facts and budgets in the database with what the rows say was last written."""
    installation = open_installation()
    log = installation.audit
    key = bytes.fromhex(read_text(first_key).strip()) if first_key else None
    faults, count = log.faults(key, _witness_heads(witness) if witness else None)
    changed = changed_outside(installation)
    unclosed = _unclosed_decisions(log)
    if as_json:
        show.print_json(
            {"intact": not faults, "rows": count, "faults": faults, "changed": changed, "opened, never closed": unclosed}
        )
    else:
        for fault in (*faults, *changed):
            show.out.print(fault, style="red", markup=False)
        if unclosed:
            show.out.print(f"{len(unclosed)} decisions were opened and never closed (a process died): {unclosed[:10]}")
        size, root = log.head()
        show.out.print(
            f"{'[red]BROKEN[/]' if faults or changed else '[green]INTACT[/]'}: {count} rows stand; head {size} {root[:16]}…"
        )
    raise typer.Exit(1 if faults or changed else 0)


def _witness_heads(path: Path) -> list[tuple[str, str]]:
    """(head, signature) of each line of a witness's file."""
    try:
        rows = [json.loads(line) for line in read_text(path).splitlines() if line]
        return [(str(r["head"]), str(r["signature"])) for r in rows]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} is not a witness's file. Expected one JSON object per line with head and signature."
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
def audit_proof(row: int) -> None:
    """Proof that a row is under the signed head (RFC 6962)."""
    show.print_json(open_installation().audit.proof(row))


@commands.command("events", epilog="Example: galenic audit events --after 100")
def audit_events(after: Annotated[int, typer.Option(help="Only rows after this one.")] = 0) -> None:
    """Rows as FHIR R4 AuditEvent resources, one JSON per line."""
    for entry in open_installation().audit.entries(after):
        typer.echo(json.dumps(to_audit_event(entry)))


@commands.command("public-key", epilog="Example: galenic audit public-key")
def audit_public_key() -> None:
    """The gate's public key, for auditors (base64)."""
    typer.echo(open_installation().keys.gate().public)
