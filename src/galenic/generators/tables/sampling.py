"""Sampling of rows from a mixture of products: unconditional, conditional, and completions of rows with gaps."""

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.mixture import Floats, Mixture

Codes = NDArray[np.int64]
SWEEPS, SWAPPED = 6, 0.07  # of smoothing: passes over the columns, and share of rows that may change places at once
SMOOTHED_CELLS = 2e7  # rows x columns^2 up to which smoothing is worth its seconds; above, chance is small anyway


def condition_mixture(mixture: Mixture, allowed: dict[int, Codes]) -> Mixture:
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


def systematic_sample(shares: Floats, n: int, rng: np.random.Generator) -> Codes:
    """n levels with counts within one of n * share: systematic sampling, in level order."""
    top = np.cumsum(shares)
    places = (np.arange(n) + rng.random()) / n * top[-1]
    levels: Codes = np.minimum(np.searchsorted(top, places, side="right"), shares.size - 1)
    return levels


def draw_rows(mixture: Mixture, n: int, rng: np.random.Generator, *, smooth: bool = False) -> Codes:
    """Level numbers, shape (n, columns), rows in random order; systematic within components, so less noisy than chance, and
    less still if smoothed."""
    codes = np.empty((n, len(mixture.sizes)), dtype=np.int64)
    if not n:
        return codes
    counts = np.bincount(systematic_sample(mixture.weights, n, rng), minlength=mixture.weights.size)
    o, start = mixture.offsets, 0
    for k in np.flatnonzero(counts):
        m = int(counts[k])
        for j in range(len(mixture.sizes)):
            level = systematic_sample(mixture.shares[k, o[j] : o[j + 1]], m, rng)
            codes[start : start + m, j] = rng.permutation(level)
        start += m
    if smooth and len(mixture.sizes) > 1 and n * len(mixture.sizes) ** 2 <= SMOOTHED_CELLS:
        codes = _smooth(codes, np.repeat(np.arange(counts.size), counts), mixture, rng)
    return codes[rng.permutation(n)]


def _smooth(codes: Codes, component: Codes, mixture: Mixture, rng: np.random.Generator) -> Codes:
    """Rows after values changed places within components wherever that brings pairs of columns nearer to the mixture's.

    Within a component any order of a column's values is as likely as any other, so each row remains a draw of it.
    """
    n, d = codes.shape
    o, total = mixture.offsets, int(mixture.offsets[-1])
    wanted = n * ((mixture.shares * mixture.weights[:, None]).T @ mixture.shares)
    place = codes + o[:-1]
    for j in [j for _sweep in range(SWEEPS) for j in range(d)]:
        levels = int(mixture.sizes[j])
        found = sum(
            np.bincount(codes[:, j] * total + place[:, other], minlength=levels * total) for other in range(d) if other != j
        )
        gap = (np.asarray(found).reshape(levels, total) - wanted[o[j] : o[j + 1]]).astype(np.float32)
        gap[:, o[j] : o[j + 1]] = 0
        shuffled = np.argsort(component + rng.random(n))
        a, b = shuffled[:-1:2], shuffled[1::2]
        may = (component[a] == component[b]) & (codes[a, j] != codes[b, j]) & (rng.random(a.size) < SWAPPED)
        a, b = a[may], b[may]
        change = gap[codes[b, j]] - gap[codes[a, j]]
        row = np.arange(a.size)[:, None]
        moved = 2 * (change[row, place[a]] - change[row, place[b]]).sum(axis=1) + 4 * (place[a] != place[b]).sum(axis=1)
        a, b = a[moved < 0], b[moved < 0]
        codes[a, j], codes[b, j] = codes[b, j], codes[a, j]
        place[:, j] = codes[:, j] + o[j]
    return codes


def fill_gaps(mixture: Mixture, codes: Codes, rng: np.random.Generator) -> Codes:
    """Rows with their gaps (-1) filled from P(gap | the other values of the row), each row by a component drawn from its own posterior."""
    out = codes.copy()
    o = mixture.offsets
    # a row for each level, so that a batch reads whole rows
    log_shares = np.ascontiguousarray(np.log(np.maximum(mixture.shares, 1e-12)).T.astype(np.float32))
    first = np.log(np.maximum(mixture.weights, 1e-30)).astype(np.float32)
    for start in range(0, codes.shape[0], 4_096):  # the posteriors of a batch fit in memory
        rows = out[start : start + 4_096]
        log_weight = np.repeat(first[None], rows.shape[0], axis=0)
        for j in range(rows.shape[1]):
            known = rows[:, j] >= 0
            if known.all():
                log_weight += log_shares[o[j] + rows[:, j]]
            elif known.any():
                log_weight[known] += log_shares[o[j] + rows[known, j]]
        log_weight -= log_weight.max(axis=1, keepdims=True)
        top = np.cumsum(np.exp(log_weight), axis=1)
        component = (top < rng.random((rows.shape[0], 1)) * top[:, -1:]).sum(axis=1)
        for j in range(rows.shape[1]):
            gap = rows[:, j] < 0
            if not gap.any():
                continue
            share = np.asarray(np.cumsum(mixture.shares[component[gap], o[j] : o[j + 1]], axis=1))
            above: Codes = np.asarray(share < rng.random((share.shape[0], 1)) * share[:, -1:])
            rows[gap, j] = np.minimum(above.sum(axis=1), share.shape[1] - 1)
    return out
