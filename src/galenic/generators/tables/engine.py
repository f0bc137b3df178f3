"""The table engine: paid 1- and 2-way marginals, a mixture of products fitted to them, exact (conditional) sampling."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables.mixture import Marginal, Mixture, averaged, fit_mixture
from galenic.generators.tables.plan import SELECTION_SHARE, Plan, plan, shares
from galenic.generators.tables.values import condition, decode
from galenic.privacy import Crosstab, Domain, Protected
from galenic.schema import Column, Table

ENGINE = "galenic-mixture"
ENGINE_VERSION = "1"
MEMBERS, COMPONENTS = 4, 150

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Cost:
    """What a fit will take, told before it starts; measured on 2 cores, so an order of magnitude, not a promise."""

    seconds: float
    megabytes: float
    epsilon: float | None


@dataclass(frozen=True)
class Fit:
    """How a fit went, all of it post-processing of paid answers. rho_marginals is what the marginals cost together."""

    rows: int
    pairs: int
    possible_pairs: int
    chi2: float
    steps: int
    one_noise: float
    pair_noise: float
    private: bool


class MixtureTables:
    """Learns from patients' tables and makes new rows like theirs. Satisfies the Generator protocol of generators.tables."""

    def __init__(self, *, members: int = MEMBERS, components: int = COMPONENTS, seed: int | None = None) -> None:
        self.members = members
        self.components = components
        self.seed = seed

    def cost(self, columns: int, rows: int, epsilon: float | None = None) -> Cost:
        """Seconds, megabytes and epsilon for a table of that size; read from no data."""
        levels = columns * 12
        fit = self.members * 250 * 4 * self.components * levels**2 / 2e10
        count = rows * columns**2 * 2e-9 + rows * columns * 1e-6
        return Cost(2 + fit + count, 250 + (3 * 4 * levels**2 + 65_536 * columns * 40) / 1e6, epsilon)

    def fit(self, real: Protected, domain: Domain, *, progress: Progress | None = None) -> "MixtureTables":
        """Learns from protected rows over a bought domain. All of real's remaining budget is spent.

        BudgetError if rows and budget are too small to say anything; nothing but the domain is spent then.
        """
        tell = progress or (lambda _what, _share: None)
        coded = [c for c in domain.columns if c.coded]
        if not coded:
            raise RecordError("no column of the table can be learned from: none has categories or bins. Describe them.")
        self.columns: tuple[Column, ...] = tuple(coded)
        sizes = np.array([c.levels for c in self.columns])
        steps = plan(sizes, domain.rows, real.rho, real.cap)
        if not real.private:
            steps = Plan(len(sizes) * (len(sizes) - 1) // 2, False, 0.0, 0.0)
        tell("counting", 0.1)
        marginals = measure_marginals(real, self.columns, steps, domain.rows)
        rng = np.random.default_rng(self.seed if self.seed is not None else int.from_bytes(os.urandom(8), "big"))
        parts, chi2, taken = [], 0.0, 0
        for member in range(self.members):
            tell("fitting", 0.2 + 0.8 * member / self.members)
            fitted = fit_mixture(marginals, sizes, domain.rows, rng, components=self.components)
            parts.append(fitted.mixture)
            chi2, taken = chi2 + fitted.chi2 / self.members, taken + fitted.steps
        self.mixture = averaged(parts)
        possible = len(sizes) * (len(sizes) - 1) // 2
        self.fitted = Fit(domain.rows, steps.pairs, possible, chi2, taken, steps.one_noise, steps.pair_noise, real.private)
        tell("fitted", 1.0)
        return self

    def sample(self, n: int, given: Mapping[str, object] | None = None, rng: np.random.Generator | None = None) -> Table:
        """n new rows. given: column -> value (or values) that every row shall have; exact, by reweighting components.

        DescriptionError if `given` names what the model has not; RecordError if it has probability zero.
        """
        if n < 0:
            raise DescriptionError(f"rows is {n}. Expected 0 or more.")
        rng = rng or np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
        mixture = _conditioned(self.mixture, condition(self.columns, given or {}))
        codes = draw(mixture, n, rng)
        arrays = [decode(column, codes[:, j], rng) for j, column in enumerate(self.columns)]
        if given:
            arrays = [_exactly(c, a, given.get(c.name)) for c, a in zip(self.columns, arrays, strict=True)]
        frame = pa.table(arrays, names=[c.name for c in self.columns])
        return Table(_dated(frame, self.columns), self.columns)

    def save(self, folder: Path) -> None:
        """Writes the model: arrays as .npy inside an .npz (no pickle), the rest as JSON. The folder must not exist."""
        folder.mkdir(parents=True)
        np.savez_compressed(folder / "mixture.npz", weights=self.mixture.weights, shares=self.mixture.shares)
        about = {
            "engine": ENGINE,
            "version": ENGINE_VERSION,
            "columns": [asdict(c) for c in self.columns],
            "fit": asdict(self.fitted),
            "options": {"members": self.members, "components": self.components},
        }
        (folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "MixtureTables":
        """The model that `save` wrote; RecordError if it is of another engine or version."""
        try:
            about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            with np.load(folder / "mixture.npz", allow_pickle=False) as arrays:
                weights, table = arrays["weights"], arrays["shares"]
        except (OSError, ValueError, KeyError) as error:
            raise RecordError(
                f"{folder} holds no readable model ({type(error).__name__}). Give the folder save() wrote."
            ) from None
        if (about.get("engine"), about.get("version")) != (ENGINE, ENGINE_VERSION):
            raise RecordError(f"{folder} was written by another engine; this is {ENGINE} {ENGINE_VERSION}. Fit again.")
        model = cls(**about["options"])
        model.columns = tuple(_column(c) for c in about["columns"])
        model.mixture = Mixture(weights, table, np.array([c.levels for c in model.columns]))
        model.fitted = Fit(**about["fit"])
        return model


def _column(saved: dict[str, Any]) -> Column:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
    return Column(**fields)


def measure_marginals(real: Protected, columns: tuple[Column, ...], steps: Plan, rows: int) -> list[Marginal]:
    """Asks and pays for the plan's marginals; rho is split by cells^(2/3)."""
    d = len(columns)
    table = real.crosstab(columns)
    rho = real.rho
    every = [(i, j) for i in range(d) for j in range(i + 1, d)]
    marginals: list[Marginal] = []
    if steps.select:
        # choosing needs the single columns first; their share is the same as they would get at the end
        cells = np.array([c.levels for c in columns] + _typical(columns, every, steps.pairs), dtype=np.float64)
        part = shares(cells) * float(rho * (1 - SELECTION_SHARE))
        marginals = [_one(real, table, j, Fraction(part[j])) for j in range(d)]
        chosen = _select(table, marginals, columns, steps, rows, rho * SELECTION_SHARE)
        left = real.rho
        cells = np.array([columns[i].levels * columns[j].levels for i, j in chosen], dtype=np.float64)
        part = shares(cells) * float(left) if chosen else cells
    else:
        chosen = every
        cells = np.array(
            [c.levels for c in columns] + [columns[i].levels * columns[j].levels for i, j in every], dtype=np.float64
        )
        part = shares(cells) * float(rho)
        marginals = [_one(real, table, j, Fraction(part[j])) for j in range(d)]
        part = part[d:]
    for (i, j), price in zip(chosen, part, strict=True):
        # rounding of the float shares must not overdraw: the last one takes what is left
        counts, sigma = table.two_way(i, j, min(Fraction(price), real.rho))
        marginals.append(_marginal((i, j), counts, sigma))
    return marginals


def _one(real: Protected, table: Crosstab, j: int, rho: Fraction) -> Marginal:
    counts, sigma = table.one_way(j, min(rho, real.rho))
    return _marginal((j,), counts, sigma)


def _marginal(columns: tuple[int, ...], counts: NDArray[np.int64], sigma: float) -> Marginal:
    """Exact counts get the variance of sampling (Poisson) instead of noise, so that the fit stops at sampling error."""
    floats = counts.astype(np.float64)
    return Marginal(columns, floats, sigma**2 if sigma else floats + 1.0)


def _typical(columns: tuple[Column, ...], every: list[tuple[int, int]], k: int) -> list[int]:
    sizes = sorted((columns[i].levels * columns[j].levels for i, j in every), reverse=True)
    return [sizes[int(p)] for p in np.linspace(0, len(sizes) - 1, k)] if k else []


def _select(
    table: Crosstab, ones: list[Marginal], columns: tuple[Column, ...], steps: Plan, rows: int, rho: Fraction
) -> list[tuple[int, int]]:
    """The pairs furthest from independent, after subtracting what noise would add by measuring them."""
    estimated = []
    for m in ones:
        positive = np.maximum(m.counts, 0.5)
        estimated.append(positive / positive.sum())
    scores, _sigma = table.dependence(estimated, rows, rho)
    mean_cells = float(np.mean([columns[i].levels * columns[j].levels for i, j in scores]))
    penalty = 2 * steps.pair_noise * rows / mean_cells
    ranked = sorted(scores, key=lambda p: penalty * columns[p[0]].levels * columns[p[1]].levels - scores[p])
    return sorted(ranked[: steps.pairs])


def _conditioned(mixture: Mixture, allowed: dict[int, NDArray[np.int64]]) -> Mixture:
    """P(x | x_j in allowed_j): components reweighted by how likely they make the evidence. Exact for products."""
    if not allowed:
        return mixture
    log_weights = np.log(np.maximum(mixture.weights, 1e-300))
    table = mixture.shares.copy()
    o = mixture.offsets
    for j, levels in allowed.items():
        part = table[:, o[j] : o[j + 1]]
        kept = np.zeros_like(part)
        kept[:, levels] = part[:, levels]
        mass = kept.sum(axis=1)
        log_weights += np.log(np.maximum(mass, 1e-300))
        even = np.zeros(part.shape[1])
        even[levels] = 1 / levels.size
        table[:, o[j] : o[j + 1]] = np.where(mass[:, None] > 0, kept / np.maximum(mass, 1e-300)[:, None], even)
    weights = np.exp(log_weights - log_weights.max())
    return Mixture(weights / weights.sum(), table, mixture.sizes)


def _systematic(shares_: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """n levels with counts within one of n * share: systematic sampling, in level order."""
    top = np.cumsum(shares_)
    places = (np.arange(n) + rng.random()) / n * top[-1]
    return np.minimum(np.searchsorted(top, places, side="right"), shares_.size - 1)


def draw(mixture: Mixture, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Level numbers, shape (n, columns), rows in random order; systematic within components, so less noisy than chance."""
    codes = np.empty((n, len(mixture.sizes)), dtype=np.int64)
    if not n:
        return codes
    counts = np.bincount(_systematic(mixture.weights, n, rng), minlength=mixture.weights.size)
    o, start = mixture.offsets, 0
    for k in np.flatnonzero(counts):
        m = int(counts[k])
        for j in range(len(mixture.sizes)):
            level = _systematic(mixture.shares[k, o[j] : o[j + 1]], m, rng)
            codes[start : start + m, j] = rng.permutation(level)
        start += m
    return codes[rng.permutation(n)]


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
