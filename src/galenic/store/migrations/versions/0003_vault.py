"""The token vault: originals of the tokens in de-identified copies."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds one table; rows of another tenant stay invisible (PostgreSQL)."""
    op.create_table(
        "vault",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_index("vault_by_subject", "vault", ["subject"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE vault ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE vault FORCE ROW LEVEL SECURITY")
        op.execute("CREATE POLICY tenant ON vault USING (tenant = current_setting('galenic.tenant', true))")
