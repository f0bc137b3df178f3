"""The database tables of one installation. A change here needs a migration in `migrations/versions`."""

import sqlalchemy as sa

metadata = sa.MetaData()

populations = sa.Table(
    "populations",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("rho_limit", sa.BigInteger, nullable=False),  # in 1e-12
    sa.Column("delta_limit", sa.BigInteger, nullable=False),  # in 1e-18, for thresholds
    sa.Column("rho_used", sa.BigInteger, nullable=False, default=0),
    sa.Column("delta_used", sa.BigInteger, nullable=False, default=0),
    sa.Column("epsilon", sa.Float, nullable=False),
    sa.Column("delta", sa.Float, nullable=False),
    sa.Column("refusals", sa.Integer, nullable=False, default=0),
    sa.Column("declared_by", sa.String, nullable=False),
    sa.Column("declared_at", sa.String, nullable=False),
    sa.CheckConstraint("rho_used <= rho_limit and delta_used <= delta_limit", name="no_overdraft"),
    sa.CheckConstraint("rho_used >= 0 and delta_used >= 0", name="no_refund_below_zero"),
)

charges = sa.Table(
    "charges",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("population", sa.String, sa.ForeignKey("populations.name"), nullable=False, index=True),
    sa.Column("rho_reserved", sa.BigInteger, nullable=False),
    sa.Column("delta_reserved", sa.BigInteger, nullable=False),
    sa.Column("rho_spent", sa.BigInteger),  # null: reserved and not closed, counts as spent
    sa.Column("delta_spent", sa.BigInteger),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("reserved_at", sa.String, nullable=False),
    sa.Column("settled_at", sa.String),
    sa.Column("mechanisms", sa.Text),  # JSON list
)

audit_rows = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),  # canonical JSON without patient data
    sa.Column("hash", sa.LargeBinary, nullable=False),  # SHA-256 of the entry; the next entry contains it
    sa.Column("mac", sa.LargeBinary, nullable=False),  # with a key that is destroyed after the next entry is written
)

audit_heads = sa.Table(
    "audit_heads",
    metadata,
    sa.Column("size", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("head", sa.Text, nullable=False),  # canonical JSON: size, Merkle root, last hash, time
    sa.Column("frontier", sa.Text, nullable=False),  # RFC 6962 subtree roots, to continue without reading the log
    sa.Column("signature", sa.String, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.String, primary_key=True),  # sha256 of the attested statement
    sa.Column("state", sa.String, nullable=False),  # live, recalled
    sa.Column("population", sa.String, nullable=False),
    sa.Column("policy", sa.String, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("released_at", sa.String, nullable=False),
    sa.Column("recalled_at", sa.String),
    sa.Column("reason", sa.String),
)

sign_offs = sa.Table(  # signatures on runs; the envelopes are in the runs' folders
    "sign_offs",
    metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("person", sa.String, nullable=False),  # keyed pseudonym, or fingerprint of a key without a known person
    sa.Column("account", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.UniqueConstraint("run", "person", name="one_signature_per_person"),
)

run_outcomes = sa.Table(  # a run is rejected or released, never both
    "run_outcomes",
    metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.CheckConstraint("outcome in ('rejected', 'released')", name="known_outcome"),
)

key_nodes = sa.Table(
    "key_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),  # 0: under the root
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("children", sa.LargeBinary, nullable=False),  # wrapped keys, concatenated
)

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("label", sa.String, nullable=False),  # data class: clinical, research, genetic, psychiatric
    sa.Column("columns", sa.Text, nullable=False),  # JSON: [name, Arrow type]
    sa.Column("patient", sa.String, nullable=False),  # name of the patient column
    sa.Column("next_row", sa.BigInteger, nullable=False, default=0),
    sa.Column("imported_at", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False, server_default="table"),  # table, fhir, omop, meds
    sa.Column("ids", sa.String, nullable=False, server_default=""),  # data set or system that the patient identifiers belong to
    sa.Column("mapping", sa.Text, nullable=False, server_default=""),  # TOML: mapping of the columns of a table to events
)

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),  # also the number of the key
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("token", sa.LargeBinary, nullable=False),  # keyed hash of the patient's identifier
    sa.UniqueConstraint("tenant", "token"),
)

originals = sa.Table(
    "originals",
    metadata,
    sa.Column("dataset", sa.String, primary_key=True),
    sa.Column("row", sa.BigInteger, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.BigInteger, nullable=False, index=True),
    sa.Column("cells", sa.LargeBinary, nullable=False),  # encrypted cells, concatenated
)
sa.Index("originals_by_subject", originals.c.dataset, originals.c.subject)

documents = sa.Table(  # derived rows: search entries of documents; keyed tokens, no identifier
    "documents",
    metadata,
    sa.Column("dataset", sa.String, primary_key=True),
    sa.Column("row", sa.BigInteger, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.BigInteger, nullable=False),  # 0: about no patient (a medication, an organization)
    sa.Column("name", sa.LargeBinary, nullable=False),  # of Type/id
    sa.Column("digest", sa.LargeBinary, nullable=False),  # of its bytes
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
)
sa.Index("documents_by_name", documents.c.dataset, documents.c.name)
sa.Index("documents_by_subject", documents.c.dataset, documents.c.subject, documents.c.row)

document_words = sa.Table(  # search words of a document: its identifiers, the patients it names
    "document_words",
    metadata,
    sa.Column("dataset", sa.String, primary_key=True),
    sa.Column("word", sa.LargeBinary, primary_key=True),
    sa.Column("row", sa.BigInteger, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
)
sa.Index("document_words_by_row", document_words.c.dataset, document_words.c.row)

vault = sa.Table(  # originals of the tokens in de-identified copies, each encrypted with its patient's key
    "vault",
    metadata,
    sa.Column("token", sa.LargeBinary, primary_key=True),  # keyed hash of data set and token
    sa.Column("dataset", sa.String, nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.BigInteger, nullable=False),
    sa.Column("cells", sa.LargeBinary, nullable=False),
)
sa.Index("vault_by_subject", vault.c.subject)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("token", sa.LargeBinary, primary_key=True),
    sa.Column("subject", sa.BigInteger, nullable=False),
    sa.Column("erased_at", sa.String, nullable=False),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),  # grant, care, consent, vendor, qualification, session, policy, review
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("who", sa.String, nullable=False, default=""),
    sa.Column("subject", sa.BigInteger),
    sa.Column("purpose", sa.String, nullable=False, default=""),
    sa.Column("label", sa.String, nullable=False, default=""),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("until", sa.String, nullable=False, default=""),  # ISO 8601; empty: no end
    sa.Column("body", sa.Text, nullable=False, default="{}"),
    sa.Column("mac", sa.LargeBinary, nullable=False),  # a fact that the security package did not write has a wrong one
    sa.Column("unique_name", sa.String),  # held by one fact at a time: the ID of a person with an account
)
sa.Index("facts_by_subject", facts.c.kind, facts.c.subject)
sa.Index("facts_by_who", facts.c.kind, facts.c.who)
sa.Index("facts_by_unique_name", facts.c.unique_name, unique=True)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("name", sa.String, primary_key=True),  # facts, erasures
    sa.Column("number", sa.BigInteger, nullable=False),
)

builds = sa.Table(
    "builds",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),  # shards, index
    sa.Column("dataset", sa.String, nullable=False),
    sa.Column("made_at", sa.String, nullable=False),
    sa.Column("erasures", sa.BigInteger, nullable=False),  # version of erasures at which it was built
    sa.Column("detail", sa.Text, nullable=False),
)

artefacts = sa.Table(
    "artefacts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),  # table, shards, index, export, model, release
    sa.Column("made_from", sa.String, nullable=False),
    sa.Column("private", sa.Boolean, nullable=False),  # made within a privacy budget
    sa.Column("place", sa.String, nullable=False),  # inside, outside
    sa.Column("state", sa.String, nullable=False),  # live, gone, retrain
    sa.Column("made_at", sa.String, nullable=False),
)

lineage = sa.Table(
    "lineage",
    metadata,
    sa.Column("artefact", sa.String, sa.ForeignKey("artefacts.id"), primary_key=True),
    sa.Column("subject", sa.BigInteger, primary_key=True),
)
sa.Index("lineage_by_subject", lineage.c.subject)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("envelope", sa.Text, nullable=False),  # signed; names no patient
)

once = sa.Table(  # single-use names: open challenges, codes and token numbers that were used
    "once",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("until", sa.String, nullable=False),
)

attempts = sa.Table(  # failed sign-ins, by account and network address
    "attempts",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("until", sa.String, nullable=False),
)

backups = sa.Table(
    "backups",
    metadata,
    sa.Column("folder", sa.String, primary_key=True),
    sa.Column("made_at", sa.String, nullable=False),
)
