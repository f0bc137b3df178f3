"""The public Python API: open an installation, synthesize, evaluate and verify tables."""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from galenic import flows, records
from galenic.errors import RecordError, StateError, UnknownNameError
from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import ComparedSources, evaluate_sources
from galenic.generators import SynthesisRequest
from galenic.generators.tables import MixtureTables
from galenic.installation import Installation, installation_if_any, open_installation
from galenic.privacy import DEFAULT_POPULATION, ColumnOptions, DescriptionLike
from galenic.records import FrameLike, as_source, read
from galenic.release import check_release
from galenic.schema import Progress, Report, from_json, no_progress, to_json
from galenic.store import folder_aside

__all__ = ["EvaluationRequest", "InputWarning", "Synthesizer", "evaluate", "open", "read", "verify"]

TableLike = Any  # a path, an Arrow table, a data frame, or a source
Home = str | Path | None
FILE, MODEL = "synthesizer.json", "model"


class InputWarning(UserWarning):
    """A column is read in a way that its owner should know of, or the result was refused by its policy."""


def home_path(home: Home) -> Path | None:
    """A folder of an installation as a path."""
    return Path(home).expanduser() if home is not None else None


def open(home: Home = None) -> Installation:
    """The installation at `home` (default: GALENIC_HOME or ~/.galenic), created when it is new."""
    return open_installation(home_path(home))


def evaluate(
    real: TableLike,
    synthetic: TableLike,
    *,
    holdout: TableLike | None = None,
    patient: str | None = None,
    request: EvaluationRequest | None = None,
    home: Home = None,
) -> Report:
    """Fidelity, utility and privacy of a synthetic table, of any origin, against the real table that it imitates.

    real, synthetic: paths, data frames or Arrow tables. holdout: real patients that the maker never saw; they enable membership attacks.
    patient: column that tells patients apart. request: further options, such as the target. No installation is needed; where there is
    one at `home`, its audit log records the evaluation.

    >>> import pandas as pd
    >>> real = pd.DataFrame({"age": [20, 30, 40, 50] * 50, "sex": ["f", "m"] * 100})
    >>> report = evaluate(real, real.sample(100, random_state=0))
    >>> report.get("fidelity.tvd1.excess").value < 0.1
    True
    """
    unseen = as_source(holdout) if holdout is not None else None
    sources = ComparedSources(as_source(real), as_source(synthetic), unseen, patient=patient)
    report = evaluate_sources(sources, request)
    installation = installation_if_any(home_path(home))
    if installation is not None:
        installation.audit.append("evaluated", sources.synthetic.name, failures=len(report.failures))
    return report


def verify(
    folder: str | Path, *, trust: str | Path | None = None, recalls: Sequence[str | Path] = (), home: Home = None
) -> list[str]:
    """Checks a release folder: files, evidence, policy, signatures; returns a line for each check, and raises where one fails.

    trust: JSON file of trusted keys; without it the signatures are checked, but not whose keys signed. recalls: JSON files of recall
    notices. A recall that the installation at `home` knows of is found, too.
    """
    trusted = Path(trust) if trust is not None else None
    return check_release(
        Path(folder), trust=trusted, recalls=tuple(Path(r) for r in recalls), installation=installation_if_any(home_path(home))
    )


@dataclass(kw_only=True, eq=False, repr=False)
class Synthesizer:
    """Learns a patient table under differential privacy and makes synthetic rows. Follows the conventions of scikit-learn.

    epsilon: None fits without noise and without a formal guarantee. unit: "patient" (with `patient`, the column that tells patients
    apart) or "row". population: whose budget pays, in the ledger at `home`. columns: a description of the columns (a TOML file). policy:
    of the release. progress: True shows a bar, None shows one on a terminal; a function is called with (step, share that is done).

    After `fit`: `accepted_` (whether the policy accepts the rows for release), `advice_` (what to change if it does not), `notices_` (how
    unusual columns are read), `result_` (decision, report, run) and `model_`. Rows of `sample` are not released: a release needs the
    signatures of two people (`galenic release sign`).

    >>> Synthesizer(epsilon=2.0, patient="patient_id")
    Synthesizer(epsilon=2.0, patient='patient_id')
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
    home: Home = None
    progress: Progress | bool | None = None

    def __repr__(self) -> str:
        """The call with the parameters that differ from their defaults."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Synthesizer({', '.join(changed)})"

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
        """Learns from a path, an Arrow table or a data frame; pays from the population's budget. `y` is ignored.

        Warns (InputWarning) about columns that are read in an unusual way, and if the policy refuses the result.
        """
        request = self._request()
        installation = open_installation(home_path(self.home))
        source = flows.read_counted(installation, table, request)
        with flows.counted_stops(installation, request):
            self.notices_ = records.inspect_table(source, self.patient).notices if self.columns is None else ()
            expected = flows.expect_outcome(source, request)
        with _shown(self.progress) as progress:
            self.result_ = flows.synthesize(installation, source, request, progress)
        self.model_, self._report = self.result_.model, self.result_.report
        self.accepted_, self._rows = self.result_.decision.accepted, self.result_.domain.rows
        corrected = expected.corrected(self._report) if expected is not None else None
        command = "Synthesizer(…)"
        self.advice_ = () if self.accepted_ else flows.advice(self.result_.decision, corrected, request, command)
        self._frame = FrameLike.of(table)
        self._warn()
        return self

    def _request(self) -> SynthesisRequest:
        return SynthesisRequest(
            epsilon=self.epsilon if self.epsilon is not None else 1.0,
            delta=self.delta,
            population=self.population,
            column_options=ColumnOptions(self.columns, self.patient, self.unit, tuple(self.drop), self.buy),
            cap=self.rows_per_patient,
            target=self.target,
            policy=self.policy,
            private=self.epsilon is not None,
        )

    def _warn(self) -> None:
        for notice in self.notices_:
            warnings.warn(notice, InputWarning, stacklevel=3)
        if not self.accepted_:
            missed = ", ".join(item.finding for item in self.result_.decision.refusals)
            text = f"policy {self.policy!r} refuses these rows for release ({missed}). {' '.join(self.advice_)}"
            warnings.warn(text, InputWarning, stacklevel=3)

    def sample(self, n: int | None = None, given: Mapping[str, object] | None = None, seed: int | None = None) -> Any:
        """n synthetic rows (default: as many as the run made); `given` fixes columns exactly.

        A pandas data frame with the types of the fitted one if that was a pandas data frame, otherwise an Arrow table.
        """
        self._require_fit()
        rng = np.random.default_rng(seed) if seed is not None else None
        frame = self.model_.sample(self._rows if n is None else n, given, rng).frame
        return self._frame.like(frame)

    def report(self) -> Report:
        """The findings about the synthetic rows: fidelity, utility, privacy attacks and the formal guarantee."""
        self._require_fit()
        return self._report

    def save(self, folder: str | Path, *, internal: bool = False) -> None:
        """Writes the fitted synthesizer to a folder that does not exist yet: JSON and arrays, no pickle.

        Under differential privacy the folder holds the model, the public findings, the types of the columns, and whether the policy
        accepts the rows (this one bit and the types are not covered by ε). internal: also the findings, advice and notices that were
        computed from real rows; handle such a folder like patient data. Do so as well with a folder of a fit without privacy
        (epsilon=None), which always holds them.
        """
        self._require_fit()
        if isinstance(self.columns, tuple):
            raise StateError("columns are given as objects, which are not saved. Write them to a TOML file and give its path.")
        everything = internal or self.epsilon is None
        report = self._report if everything else self._report.only("public")
        words = {"advice": self.advice_ if everything else (), "notices": self.notices_ if everything else ()}
        params = {k: str(v) if isinstance(v, Path) else v for k, v in self.get_params().items() if k != "progress"}
        state = {"accepted": self.accepted_, "rows": self._rows, **words, "frame": self._frame.to_json()}
        with folder_aside(Path(folder)) as aside:
            self.model_.save(aside / MODEL)
            text = json.dumps({"params": params, **state, "report": to_json(report)}, indent=1)
            (aside / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "Synthesizer":
        """The synthesizer that `save` wrote. RecordError if the folder holds none."""
        place = Path(folder)
        try:
            saved = json.loads((place / FILE).read_text(encoding="utf-8"))
            loaded = cls(**{**saved["params"], "drop": tuple(saved["params"]["drop"])})
            loaded._report = from_json(saved["report"])
            loaded._frame = FrameLike.from_json(saved["frame"])
            loaded.accepted_, loaded._rows = bool(saved["accepted"]), int(saved["rows"])
            loaded.advice_, loaded.notices_ = tuple(saved["advice"]), tuple(saved["notices"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"{place} holds no saved synthesizer ({type(error).__name__}). Give the folder that save() wrote."
            ) from None
        loaded.model_ = MixtureTables.load(place / MODEL)
        return loaded

    def _require_fit(self) -> None:
        if not hasattr(self, "model_"):
            raise StateError("this synthesizer is not fitted. Call fit(table) first.")


@contextmanager
def _shown(progress: Progress | bool | None) -> Iterator[Progress]:
    """The function that reports progress: the given one, a bar on stderr, or nothing."""
    if callable(progress):
        yield progress
        return
    if progress is False or (progress is None and not sys.stderr.isatty()):
        yield no_progress
        return
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with ProgressBar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)
