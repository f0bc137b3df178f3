"""Utility for amounts, counts, and times until an event, by models trained on synthetic rows."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from galenic.evidence.tables.binning import encode_columns
from galenic.evidence.tables.utility import one_thread
from galenic.schema import Codes, Column, Finding, Floats, NotMeasured, Table, numbers

MOST_ROWS, MOST_RANKED = 20_000, 3_000
FEWEST_ROWS, FEWEST_EVENTS = 200, 30
RESAMPLES = 100
HAPPENED = ("1", "1.0", "yes", "true", "dead", "deceased", "event", "y")
Regression = Callable[[Codes, Floats, Floats, Codes], Floats]  # (features, outcome, weights, held-out features) -> predictions


def measure_regression(
    train: Table, test: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator, target: str | None
) -> tuple[Finding | NotMeasured, ...]:
    """R2 on held-out patients of a linear model and gradient boosting trained on synthetic rows; of whole counts the share of
    Poisson deviance explained (D2). Nothing where the target is no number."""
    place = next((j for j, c in enumerate(columns) if c.name == target), None)
    if place is None or not columns[place].binned or columns[place].kind == "date" or len(columns) < 2:
        return ()
    column = columns[place]
    parts = [_cut(t, column, columns, place, rng) for t in (train, test, synthetic)]
    names = [f"utility.r2.{f}" for f in ("linear", "boosting")]
    if min(len(y) for _, y in parts) < FEWEST_ROWS or any(np.ptp(y) == 0 for _, y in parts):
        why = f"{target!r} has fewer than {FEWEST_ROWS} values on one side, or only one"
        return tuple(NotMeasured(n, why) for n in names)
    counted = column.kind == "integer" and min(y.min() for _, y in parts) >= 0
    (x, y), (held, truth), (made, theirs) = parts
    found = []
    for name, model in zip(names, _regressions(counted), strict=True):
        by_real, by_made = (model(a, b, np.ones(b.size), held) for a, b in ((x, y), (made, theirs)))
        score = _deviance_explained if counted else _variance_explained
        value, ceiling = score(truth, by_made), score(truth, by_real)
        spread = []
        for _ in range(RESAMPLES):
            pick = rng.integers(0, truth.size, truth.size)
            spread.append(score(truth[pick], by_made[pick]))
        what = "share of Poisson deviance" if counted else "share of variance"
        method = f"{what} of {target!r} explained on held-out patients, {name.split('.')[-1]} model trained on synthetic rows"
        low, high = np.quantile(spread, [0.025, 0.975])
        detail = {"real": ceiling, "gap": ceiling - value, "target": target}
        found.append(Finding(name, value, method, "higher", (float(low), float(high)), detail=detail))
    return tuple(found)


def measure_survival(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    times: tuple[str, str] | None,
) -> tuple[Finding | NotMeasured, ...]:
    """Concordance (Harrell 1982) on held-out patients of a proportional-hazards model with constant baseline, trained on synthetic
    rows. times: (column of the time, column that says whether the event happened)."""
    if times is None:
        return ()
    name, names = "utility.concordance", [c.name for c in columns]
    if not set(times) <= set(names):
        return (NotMeasured(name, f"columns {list(times)} are not both among those that were learned"),)
    places = names.index(times[0]), names.index(times[1])
    parts = [_followed(t, columns, places, rng) for t in (train, test, synthetic)]
    if min(int(e.sum()) for _, _, e in parts) < FEWEST_EVENTS or min(e.size for _, _, e in parts) < FEWEST_ROWS:
        return (NotMeasured(name, f"fewer than {FEWEST_EVENTS} events, or {FEWEST_ROWS} rows with a time, on one side"),)
    held, time, event = parts[1]
    fit = _regressions(True)[0]
    # an exponential model: events per time, weighted by time, is a Poisson regression of the hazard
    by_real, by_made = (fit(x, e / t, t, held) for x, t, e in (parts[0], parts[2]))
    value, ceiling = concordance(time, event, by_made), concordance(time, event, by_real)
    spread = []
    for _ in range(RESAMPLES // 5):
        pick = rng.integers(0, time.size, time.size)
        spread.append(concordance(time[pick], event[pick], by_made[pick]))
    low, high = np.quantile(spread, [0.025, 0.975])
    method = f"concordance of {times[0]!r} on held-out patients, hazard model trained on synthetic rows"
    detail = {"real": ceiling, "gap": ceiling - value, "events": int(event.sum())}
    return (Finding(name, value, method, "higher", (float(low), float(high)), detail=detail),)


def concordance(time: Floats, event: NDArray[np.bool_], risk: Floats) -> float:
    """Share of comparable pairs in which the patient with the earlier event has the higher risk; ties of risk count half."""
    earlier = (time[:, None] < time[None]) & event[:, None]
    higher = (risk[:, None] > risk[None]) + 0.5 * (risk[:, None] == risk[None])
    return float((higher * earlier).sum() / max(earlier.sum(), 1))


def _cut(
    table: Table, column: Column, columns: tuple[Column, ...], place: int, rng: np.random.Generator
) -> tuple[Codes, Floats]:
    """(levels of the other columns, the target) of at most MOST_ROWS rows that have it."""
    values = numbers(table, column)
    rows = rng.permutation(np.flatnonzero(~np.isnan(values)))[:MOST_ROWS]
    return np.delete(encode_columns(table, columns), place, 1)[rows], values[rows]


def _followed(
    table: Table, columns: tuple[Column, ...], places: tuple[int, int], rng: np.random.Generator
) -> tuple[Codes, Floats, NDArray[np.bool_]]:
    time, event = numbers(table, columns[places[0]]), table.frame[columns[places[1]].name].to_pylist()
    happened = np.array([str(v).strip().lower() in HAPPENED for v in event], dtype=np.bool_)
    rows = rng.permutation(np.flatnonzero(time > 0))[:MOST_RANKED]
    return np.delete(encode_columns(table, columns), places, 1)[rows], time[rows], happened[rows]


def _regressions(counted: bool) -> tuple[Regression, Regression]:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415  # two seconds to load
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import PoissonRegressor, Ridge  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    def linear(x: Codes, y: Floats, w: Floats, held: Codes) -> Floats:
        encoder = OneHotEncoder(handle_unknown="ignore").fit(x)
        model = PoissonRegressor(alpha=1e-3, max_iter=500) if counted else Ridge(alpha=1.0)
        with warnings.catch_warnings():  # the last digits of a coefficient change no prediction that is compared here
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(encoder.transform(x), y, sample_weight=w)
        return np.asarray(model.predict(encoder.transform(held)))

    def boosting(x: Codes, y: Floats, w: Floats, held: Codes) -> Floats:
        model = HistGradientBoostingRegressor(loss="poisson" if counted else "squared_error", random_state=0)
        with one_thread():
            return np.asarray(model.fit(x, y, sample_weight=w).predict(held))

    return linear, boosting


def _variance_explained(truth: Floats, guess: Floats) -> float:
    return float(1 - ((truth - guess) ** 2).sum() / max(((truth - truth.mean()) ** 2).sum(), 1e-12))


def _deviance_explained(truth: Floats, guess: Floats) -> float:
    def deviance(mean: Floats) -> float:
        mean = np.maximum(mean, 1e-9)
        logs = np.where(truth > 0, truth * np.log(np.maximum(truth, 1e-9) / mean), 0.0)
        return float(2 * (logs - truth + mean).sum())

    return 1 - deviance(guess) / max(deviance(np.full(truth.size, truth.mean())), 1e-12)
