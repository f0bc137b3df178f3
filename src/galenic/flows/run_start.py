"""Start of a run of the release workflow: its kind of artifact, its policy, and the requester on the audit log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from galenic.errors import OptionError, RecordError
from galenic.generators import GENERATORS, SynthesisRequest
from galenic.installation import Installation
from galenic.predictors import PREDICTORS
from galenic.release import Run, load_policy


@contextmanager
def start_run(installation: Installation, kind: str, request: SynthesisRequest) -> Iterator[Run]:
    """A run for a request; its criteria are on the audit chain before a row is read. kind: a key of GENERATORS or PREDICTORS.

    A private run that the rows themselves stop counts as a refused attempt on its population: that it stopped is outside epsilon.
    """
    policy = load_policy(request.policy)
    if request.rows is not None and request.rows < 1:
        raise OptionError(f"rows is {request.rows}. Expected 1 or more, or none for the noisy number of training rows.")
    artifact = GENERATORS[kind].artifact if kind in GENERATORS else PREDICTORS[kind].artifact
    detail = {"epsilon": request.epsilon if request.private else None}
    with Run.start(installation, artifact, policy, requester=request.by, detail=detail) as run:
        try:
            yield run
        except RecordError:
            if request.private and request.population in installation.ledger.populations():
                installation.ledger.count_refusal(request.population)
            raise


def new_split_rng(request: SynthesisRequest) -> np.random.Generator:
    """Random generator of the evaluation, and of the split of a run without privacy. In a private run, which has no seed, each patient's
    side is drawn by `records.draw_held_out` from the operating system."""
    return np.random.default_rng(request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "big"))
