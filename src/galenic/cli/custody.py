"""The commands of custody: records under lock, who may read them, and how they are erased."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from galenic import custody, flows, store
from galenic.cli import show
from galenic.cli.app import Json, Key, Second, app
from galenic.errors import DescriptionError
from galenic.installation import open_installation
from galenic.jobs import KINDS, jobs_url
from galenic.security import from_cedar, read_policy, to_audit_event, to_cedar, verify_receipt


@app.command(epilog="Example: galenic init")
def init(as_json: Json = False) -> None:
    """Found custody: root key, escrow, audit chain with its witness."""
    done = custody.initialize(open_installation())
    if as_json:
        show.print_json(done)
        return
    for what, where in done.items():
        show.out.print(f"{what}: {where}")
    show.messages.print(
        "Root, escrow and witness are in the home folder unless GALENIC_ROOT, GALENIC_ESCROW and GALENIC_WITNESS say otherwise."
    )


@app.command(epilog="Example: galenic datasets")
def datasets(as_json: Json = False) -> None:
    """List what is in custody; no patient's data."""
    found = [
        {k: d[k] for k in ("name", "kind", "tenant", "region", "label", "patient", "ids", "next_row", "imported_at")}
        for d in store.list_datasets(open_installation().db, "home")
    ]
    if as_json:
        show.print_json(found)
        return
    for d in found:
        show.out.print(f"{d['name']}  {d['kind']}  {d['label']}  {d['next_row']} rows  imported {d['imported_at']}")


@app.command(epilog="Example: galenic consent clinic ids.txt --purpose research --key inge")
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
    names = [line.strip() for line in _text(patients).splitlines() if line.strip()]
    session = installation.sign_in(key)
    if withdrawn:
        count = custody.withdraw_consent(installation, session, dataset, names, purpose)
    else:
        count = custody.record_consent(installation, session, dataset, names, purpose, until=until)
    show.out.print(f"{count} consents to {purpose} recorded as {'withdrawn' if withdrawn else 'given'}")


def _text(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(f"{place} can not be read ({type(error).__name__}). Expected a UTF-8 text file.") from None


@app.command(epilog="Example: galenic relate clinic P000001 --who ada --key inge")
def relate(
    dataset: str,
    patient: str,
    who: Annotated[str, typer.Option(help="Key of the person who treats the patient.")],
    key: Key,
    days: Annotated[int, typer.Option(help="For how long.")] = 30,
    ended: Annotated[bool, typer.Option(help="The relation is over.")] = False,
) -> None:
    """Record who treats a patient: those who treat read."""
    installation = open_installation()
    session = installation.sign_in(key)
    if ended:
        custody.end_care_relation(installation, session, dataset, patient, who)
    else:
        custody.record_care_relation(installation, session, dataset, patient, who, days=days)
    show.out.print(f"care relation of {who} {'ended' if ended else 'recorded'}")


@app.command(epilog="Example: galenic approve clinic --who rosa --purpose research --key eli --second eli2")
def approve(
    dataset: str,
    who: Annotated[str, typer.Option(help="Key of the person who may export.")],
    purpose: Annotated[str, typer.Option(help="For what.")],
    key: Key,
    second: Second,
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (default: no end).")] = "",
    withdrawn: Annotated[bool, typer.Option(help="The approval is taken back.")] = False,
) -> None:
    """Record that the ethics board lets somebody export a data set for a purpose."""
    installation = open_installation()
    session = installation.sign_in(key, second)
    if withdrawn:
        custody.withdraw_approval(installation, session, dataset, who, purpose)
    else:
        custody.record_approval(installation, session, dataset, who, purpose, until=until)
    show.out.print(f"export of {dataset} by {who} for {purpose} is {'no longer approved' if withdrawn else 'approved'}")


@app.command("withdraw-role", epilog="Example: galenic withdraw-role ada clinician")
def withdraw_role(key: str, role: str) -> None:
    """Take a role back; what it opened is cut."""
    custody.withdraw_role(open_installation(), key, role)
    show.out.print(f"{key} is no longer {role}")


@app.command(epilog="Example: galenic index clinic --purpose quality --key paul --codes sex,diabetes")
def index(
    dataset: str,
    purpose: Annotated[str, typer.Option(help="What for.")],
    key: Key,
    codes: Annotated[
        str, typer.Option(help="Text columns that hold codes, separated by commas; they stand in clear inside.")
    ] = "",
) -> None:
    """Build the search index of a data set."""
    installation = open_installation()
    built = custody.build_index(
        installation, installation.sign_in(key), dataset, purpose, codes=tuple(c for c in codes.split(",") if c)
    )
    show.out.print(f"{built['build']}: {built['rows']} rows; in clear inside the encrypted file: {', '.join(built['clear'])}")


@app.command(
    epilog="Example: galenic search clinic --where 'age_years >= 65' --where 'sex = female' --purpose treatment --key ada"
)
def search(
    dataset: str,
    purpose: Annotated[str, typer.Option(help="What for.")],
    key: Key,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN OPERATOR VALUE; repeat for more.")] = None,
    limit: Annotated[int, typer.Option(help="Most rows to show.")] = 20,
) -> None:
    """Find rows, of those that you may see for the purpose. JSON lines."""
    conditions = []
    for text in where or []:
        parts = text.split(None, 2)
        if len(parts) != 3:
            raise DescriptionError("a condition is COLUMN OPERATOR VALUE, for example: age_years >= 65")
        conditions.append((parts[0], parts[1], parts[2]))
    installation = open_installation()
    for row in custody.search_rows(installation, installation.sign_in(key), dataset, purpose, conditions, limit=limit):
        typer.echo(json.dumps(row, default=str))


@app.command(epilog="Example: galenic access P000001 --key paul --out record.json")
def access(
    patient: str,
    key: Key,
    out: Annotated[Path | None, typer.Option(help="Write here instead of to stdout.")] = None,
) -> None:
    """Everything about one patient, and who looked: for the patient (GDPR articles 15 and 20)."""
    installation = open_installation()
    found = custody.own_record(installation, installation.sign_in(key), patient)
    text = json.dumps(found, indent=1, default=str)
    if out is None:
        typer.echo(text)
    else:
        with store.file_aside(out) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
        show.messages.print(f"written to {out}")


@app.command(epilog="Example: galenic erase P000001 --key paul --second paul2 --receipt receipt.json")
def erase(
    patient: str,
    key: Key,
    second: Second,
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt here.")] = None,
    as_json: Json = False,
) -> None:
    """Erase a patient: key, rows, derived copies, backups; with a signed receipt (GDPR article 17)."""
    installation = open_installation()
    with show.progress(as_json) as tell:
        done = flows.erase(installation, installation.sign_in(key, second), patient, tell)
    if receipt is not None:
        with store.file_aside(receipt) as aside:
            aside.write_text(done.envelope, encoding="utf-8")
    if as_json:
        show.print_json(done.facts)
        return
    f = done.facts
    show.out.print(f"[green]ERASED[/]  {done.name}: {f['rows']} rows; key destroyed in {f['key']['milliseconds']} ms")
    for a in f["artefacts"]:
        show.out.print(f"  {a['id']}: {a['fate']}")
    for b in f["backups"]:
        state = "dead" if not b["opens_with_todays_root"] else "[red]still opens[/]"
        show.out.print(
            f"  backup {b['folder']}: the patient's key is {state}{'' if b['reached'] else ' (not reached: dead as a whole)'}"
        )
    show.out.print(f"  last escrowed older root dies: {f['last_escrowed_older_root_dies'] or 'none is kept'}")


@app.command("verify-receipt", epilog="Example: galenic verify-receipt receipt.json --public gate.pub")
def verify_receipt_(
    receipt: Path, public: Annotated[Path, typer.Option(help="The gate's public key, received by another way.")]
) -> None:
    """Check an erasure receipt offline."""
    show.print_json(verify_receipt(_text(receipt), _text(public).strip()))


@app.command(epilog="Example: galenic backup /mnt/backup/2026-11-21 --key sven --second sven2")
def backup(folder: Path, key: Key, second: Second) -> None:
    """Write a backup; what is erased later dies in it too."""
    installation = open_installation()
    done = custody.write_backup(installation, installation.sign_in(key, second), folder)
    show.out.print(f"{done['rows']['originals']} sealed rows in {folder}")


@app.command(epilog="Example: galenic restore /mnt/backup/2026-11-21 --key sven --second sven2")
def restore(
    folder: Path,
    key: Annotated[str | None, typer.Option(help="Name of your key; without it only into an empty installation.")] = None,
    second: Annotated[str | None, typer.Option(help="A second key of yours.")] = None,
) -> None:
    """Bring records back; whoever was erased since stays erased."""
    installation = open_installation()
    if key is None and (store.list_datasets(installation.db, "home") or next(iter(installation.facts.of("grant")), None)):
        raise DescriptionError("this installation is in use. Restore with --key and --second of a security officer.")
    counted = custody.restore_backup(installation, folder, installation.sign_in(key, second) if key else None)
    show.out.print(
        f"{counted['originals']} sealed rows are back; {counted['erased_again']} patients erased since then stay erased"
    )


@app.command("recover-root", epilog="Example: galenic recover-root escrow-private.pem")
def recover_root(private: Annotated[Path, typer.Argument(help="The escrow's private key, from the safe.")]) -> None:
    """Put the escrowed root key back, after its place was lost."""
    custody.recover_root(open_installation(), _text(private).encode())
    show.out.print("the root is back")


@app.command(epilog="Example: galenic rotate --key sven --second sven2")
def rotate(key: Key, second: Second) -> None:
    """A new root and new node keys for the whole tree."""
    installation = open_installation()
    show.out.print(f"{custody.rotate_keys(installation, installation.sign_in(key, second))} keys wrapped anew under a new root")


@app.command(epilog="Example: galenic review 17 --key paul --finding justified")
def review(decision: int, key: Key, finding: Annotated[str, typer.Option(help="justified, or misuse.")]) -> None:
    """Close the review of an emergency access."""
    if finding not in ("justified", "misuse"):
        raise DescriptionError("a review finds the access justified, or misuse.")
    installation = open_installation()
    installation.gate.review(installation.sign_in(key), decision, finding)
    show.out.print(f"decision {decision}: {finding}")


@app.command(epilog="Example: galenic jobs --work")
def jobs(
    work: Annotated[bool, typer.Option(help="Take up what dead processes left, and wait for it.")] = False,
    cancel: Annotated[str, typer.Option(help="Stop this job after its step.")] = "",
    resume: Annotated[str, typer.Option(help="Go on with this job, and wait for it.")] = "",
    as_json: Json = False,
) -> None:
    """List durable jobs; cancel or resume one."""
    installation = open_installation()
    with store.jobs.opened(jobs_url(installation), KINDS) as running:
        if cancel:
            running.cancel(cancel)
        if resume:
            running.resume(resume)
        for job in running.all():
            if (work and job.state == "PENDING") or job.id == resume:
                running.wait(job.id)
        found = [j.__dict__ for j in running.all()]
    if as_json:
        show.print_json(found)
        return
    for j in found:
        show.out.print(f"{j['id']}  {j['kind']}  {j['state']}  {j['share']:.0%}  {j['steps']} steps")


@app.command(epilog="Example: galenic metrics")
def metrics() -> None:
    """Metrics of this process in Prometheus' text format."""
    typer.echo(store.telemetry.metrics(), nl=False)


audit = typer.Typer(help="Show and check the audit chain.", invoke_without_command=True)
app.add_typer(audit, name="audit")


@audit.callback()
def audit_show(context: typer.Context, as_json: Json = False) -> None:
    """Show the audit chain and check that it is whole."""
    if context.invoked_subcommand:
        return
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


@audit.command("verify", epilog="Example: galenic audit verify --first-key first.key --witness heads.jsonl")
def audit_verify(
    first_key: Annotated[Path | None, typer.Option(help="The first key, kept offline (default: the one still here).")] = None,
    witness: Annotated[Path | None, typer.Option(help="Heads kept elsewhere (default: the installation's witness).")] = None,
    as_json: Json = False,
) -> None:
    """Check every row: chain, keyed MACs, Merkle roots, signed heads, witness. Names the first row that is wrong."""
    installation = open_installation()
    key = bytes.fromhex(_text(first_key).strip()) if first_key else None
    seen = store_heads(witness) if witness else None
    faults, count = installation.audit.faults(key, seen)
    open_passes = _unfinished(installation)
    if as_json:
        show.print_json({"intact": not faults, "rows": count, "faults": faults, "opened, never closed": open_passes})
    else:
        for fault in faults:
            show.out.print(f"[red]{fault}[/]")
        if open_passes:
            show.out.print(f"{len(open_passes)} decisions were opened and never closed (a process died): {open_passes[:10]}")
        size, root = installation.audit.head()
        show.out.print(f"{'[red]BROKEN[/]' if faults else '[green]INTACT[/]'}: {count} rows stand; head {size} {root[:16]}…")
    raise typer.Exit(1 if faults else 0)


def store_heads(place: Path) -> list[tuple[str, str]]:
    """Heads of a witness's file."""
    try:
        rows = [json.loads(line) for line in _text(place).splitlines() if line]
        return [(str(r["head"]), str(r["signature"])) for r in rows]
    except (ValueError, KeyError, TypeError):
        raise DescriptionError(
            f"{place} is not a witness's file. Expected one JSON object per line with head and signature."
        ) from None


def _unfinished(installation: Any) -> list[int]:
    opened: set[int] = set()
    for e in installation.audit.entries():
        if e.action in ("gate.opened", "gate.break-glass"):
            opened.add(e.seq)
        elif e.action == "gate.closed":
            opened.discard(int(e.detail["decision"]))
    return sorted(opened)


@audit.command("proof", epilog="Example: galenic audit proof 3")
def audit_proof(row: int) -> None:
    """Proof that a row is under the signed head (RFC 6962)."""
    show.print_json(open_installation().audit.proof(row))


@audit.command("events", epilog="Example: galenic audit events --after 100")
def audit_events(after: Annotated[int, typer.Option(help="Only rows after this one.")] = 0) -> None:
    """Rows as FHIR R4 AuditEvent resources, one JSON per line."""
    for e in open_installation().audit.entries(after):
        typer.echo(json.dumps(to_audit_event(e)))


@audit.command("public-key", epilog="Example: galenic audit public-key")
def audit_public_key() -> None:
    """The gate's public key, for auditors (base64)."""
    typer.echo(open_installation().keys.gate().public)


policy = typer.Typer(help="Who may do what: show, propose, approve, exchange with Cedar.", no_args_is_help=True)
app.add_typer(policy, name="policy")


@policy.command("show", epilog="Example: galenic policy show")
def policy_show(cedar: Annotated[bool, typer.Option("--cedar", help="As Cedar text.")] = False) -> None:
    """The policy in force."""
    active = open_installation().policies.active()
    typer.echo(to_cedar(active) if cedar else active.text)


@policy.command("propose", epilog="Example: galenic policy propose policy.toml --key sven")
def policy_propose(file: Annotated[Path, typer.Argument(help="TOML, or Cedar text (.cedar).")], key: Key) -> None:
    """Put a policy forward, after deciding the last 30 days again by it."""
    installation = open_installation()
    new = from_cedar(_text(file), name=file.stem) if file.suffix == ".cedar" else read_policy(file)
    name, replay = installation.policies.propose(new, installation.keys.get(key))
    show.out.print(f"proposed {name}; of {replay.decisions} decisions of the last 30 days:")
    show.out.print(f"  newly allowed: {replay.newly_allowed}  (audit rows {list(replay.allowed_examples)})")
    show.out.print(f"  newly denied:  {replay.newly_denied}  (audit rows {list(replay.denied_examples)})")
    show.out.print(f"A second person puts it in force: galenic policy approve {name} --key NAME")


@policy.command("approve", epilog="Example: galenic policy approve house-2-0123abcd --key paul")
def policy_approve(name: str, key: Key) -> None:
    """Put a proposed policy in force, as the second person."""
    installation = open_installation()
    done = installation.policies.approve(name, installation.keys.get(key))
    show.out.print(f"in force: {done.name} version {done.version}, {len(done.rules)} rules")
