"""The release way from custody: the same as from a file, while a decision to train on the records stands."""

import shutil

from galenic import store
from galenic.errors import AccessDenied
from galenic.flows.custody import stored
from galenic.flows.house import House, Progress, quiet
from galenic.flows.synthesize import Request, Result, synthesize
from galenic.security import Session


def synthesize_stored(
    house: House, session: Session, name: str, request: Request, *, purpose: str = "synthetic-data", progress: Progress = quiet
) -> Result:
    """Learns from a data set in custody and decides; the model is tied to its patients, so that erasing one finds it.

    AccessDenied, and no run, where a right ends, a consent is withdrawn or a patient is erased meanwhile.
    """
    with stored(house, session, name, purpose) as (source, handle):

        def tell(what: str, share: float) -> None:
            handle.beat()
            progress(what, share)

        result = synthesize(house, source, request, tell)
        try:
            handle.beat()
            row = {"id": f"model/{result.run}", "kind": "model", "made_from": f"table/{name}", "private": request.private}
            store.add_artefact(house.db, row, store.subjects_of(house.db, handle, name))
        except AccessDenied:
            shutil.rmtree(result.folder, ignore_errors=True)
            raise
    return result
