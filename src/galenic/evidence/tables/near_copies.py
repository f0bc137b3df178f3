"""Detection of copies where no held-out patients are available."""

from dataclasses import replace

import numpy as np
import scipy

from galenic.evidence.tables.membership_attacks import (
    ALARM,
    MOST_SYNTHETIC,
    MOST_TARGETS,
    distance_space,
    first_rows,
    leak_rows,
    nearest,
    noisy_copy,
    row_keys,
    shuffle_rows,
)
from galenic.schema import Column, Finding, NotMeasured, Table


def measure_copying(
    real: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator
) -> tuple[Finding | NotMeasured, ...]:
    """Detection of copies without held-out patients: is a real row nearer to the synthetic rows than to as many other real
    rows? Fresh people are no nearer than that; copies are. Weaker than `membership`, and says so in its method."""
    if real.rows < 200 or synthetic.rows < 100:
        why = f"{real.rows} real and {synthetic.rows} synthetic rows are too few; 200 and 100 are needed"
        return (NotMeasured("privacy.copying", why), NotMeasured("privacy.alarms", why), NotMeasured("privacy.controls", why))
    real, synthetic = shuffle_rows(real, rng), shuffle_rows(synthetic, rng)
    half = real.rows // 2
    a, b = replace(real, frame=real.frame.slice(0, half)), replace(real, frame=real.frame.slice(half, half))
    outcome = _nearer(a, b, synthetic, columns)
    controls = {
        "copy": _nearer(a, b, a, columns),
        "noise": _nearer(a, b, noisy_copy(a, columns, rng), columns),
        "leak": _nearer(a, b, leak_rows(synthetic, a, rng), columns),
    }
    fresh = replace(b, frame=b.frame.slice(0, b.rows // 2))
    clean = _nearer(a, replace(b, frame=b.frame.slice(b.rows // 2)), fresh, columns)
    method = (
        "share of real rows nearer to a synthetic row than to another real row, and exact copies; no held-out patients given"
    )
    found: list[Finding | NotMeasured] = [
        Finding("privacy.copying", outcome[0], method, detail={"p_nearer": outcome[1], "p_exact": outcome[2]}),
        Finding("privacy.alarms", float(_copied(outcome)), f"copy tests that found a leak at p < {ALARM}"),
    ]
    missed = [name for name, o in controls.items() if not _copied(o)]
    if missed or _copied(clean):
        why = f"planted leaks missed: {missed or 'none'}; fresh real rows flagged: {_copied(clean)}"
        return (*found, NotMeasured("privacy.controls", why))
    return (*found, Finding("privacy.controls", 3.0, "planted leaks found of 3, fresh real rows not flagged", "higher"))


def _nearer(a: Table, b: Table, synthetic: Table, columns: tuple[Column, ...]) -> tuple[float, float, float]:
    """(share of a's rows nearer to synthetic than to b, p that fresh rows would be so near, p of so many exact copies)."""
    size = min(b.rows, synthetic.rows, MOST_SYNTHETIC)
    view = distance_space(a, columns)
    targets = view.points(first_rows(a, MOST_TARGETS))
    to_made = nearest(targets, view.points(first_rows(synthetic, size)), 1)[0]
    to_real = nearest(targets, view.points(first_rows(b, size)), 1)[0]
    ties = to_made == to_real
    wins, trials = int((to_made < to_real)[~ties].sum()), int((~ties).sum())
    p_near = float(scipy.stats.binom.sf(wins - 1, trials, 0.5)) if trials else 1.0
    keys = row_keys(a, columns)
    _values, first, counts = np.unique(keys, return_index=True, return_counts=True)
    unique = keys[first[counts == 1]]
    in_made, in_real = (set(row_keys(t, columns).tolist()) for t in (synthetic, b))
    only_made = sum(k in in_made and k not in in_real for k in unique)
    only_real = sum(k in in_real and k not in in_made for k in unique)
    both = only_made + only_real
    # more synthetic rows than other real ones hit more often by chance: the odds are scaled to that
    odds = synthetic.rows / (synthetic.rows + b.rows)
    p_exact = float(scipy.stats.binom.sf(only_made - 1, both, max(odds, 0.5))) if both else 1.0
    return wins / max(trials, 1), p_near, p_exact


def _copied(outcome: tuple[float, float, float]) -> bool:
    return min(outcome[1], outcome[2]) < ALARM
