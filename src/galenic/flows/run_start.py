"""Start of a run of the release workflow: kind of artifact, policy, and requester in the audit log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from galenic.errors import OptionError, RecordError
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.installation import Installation
from galenic.predictors import PREDICTORS
from galenic.records import Source, as_source
from galenic.release import Run, load_policy, require_population


@contextmanager
def start_run(installation: Installation, kind: str, request: SynthesisRequest) -> Iterator[Run]:
    """Starts a run for a request. Its criteria are in the audit log before a row is read. kind: key of GENERATORS or PREDICTORS.

    A private run that stops because of its rows counts as refused (`counted_stops`).
    """
    policy = load_policy(request.policy)
    if request.rows is not None and request.rows < 1:
        raise OptionError(f"rows is {request.rows}. Expected 1 or more, or none for the noisy number of training rows.")
    artifact = GENERATORS[kind].artifact if kind in GENERATORS else PREDICTORS[kind].artifact
    detail = {"epsilon": request.epsilon if request.private else None}
    with (
        Run.start(installation, artifact, policy, requester=request.by, details=request.details, detail=detail) as run,
        counted_stops(installation, request),
    ):
        yield run


@contextmanager
def counted_stops(installation: Installation, request: SynthesisRequest) -> Iterator[None]:
    """Context for reading rows. A private run that stops (RecordError) counts as a refused attempt on its budget population,
    because epsilon does not cover that it stopped. BudgetError, before a row is read, if the population is not declared."""
    if request.private:
        require_population(installation, request.population)
    try:
        yield
    except RecordError:
        if request.private:
            installation.ledger.count_refusal(request.population)
        raise


def read_counted(installation: Installation, table: object, request: SynthesisRequest) -> Source:
    """Source of a request. If it cannot be read, a private run counts as refused, unless the file does not exist."""
    if isinstance(table, str | Path) and not Path(table).is_file():
        return as_source(table)
    with counted_stops(installation, request):
        return as_source(table)


def new_split_rng(request: SynthesisRequest) -> np.random.Generator:
    """Random generator of the evaluation, and of the split of a run without privacy. A private run is split by `draw_held_out`."""
    return np.random.default_rng(request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "big"))
