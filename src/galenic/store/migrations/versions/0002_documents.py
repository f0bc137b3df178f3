"""Documents: FHIR resources, and OMOP and MEDS by patient, stored as they were imported, found by keyed tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
TENANT_TABLES = ("documents", "document_words")


def upgrade() -> None:
    """Adds the kind of a data set, and two tables beside the originals; rows of another tenant stay invisible (PostgreSQL)."""
    op.add_column("datasets", sa.Column("kind", sa.String(), nullable=False, server_default="table"))
    op.add_column("datasets", sa.Column("ids", sa.String(), nullable=False, server_default=""))
    op.add_column("datasets", sa.Column("mapping", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "documents",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "row"),
    )
    op.create_index("documents_by_name", "documents", ["dataset", "name"], unique=False)
    op.create_index("documents_by_subject", "documents", ["dataset", "subject", "row"], unique=False)
    op.create_table(
        "document_words",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "word", "row"),
    )
    op.create_index("document_words_by_row", "document_words", ["dataset", "row"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for name in TENANT_TABLES:
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {name} USING (tenant = current_setting('galenic.tenant', true))")
