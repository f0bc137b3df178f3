"""Protocol of evaluators."""

from typing import Any, Protocol

import numpy as np

from galenic.evidence.request import EvaluationRequest
from galenic.schema import Progress, Report


class Evaluator(Protocol):
    """Measures generated data of one kind, or predictions, against real patients.

    The types of `real`, `held_out` and `made` belong to the kind: they are those that its generator or predictor reads and returns.
    """

    def measure(
        self,
        real: Any,
        held_out: Any,
        made: Any,
        request: EvaluationRequest,
        rng: np.random.Generator,
        progress: Progress,
    ) -> Report:
        """Findings with intervals, and NotMeasured with a reason where a measurement failed; never an empty report.

        real: patients that the model was trained on. held_out: patients that it was not. made: synthetic records, or predictions for
        the held-out patients.
        """
