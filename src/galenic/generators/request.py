"""Request for synthetic data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galenic.errors import OptionError
from galenic.privacy import DEFAULT_POPULATION, MIN_PATIENTS, ColumnOptions
from galenic.records import Source
from galenic.schema import NO_DETAILS, RunDetails


@dataclass(frozen=True)
class SynthesisRequest:
    """Options of one synthesis.

    population: whose budget pays; two files of the same patients must name the same population. cap: most rows of one patient.
    rows: synthetic rows (None: the noisy number of training rows); with related tables, patients. target: the column that utility
    predicts. holdout: patients kept aside by the caller; otherwise 30 % are held out. shadows: number of shadow models for the
    membership attack; each costs as much as the fit itself. private: False fits without noise and is labelled so; then an exact
    value is emitted only if `least` patients share it. given: column -> value of every synthetic row. balance: a category column
    whose values are made equally frequent. times: (column of the time until an event, column that says whether it happened), for
    the evaluation. groups: columns by which groups of people are compared. seed: of the split, the fit and the evaluation, of a fit
    without noise only: OptionError in a private one, whose split is part of what protects the patients. by: the requester, where a
    person is signed in. details: title, intended use and recipient of the run.
    """

    epsilon: float = 1.0
    delta: float = 1e-9
    population: str = DEFAULT_POPULATION
    column_options: ColumnOptions = field(default_factory=ColumnOptions)
    cap: int = 1
    rows: int | None = None
    target: str | None = None
    policy: str = "internal"
    private: bool = True
    seed: int | None = None
    holdout: Source | None = None
    given: Mapping[str, object] = field(default_factory=dict)
    balance: str | None = None
    groups: tuple[str, ...] = ()
    times: tuple[str, str] | None = None
    shadows: int = 0
    least: int = MIN_PATIENTS
    by: str = ""
    details: RunDetails = NO_DETAILS

    def __post_init__(self) -> None:
        if self.private and self.seed is not None:
            raise OptionError(
                "a private run takes no seed: whoever knows it knows which patients were held out, and epsilon no longer holds. "
                "Leave out the seed (--seed), or fit without a guarantee (--no-privacy)."
            )
