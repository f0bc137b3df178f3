"""Registry of artifact kinds."""

from typing import Any

from galenic.release.artifact import ArtifactKind, ExtendsResult, RunContent, WorkflowResult
from galenic.release.deidentified_artifact import DeidentifiedArtifact
from galenic.release.table_artifact import TableArtifact

ARTIFACTS: dict[str, ArtifactKind[Any]] = {"table": TableArtifact(), "deidentified-copy": DeidentifiedArtifact()}


def requested_actions() -> frozenset[str]:
    """Audit actions by which runs are requested."""
    return frozenset(f"{kind.action}.requested" for kind in ARTIFACTS.values())


def workflow_content(name: str, result: WorkflowResult) -> RunContent:
    """Content of a run of an artifact kind from the result of the release workflow."""
    kind = ARTIFACTS[name]
    return kind.content(result) if isinstance(kind, ExtendsResult) else result
