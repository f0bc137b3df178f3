"""A scikit-learn-like door for Python: fit, sample, get_params, set_params."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from galenic.errors import DescriptionError
from galenic.flows.columns import ColumnOptions, DescriptionLike
from galenic.flows.synthesis import DEFAULT_POPULATION, SynthesisRequest, SynthesisResult, as_source, synthesize
from galenic.installation import open_installation


class Synthesizer:
    """Learns a patient table under differential privacy and makes synthetic rows.

    epsilon: None fits without noise and without a formal guarantee. unit: "patient" (with `patient`, the column that tells
    patients apart) or "row". population: whose budget pays, in the ledger at `home`. After `fit`: `result_` (decision,
    report, run) and `model_`.
    """

    def __init__(
        self,
        *,
        epsilon: float | None = 1.0,
        delta: float = 1e-9,
        unit: str = "patient",
        patient: str | None = None,
        population: str = DEFAULT_POPULATION,
        columns: DescriptionLike = None,
        drop: tuple[str, ...] = (),
        rows_per_patient: int = 1,
        buy: bool = False,
        policy: str = "internal",
        target: str | None = None,
        home: Path | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.unit = unit
        self.patient = patient
        self.population = population
        self.columns = columns
        self.drop = drop
        self.rows_per_patient = rows_per_patient
        self.buy = buy
        self.policy = policy
        self.target = target
        self.home = home

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  # scikit-learn's signature
        """Parameters by name, as scikit-learn's clone and searches expect."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def set_params(self, **params: Any) -> "Synthesizer":
        """Changes parameters by name; DescriptionError for an unknown one."""
        for name, value in params.items():
            if name not in self.get_params():
                raise DescriptionError(f"{name!r} is not a parameter. Known: {', '.join(self.get_params())}.")
            setattr(self, name, value)
        return self

    def fit(self, table: "str | Path | pa.Table | Any", y: None = None) -> "Synthesizer":  # noqa: ARG002  # scikit-learn's signature
        """Learns from a path, an Arrow table or a data frame; pays from the population's budget. `y` is ignored."""
        column_options = ColumnOptions(self.columns, self.patient, self.unit, self.drop, self.buy)
        request = SynthesisRequest(
            epsilon=self.epsilon if self.epsilon is not None else 1.0,
            delta=self.delta,
            population=self.population,
            column_options=column_options,
            cap=self.rows_per_patient,
            target=self.target,
            policy=self.policy,
            private=self.epsilon is not None,
        )
        self.result_: SynthesisResult = synthesize(open_installation(self.home), as_source(table), request)
        self.model_ = self.result_.model
        return self

    def sample(self, n: int | None = None, given: Mapping[str, object] | None = None, seed: int | None = None) -> pa.Table:
        """n synthetic rows (default: as many as the run made), as an Arrow table; `given` fixes columns exactly."""
        if not hasattr(self, "model_"):
            raise DescriptionError("this synthesizer is not fitted. Call fit(table) first.")
        rng = np.random.default_rng(seed) if seed is not None else None
        return self.model_.sample(self.result_.domain.rows if n is None else n, given, rng).frame
