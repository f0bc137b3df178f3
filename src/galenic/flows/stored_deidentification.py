"""De-identified copy of a stored FHIR data set, as a run that waits for signatures."""

from dataclasses import dataclass
from pathlib import Path

from galenic.custody import open_copy_source
from galenic.errors import AccessDeniedError
from galenic.installation import Installation
from galenic.privacy.deidentification import DeidentificationOptions, DeidentificationReport
from galenic.release import CopyRequest, DeidentifiedRun, Run, deidentify_run
from galenic.schema import NO_DETAILS, Progress, RunDetails, no_progress
from galenic.security import Session


@dataclass(frozen=True)
class StoredCopyRequest:
    """Request for a de-identified copy of a data set. purpose: purpose of access. vault: True if tokens of the copy can be
    revealed later. requester: the signed-in person, if any. details: title, intended use and recipient of the run."""

    dataset: str
    policy: str = "safe-harbor"
    release_policy: str = "deidentified"
    purpose: str = "de-identification"
    language: str = "en"
    vault: bool = False
    requester: str = ""
    details: RunDetails = NO_DETAILS


def deidentify_stored(
    installation: Installation, session: Session, request: StoredCopyRequest, progress: Progress = no_progress
) -> DeidentifiedRun:
    """Makes a run with the copy. Raise AccessDeniedError, without a run, if a right, a consent or a patient ends in the
    meantime."""
    options = DeidentificationOptions(policy=request.policy, language=request.language)
    with open_copy_source(installation, session, request.dataset, request.purpose) as source:

        def make(folder: Path) -> DeidentificationReport:
            return source.write(folder, options, progress, vault=request.vault)

        copy = deidentify_run(
            installation, make, CopyRequest(request.release_policy, request.dataset, request.requester, request.details)
        )
        try:
            source.record(copy.run)
        except AccessDeniedError:
            Run(installation, copy.run).discard()
            raise
    return copy
