"""The table engine: paid marginals in rounds, a mixture of products fitted to them, exact (conditional) sampling."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galenic.errors import OptionError, RecordError
from galenic.generators.tables.autoregressive import (
    AutoregressiveModel,
    fit_autoregressive,
    target_model_arrays,
    target_model_from_arrays,
)
from galenic.generators.tables.boosted import boosted_arrays, boosted_from_arrays, fit_boosted_trees
from galenic.generators.tables.coarsening import expand_shares, is_ordered
from galenic.generators.tables.constrained_sampling import SampledRows, add_totals, ordered_sums, sample_within
from galenic.generators.tables.decoding import allowed_levels, decode
from galenic.generators.tables.engine_version import ENGINE, ENGINE_VERSION
from galenic.generators.tables.fit_summary import FitSummary, fit_cost
from galenic.generators.tables.forest import MOST_ROWS, fit_forest_sequence, forest_arrays, forests_from_arrays
from galenic.generators.tables.imputation import ImputedTable, impute_gaps, known_levels
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals
from galenic.generators.tables.marginal_plan import MarginalPlan, exact_plan, make_plan
from galenic.generators.tables.mixture import MOST_MEMBERS, Mixture, MixtureFit, average_mixtures, fit_ensemble
from galenic.generators.tables.model_files import dataclass_fields, read_model, write_model
from galenic.generators.tables.row_sampling import RowSampler
from galenic.generators.tables.sampling import draw_rows
from galenic.generators.tables.target_learning import MODEL_ROWS, MeasuredTable, learn_target
from galenic.generators.tables.value_support import ValueSupport, fit_value_support
from galenic.privacy import MIN_PATIENTS, Domain, PrivateRows
from galenic.schema import MARK, Column, Constraint, FitCost, Progress, Table, check_names, no_progress

NON_PRIVATE_MEMBERS = 2  # fits that are averaged where no noise has to be averaged out
SUPPORT_ARRAYS = ("points", "point_weights", "point_starts")


def new_rng(seed: int | None = None) -> np.random.Generator:
    """A random generator: seeded, or from the operating system."""
    return np.random.default_rng(seed if seed is not None else int.from_bytes(os.urandom(8), "big"))


@dataclass(kw_only=True, eq=False)
class MixtureTables:
    """Learns from patients' tables and makes new rows like theirs.

    target: column whose conditional distribution is learned with more budget. constraints: rules that every new row satisfies.
    members: most fits that are averaged. least: patients who must share an exact value before a fit without privacy emits it. seed: of
    the fit, never of noise. refine: whether a fit without privacy also learns from rows. known: columns that are known of every row
    that will be drawn (`sample_remaining`).
    """

    target: str | None = None
    constraints: tuple[Constraint, ...] = ()
    members: int = MOST_MEMBERS
    least: int = MIN_PATIENTS
    seed: int | None = None
    refine: bool = True
    known: tuple[str, ...] = ()
    columns: tuple[Column, ...] = field(init=False, repr=False)  # that were learned
    totals: tuple[Column, ...] = field(init=False, repr=False)  # that are sums of others
    sums: tuple[Constraint, ...] = field(init=False, repr=False)
    rows: RowSampler = field(init=False, repr=False)
    supports: dict[str, ValueSupport] = field(init=False, repr=False)
    autoregressive: AutoregressiveModel = field(init=False, repr=False)
    relearn: Callable[..., AutoregressiveModel] = field(init=False, repr=False)  # after a fit: (codes, before=...)
    marginals: MeasuredMarginals = field(init=False, repr=False)  # after a fit
    fitted: FitSummary = field(init=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that were learned."""
        return tuple(c.name for c in self.columns)

    @property
    def mixture(self) -> Mixture:
        """The mixture over fine levels."""
        return self.rows.mixture

    def cost(self, columns: int, rows: int, epsilon: float | None = None) -> FitCost:
        """Seconds, megabytes and epsilon for a table of that size; no data is read."""
        return fit_cost(columns, rows, epsilon)

    def fit(self, real: PrivateRows, domain: Domain, *, progress: Progress = no_progress) -> "MixtureTables":
        """Learns from protected rows over a bought domain. All of real's remaining budget is spent.

        BudgetError if rows and budget are too small for any information; only the domain is spent then.
        """
        self._set_columns(domain)
        plan, target = self._plan(real, domain.rows)
        progress("counting", 0.1)
        marginals, crosstab = measure_marginals(real, self.columns, plan, domain.rows, target)
        self.marginals = marginals
        rng = new_rng(self.seed)
        parts, components = fit_ensemble(
            list(marginals.pairs),
            marginals.sizes,
            domain.rows,
            rng,
            most_members=self.members if real.private else NON_PRIVATE_MEMBERS,
            progress=lambda share: progress("fitting", 0.2 + 0.7 * share),
        )
        coarse = average_mixtures([p.mixture for p in parts])
        table = MeasuredTable(self.columns, marginals, crosstab, coarse, domain.rows, target, plan.triple_bins)
        with threadpool_limits(1):  # small matrices: a second thread waits more than it works
            target_model, triples = learn_target(real, table, rng)
        drawn = [j for j, c in enumerate(self.columns) if self.known and c.name not in self.known]
        self.relearn = partial(fit_autoregressive, marginals, targets=drawn, rows=domain.rows, rng=rng)
        self.autoregressive = self.relearn(draw_rows(coarse, MODEL_ROWS, rng)) if drawn else AutoregressiveModel(())
        ones = [m.counts for m in marginals.ones]
        self.supports = self._value_supports(real, domain, ones, rng)
        sizes = np.array([c.levels for c in self.columns])
        refined = (None, None) if real.private or not self.refine else self._learn_from_rows(real, target, rng)
        mixture = Mixture(coarse.weights, expand_shares(coarse.shares, list(marginals.groups), ones), sizes)
        self.rows = RowSampler(mixture, marginals.groups, target_model, *refined)
        self.fitted = self._summary(plan, parts, components, triples, domain.rows, real.private)
        progress("fitted", 1.0)
        return self

    def _summary(
        self, plan: MarginalPlan, parts: list[MixtureFit], components: int, triples: int, rows: int, private: bool
    ) -> FitSummary:
        return FitSummary(
            rows=rows,
            pairs=self.marginals.measured_pairs,
            possible_pairs=len(self.columns) * (len(self.columns) - 1) // 2,
            triples=triples,
            bins=plan.bins or 0,
            members=len(parts),
            components=components,
            chi2=float(np.mean([p.chi2 for p in parts])),
            one_noise=plan.one_noise,
            pair_noise=plan.pair_noise,
            private=private,
        )

    def _set_columns(self, domain: Domain) -> None:
        """Divides the domain's columns into learned ones and totals."""
        self.sums = ordered_sums(self.constraints)
        check_names(self.constraints, tuple(c.name for c in domain.columns))
        total_names = {c.columns[0] for c in self.sums}
        self.columns = tuple(c for c in domain.columns if c.coded and c.name not in total_names)
        self.totals = tuple(c for c in domain.columns if c.name in total_names)
        if not self.columns:
            raise RecordError("no column of the table can be learned from: none has categories or bins. Describe them.")

    def _plan(self, real: PrivateRows, rows: int) -> tuple[MarginalPlan, int | None]:
        """(the marginals to measure, position of the target)."""
        target = self.names.index(self.target) if self.target in self.names else None
        sizes = np.array([c.levels for c in self.columns])
        if not real.private:
            return exact_plan(sizes, target), target
        return make_plan(sizes, np.array([is_ordered(c) for c in self.columns]), rows, real.rho, real.cap, target), target

    def _value_supports(
        self, real: PrivateRows, domain: Domain, ones: list[NDArray[np.float64]], rng: np.random.Generator
    ) -> dict[str, ValueSupport]:
        """Of numeric columns: all values of a fit without privacy, those that were bought as common of a private one. Worked-out days
        are not values of anybody: of them the common ones are enough."""
        numbers = tuple(c for c in self.columns if c.kind in ("numeric", "integer") and not c.anchor and c.name != "@gap")
        common: Mapping[str, Mapping[float, int]] = domain.common
        if not real.private:
            common = real.values(numbers, Fraction(0), Fraction(0))
        supports = {}
        for column in numbers:
            counts = {float(v): float(n) for v, n in common.get(column.name, {}).items()}
            in_bins = ones[self.columns.index(column)][: len(column.edges) - 1]
            rare_known = not real.private and not column.name.startswith(MARK)
            least = float(self.least * real.cap)
            support = fit_value_support(column, counts, in_bins, rng, least=least, rare_known=rare_known) if counts else None
            if support is not None:
                supports[column.name] = support
        return supports

    def _learn_from_rows(self, real: PrivateRows, target: int | None, rng: np.random.Generator) -> tuple[Any, Any]:
        """(forests of columns one after another, boosted trees of the target by all others)."""
        if len(self.columns) < 2:
            return None, None
        codes = real.coded(self.columns, MOST_ROWS)
        forests = fit_forest_sequence(codes, np.array([not is_ordered(c) for c in self.columns]), target, rng)
        return forests, fit_boosted_trees(codes, target, rng) if target is not None else None

    def sample(self, n: int, given: Mapping[str, object] | None = None, rng: np.random.Generator | None = None) -> Table:
        """n new rows. given: column -> value (or values) that every row has.

        OptionError if `given` names an unknown column or value; RecordError if it has probability zero.
        """
        return self.sample_rows(n, given, rng).table

    def sample_rows(
        self, n: int, given: Mapping[str, object] | None = None, rng: np.random.Generator | None = None
    ) -> SampledRows:
        """n new rows, and how many were rejected by which constraint."""
        if n < 0:
            raise OptionError(f"rows is {n}. Expected 0 or more.")
        rng = rng or new_rng()
        allowed = allowed_levels(self.columns, given or {})
        rules = tuple(c for c in self.constraints if c.kind != "sum")
        return sample_within(lambda m: self._table(self.rows.draw(m, allowed, rng), given or {}, rng), n, rules)

    def sample_balanced(self, column: str, n: int, rng: np.random.Generator | None = None) -> SampledRows:
        """n new rows in which every value of a category column is equally frequent, without OTHER and missing."""
        described = next((c for c in self.columns if c.name == column), None)
        if described is None or described.binned or len(described.categories) < 2:
            raise OptionError(f"balance: {column!r} is no category column of this model with two values or more. Name one.")
        rng = rng or new_rng()
        values = described.categories
        parts = [self.sample_rows(n // len(values) + (k < n % len(values)), {column: v}, rng) for k, v in enumerate(values)]
        frame = pa.concat_tables([p.table.frame for p in parts]).take(pa.array(rng.permutation(n)))
        rejected = {name: sum(p.rejected[name] for p in parts) for name in parts[0].rejected}
        return SampledRows(Table(frame, parts[0].table.columns), sum(p.tried for p in parts), rejected)

    def sample_remaining(
        self, known: pa.Table, rng: np.random.Generator, seen: list[NDArray[np.int64]] | None = None
    ) -> pa.Table:
        """All other columns of rows of which some are known, one row for each. seen: gets their coarse levels."""
        codes = self.autoregressive.fill(known_levels(known, self.columns), self.rows.groups, self.mixture, rng)
        if seen is not None:
            seen.append(self.rows.coarse(codes))
        unknown = [(j, c) for j, c in enumerate(self.columns) if c.name not in known.column_names]
        arrays = [decode(c, codes[:, j], rng, self.supports.get(c.name)) for j, c in unknown]
        return pa.table(arrays, names=[c.name for _, c in unknown])

    def impute(self, table: Table, rng: np.random.Generator | None = None) -> ImputedTable:
        """Rows with their missing values drawn from the other values of each row; see `impute_gaps`. The table's columns are
        described as the model's are."""
        rng = rng or new_rng()
        return impute_gaps(table, self.columns, self.mixture, lambda codes: self._table(codes, {}, rng), self.constraints, rng)

    def _table(self, codes: NDArray[np.int64], given: Mapping[str, object], rng: np.random.Generator) -> Table:
        arrays = [decode(c, codes[:, j], rng, self.supports.get(c.name)) for j, c in enumerate(self.columns)]
        arrays = [_exact_value(c, a, given.get(c.name)) for c, a in zip(self.columns, arrays, strict=True)]
        frame = pa.table(arrays, names=[c.name for c in self.columns])
        return add_totals(Table(_with_dates(frame, self.columns), self.columns), self.sums, self.totals)

    def save(self, folder: Path) -> None:
        """Writes the model: arrays as .npy inside an .npz (no pickle), the rest as JSON. The folder must not exist."""
        arrays: dict[str, Any] = {"weights": self.mixture.weights, "shares": self.mixture.shares}
        arrays["groups"] = np.concatenate(self.rows.groups)
        target_models = [m for m in (self.rows.target_model, *self.autoregressive.targets) if m is not None]
        described = [target_model_arrays(f"outcome_{k}", model) for k, model in enumerate(target_models)]
        for _about, more in described:
            arrays |= more
        for k, (_name, support) in enumerate(sorted(self.supports.items())):
            values = (support.points, support.weights, support.starts)
            arrays |= {f"{part}_{k}": value for part, value in zip(SUPPORT_ARRAYS, values, strict=True)}
        arrays |= forest_arrays(self.rows.forests) if self.rows.forests is not None else {}
        arrays |= boosted_arrays(self.rows.boosted) if self.rows.boosted is not None else {}
        about = {
            "columns": [asdict(c) for c in self.columns],
            "totals": [asdict(c) for c in self.totals],
            "constraints": [asdict(c) for c in self.constraints],
            "fit": asdict(self.fitted),
            "has_target": self.rows.target_model is not None,
            "outcomes": [model_about for model_about, _more in described],
            "lattices": sorted(self.supports),
            "options": {"target": self.target, "members": self.members, "least": self.least, "known": self.known},
        }
        write_model(folder, ENGINE, ENGINE_VERSION, about, arrays)

    @classmethod
    def load(cls, folder: Path) -> "MixtureTables":
        """The model that `save` wrote; RecordError if it is of another engine or version."""
        about, arrays = read_model(folder, ENGINE, ENGINE_VERSION)
        model = cls(constraints=tuple(Constraint(**dataclass_fields(c)) for c in about["constraints"]), **about["options"])
        model.columns, model.totals = (
            tuple(Column(**dataclass_fields(c)) for c in about[part]) for part in ("columns", "totals")
        )
        model.sums = ordered_sums(model.constraints)
        sizes = np.array([c.levels for c in model.columns])
        groups = tuple(np.split(arrays["groups"], np.cumsum(sizes)[:-1]))
        models = [target_model_from_arrays(f"outcome_{k}", o, arrays) for k, o in enumerate(about["outcomes"])]
        target_model = models.pop(0) if about["has_target"] else None
        mixture = Mixture(arrays["weights"], arrays["shares"], sizes)
        trees = (forests_from_arrays(arrays), boosted_from_arrays(arrays))
        model.rows = RowSampler(mixture, groups, target_model, *trees)
        model.autoregressive = AutoregressiveModel(tuple(models))
        model.supports = {
            name: ValueSupport(*(arrays[f"{part}_{k}"] for part in SUPPORT_ARRAYS)) for k, name in enumerate(about["lattices"])
        }
        model.fitted = FitSummary(**about["fit"])
        return model


def _exact_value(column: Column, array: pa.Array, given: object) -> pa.Array:
    """The array, or a single given number as it was given instead of another value of its bin."""
    if column.kind in ("numeric", "integer") and isinstance(given, int | float) and not isinstance(given, bool):
        return pa.array(np.full(len(array), given), array.type)
    return array


def _with_dates(frame: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    """Days after the anchor as dates; missing where either is missing."""
    for place, column in enumerate(columns):
        if column.kind != "date" or not column.anchor:
            continue
        if column.anchor not in frame.column_names:
            raise RecordError(f"column {column.name!r} counts days after {column.anchor!r}, which was not learned. Keep both.")
        days = pc.add(frame[column.anchor].cast(pa.int32()).cast(pa.float64()), frame[column.name])
        dates = days.cast(pa.int32(), safe=False).cast(pa.date32())
        frame = frame.set_column(place, column.name, dates)
    return frame
