"""Registry of artifact kinds."""

from typing import Any

from galenic.release.artifact import ArtifactKind
from galenic.release.deidentified_artifact import DeidentifiedArtifact
from galenic.release.table_artifact import TableArtifact

ARTIFACTS: dict[str, ArtifactKind[Any]] = {"table": TableArtifact(), "deidentified-copy": DeidentifiedArtifact()}


def requested_actions() -> frozenset[str]:
    """Audit actions by which runs are requested."""
    return frozenset(f"{kind.action}.requested" for kind in ARTIFACTS.values())
