"""Prediction for one patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galenic.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """Prediction with a value and its interval, or a refusal with its reason; exactly one of the two.

    value: probability, time or amount, in `unit`. interval: (low, high) at the stated coverage. refusal: why no value is given.
    drivers: contribution of each input, largest first. data_age_days: age of the newest input at the time of the prediction.
    """

    value: float | None = None
    interval: tuple[float, float] | None = None
    coverage: float = 0.95
    unit: str = ""
    refusal: str = ""
    drivers: Mapping[str, float] = field(default_factory=dict)
    data_age_days: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.refusal):
            raise InputError("a prediction must have either a value or a refusal with its reason. Give exactly one of them.")
        if self.value is not None and self.interval is None:
            raise InputError("a predicted value must have an interval. Give its bounds, or refuse to predict.")
