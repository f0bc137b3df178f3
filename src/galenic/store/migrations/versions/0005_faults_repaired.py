"""Constraints and columns that the repaired faults need (docs/faults-repaired.md)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Runs the parts in order."""
    _decisions()
    _accounts()
    _running_state()
    _network_limits()
    _searches()
    _imports()
    _erasure()


def _decisions() -> None:
    """Two-person decisions, single-use names and limits."""
    op.create_table(
        "sign_offs",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "role"),
        sa.UniqueConstraint("run", "person", name="one_signature_per_person"),
    )
    op.create_table(
        "run_outcomes",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run"),
        sa.CheckConstraint("outcome in ('rejected', 'released')", name="known_outcome"),
    )
    op.execute(
        "INSERT INTO run_outcomes (run, outcome, account, at) "
        "SELECT run, 'released', '', MIN(released_at) FROM releases GROUP BY run"
    )


def _accounts() -> None:
    """Accounts of people and of systems: a name belongs to at most one fact. Earlier facts have none until they change."""
    op.add_column("facts", sa.Column("unique_name", sa.String(), nullable=True))
    op.create_index("facts_by_unique_name", "facts", ["unique_name"], unique=True)


def _running_state() -> None:
    """State shared by running processes."""


def _network_limits() -> None:
    """Limits on anonymous requests."""


def _searches() -> None:
    """Searches of the FHIR repository."""


def _imports() -> None:
    """Imports beside a running server."""


def _erasure() -> None:
    """Lineage and receipts."""
