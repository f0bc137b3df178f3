"""Synthesis of a data set in custody, as long as the access decision to train on it remains valid."""

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
    """Learns from a data set in custody and decides. The lineage of the model names its patients, so that an erasure finds it.

    AccessDeniedError, and no run, where a right ends, a consent is withdrawn or a patient is erased meanwhile.
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
