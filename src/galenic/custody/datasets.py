"""Records go into custody and come out of it: init, import, read for training, search, consent, care relations."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic import records, store
from galenic.errors import AccessDeniedError, DescriptionError, RecordError, StoreError
from galenic.installation import Installation
from galenic.records import Source
from galenic.schema import Progress, no_progress
from galenic.security import BUILDS, Fact, Grant, Session, shipped_policy

IMPORT_ROWS = 2_000


@dataclass(frozen=True)
class Imported:
    """What an import did. erased: patients left out because they were erased before."""

    dataset: str
    rows: int
    patients: int
    erased: int
    erased_rows: int


def initialize(installation: Installation) -> dict[str, str]:
    """Founds custody: the root key, its escrow, the house's own keys, the audit chain with its witness. Again: changes nothing."""
    installation.tree.found()
    installation.gate.identity_key()
    installation.audit.append("house.founded", "house", policy=shipped_policy().digest)
    return {
        "home": str(installation.home),
        "escrow private key (take it off this machine)": str(installation.escrow.private),
        "first audit key (take it off this machine)": str(installation.audit.first_key),
        "gate public key (for auditors)": installation.keys.gate().public,
        "witness": ", ".join(map(str, installation.audit.witness.files)) or "syslog",
    }


def grant_role(
    installation: Installation,
    key: str,
    role: str,
    *,
    person: str = "",
    tenant: str = "home",
    region: str = "",
    until: str = "",
) -> None:
    """Gives a registered key a role in this installation. person: who stands behind the key (default: this system's user)."""
    made = installation.keys.get(key)
    body = (("fingerprint", made.fingerprint), ("person", person or installation.actor), ("region", region), ("tenant", tenant))
    installation.facts.put(Fact("grant", f"{key}/{role}", "given", key, label=role, until=until, body=body))
    installation.gate.versions.look_again()


def withdraw_role(installation: Installation, key: str, role: str) -> None:
    """Takes a role back; streams that it opened are cut."""
    fact = installation.facts.one("grant", f"{key}/{role}")
    if fact is None:
        raise DescriptionError(f"key {key!r} does not hold the role {role!r}. See: galenic who {key}")
    installation.facts.put(Fact("grant", fact.key, "withdrawn", fact.who, label=fact.label, body=fact.body))
    installation.gate.versions.look_again()


def import_table(
    installation: Installation,
    session: Session,
    source: Source,
    name: str,
    *,
    patient: str,
    label: str = "clinical",
    region: str = "",
    progress: Progress = no_progress,
    span: tuple[int, int] | None = None,
    skip: int = 0,
    mapping: str = "",
) -> Imported:
    """Brings a table into custody, batch by batch; an import that stops keeps the whole batches it has written.

    Rows of patients who were erased are left out and counted: they come back only by an explicit new consent.
    mapping: what its columns are as events (TOML), kept with it.
    span: only these rows of the file, first and one past the last; skip: so many of their rows are in custody already.
    """
    if patient not in source.names:
        raise DescriptionError(
            f"column {patient!r} is absent in {source.name}; it has {list(source.names)}. Name the patient column."
        )
    total, rows, left_out = source.count(), 0, 0
    kinds: dict[str, str] = {c.name: c.kind for c in records.describe(source)}
    people: set[int] = set()
    gone: set[str] = set()
    about: dict[str, object] = {"name": name, "region": region, "label": label, "patient": patient, "mapping": mapping}
    with installation.gate.open(session, "import", store.resource(name), "records") as handle:
        known: store.Dataset | None = None
        for first, part in _parts(source, span):
            batch = _storable(part)
            known = known or describe_dataset(installation, handle, about, batch.schema, kinds)
            identifiers = _identifiers(batch, patient, first, rows)
            ids, erased = store.admit(installation.db, handle, known, identifiers)
            keep = [i for i, v in enumerate(identifiers) if v in ids]
            gone |= erased
            left_out += len(identifiers) - len(keep)
            skip, keep = max(skip - len(keep), 0), keep[skip:]
            who = [ids[identifiers[i]] for i in keep]
            if keep:
                rows += store.write(installation.db, handle, known, batch.take(pa.array(keep)), who)
                store.add_artefact(installation.db, {"id": f"table/{name}", "kind": "table", "made_from": ""}, who)
            people |= set(who)
            progress("sealing", rows / max(total, 1))
    installation.gate.versions.look_again()
    return Imported(name, rows, len(people), len(gone), left_out)


def _parts(source: Source, span: tuple[int, int] | None) -> Iterator[tuple[int, pa.Table]]:
    """(number of the first row, rows) of each part of a file that lies in the span, a few thousand rows each."""
    for offset, raw in source.raw():
        for start in range(0, raw.num_rows, IMPORT_ROWS):
            part = _within(raw.slice(start, IMPORT_ROWS), offset + start, span)
            if part is not None:
                yield max(offset + start, span[0] if span else 0), part


def _identifiers(batch: pa.Table, patient: str, first: int, rows: int) -> list[str]:
    """Whose each row is. RecordError where a row does not say."""
    identifiers: list[str | None] = batch[patient].cast(pa.string()).to_pylist()
    empty = next((i for i, v in enumerate(identifiers) if v is None or v == ""), None)
    if empty is not None:
        raise RecordError(
            f"row {first + empty + 1} has no value in the patient column {patient!r}. Every row needs one: "
            f"fill it in, or leave the row out. {rows} rows before it are in custody."
        )
    return [str(v) for v in identifiers]


def describe_dataset(
    installation: Installation, handle: Grant, row: dict[str, object], schema: pa.Schema, kinds: dict[str, str] | None = None
) -> store.Dataset:
    """Writes down a new data set, with whose it is as the fact that every decision about it goes by; or finds the one that stands."""
    name = str(row["name"])
    if not any(d["name"] == name for d in store.all_datasets(installation.db, handle.tenant)):
        body = (("region", str(row["region"])), ("tenant", handle.tenant))
        installation.facts.put(Fact("dataset", name, "held", handle.who, label=str(row["label"]), body=body), actor=handle.who)
        installation.gate.versions.look_again()
    elif installation.facts.one("dataset", name) is None:
        raise StoreError(
            f"the fact that says whose data set {name!r} is has gone from the database. Stop, keep the database, and call the "
            "security officer."
        )
    store.add_dataset(installation.db, handle, row, schema, kinds or {})
    return store.dataset(installation.db, name, handle.tenant)


def _within(batch: pa.Table, offset: int, span: tuple[int, int] | None) -> pa.Table | None:
    """The rows of a batch that lie in the span of rows of the file; None if there are none."""
    if span is None:
        return batch
    first, last = max(span[0] - offset, 0), min(span[1] - offset, batch.num_rows)
    return batch.slice(first, last - first) if first < last else None


def _storable(batch: pa.Table) -> pa.Table:
    """Plain types only: dictionaries, large strings and whatever Arrow can not bring back from text become strings."""
    plain = {"int64", "double", "bool", "string", "date32[day]", "timestamp[us]"}
    arrays = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_integer(kind) and kind != pa.uint64():
            column = column.cast(pa.int64())
        elif pa.types.is_floating(kind):
            column = column.cast(pa.float64())
        elif pa.types.is_timestamp(kind) and kind.tz is None:
            column = column.cast(pa.timestamp("us"))
        elif str(kind) not in plain:
            column = column.cast(pa.string())
        arrays.append(column)
    return pa.table(arrays, names=batch.column_names)


@contextlib.contextmanager
def training_source(installation: Installation, session: Session, name: str, purpose: str) -> Iterator[tuple[Source, Grant]]:
    """The table `name` as a source to learn from, while a decision to train on it stands: sealed shards under a key of their
    own, dropped at the end. A patient erased or a right withdrawn meanwhile ends it."""
    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "train", store.resource(name), purpose) as handle:
        build, number = store.next_build(installation.db, "shards", name)
        installation.tree.add([BUILDS + number])
        try:
            detail = store.build_shards(installation.db, handle, known, build, installation.shards)
            if not detail["rows"]:
                raise DescriptionError(
                    f"no row of {name!r} may be used for {purpose}: no patient in it has consented to that. Record consents: galenic consent"
                )

            def opener(names: list[str] | None) -> Iterator[pa.Table]:
                return store.read_shards(handle, known, build, detail, installation.shards, names)

            yield Source(f"store/{name}", tuple(detail["columns"]), opener), handle
        finally:
            store.drop_build(installation.db, build, installation.shards)
            installation.tree.drop(BUILDS + number)


def record_consent(
    installation: Installation,
    session: Session,
    name: str,
    patients: list[str],
    purpose: str,
    *,
    given: bool = True,
    until: str = "",
) -> int:
    """Writes down that patients consented to a purpose (or withdrew); withdrawal reaches open streams with their next batch."""
    known = store.dataset(installation.db, name, session.tenant)
    label = str(known["label"])
    with installation.gate.open(session, "import", store.resource(name), "records") as handle:
        facts: list[Fact] = []
        for patient in patients:
            subject = store.find_subject(installation.db, handle, _called(known, patient))
            if subject is None:
                raise DescriptionError(
                    f"one of the {len(patients)} patients (number {len(facts) + 1}) is not in custody. Import first."
                )
            state = "given" if given else "withdrawn"
            facts.append(
                Fact(
                    "consent", f"{subject}/{purpose}/{label}", state, subject=subject, purpose=purpose, label=label, until=until
                )
            )
    installation.facts.put_many(facts, actor=session.who)
    installation.gate.versions.look_again()
    return len(facts)


def _called(known: store.Dataset, patient: str) -> str:
    """How a patient of a data set is known in the house: by whose ids it has, and the id."""
    return f"{known['ids']}|{patient}" if known["ids"] else patient


def record_care_relation(
    installation: Installation, session: Session, name: str, patient: str, who: str, *, days: int = 30, given: bool = True
) -> None:
    """Writes down that somebody treats a patient, for so many days, or no longer does."""
    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "import", store.resource(name), "records") as handle:
        subject = store.find_subject(installation.db, handle, _called(known, patient))
    if subject is None:
        raise DescriptionError("this patient is not in custody. Check the identifier, or import first: galenic import")
    until = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    state = "given" if given else "ended"
    installation.facts.put(Fact("care", f"{who}/{subject}", state, who, subject, until=until), actor=session.who)
    installation.gate.versions.look_again()


def record_approval(
    installation: Installation, session: Session, name: str, who: str, purpose: str, *, until: str = "", given: bool = True
) -> None:
    """Writes down that the ethics board lets somebody export a data set for a purpose, or no longer does. Nobody approves oneself."""
    store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "approve", store.resource(name), purpose):
        if not installation.policies.different_people(session.who, who):
            raise AccessDeniedError(
                f"{who} is nobody known here, or the one who approves. Another person of the ethics board approves."
            )
    state = "approved" if given else "withdrawn"
    fact = Fact(
        "qualification", f"{who}/{name}/{purpose}", state, who, purpose=purpose, label=store.resource(name), until=until
    )
    installation.facts.put(fact, actor=session.who)
    installation.gate.versions.look_again()


def build_index(
    installation: Installation, session: Session, name: str, purpose: str, *, codes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Builds the search index of a data set, in place of the one before."""
    known = store.dataset(installation.db, name, session.tenant)
    before = store.all_builds(installation.db, name, "index")
    with installation.gate.open(session, "index", store.resource(name), purpose) as handle:
        build, number = store.next_build(installation.db, "index", name)
        installation.tree.add([BUILDS + number])
        detail = store.build_index(installation.db, handle, known, build, installation.shards, codes=codes)
        store.add_artefact(
            installation.db,
            {"id": build, "kind": "index", "made_from": f"table/{name}"},
            store.subjects_of(installation.db, handle, name),
        )
    for old in before:
        drop_index(installation, str(old["id"]))
    return {"build": build, **detail}


def drop_index(installation: Installation, build: str) -> None:
    """Drops a build: its files, its tables, its key."""
    store.drop_index_tables(installation.db, build)
    store.drop_build(installation.db, build, installation.shards)
    installation.tree.drop(BUILDS + int(build.rpartition("-")[2]))
    store.set_state(installation.db, build, "gone")


def search_index(
    installation: Installation,
    session: Session,
    name: str,
    purpose: str,
    conditions: list[tuple[str, str, str]],
    *,
    limit: int = 100,
) -> list[dict[str, object]]:
    """Rows that meet all conditions, of those that the person may see for the purpose."""
    known = store.dataset(installation.db, name, session.tenant)
    built = store.all_builds(installation.db, name, "index")
    if not built:
        raise DescriptionError(f"data set {name!r} has no index. Build one: galenic index {name}")
    last = built[-1]
    with installation.gate.open(session, "search", store.resource(name), purpose) as handle:
        return store.search(
            installation.db, handle, known, str(last["id"]), last["detail"], installation.shards, conditions, limit
        )


def export_table(installation: Installation, session: Session, name: str, purpose: str, target: Path) -> int:
    """Writes the rows that a decision lets out as CSV, with the decision's number beside; the copy is listed as outside."""
    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "export", store.resource(name), purpose) as handle:
        handle.to = str(target)
        with store.file_aside(target) as aside:
            rows = records.write_stream(store.read(installation.db, handle, known), aside)
            handle.beat()
        who = store.subjects_of(installation.db, handle, name)
        mark = {"decision": handle.decision, "watermark": handle.watermark, "dataset": name, "purpose": purpose, "rows": rows}
        row = {"id": f"export/{handle.decision}", "kind": "export", "made_from": f"table/{name}", "place": "outside"}
        store.add_artefact(installation.db, row, who)
    with store.file_aside(target.with_name(target.name + ".decision.json")) as aside:
        aside.write_text(json.dumps(mark, indent=1), encoding="utf-8")
    return rows


def own_record(installation: Installation, session: Session, patient: str) -> dict[str, Any]:
    """Everything of one patient: rows of every data set, artefacts they went into, and who looked (GDPR 15 and 20; EHDS 9)."""
    subject = find_patient(installation, session, patient)
    found: dict[str, Any] = {"rows": {}}
    with installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as handle:
        for known in store.all_datasets(installation.db, session.tenant):
            rows = store.rows_of(installation.db, handle, known, subject)
            found["rows"][known["name"]] = rows if known["kind"] == "table" else [_document(row) for row in rows]
        found["went into"] = [
            {k: a[k] for k in ("id", "kind", "place", "state", "made_at")} for a in store.artefacts_of(installation.db, subject)
        ]
        found["consents"] = [
            {"purpose": f.purpose, "class": f.label, "state": f.state, "until": f.until}
            for f in installation.facts.of("consent", subject=subject)
        ]
        tables = {str(k["name"]) for k in store.all_datasets(installation.db, session.tenant)}
        found["looked at by"] = _looks(installation, subject, {f"dataset/{t}" for t in tables if found["rows"].get(t)})
        found["watermark"] = handle.watermark
    return found


def _document(row: dict[str, object]) -> dict[str, Any]:
    """A document as a person reads it."""
    kind, own, digest, beside = json.loads(str(row["about"]))
    about = {"beside": beside} if beside else {}
    return {"type": kind, "id": own, "sha256": digest, **about, "document": json.loads(str(row["document"]))}


def find_patient(installation: Installation, session: Session, patient: str) -> int:
    """The subject id of a patient, asked within a decision about subjects. DescriptionError if nobody is known by it.

    patient: the identifier as it stood in a table; of FHIR, OMOP and MEDS also IDS|ID, or the id alone where only one has it.
    """
    ids = {str(d["ids"]) for d in store.all_datasets(installation.db, session.tenant)} - {""}
    with installation.gate.open(session, "access", "subject/0", "subject-access") as handle:
        subject = store.find_subject(installation.db, handle, patient)
        if subject is None:
            known = {i: store.find_subject(installation.db, handle, f"{i}|{patient}") for i in sorted(ids)}
            meant = {i: s for i, s in known.items() if s is not None}
            if len(meant) > 1:
                raise DescriptionError(
                    f"several patients have this id: of {', '.join(meant)}. Say whose: {next(iter(meant))}|ID"
                )
            subject = next(iter(meant.values()), None)
    if subject is None:
        raise DescriptionError(
            "no patient of that identifier is in custody here. Check the identifier as it stood in the imported file."
        )
    return subject


def _looks(installation: Installation, subject: int, tables: set[str]) -> list[dict[str, Any]]:
    """Decisions that covered the patient: about the patient, the patient's part of a data set, or a data set that holds the patient."""
    mine = {*tables, f"subject/{subject}", *(t.replace("dataset/", "record/", 1) + f"/{subject}" for t in tables)}
    return [
        {
            "decision": e.seq,
            "time": e.time,
            "who": e.actor,
            "action": e.detail.get("verb"),
            "purpose": e.detail.get("purpose"),
        }
        for e in installation.audit.entries()
        if e.action in ("gate.opened", "gate.break-glass", "gate.settled") and e.resource in mine
    ]
