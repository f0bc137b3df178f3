"""The three risks that European guidance names: singling out, linkability, inference (Article 29 Working Party, Opinion 05/2014).

Each attack uses the synthetic rows against training rows and held-out rows alike. Success on both is knowledge about people in
general; more success on training rows is a leak (the control of Giomi et al. 2023).
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from galenic.schema import Codes, Column, Finding

Floats32 = NDArray[np.float32]
RISKS = ("singling_out", "linkability", "inference")
PREDICATES, TOGETHER = 4_000, 5  # predicates tried, and columns in each
MOST_ROWS, MOST_TARGETS, FRIENDS = (
    8_000,
    1_500,
    3,
)  # synthetic rows and targets of the distance attacks; nearest rows that may link
SECRETS = 5  # columns that are guessed, those that vary most
TOLERATED = 0.05  # advantage that is no use to an attacker; epsilon 1 itself permits 0.07
CLOSE = 1  # levels by which a guess of an ordered column may be off


@dataclass(frozen=True)
class AttackRisk:
    """How often an attack succeeds on training rows and on held-out rows (the control). p: of at least this difference where there is
    none; p_beyond: where there is as much as is tolerated. tries: on each side."""

    success: float
    control: float
    tries: int
    p: float
    p_beyond: float

    @property
    def advantage(self) -> float:
        """Part of the success that is due to membership in the training rows."""
        return self.success - self.control


def measure_risks(
    members: Codes, outsiders: Codes, made: Codes, columns: tuple[Column, ...], rng: np.random.Generator
) -> dict[str, AttackRisk]:
    """The three attacks on level numbers, each of shape (rows, columns); members and outsiders are cut to the same size."""
    size = min(members.shape[0], outsiders.shape[0])
    members, outsiders = members[:size], outsiders[:size]
    found = {"singling_out": _singling_out(members, outsiders, made, columns, rng)}
    targets = np.concatenate([members[:MOST_TARGETS], outsiders[:MOST_TARGETS]])
    inside = np.arange(targets.shape[0]) < min(size, MOST_TARGETS)
    few = made[rng.permutation(made.shape[0])[:MOST_ROWS]]
    found["linkability"] = _compared(_linked(targets, few, columns, rng), inside)
    found["inference"] = _inference(targets, inside, few, columns, rng)
    return found


def _compared(hit: NDArray[np.bool_], inside: NDArray[np.bool_]) -> AttackRisk:
    a, b, m, n = int(hit[inside].sum()), int(hit[~inside].sum()), int(inside.sum()), int((~inside).sum())
    p = float(scipy.stats.hypergeom.sf(a - 1, m + n, m, a + b)) if a + b else 1.0
    rates = a / max(m, 1), b / max(n, 1)
    spread = np.sqrt(max(rates[0] * (1 - rates[0]) / max(m, 1) + rates[1] * (1 - rates[1]) / max(n, 1), 1e-12))
    beyond = float(scipy.stats.norm.sf((rates[0] - rates[1] - TOLERATED) / spread))
    return AttackRisk(rates[0], rates[1], m, p, max(p, beyond))


def _singling_out(
    members: Codes, outsiders: Codes, made: Codes, columns: tuple[Column, ...], rng: np.random.Generator
) -> AttackRisk:
    """Predicates that fit exactly one synthetic row (some of its columns, as they stand there): do they fit exactly one training row
    more often than exactly one held-out row? Each choice of columns serves many predicates."""
    d = len(columns)
    rounds = 20
    alone = [0, 0]
    tried = 0
    for _ in range(rounds):
        chosen = rng.choice(d, min(TOGETHER, d), replace=False)
        keys = [_key(t[:, chosen]) for t in (made, members, outsiders)]
        values, counts = np.unique(keys[0], return_counts=True)
        single = values[counts == 1]
        single = single[rng.permutation(single.size)[: PREDICATES // rounds]]
        tried += single.size
        for side in (0, 1):
            held, times = np.unique(keys[side + 1], return_counts=True)
            alone[side] += int(np.isin(single, held[times == 1]).sum())
    if not tried:
        return AttackRisk(0.0, 0.0, 0, 1.0, 1.0)
    rates = alone[0] / tried, alone[1] / tried
    both = alone[0] + alone[1]
    p = float(scipy.stats.binom.sf(alone[0] - 1, both, 0.5)) if both else 1.0
    spread = np.sqrt(max(both, 1)) / tried
    return AttackRisk(
        rates[0], rates[1], tried, p, max(p, float(scipy.stats.norm.sf((rates[0] - rates[1] - TOLERATED) / spread)))
    )


def _key(codes: Codes) -> Codes:
    key = np.zeros(codes.shape[0], dtype=np.int64)
    for j in range(codes.shape[1]):
        key = key * 8_191 + codes[:, j]
    return key


def _points(codes: Codes, columns: tuple[Column, ...]) -> Floats32:
    """Ordered levels by their place in [0, 1], others one-hot / sqrt 2; shape (rows, dimensions)."""
    parts = []
    for j, column in enumerate(columns):
        if column.binned:
            inner = max(column.levels - 1 - int(column.missing), 1)
            gone = (codes[:, j] == column.levels - 1) & column.missing
            parts += [np.where(gone, 0.5, codes[:, j] / inner)[:, None], gone[:, None] * 0.87]
        else:
            parts.append(np.sqrt(0.5) * (codes[:, j][:, None] == np.arange(column.levels)[None]))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _friends(targets: Floats32, among: Floats32, k: int) -> Codes:
    """The k nearest rows of each target, shape (targets, k)."""
    norms = (among * among).sum(axis=1)
    found = []
    for start in range(0, targets.shape[0], 256):
        distance = norms[None] - 2 * targets[start : start + 256] @ among.T
        found.append(np.argpartition(distance, min(k, among.shape[0]) - 1, axis=1)[:, :k])
    return np.concatenate(found)


def _linked(targets: Codes, made: Codes, columns: tuple[Column, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether two halves of a row's columns, held by different parties, lead to the same synthetic row."""
    order = rng.permutation(len(columns))
    sides = []
    for half in (order[: len(order) // 2], order[len(order) // 2 :]):
        chosen = tuple(columns[j] for j in half)
        sides.append(
            _friends(_points(targets[:, half], chosen), _points(made[:, half], chosen), FRIENDS) if half.size else None
        )
    if sides[0] is None or sides[1] is None:
        return np.zeros(targets.shape[0], dtype=np.bool_)
    return np.asarray((sides[0][:, :, None] == sides[1][:, None, :]).any(axis=(1, 2)))


def _inference(
    targets: Codes, inside: NDArray[np.bool_], made: Codes, columns: tuple[Column, ...], rng: np.random.Generator
) -> AttackRisk:
    """A secret column guessed from the nearest synthetic row by all the others; each target is tried on one secret."""
    spread = [-np.sum((p := np.bincount(made[:, j]) / made.shape[0])[p > 0] * np.log(p[p > 0])) for j in range(len(columns))]
    secrets = np.argsort(spread)[::-1][:SECRETS]
    hit = np.zeros(targets.shape[0], dtype=np.bool_)
    which = rng.integers(0, secrets.size, targets.shape[0])
    for place, secret in enumerate(secrets):
        rows = np.flatnonzero(which == place)
        known = np.delete(np.arange(len(columns)), secret)
        if not rows.size or not known.size:
            continue
        others = tuple(columns[j] for j in known)
        friend = _friends(_points(targets[rows][:, known], others), _points(made[:, known], others), 1)[:, 0]
        off = np.abs(made[friend, secret] - targets[rows, secret])
        hit[rows] = off <= (CLOSE if columns[secret].binned and columns[secret].levels > 8 else 0)
    return _compared(hit, inside)


WORDS = {
    "singling_out": "predicates from single synthetic rows ({n}) that fit exactly one training row, less exactly one held-out row",
    "linkability": "training rows ({n}) whose two halves of columns lead to the same synthetic row, less held-out rows",
    "inference": "secrets of training rows ({n}) guessed from the nearest synthetic row, less those of held-out rows",
}


def risk_findings(found: dict[str, AttackRisk], planted: dict[str, dict[str, AttackRisk]], alarm: float) -> list[Finding]:
    """A finding for each risk. planted: the same attacks on planted leaks, so that each says what it can see."""
    findings = []
    for name in RISKS:
        r = found[name]
        error = 1.96 * np.sqrt(max(r.success * (1 - r.success) + r.control * (1 - r.control), 1e-6) / max(r.tries, 1))
        detail = {
            "success": r.success,
            "control": r.control,
            "p": r.p,
            "alarm": r.p_beyond < alarm,
            "detectable": float(TOLERATED + (scipy.stats.norm.isf(alarm) + 0.84) * error / 1.96),
            "planted": {leak: bool(risk[name].p_beyond < alarm) for leak, risk in planted.items()},
        }
        interval = (float(r.advantage - error), float(r.advantage + error))
        findings.append(
            Finding(f"privacy.{name}", float(r.advantage), WORDS[name].format(n=r.tries), "lower", interval, detail=detail)
        )
    return findings
