"""Contracts of every paid measurement of private rows, and a tape of the noise that is drawn for its answers.

A new public method of a class that holds private rows needs a contract here: test_paid_answers.py fails without one.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from galenic import records
from galenic.privacy import Budget, Crosstab, Ledger, PrivateRows, measurement
from galenic.schema import Column

Cells = dict[Hashable, int]  # counts of one query by cell
Answer = tuple[list[Cells], list[float]]  # of each query: its counts, and the standard deviation that it states

CODE = Column("code", "category", hierarchy=(2, 1))
SEX = Column("sex", "category", categories=("f", "m"))
BAND = Column("band", "category", categories=("low", "middle", "high"), other=True)
X = Column("x", "numeric", edges=(0.0, 1.0, 2.0, 5.0), low=0.0, high=5.0, strays="missing")
CODED = (SEX, BAND, X)


@dataclass(frozen=True)
class Contract:
    """One way to ask a public method for `rho` and `delta` in all. method: its name, as CLASS.METHOD."""

    method: str
    ask: Callable[[PrivateRows], Answer]
    rho: Fraction
    delta: Fraction = Fraction(0)
    ident: str = ""

    def __str__(self) -> str:
        return self.method + self.ident


RHO, DELTA = Fraction(1, 50), Fraction(1, 10**10)
PRICES = {"sex": RHO / 2, "band": RHO / 3, "x": RHO / 6}
FOLD = [np.arange(3), np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 2])]  # every column's levels, missing last
WAYS = {(0,): RHO / 2, (0, 1): RHO / 4, (1, 2): RHO / 8, (0, 2, 1): RHO / 8}


def _by_place(counts: Any) -> Cells:
    return {place: int(n) for place, n in np.ndenumerate(np.asarray(counts))}


def _size(rows: PrivateRows) -> Answer:
    n, sigma = rows.size(RHO)
    return [{"rows": n}], [sigma]


def _kinds(*names: str) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        counts, sigma = rows.kinds(list(names), RHO)
        return [_by_place(counts[n]) for n in names], [sigma] * len(names)

    return ask


def _decimals(*names: str) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        counts, sigma = rows.decimals(list(names), RHO)
        return [_by_place(counts[n]) for n in names], [sigma] * len(names)

    return ask


def _histograms(rows: PrivateRows) -> Answer:
    found = rows.histograms(CODED, PRICES)
    return [_by_place(found[c.name][0]) for c in CODED], [found[c.name][1] for c in CODED]


def _values(*columns: Column) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        found = rows.values(columns, RHO, DELTA)
        cells: list[Cells] = []
        for c in columns:
            lengths = (4, *c.hierarchy) if c.hierarchy else (None,)  # codes of these tables have four characters
            cells += [{v: n for v, n in found[c.name].items() if k is None or len(v) == k} for k in lengths]
        return cells, []

    return ask


def crosstab(rows: PrivateRows) -> Crosstab:
    return Crosstab(rows, CODED, target=1)


def coarse(rows: PrivateRows) -> Crosstab:
    return crosstab(rows).grouped(FOLD)


def _ask(table: Callable[[PrivateRows], Crosstab], cells: tuple[int, ...]) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        noisy = table(rows).ask(cells, RHO)
        return [_by_place(noisy.counts)], [noisy.sigma]

    return ask


def _ask_all(table: Callable[[PrivateRows], Crosstab]) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        found = table(rows).ask_all(WAYS)
        return [_by_place(m.counts) for m in found], [m.sigma for m in found]

    return ask


def _distances(table: Callable[[PrivateRows], Crosstab], level: int) -> Callable[[PrivateRows], Answer]:
    def ask(rows: PrivateRows) -> Answer:
        held = table(rows)
        expected = {c: np.full([int(held.sizes[j]) for j in c], level, dtype=np.int64) for c in WAYS}
        scores, sigma = held.distances(expected, RHO)
        return [{"distance": scores[c]} for c in WAYS], [sigma] * len(WAYS)

    return ask


CONTRACTS = (
    Contract("PrivateRows.size", _size, RHO),
    Contract("PrivateRows.kinds", _kinds("x"), RHO, ident=" of one column"),
    Contract("PrivateRows.kinds", _kinds("x", "code", "sex"), RHO, ident=" of three columns"),
    Contract("PrivateRows.decimals", _decimals("x"), RHO, ident=" of one column"),
    Contract("PrivateRows.decimals", _decimals("x", "y"), RHO, ident=" of two columns"),
    Contract("PrivateRows.histograms", _histograms, RHO),
    Contract("PrivateRows.values", _values(SEX), RHO, DELTA, ident=" of one column"),
    Contract("PrivateRows.values", _values(CODE, Column("sex", "category")), RHO, DELTA, ident=" of codes and their parents"),
    Contract("Crosstab.ask", _ask(crosstab, (1,)), RHO, ident=" one way"),
    Contract("Crosstab.ask", _ask(crosstab, (0, 2)), RHO, ident=" two ways"),
    Contract("Crosstab.ask", _ask(coarse, (0, 2, 1)), RHO, ident=" three coarse ways"),
    Contract("Crosstab.ask_all", _ask_all(crosstab), RHO, ident=" at fine levels"),
    Contract("Crosstab.ask_all", _ask_all(coarse), RHO, ident=" at coarse levels"),
    Contract("Crosstab.distances", _distances(crosstab, 0), RHO, ident=" from nothing"),
    Contract("Crosstab.distances", _distances(crosstab, 7), RHO, ident=" from sevens"),
    Contract("Crosstab.distances", _distances(coarse, 3), RHO, ident=" at coarse levels"),
)

# Public names that answer nothing about rows; each has a test of its own.
WITHOUT_ANSWER = {
    "PrivateRows": {"private", "rho", "coded", "cap", "budget"},
    "Crosstab": {"grouped", "names", "sizes", "target"},
}

USUAL = {"code": ("A100", "A101", "B200"), "sex": ("f", "m"), "band": ("low", "high", "else"), "x": ("0.5", "1", "4.25")}


def patients(n: int, cap: int, more: Sequence[dict[str, str | None]] = ()) -> pa.Table:
    """n usual patients with up to `cap` rows each, and one more with these rows."""
    rng = np.random.default_rng(11)
    rows = []
    for k in range(n):
        for _ in range(int(rng.integers(1, cap + 1))):
            one = {name: values[int(rng.integers(len(values)))] for name, values in USUAL.items()}
            rows.append({"patient": f"p{k}", **one, "y": str(int(rng.integers(90)))})
    rows += [{"patient": "one more", **row} for row in more]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]})


def worst_patients(cap: int) -> dict[str, list[dict[str, str | None]]]:
    """Patients with as many rows as the cap permits, by what is extreme about them."""
    usual = {"code": "A100", "sex": "f", "band": "low", "x": "0.5", "y": "1"}
    other = ("tiny", "1e300", "-1.123456789", "02")
    return {
        "all rows as others have them": [usual] * cap,
        "all rows in one cell of their own": [{"code": "Z999", "sex": "m", "band": "?", "x": "9e99", "y": "-1e-9"}] * cap,
        "every row different": [
            {"code": f"{'QRST'[k % 4]}{k}{k}{k}", "sex": "fm"[k % 2], "band": f"b{k}", "x": other[k % 4], "y": str(k / 8)}
            for k in range(cap)
        ],
        "nothing known": [{"code": None, "sex": None, "band": None, "x": None, "y": None}] * cap,
        "one row": [usual],
    }


def private_rows(frame: pa.Table, cap: int, budget: Budget | None) -> PrivateRows:
    return PrivateRows(records.in_memory(frame), "patient", cap, budget)


@dataclass
class NoiseTape:
    """The noise drawn for answers, cell by cell. give: the number that a cell gets as noise, by its place on the tape."""

    give: Callable[[int], int]
    sigma2: list[Fraction] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)

    def draw(self, sigma2s: Sequence[Fraction], sizes: Sequence[int]) -> np.ndarray:
        start = len(self.drawn)
        for sigma2, size in zip(sigma2s, sizes, strict=True):
            self.sigma2 += [Fraction(sigma2)] * int(size)
        self.drawn += [self.give(k) for k in range(start, len(self.sigma2))]
        return np.array(self.drawn[start:], dtype=np.int64)

    def play(self, patch: pytest.MonkeyPatch) -> "NoiseTape":
        """Puts the tape in the place of the sampler. A module that draws noise in any other way is noticed, because its noise is not on
        the tape."""
        patch.setattr(measurement, "discrete_gaussian", lambda sigma2, size: self.draw([sigma2], [size]))
        patch.setattr(measurement, "discrete_gaussians", self.draw)
        return self


def privacy_loss(changes: list[Cells], sigma2: list[Fraction]) -> float:
    """mu^2 of independent discrete Gaussian noise: the sum over cells of change^2 / (sigma^2 - 1/8). changes: of each query's cells, with
    the variance of that query's noise in sigma2. The eighth is checked against the exact trade-off below 1 (test_paid_answers.py)."""
    return sum(sum(c * c for c in cells.values()) / (float(s) - 0.125) for cells, s in zip(changes, sigma2, strict=True))


def differences(a: list[Cells], b: list[Cells], absent: int = 0) -> list[Cells]:
    """b - a, query by query; a cell that one of them does not have counts as `absent`."""
    return [{k: y.get(k, absent) - x.get(k, absent) for k in {*x, *y}} for x, y in zip(a, b, strict=True)]


def new_budget(ledger: Ledger, epsilon: float = 900.0, delta: float = 1e-4) -> Budget:
    """A reservation on a population of its own."""
    name = f"p{len(ledger.populations())}"
    ledger.declare(name, epsilon=epsilon, delta=delta, actor="t")
    return ledger.reserve(name, epsilon=epsilon, delta=delta, purpose="t", actor="t")
