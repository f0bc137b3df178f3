"""Stored data sets: registration, patients, and access to their rows for training."""

import contextlib
from collections.abc import Iterator

import pyarrow as pa

from galenic import store
from galenic.errors import StateError, StoreError, UnknownNameError
from galenic.installation import Installation
from galenic.records import Source
from galenic.security import BUILDS, Fact, Grant, Session


def describe_dataset(
    installation: Installation, grant: Grant, row: dict[str, object], schema: pa.Schema, kinds: dict[str, str] | None = None
) -> store.Dataset:
    """Registers a new data set, with the fact about its owner that access decisions need. Returns an existing one unchanged.

    row: its columns in the table of data sets; kinds: kind of each column (numeric, date, …).
    """
    name = str(row["name"])
    if not any(d["name"] == name for d in store.list_datasets(installation.db, grant.tenant)):
        body = (("region", str(row["region"])), ("tenant", grant.tenant))
        installation.facts.put(Fact("dataset", name, "held", grant.who, label=str(row["label"]), body=body), actor=grant.who)
        installation.gate.versions.refresh()
    elif installation.facts.one("dataset", name) is None:
        raise StoreError(
            f"the owner of data set {name!r} is missing from the database. Stop, keep the database, and contact the "
            "security officer."
        )
    store.add_dataset(installation.db, grant, row, schema, kinds or {})
    return store.dataset(installation.db, name, grant.tenant)


@contextlib.contextmanager
def training_source(installation: Installation, session: Session, name: str, purpose: str) -> Iterator[tuple[Source, Grant]]:
    """Table as a source for training, under one access decision.

    Its rows are copied to encrypted shards with a separate key, which are deleted at the end. Reading fails as soon as a
    patient is erased or a right is withdrawn.
    """
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "train", store.resource(name), purpose) as grant:
        build, number = store.next_build(installation.db, "shards", name)
        installation.tree.add([BUILDS + number])
        try:
            detail = store.build_shards(installation.db, grant, dataset, build, installation.shards)
            if not detail["rows"]:
                raise StateError(
                    f"no row of {name!r} may be used for {purpose}: no patient in it has consented. Record consents: galenic "
                    "patient consent"
                )

            def opener(names: list[str] | None) -> Iterator[pa.Table]:
                return store.read_shards(grant, dataset, build, detail, installation.shards, names)

            yield Source(f"store/{name}", tuple(detail["columns"]), opener), grant
        finally:
            store.drop_build(installation.db, build, installation.shards)
            installation.tree.drop(BUILDS + number)


def patient_identifier(dataset: store.Dataset, patient: str) -> str:
    """The identifier of a patient across data sets: the patient id within the data set's namespace of ids."""
    return f"{dataset['ids']}|{patient}" if dataset["ids"] else patient


def find_patient(installation: Installation, session: Session, patient: str) -> int:
    """Subject id of a patient. Raise UnknownNameError if no patient or several patients match.

    patient: the identifier as it was imported, if one patient only has it; NAMESPACE|ID for a patient of FHIR, OMOP or MEDS,
    and TABLE|ID or |ID for one of the tables, which share their identifiers.
    """
    datasets = store.list_datasets(installation.db, session.tenant)
    with installation.gate.open(session, "access", "subject/0", "subject-access") as grant:
        candidates = {
            name: store.find_subject(installation.db, grant, key) for name, key in _keys_of(datasets, patient).items()
        }
    found = {name: subject for name, subject in candidates.items() if subject is not None}
    if not found:
        raise UnknownNameError(
            "no patient with this identifier is in the record store. Check the identifier against the imported file."
        )
    if len(set(found.values())) > 1:
        ways = " or ".join(f"'{name}|ID' ({_holders(datasets, name)})" for name in found)
        raise UnknownNameError(f"several patients have this identifier. Nothing was done. Say which one you mean: {ways}.")
    return next(iter(found.values()))


def _keys_of(datasets: list[store.Dataset], patient: str) -> dict[str, str]:
    """Possible meanings of a patient identifier: the prefix that selects a source, and the identifier across data sets."""
    namespaces = sorted({str(d["ids"]) for d in datasets} - {""})
    tables = [str(d["name"]) for d in datasets if not d["ids"] and d["name"] not in namespaces]
    before, bar, rest = patient.partition("|")
    if bar and before in ("", *tables):
        return {before: rest}
    if bar and before in namespaces:
        return {before: patient}
    bare = tables[0] if tables else ""
    return {bare: patient, **{n: f"{n}|{patient}" for n in namespaces}}


def _holders(datasets: list[store.Dataset], name: str) -> str:
    """Names of the data sets that share patient identifiers under a name."""
    ids = name if any(d["ids"] == name for d in datasets) else ""
    holders = [str(d["name"]) for d in datasets if d["ids"] == ids]
    return f"data set{'s' if len(holders) > 1 else ''} {', '.join(holders)}"
