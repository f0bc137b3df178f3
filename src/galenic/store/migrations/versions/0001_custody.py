"""The first tables: ledger, register, audit log, keys, originals, facts, lineage; row-level security."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
TENANT_TABLES = ("originals", "subjects", "tombstones", "datasets")


def upgrade() -> None:
    """Creates every table; on PostgreSQL rows of another tenant are invisible unless the transaction names that tenant."""
    _create_audit_log()
    _create_keys_and_facts()
    _create_data_sets()
    _create_subjects()
    _create_lineage()
    _create_budget_ledger()
    _create_register()
    _create_backups_and_builds()
    _restrict_rows_to_tenant()


def _create_audit_log() -> None:
    """Audit rows and the signed heads over them."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("frontier", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )


def _create_keys_and_facts() -> None:
    """Key tree, facts that decisions need, and version counters."""
    op.create_table(
        "key_nodes",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("children", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "place"),
    )
    op.create_table(
        "facts",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.create_index("facts_by_subject", "facts", ["kind", "subject"], unique=False)
    op.create_index("facts_by_who", "facts", ["kind", "who"], unique=False)
    op.create_table(
        "versions",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_data_sets() -> None:
    """Data sets and their encrypted rows."""
    op.create_table(
        "datasets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("next_row", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "originals",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "row"),
    )
    op.create_index(op.f("ix_originals_subject"), "originals", ["subject"], unique=False)
    op.create_index("originals_by_subject", "originals", ["dataset", "subject"], unique=False)


def _create_subjects() -> None:
    """Subject ids, and tombstones of erased patients."""
    op.create_table(
        "subjects",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "token"),
    )
    op.create_table(
        "tombstones",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "token"),
    )


def _create_lineage() -> None:
    """Artifacts and the subjects whose records went into them."""
    op.create_table(
        "artefacts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("made_from", sa.String(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("made_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "lineage",
        sa.Column("artefact", sa.String(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artefact"],
            ["artefacts.id"],
        ),
        sa.PrimaryKeyConstraint("artefact", "subject"),
    )
    op.create_index("lineage_by_subject", "lineage", ["subject"], unique=False)


def _create_budget_ledger() -> None:
    """Privacy budgets of populations and the charges against them."""
    op.create_table(
        "populations",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rho_limit", sa.BigInteger(), nullable=False),
        sa.Column("delta_limit", sa.BigInteger(), nullable=False),
        sa.Column("rho_used", sa.BigInteger(), nullable=False),
        sa.Column("delta_used", sa.BigInteger(), nullable=False),
        sa.Column("epsilon", sa.Float(), nullable=False),
        sa.Column("delta", sa.Float(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("declared_by", sa.String(), nullable=False),
        sa.Column("declared_at", sa.String(), nullable=False),
        sa.CheckConstraint("rho_used <= rho_limit and delta_used <= delta_limit", name="no_overdraft"),
        sa.CheckConstraint("rho_used >= 0 and delta_used >= 0", name="no_refund_below_zero"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "charges",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("population", sa.String(), nullable=False),
        sa.Column("rho_reserved", sa.BigInteger(), nullable=False),
        sa.Column("delta_reserved", sa.BigInteger(), nullable=False),
        sa.Column("rho_spent", sa.BigInteger(), nullable=True),
        sa.Column("delta_spent", sa.BigInteger(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reserved_at", sa.String(), nullable=False),
        sa.Column("settled_at", sa.String(), nullable=True),
        sa.Column("mechanisms", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["population"],
            ["populations.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_charges_population"), "charges", ["population"], unique=False)


def _create_register() -> None:
    """Register of releases, and erasure receipts."""
    op.create_table(
        "releases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("population", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("released_at", sa.String(), nullable=False),
        sa.Column("recalled_at", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_backups_and_builds() -> None:
    """Backups that were taken, and derived builds (shards, indexes)."""
    op.create_table(
        "backups",
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("made_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("folder"),
    )
    op.create_table(
        "builds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("made_at", sa.String(), nullable=False),
        sa.Column("erasures", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _restrict_rows_to_tenant() -> None:
    """Row-level security on PostgreSQL."""
    if op.get_bind().dialect.name == "postgresql":
        for name in TENANT_TABLES:
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {name} USING (tenant = current_setting('galenic.tenant', true))")
