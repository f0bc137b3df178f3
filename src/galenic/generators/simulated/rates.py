"""The rates that patients are drawn from, with the source of each."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OLDEST = 110  # years


@dataclass(frozen=True)
class Condition:
    """One condition: its prevalence among those alive by age, as a curve that never falls, shape (points,)."""

    name: str
    code: str
    reads: str
    sex: str  # "" for both
    ages: Floats
    share: Floats
    visits_per_year: float
    drug: str
    drug_reads: str

    def onset(self, uniform: Floats) -> Floats:
        """Age at which each person gets it, years; infinite for never. uniform: in [0, 1), shape (people,)."""
        rising = np.maximum.accumulate(self.share) + np.arange(len(self.share)) * 1e-9
        age = np.interp(uniform, rising, self.ages)
        return np.where(uniform > rising[-1], np.inf, age)


@dataclass(frozen=True)
class Rates:
    """All rates. raw: the file as it stands; digest: its SHA-256."""

    raw: dict[str, Any]
    digest: str
    conditions: tuple[Condition, ...]

    def sources(self) -> list[dict[str, Any]]:
        """Source of each figure: name, source, verified; assumed if it is our own choice."""
        found = []
        for name, entry in self.raw.items():
            for inner, one in entry.items() if name in ("life", "condition", "measure") else (("", entry),):
                where = f"{name}.{inner}" if inner else name
                about = {"source": one.get("source", ""), "verified": one.get("verified", False)}
                found.append({"rate": where, **about, "assumed": one.get("assumed", False)})
        return found


@cache
def load_rates() -> Rates:
    """The rates that are shipped."""
    text = files("galenic.generators.simulated").joinpath("rates.toml").read_bytes()
    raw = tomllib.loads(text.decode())
    women = raw["female_share"]["value"]
    conditions = tuple(_condition(n, c, women, raw["life"]) for n, c in raw["condition"].items())
    return Rates(raw, hashlib.sha256(text).hexdigest(), conditions)


def _condition(name: str, given: dict[str, Any], women: float, life: dict[str, Any]) -> Condition:
    """Figures of age groups as a curve whose mean over each group, weighted by who is alive at which age, is the figure."""
    groups, wanted = given["ages"][1:], np.asarray(given["prevalence"][1:])
    share = {"female": 1.0, "male": 0.0}.get(given.get("sex", ""), women)
    alive = share * survival("female", **_life(life["female"])) + (1 - share) * survival("male", **_life(life["male"]))
    fine = np.arange(0, OLDEST, 0.25)
    weight = np.interp(fine, np.arange(OLDEST + 1), alive)
    inside = [(fine >= low) & (fine < high) for low, high in groups]
    middle = [float(np.average(fine[m], weights=weight[m])) for m in inside]
    knots = np.asarray([float(given["ages"][0][1]), *middle])
    # each knot's own tent: the curve is their sum, so the group means are linear in the heights of the knots
    tents = np.stack([np.interp(fine, knots, np.eye(len(knots))[i]) for i in range(1, len(knots))])
    means = np.stack([np.average(tents[:, m], axis=1, weights=weight[m]) for m in inside])
    heights = np.maximum.accumulate(np.maximum(np.linalg.solve(means, wanted), 0))
    ages, shares = np.asarray([0.0, *knots, float(OLDEST)]), np.asarray([0.0, 0.0, *heights, heights[-1]])
    return Condition(
        name, given["code"], given["reads"], given.get("sex", ""), ages, shares, given["visits_per_year"], given["drug"],
        given["drug_reads"],
    )  # fmt: skip


def _life(given: dict[str, Any]) -> dict[str, float]:
    return {"expectancy": given["expectancy_years"], "infant": given["infant_deaths_per_1000"] / 1000}


def alive_at(rates: Rates, sex: str) -> Floats:
    """Share of newborns alive at each birthday, shape (OLDEST + 1,)."""
    return survival(sex, **_life(rates.raw["life"][sex]))


@cache
def survival(_sex: str, *, expectancy: float, infant: float) -> Floats:
    """Infant deaths as given, then Gompertz's law (Gompertz 1825; slope 0.09 a year) with its level set so that the expectation of
    life at birth, years, is the given one."""
    slope, low, high = 0.09, -20.0, -5.0
    for _ in range(80):
        level = (low + high) / 2
        alive = _curve(infant, level, slope)
        low, high = (level, high) if np.sum((alive[1:] + alive[:-1]) / 2) > expectancy else (low, level)
    return alive


def _curve(infant: float, level: float, slope: float) -> Floats:
    ages = np.arange(OLDEST + 1, dtype=np.float64)
    hazard = np.exp(level) / slope * (np.exp(slope * ages) - 1)
    alive = np.where(ages >= 1, (1 - infant) * np.exp(-(hazard - hazard[1])), 1.0)
    alive[-1] = 0.0
    return alive
