"""A log of all paid answers of a private fit, played back to the same fit over tables without a row.

What is learned must be a function of paid answers: the same answers over empty tables lead to the same result. And the answers must be
private: each question of the log is asked again, exactly, of the rows with and without one patient, and what that patient changes is
compared with the noise that was drawn.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from galenic.privacy import Crosstab, Mechanism, NoisyMarginal, PrivateRows, measurement
from galenic.records import Source
from paid_answers import CONTRACTS, Cells, differences, privacy_loss

CLASSES: dict[str, type] = {"PrivateRows": PrivateRows, "Crosstab": Crosstab}
METHODS = sorted({c.method for c in CONTRACTS})


@dataclass(frozen=True)
class Asked:
    """One question: of which rows, over which coarse levels, its answer, its price and the variance of each cell's noise."""

    method: str
    holder: "Holder"
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    answer: Any
    paid: tuple[tuple[Mechanism, Fraction, Fraction], ...]
    sigma2: tuple[Fraction, ...]


@dataclass(frozen=True)
class Holder:
    """How the rows of a question are held: a PrivateRows of a source, and the crosstab over it, folded."""

    source: str
    patient: str | None
    cap: int
    columns: tuple[Any, ...] = ()
    target: int | None = None
    folds: tuple[Any, ...] = ()

    def again(self, sources: Mapping[str, Source], kind: str) -> Any:
        """The same over other rows, without noise."""
        rows = PrivateRows(sources[self.source], self.patient, self.cap, None)
        if kind == "PrivateRows":
            return rows
        table = Crosstab(rows, self.columns, self.target)
        for groups in self.folds:
            table = table.grouped(groups)
        return table


@dataclass
class AnswerLog:
    """asked: all questions of one computation, in their order. refused: why a played computation asked something else."""

    asked: list[Asked] = field(default_factory=list)

    def record(self, patch: pytest.MonkeyPatch) -> "AnswerLog":
        """From here on every outermost question of private rows is logged."""
        holders: dict[int, Holder] = {}
        drawn: list[Fraction] = []
        depth = [0]
        keep: list[Any] = []  # ids stay unique while objects live
        _watch_holders(patch, holders, keep)
        many, one = measurement.discrete_gaussians, measurement.discrete_gaussian

        def draw_many(sigma2s: Any, sizes: Any) -> Any:
            for sigma2, size in zip(sigma2s, sizes, strict=True):
                drawn.extend([Fraction(sigma2)] * int(size))
            return many(sigma2s, sizes)

        def draw_one(sigma2: Fraction, size: int) -> Any:
            drawn.extend([Fraction(sigma2)] * int(size))
            return one(sigma2, size)

        patch.setattr(measurement, "discrete_gaussians", draw_many)
        patch.setattr(measurement, "discrete_gaussian", draw_one)

        def logged(method: str, honest: Callable[..., Any]) -> Callable[..., Any]:
            def ask(held: Any, *arguments: Any, **named: Any) -> Any:
                if depth[0]:
                    return honest(held, *arguments, **named)
                budget = _rows_of(held).budget
                before = (len(budget.mechanisms), budget.rho_left, budget.delta_left) if budget else (0, 0, 0)
                drawn.clear()
                depth[0] += 1
                try:
                    answer = honest(held, *arguments, **named)
                finally:
                    depth[0] -= 1
                paid = _paid(budget, *before) if budget else ()
                question = (copy.deepcopy(arguments), copy.deepcopy(named), copy.deepcopy(answer))
                self.asked.append(Asked(method, holders[id(held)], *question, paid, tuple(drawn)))
                return answer

            return ask

        for method in METHODS:
            kind, _, name = method.partition(".")
            patch.setattr(CLASSES[kind], name, logged(method, getattr(CLASSES[kind], name)))
        return self

    def play(self, patch: pytest.MonkeyPatch) -> "Playback":
        """From here on every question gets the logged answer, and is paid as it was."""
        playback = Playback(list(self.asked))
        for method in METHODS:
            kind, _, name = method.partition(".")
            patch.setattr(CLASSES[kind], name, playback.answers(method))
        return playback

    def mu_squared(self, without: Mapping[str, Source], having: Mapping[str, Source]) -> float:
        """Privacy loss of all answers together for the patient in whom the two groups of tables differ."""
        total = 0.0
        for a in self.asked:
            kind, _, name = a.method.partition(".")
            exact = [
                _cells(
                    a.method,
                    getattr(a.holder.again(sources, kind), name)(*copy.deepcopy(a.arguments), **a.named),
                )
                for sources in (without, having)
            ]
            total += privacy_loss(differences(*exact), _variances(a))
        return total

    @property
    def rho(self) -> float:
        """What all answers cost."""
        return float(sum((rho for a in self.asked for _, rho, _ in a.paid), Fraction(0)))


@dataclass
class Playback:
    """Answers that are still to be given."""

    left: list[Asked]

    def answers(self, method: str) -> Callable[..., Any]:
        def answer(held: Any, *arguments: Any, **named: Any) -> Any:
            assert self.left, f"{method} is asked, but the recorded computation asked no more"
            expected = self.left.pop(0)
            asked = (method, arguments, named)
            if not same(asked, (expected.method, expected.arguments, expected.named)):
                raise AssertionError(f"{method} is asked, or its arguments, which do not follow from the answers before")
            budget = _rows_of(held).budget
            for mechanism, rho, delta in expected.paid:
                budget.draw(mechanism, rho, delta)
            return copy.deepcopy(expected.answer)

        return answer


def _watch_holders(patch: pytest.MonkeyPatch, holders: dict[int, Holder], keep: list[Any]) -> None:
    rows_init, table_init, fold = PrivateRows.__init__, Crosstab.__init__, Crosstab.grouped

    def new_rows(self: Any, source: Source, patient: str | None, cap: int, *more: Any, **named: Any) -> None:
        keep.append(self)
        holders[id(self)] = Holder(source.name, patient, cap)
        rows_init(self, source, patient, cap, *more, **named)

    def new_table(self: Any, rows: PrivateRows, columns: tuple[Any, ...], target: int | None = None) -> None:
        keep.append(self)
        held = holders[id(rows)]
        holders[id(self)] = Holder(held.source, held.patient, held.cap, columns, target)
        table_init(self, rows, columns, target)

    def folded(self: Any, groups: Any) -> Crosstab:
        coarse = fold(self, groups)
        keep.append(coarse)
        h = holders[id(self)]
        holders[id(coarse)] = Holder(h.source, h.patient, h.cap, h.columns, h.target, (*h.folds, copy.deepcopy(groups)))
        return coarse

    patch.setattr(PrivateRows, "__init__", new_rows)
    patch.setattr(Crosstab, "__init__", new_table)
    patch.setattr(Crosstab, "grouped", folded)


def _rows_of(held: Any) -> PrivateRows:
    return held if isinstance(held, PrivateRows) else held._private_rows


def _paid(budget: Any, count: int, rho: Fraction, delta: Fraction) -> tuple[tuple[Mechanism, Fraction, Fraction], ...]:
    """The mechanisms since then. Exact amounts: all of them are carried by the first."""
    new = budget.mechanisms[count:]
    amounts = [(rho - budget.rho_left, delta - budget.delta_left)]
    if len(new) > 1:  # parts by the recorded shares, the rest with the last
        parts = [(Fraction(m.rho), Fraction(m.delta)) for m in new[:-1]]
        spent = (sum(p for p, _ in parts), sum(d for _, d in parts))
        amounts = [*parts, (amounts[0][0] - spent[0], amounts[0][1] - spent[1])]
    return tuple((m, *a) for m, a in zip(new, amounts, strict=bool(new)))


def _cells(method: str, answer: Any) -> list[Cells]:
    """Counts of an answer by query, in the order in which noise was drawn."""
    name = method.partition(".")[2]
    if name == "size":
        return [{"rows": answer[0]}]
    if name in ("kinds", "decimals"):
        return [_by_place(counts) for counts in answer[0].values()]
    if name == "histograms":
        return [_by_place(counts) for counts, _sigma in answer.values()]
    if name == "values":  # codes and their parents have one price
        return [{(column, v): n for column, found in answer.items() for v, n in found.items()}]
    if name == "distances":
        return [{cells: n} for cells, n in answer[0].items()]
    found = answer if isinstance(answer, list) else [answer]
    assert all(isinstance(m, NoisyMarginal) for m in found), f"add the cells of {method}"
    return [_by_place(m.counts) for m in found]


def _by_place(counts: Any) -> Cells:
    return {place: int(n) for place, n in np.ndenumerate(np.asarray(counts))}


def _variances(a: Asked) -> list[Fraction]:
    """Of each query's noise, one for all its cells."""
    if a.method.endswith(".values"):
        return [min(a.sigma2)]
    found, at = [], 0
    for cells in _cells(a.method, a.answer):
        one = set(a.sigma2[at : at + len(cells)])
        assert len(one) == 1, f"{a.method}: its cells have several noise levels, or no noise at all"
        found += one
        at += len(cells)
    assert at == len(a.sigma2), f"{a.method}: more noise was drawn than there are answers"
    return found


def same(a: Any, b: Any) -> bool:
    """Equality of questions, answers and models, arrays included."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.asarray(a).shape == np.asarray(b).shape and bool(
            np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        )
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
