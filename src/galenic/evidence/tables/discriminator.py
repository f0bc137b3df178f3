"""Realism of single synthetic rows: a discriminator against real rows, impossible values, and declared constraints."""

import math

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.evidence.tables.binning import encode_columns
from galenic.evidence.tables.utility import auroc, one_thread
from galenic.schema import Column, Constraint, Finding, Floats, NotMeasured, Table, holds, numbers

MOST_ROWS, FEWEST_ROWS, FOLDS = 5_000, 200, 5
FEWEST_PRESENT = 25  # values of a column, so that every fold has some


def measure_realism(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    constraints: tuple[Constraint, ...] = (),
) -> tuple[Finding | NotMeasured, ...]:
    """A discriminator on the values, values outside what was ever seen, and declared constraints."""
    found: list[Finding | NotMeasured] = [_discriminator(train, test, synthetic, columns, rng)]
    real = [_outside(test, train, columns), _outside(synthetic, train, columns)]
    method = "share of rows with a number outside the training rows' range or a category that none of them has"
    found.append(Finding("plausibility.range", float(real[1].mean()), method, detail={"held_out": float(real[0].mean())}))
    for rule in constraints:
        broken, floor = (float((~holds(t, rule)).mean()) for t in (synthetic, test))
        found.append(
            Finding(
                f"plausibility.{rule.name}",
                broken,
                "share of rows that break a declared constraint",
                detail={"held_out": floor},
            )
        )
    return tuple(found)


def _discriminator(
    train: Table, test: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator
) -> Finding | NotMeasured:
    """AUC of gradient boosting that tells synthetic rows from held-out ones by their values (5-fold), the floor with training rows in
    the place of synthetic ones."""
    size = min(test.rows, synthetic.rows, train.rows, MOST_ROWS)
    if size < FEWEST_ROWS:
        return NotMeasured("fidelity.discriminator", f"{size} rows a side are too few; {FEWEST_ROWS} are needed")
    places = _places((train, test), columns)
    held, made, real = (_values(t, columns, places)[rng.permutation(t.rows)[:size]] for t in (test, synthetic, train))
    value, floor = _discriminator_auc(held, made), _discriminator_auc(held, real)
    # Hanley & McNeil 1982
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    error = 1.96 * math.sqrt(max(value * (1 - value) + (size - 1) * (q1 + q2 - 2 * value**2), 1e-12)) / size
    method = f"AUC of gradient boosting telling {size} synthetic rows from as many held-out ones by their values, {FOLDS}-fold"
    return Finding("fidelity.discriminator", value, method, "lower", (value - error, value + error), detail={"floor": floor})


def _discriminator_auc(a: Floats, b: Floats) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # two seconds to load
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    x, y = np.concatenate([a, b]), np.arange(len(a) + len(b)) >= len(a)
    x = x[:, (~np.isnan(x)).sum(axis=0) >= FEWEST_PRESENT]
    if not x.shape[1]:
        return 0.5
    score = np.empty(y.size)
    for learn, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y):
        with one_thread():
            score[held] = HistGradientBoostingClassifier(random_state=0).fit(x[learn], y[learn]).predict_proba(x[held])[:, 1]
    return auroc(y, score)


def _places(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> dict[str, dict[str, int]]:
    found = {}
    for c in columns:
        if not c.binned:
            seen = sorted({v for t in tables for v in pc.unique(t.frame[c.name]).to_pylist() if v is not None})
            found[c.name] = {v: k for k, v in enumerate(seen)}
    return found


def _values(table: Table, columns: tuple[Column, ...], places: dict[str, dict[str, int]]) -> Floats:
    """Numbers as they are, categories as codes (-1 for one that no patient has), missing as NaN, shape (rows, columns)."""
    parts = []
    for c in columns:
        if c.binned:
            parts.append(numbers(table, c))
        elif c.hierarchy:
            parts.append(encode_columns(table, (c,))[:, 0].astype(float))
        else:
            place = places[c.name]
            parts.append(
                np.array([np.nan if v is None else place.get(v, -1) for v in table.frame[c.name].to_pylist()], dtype=float)
            )
    return np.stack(parts, axis=1)


def _outside(table: Table, train: Table, columns: tuple[Column, ...]) -> NDArray[np.bool_]:
    out = np.zeros(table.rows, dtype=np.bool_)
    for c in columns:
        if c.binned:
            real, values = numbers(train, c), numbers(table, c)
            if not np.isnan(real).all():
                out |= (values < np.nanmin(real)) | (values > np.nanmax(real))
        elif c.hierarchy:  # a parent of codes that patients have is possible
            out |= encode_columns(table, (c,))[:, 0] == len(c.categories)
        else:
            known = pc.is_in(table.frame[c.name], value_set=pc.unique(train.frame[c.name]))
            out |= ~np.asarray(pc.fill_null(known, True).to_numpy(), dtype=np.bool_)
    return out
