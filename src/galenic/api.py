"""The public Python API: open an installation, synthesize, evaluate and verify tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from galenic import flows
from galenic.errors import StateError, UnknownNameError
from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import ComparedSources, evaluate_sources
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, installation_if_any, open_installation
from galenic.privacy import DEFAULT_POPULATION, ColumnOptions, DescriptionLike
from galenic.records import as_source, read
from galenic.release import check_release
from galenic.schema import Report

__all__ = ["EvaluationRequest", "Synthesizer", "evaluate", "open", "read", "verify"]

TableLike = Any  # a path, an Arrow table, a data frame, or a source


def open(home: Path | None = None) -> Installation:
    """The installation at `home` (default: GALENIC_HOME or ~/.galenic), created when it is new."""
    return open_installation(home)


def evaluate(
    real: TableLike,
    synthetic: TableLike,
    *,
    holdout: TableLike | None = None,
    patient: str | None = None,
    request: EvaluationRequest | None = None,
    home: Path | None = None,
) -> Report:
    """Fidelity, utility and privacy of a synthetic table, of any origin, against the real table that it imitates.

    holdout: real patients that the maker never saw; they enable membership attacks. patient: column that tells patients apart.
    request: further options, such as the target. The evaluation is recorded on the audit log of the installation at `home`.
    """
    unseen = as_source(holdout) if holdout is not None else None
    sources = ComparedSources(as_source(real), as_source(synthetic), unseen, patient=patient)
    installation = open_installation(home)
    report = evaluate_sources(sources, request)
    installation.audit.append("evaluated", sources.synthetic.name, failures=len(report.failures))
    return report


def verify(
    folder: str | Path, *, trust: str | Path | None = None, recalls: Sequence[str | Path] = (), home: Path | None = None
) -> list[str]:
    """Checks a release folder: files, evidence, policy, signatures; returns a line for each check, and raises where one fails.

    trust: JSON file of trusted keys; without it the signatures are checked, but not whose keys signed. recalls: JSON files of recall
    notices. A recall that the installation at `home` knows of is found, too.
    """
    trusted = Path(trust) if trust is not None else None
    return check_release(
        Path(folder), trust=trusted, recalls=tuple(Path(r) for r in recalls), installation=installation_if_any(home)
    )


@dataclass(kw_only=True, eq=False)
class Synthesizer:
    """Learns a patient table under differential privacy and makes synthetic rows. Follows the conventions of scikit-learn.

    epsilon: None fits without noise and without a formal guarantee. unit: "patient" (with `patient`, the column that tells
    patients apart) or "row". population: whose budget pays, in the ledger at `home`. After `fit`: `result_` (decision,
    report, run) and `model_`.
    """

    epsilon: float | None = 1.0
    delta: float = 1e-9
    unit: str = "patient"
    patient: str | None = None
    population: str = DEFAULT_POPULATION
    columns: DescriptionLike = None
    drop: tuple[str, ...] = ()
    rows_per_patient: int = 1
    buy: bool = False
    policy: str = "internal"
    target: str | None = None
    home: Path | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  # scikit-learn's signature
        """Parameters by name, as scikit-learn's clone and searches expect."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Changes parameters by name; UnknownNameError for an unknown one."""
        for name, value in params.items():
            if name not in self.get_params():
                raise UnknownNameError(f"{name!r} is not a parameter. Known: {', '.join(self.get_params())}.")
            setattr(self, name, value)
        return self

    def fit(self, table: TableLike, y: None = None) -> Self:  # noqa: ARG002  # scikit-learn's signature
        """Learns from a path, an Arrow table or a data frame; pays from the population's budget. `y` is ignored."""
        request = SynthesisRequest(
            epsilon=self.epsilon if self.epsilon is not None else 1.0,
            delta=self.delta,
            population=self.population,
            column_options=ColumnOptions(self.columns, self.patient, self.unit, self.drop, self.buy),
            cap=self.rows_per_patient,
            target=self.target,
            policy=self.policy,
            private=self.epsilon is not None,
        )
        installation = open_installation(self.home)
        self.result_ = flows.synthesize(installation, flows.read_counted(installation, table, request), request)
        self.model_ = self.result_.model
        return self

    def sample(self, n: int | None = None, given: Mapping[str, object] | None = None, seed: int | None = None) -> pa.Table:
        """n synthetic rows (default: as many as the run made), as an Arrow table; `given` fixes columns exactly."""
        if not hasattr(self, "model_"):
            raise StateError("this synthesizer is not fitted. Call fit(table) first.")
        rng = np.random.default_rng(seed) if seed is not None else None
        return self.model_.sample(self.result_.domain.rows if n is None else n, given, rng).frame
