"""Synthesis of a stored data set, as long as the access decision to train on it is valid."""

from galenic import store
from galenic.custody import training_source
from galenic.errors import AccessDeniedError
from galenic.flows.privacy_unit import with_stored_patient
from galenic.flows.synthesis import SynthesisResult, synthesize
from galenic.generators import SynthesisRequest
from galenic.installation import Installation
from galenic.release import Run
from galenic.schema import Progress, no_progress
from galenic.security import Session


def synthesize_stored(
    installation: Installation,
    session: Session,
    name: str,
    request: SynthesisRequest,
    *,
    purpose: str = "synthetic-data",
    progress: Progress = no_progress,
) -> SynthesisResult:
    """Learns from a stored data set and decides. The lineage of the model lists its patients, so that an erasure finds it.

    Raise AccessDeniedError, without a run, if a right ends, a consent is withdrawn or a patient is erased in the meantime.
    """
    request = with_stored_patient(installation, session, name, request)
    with training_source(installation, session, name, purpose) as (source, grant):

        def report(step: str, share: float) -> None:
            grant.require_active()
            progress(step, share)

        result = synthesize(installation, source, request, report)
        try:
            grant.require_active()
            row = {"id": f"model/{result.run}", "kind": "model", "made_from": f"table/{name}", "private": request.private}
            store.add_artefact(installation.db, row, store.subjects_of(installation.db, grant, name))
        except AccessDeniedError:
            Run(installation, result.run).discard()
            raise
    return result
