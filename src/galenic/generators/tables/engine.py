"""The table engine: paid marginals in rounds, a mixture of products fitted to them, exact (conditional) sampling."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables.autoregressive import (
    AutoregressiveModel,
    fit_autoregressive,
    target_model_arrays,
    target_model_from_arrays,
)
from galenic.generators.tables.boosted import BoostedTrees, boosted_arrays, boosted_from_arrays, fit_boosted_trees
from galenic.generators.tables.coarsening import Integers, draw_fine_levels, expand_shares, is_ordered, merge_levels
from galenic.generators.tables.constrained_sampling import SampledRows, add_totals, ordered_sums, sample_within
from galenic.generators.tables.decoding import allowed_levels, decode
from galenic.generators.tables.forest import MOST_ROWS, ForestSequence, fit_forest_sequence, forest_arrays, forests_from_arrays
from galenic.generators.tables.imputation import ImputedTable, impute_gaps, known_levels
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_marginals, measure_triples
from galenic.generators.tables.marginal_plan import exact_plan, make_plan
from galenic.generators.tables.mixture import MOST_MEMBERS, Mixture, average_mixtures, fit_ensemble
from galenic.generators.tables.model_files import dataclass_fields, read_model, write_model
from galenic.generators.tables.sampling import condition_mixture, draw_rows
from galenic.generators.tables.target_model import TargetModel, fit_target_model
from galenic.generators.tables.value_support import ValueSupport, fit_value_support
from galenic.privacy import MIN_PATIENTS, Domain, PrivateRows
from galenic.schema import MARK, Column, Constraint, Table, check_names

ENGINE = "galenic-mixture"
ENGINE_VERSION = "2"
MODEL_ROWS = 20_000  # rows of the mixture that stand for it when the target's model is fitted
EXPECTED_ROWS = 200_000  # and, at most, when triples are held against what pairs lead to expect
OVERSAMPLED = 4  # rows drawn for each kept one, when the target is given

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class FitCost:
    """What a fit will take, told before it starts; measured on 2 cores, so an order of magnitude, not a promise."""

    seconds: float
    megabytes: float
    epsilon: float | None


@dataclass(frozen=True)
class FitSummary:
    """How a fit went, all of it post-processing of paid answers. bins: most levels of an ordered column within pairs, 0 where they
    were taken as they are; triples: with the target; components: of each member."""

    rows: int
    pairs: int
    possible_pairs: int
    triples: int
    bins: int
    members: int
    components: int
    chi2: float
    one_noise: float
    pair_noise: float
    private: bool


class MixtureTables:
    """Learns from patients' tables and makes new rows like theirs. Satisfies the Generator protocol of generators.tables."""

    def __init__(
        self,
        *,
        target: str | None = None,
        constraints: tuple[Constraint, ...] = (),
        members: int = MOST_MEMBERS,
        least: int = MIN_PATIENTS,
        seed: int | None = None,
        refine: bool = True,
        known: tuple[str, ...] = (),
    ) -> None:
        self.target = target
        self.constraints = constraints
        self.members = members
        self.least = least
        self.seed = seed
        self.refine = refine
        self.known = known  # columns that are known of every row that will be drawn (beside)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that were learned."""
        return tuple(c.name for c in self.columns)

    def cost(self, columns: int, rows: int, epsilon: float | None = None) -> FitCost:
        """Seconds, megabytes and epsilon for a table of that size; read from no data."""
        levels = columns * 12
        fit = 500 * 480 * levels**2 * 4 / 4e10
        count = rows * columns**2 * 2e-9 + rows * columns * 1e-6
        return FitCost(3 + fit + count, 250 + (3 * 4 * levels**2 + 65_536 * columns * 40) / 1e6, epsilon)

    def fit(self, real: PrivateRows, domain: Domain, *, progress: Progress | None = None) -> "MixtureTables":
        """Learns from protected rows over a bought domain. All of real's remaining budget is spent.

        BudgetError if rows and budget are too small to say anything; nothing but the domain is spent then.
        """
        tell = progress or (lambda _what, _share: None)
        self.sums = ordered_sums(self.constraints)
        check_names(self.constraints, tuple(c.name for c in domain.columns))
        worked_out = {c.columns[0] for c in self.sums}
        coded = [c for c in domain.columns if c.coded and c.name not in worked_out]
        self.totals = tuple(c for c in domain.columns if c.name in worked_out)
        if not coded:
            raise RecordError("no column of the table can be learned from: none has categories or bins. Describe them.")
        self.columns: tuple[Column, ...] = tuple(coded)
        names = [c.name for c in coded]
        target = names.index(self.target) if self.target in names else None
        sizes = np.array([c.levels for c in self.columns])
        if real.private:
            steps = make_plan(sizes, np.array([is_ordered(c) for c in coded]), domain.rows, real.rho, real.cap, target)
        else:
            steps = exact_plan(sizes, target)
        tell("counting", 0.1)
        answers = measure_marginals(real, self.columns, steps, domain.rows, target)
        rng = np.random.default_rng(self.seed if self.seed is not None else int.from_bytes(os.urandom(8), "big"))
        parts, components = fit_ensemble(
            list(answers.pairs),
            answers.sizes,
            domain.rows,
            rng,
            most_members=self.members if real.private else 2,
            progress=lambda share: tell("fitting", 0.2 + 0.7 * share),
        )
        coarse = average_mixtures([p.mixture for p in parts])
        self.groups = answers.groups
        with threadpool_limits(1):  # small matrices: a second thread waits more than it works
            self.outcome, triples = self._learn_target(real, answers, coarse, domain.rows, target, steps.triple_bins, rng)
        self.ones, ones = answers.ones, [m.counts for m in answers.ones]
        drawn = [j for j, c in enumerate(coded) if self.known and c.name not in self.known]

        def relearn(codes: NDArray[np.int64], before: AutoregressiveModel | None = None) -> AutoregressiveModel:
            return fit_autoregressive(answers, codes, drawn, domain.rows, rng, before)

        self.relearn = relearn
        self.steps = self.relearn(draw_rows(coarse, MODEL_ROWS, rng)) if drawn else AutoregressiveModel(())
        self.lattices = self._lattices(real, domain, ones, rng)
        plain_fit = real.private or not self.refine
        self.chain, self.boosted = (None, None) if plain_fit else self._refine(real, target, rng)
        self.mixture = Mixture(coarse.weights, expand_shares(coarse.shares, list(answers.groups), ones), sizes)
        possible = len(sizes) * (len(sizes) - 1) // 2
        chi2 = float(np.mean([p.chi2 for p in parts]))
        noise = (steps.one_noise, steps.pair_noise)
        sums = (answers.asked_pairs, possible, triples, steps.bins or 0, len(parts), components, chi2)
        self.fitted = FitSummary(domain.rows, *sums, *noise, real.private)
        tell("fitted", 1.0)
        return self

    def _lattices(
        self, real: PrivateRows, domain: Domain, ones: list[NDArray[np.float64]], rng: np.random.Generator
    ) -> dict[str, ValueSupport]:
        """Of numeric columns: all values where nothing is private, what was bought as common where it is. Worked-out days are no
        values that anybody holds: of them the common ones are enough."""
        numbers = tuple(c for c in self.columns if c.kind in ("numeric", "integer") and not c.anchor and c.name != "@gap")
        common: Mapping[str, Mapping[float, int]] = domain.common
        if not real.private:
            common = real.values(numbers, Fraction(0), Fraction(0))
        found = {}
        for column in numbers:
            counts = {float(v): float(n) for v, n in common.get(column.name, {}).items()}
            in_bins = ones[self.columns.index(column)][: len(column.edges) - 1]
            known = not real.private and not column.name.startswith(MARK)
            least = float(self.least * real.cap)
            made = fit_value_support(column, counts, in_bins, rng, least=least, rare_known=known) if counts else None
            if made is not None:
                found[column.name] = made
        return found

    def _refine(
        self, real: PrivateRows, target: int | None, rng: np.random.Generator
    ) -> tuple[ForestSequence | None, BoostedTrees | None]:
        """What rows themselves teach: columns one after another, and the target by all the others."""
        if len(self.columns) < 2:
            return None, None
        codes = real.coded(self.columns, MOST_ROWS)
        chain = fit_forest_sequence(codes, np.array([not is_ordered(c) for c in self.columns]), target, rng)
        return chain, fit_boosted_trees(codes, target, rng) if target is not None else None

    def _learn_target(
        self,
        real: PrivateRows,
        answers: MeasuredMarginals,
        coarse: Mixture,
        rows: int,
        target: int | None,
        triple_bins: int,
        rng: np.random.Generator,
    ) -> tuple[TargetModel | None, int]:
        """The target's model, first by pairs, then (where the plan pays for it) with triples that pairs do not explain."""
        if target is None or len(answers.sizes) < 2:
            return None, 0
        codes = draw_rows(coarse, MODEL_ROWS, rng)
        held = [coarse.one_way(j) for j in range(len(answers.sizes))]
        fewer = tuple(merge_levels(self.columns, list(answers.groups), held, triple_bins)) if triple_bins else self.groups
        fewer = (*fewer[:target], np.arange(answers.sizes[target]), *fewer[target + 1 :])
        about = (held[target], answers.sizes, fewer, target, rows)
        by_pairs = fit_target_model(codes, answers.pairs, *about)
        if not triple_bins or answers.table.target is None:
            return by_pairs, 0
        table = answers.table.grouped(fewer)
        many = draw_rows(coarse, min(max(rows, MODEL_ROWS), EXPECTED_ROWS), rng)
        expected = _expected(many, by_pairs, table.sizes, rows)
        triples = measure_triples(real, table, expected, rows, many.shape[0])
        return fit_target_model(codes, (*answers.pairs, *triples), *about), len(triples)

    def sample(self, n: int, given: Mapping[str, object] | None = None, rng: np.random.Generator | None = None) -> Table:
        """n new rows. given: column -> value (or values) that every row shall have.

        DescriptionError if `given` names what the model has not; RecordError if it has probability zero.
        """
        return self.drawn(n, given, rng).table

    def drawn(self, n: int, given: Mapping[str, object] | None = None, rng: np.random.Generator | None = None) -> SampledRows:
        """n new rows, and how many were turned down by which constraint on the way."""
        if n < 0:
            raise DescriptionError(f"rows is {n}. Expected 0 or more.")
        rng = rng or np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
        allowed = allowed_levels(self.columns, given or {})
        rules = tuple(c for c in self.constraints if c.kind != "sum")
        return sample_within(lambda m: self._table(self._codes(m, allowed, rng), given or {}, rng), n, rules)

    def balanced(self, column: str, n: int, rng: np.random.Generator | None = None) -> SampledRows:
        """n new rows in which every value of a category column is equally frequent, OTHER and missing left out."""
        described = next((c for c in self.columns if c.name == column), None)
        if described is None or described.binned or len(described.categories) < 2:
            raise DescriptionError(
                f"balance: {column!r} is no category column of this model with two values or more. Name one."
            )
        rng = rng or np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
        values = described.categories
        parts = [self.drawn(n // len(values) + (k < n % len(values)), {column: v}, rng) for k, v in enumerate(values)]
        frame = pa.concat_tables([p.table.frame for p in parts]).take(pa.array(rng.permutation(n)))
        rejected = {name: sum(p.rejected[name] for p in parts) for name in parts[0].rejected}
        return SampledRows(Table(frame, parts[0].table.columns), sum(p.tried for p in parts), rejected)

    def beside(self, known: pa.Table, rng: np.random.Generator, seen: list[NDArray[np.int64]] | None = None) -> pa.Table:
        """All other columns of rows of which some are known, one row for each. seen: gets their coarse levels."""
        codes = self.steps.filled(known_levels(known, self.columns), self.groups, self.mixture, rng)
        if seen is not None:
            seen.append(self._coarse(codes))
        asked = [(j, c) for j, c in enumerate(self.columns) if c.name not in known.column_names]
        arrays = [decode(c, codes[:, j], rng, self.lattices.get(c.name)) for j, c in asked]
        return pa.table(arrays, names=[c.name for _, c in asked])

    def completed(self, table: Table, rng: np.random.Generator | None = None) -> ImputedTable:
        """The same rows with what is missing drawn from what each row holds; see completion.complete. The table's columns are
        described as the model's are."""
        rng = rng or np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
        return impute_gaps(table, self.columns, self.mixture, lambda codes: self._table(codes, {}, rng), self.constraints, rng)

    def _codes(self, n: int, allowed: dict[int, Integers], rng: np.random.Generator) -> NDArray[np.int64]:
        outcome = self.outcome
        if outcome is not None and outcome.target in allowed and self.chain is None and n:
            return self._with_target(outcome, n, allowed, rng)
        if self.chain is not None:
            codes = self.chain.drawn(n, allowed, rng)
        else:
            codes = draw_rows(condition_mixture(self.mixture, allowed), n, rng, smooth=not allowed)
        if outcome is not None and outcome.target not in allowed and n:
            j = outcome.target
            codes[:, j] = draw_fine_levels(
                outcome.drawn(self._coarse(codes), rng), self.groups[j], self.mixture.one_way(j), rng
            )
        if self.boosted is not None and self.boosted.target not in allowed and n:
            codes[:, self.boosted.target] = self.boosted.drawn(codes, rng)
        return codes

    def _with_target(
        self, outcome: TargetModel, n: int, allowed: dict[int, Integers], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Rows whose target is given: the mixture knows it, too, so its draws are near; they are weighed by what the target's
        model says of them instead."""
        target = outcome.target
        codes = draw_rows(condition_mixture(self.mixture, allowed), OVERSAMPLED * n, rng)
        free = {j: levels for j, levels in allowed.items() if j != target}
        ours = outcome.chances(self._coarse(codes))[:, np.unique(self.groups[target][allowed[target]])].sum(axis=1)
        theirs = _chance_of(condition_mixture(self.mixture, free), codes, target, allowed[target])
        top = np.cumsum(ours / np.maximum(theirs, 1e-9))
        kept = np.searchsorted(top, (np.arange(n) + rng.random()) / n * top[-1], side="right")
        return codes[rng.permutation(np.minimum(kept, codes.shape[0] - 1))]

    def _coarse(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.stack([group[codes[:, j]] for j, group in enumerate(self.groups)], axis=1)

    def _table(self, codes: NDArray[np.int64], given: Mapping[str, object], rng: np.random.Generator) -> Table:
        arrays = [decode(c, codes[:, j], rng, self.lattices.get(c.name)) for j, c in enumerate(self.columns)]
        arrays = [_exactly(c, a, given.get(c.name)) for c, a in zip(self.columns, arrays, strict=True)]
        frame = pa.table(arrays, names=[c.name for c in self.columns])
        return add_totals(Table(_dated(frame, self.columns), self.columns), self.sums, self.totals)

    def save(self, folder: Path) -> None:
        """Writes the model: arrays as .npy inside an .npz (no pickle), the rest as JSON. The folder must not exist."""
        arrays: dict[str, Any] = {"weights": self.mixture.weights, "shares": self.mixture.shares}
        arrays["groups"] = np.concatenate(self.groups)
        told = [o for o in (self.outcome, *self.steps.outcomes) if o is not None]
        outcomes = []
        for k, outcome in enumerate(told):
            about_one, more = target_model_arrays(f"outcome_{k}", outcome)
            outcomes.append(about_one)
            arrays |= more
        for k, (_name, made) in enumerate(sorted(self.lattices.items())):
            arrays |= {f"points_{k}": made.points, f"point_weights_{k}": made.weights, f"point_starts_{k}": made.starts}
        arrays |= forest_arrays(self.chain) if self.chain is not None else {}
        arrays |= boosted_arrays(self.boosted) if self.boosted is not None else {}
        about = {
            "columns": [asdict(c) for c in self.columns],
            "totals": [asdict(c) for c in self.totals],
            "constraints": [asdict(c) for c in self.constraints],
            "fit": asdict(self.fitted),
            "has_target": self.outcome is not None,
            "outcomes": outcomes,
            "lattices": sorted(self.lattices),
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
        model.mixture = Mixture(arrays["weights"], arrays["shares"], sizes)
        model.groups = tuple(np.split(arrays["groups"], np.cumsum(sizes)[:-1]))
        told = [target_model_from_arrays(f"outcome_{k}", o, arrays) for k, o in enumerate(about["outcomes"])]
        model.outcome = told[0] if about["has_target"] else None
        model.steps = AutoregressiveModel(tuple(told[1:] if about["has_target"] else told))
        parts = ("points", "point_weights", "point_starts")
        model.lattices = {name: ValueSupport(*(arrays[f"{p}_{k}"] for p in parts)) for k, name in enumerate(about["lattices"])}
        model.chain, model.boosted = forests_from_arrays(arrays), boosted_from_arrays(arrays)
        model.fitted = FitSummary(**about["fit"])
        return model


def _expected(
    codes: NDArray[np.int64], outcome: TargetModel, sizes: NDArray[np.int64], rows: int
) -> dict[tuple[int, ...], NDArray[np.int64]]:
    """Whole counts of every pair of columns by the target, as the model of pairs has them; sizes: levels within triples."""
    chances = outcome.chances(codes) * (rows / codes.shape[0])
    target = outcome.target
    fewer = np.stack([g[codes[:, j]] for j, g in enumerate(outcome.fewer)], axis=1)
    found: dict[tuple[int, ...], NDArray[np.int64]] = {}
    for i, j in combinations([j for j in range(len(sizes)) if j != target], 2):
        cell = fewer[:, i] * sizes[j] + fewer[:, j]
        by_level = [np.bincount(cell, chances[:, v], minlength=int(sizes[i] * sizes[j])) for v in range(int(sizes[target]))]
        counts = np.stack(by_level, axis=1).reshape(int(sizes[i]), int(sizes[j]), int(sizes[target]))
        found[i, j, target] = np.rint(counts).astype(np.int64)
    return found


def _chance_of(mixture: Mixture, codes: NDArray[np.int64], j: int, levels: Integers) -> NDArray[np.float64]:
    """P(x_j in levels | the other columns of each row) under a mixture, shape (rows,)."""
    o = mixture.offsets
    log_shares = np.log(np.maximum(mixture.shares, 1e-12))
    inside = mixture.shares[:, o[j] + levels].sum(axis=1)
    out = np.empty(codes.shape[0])
    for start in range(0, codes.shape[0], 4_096):
        rows = codes[start : start + 4_096]
        log_weight = np.repeat(np.log(np.maximum(mixture.weights, 1e-300))[None], rows.shape[0], axis=0)
        for other in range(rows.shape[1]):
            if other != j:
                log_weight += log_shares[:, o[other] + rows[:, other]].T
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        out[start : start + 4_096] = weight @ inside / weight.sum(axis=1)
    return out


def _exactly(column: Column, array: pa.Array, wanted: object) -> pa.Array:
    """A single given number stands as given, not as another value of its bin."""
    if column.kind in ("numeric", "integer") and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return pa.array(np.full(len(array), wanted), array.type)
    return array


def _dated(frame: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    """Days after the anchor become dates; missing where either is missing."""
    for place, column in enumerate(columns):
        if column.kind != "date" or not column.anchor:
            continue
        if column.anchor not in frame.column_names:
            raise RecordError(f"column {column.name!r} counts days after {column.anchor!r}, which was not learned. Keep both.")
        days = pc.add(frame[column.anchor].cast(pa.int32()).cast(pa.float64()), frame[column.name])
        dates = days.cast(pa.int32(), safe=False).cast(pa.date32())
        frame = frame.set_column(place, column.name, dates)
    return frame


def shipped_audit() -> dict[str, Any] | None:
    """The audit of this engine version on public canaries (benchmarks/audit_engine.py), or None if there is none."""
    place = resources.files("galenic.generators.tables") / "audit.json"
    if not place.is_file():
        return None
    found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return found if (found["engine"], found["version"]) == (ENGINE, ENGINE_VERSION) else None
