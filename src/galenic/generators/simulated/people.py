"""Simulated people: sex, birth, death, and the onset of conditions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.generators.simulated.rates import OLDEST, Floats, Rates, alive_at

Bools = NDArray[np.bool_]
YEAR = 365.2425  # days
LATENT = ("diabetes", "hypertension", "coronary", "copd", "breast_cancer", "mass", "smoking")


@dataclass(frozen=True)
class SimulatedPatients:
    """People, shape (n,) each. birth, death: days since 1970 (death infinite after the window); onset: age in years per condition,
    infinite for never; height in cm; mass: body mass index in kg/m2; smoking: 0 never, 1 former, 2 current; education: 0 less than
    high school to 3 a degree; hungry: food was not certain."""

    female: Bools
    birth: Floats
    death: Floats
    onset: dict[str, Floats]
    height: Floats
    mass: Floats
    smoking: NDArray[np.int64]
    education: NDArray[np.int64]
    hungry: Bools

    def __len__(self) -> int:
        return len(self.female)

    def had(self, condition: str, day: float) -> Bools:
        """Who has had a condition by a day."""
        return self.birth + self.onset[condition] * YEAR <= day


def draw_people(rates: Rates, count: int, *, start: float, stop: float, rng: np.random.Generator) -> SimulatedPatients:
    """People who are alive at `start` or born before `stop` (days since 1970), by the age structure of a population that is
    neither growing nor shrinking."""
    female = rng.random(count) < rates.raw["female_share"]["value"]
    age, death_age = np.empty(count), np.empty(count)
    for sex, mask in (("female", female), ("male", ~female)):
        age[mask], death_age[mask] = _ages(alive_at(rates, sex), int(mask.sum()), (stop - start) / YEAR, rng)
    birth = np.floor(start - age * YEAR)
    death = np.floor(birth + death_age * YEAR)
    scores = _together(rates, count, rng)
    onset = {}
    for condition in rates.conditions:
        uniform = _phi(scores[:, LATENT.index(condition.name)])
        when = condition.onset(1 - uniform)
        onset[condition.name] = np.where(female, when, np.inf) if condition.sex == "female" else when
    means = rates.raw["measure"]
    height = _by_sex(female, means["height_female"], means["height_male"], rng.standard_normal(count))
    mass = _by_sex(female, means["bmi_female"], means["bmi_male"], scores[:, LATENT.index("mass")])
    smoked = _phi(scores[:, LATENT.index("smoking")])
    current, former = rates.raw["smoking"]["current"], rates.raw["smoking"]["former"]
    smoking = np.where(smoked > 1 - current, 2, np.where(smoked > 1 - current - former, 1, 0))
    education = rng.choice(4, count, p=rates.raw["education"]["shares"])
    hungry = rng.random(count) < rates.raw["food"]["insecure"]
    dies = np.where(death > stop, np.inf, death)
    return SimulatedPatients(female, birth, dies, onset, height, np.clip(mass, 16, 60), smoking, education, hungry)


def _ages(alive: Floats, count: int, years: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(age at the start, negative for those born within the window; age at death) of people as a stationary population has them."""
    births = round(years * 10) / 10
    weights = np.concatenate([[births], (alive[1:] + alive[:-1]) / 2])  # the first: a year's births for each year of the window
    group = rng.choice(len(weights), count, p=weights / weights.sum())
    age = np.where(group == 0, -rng.random(count) * years, group - 1 + rng.random(count))
    ages = np.arange(OLDEST + 1, dtype=np.float64)
    left = np.interp(np.maximum(age, 0), ages, alive) * (1 - rng.random(count))
    death = np.interp(-left, -alive, ages)  # survival falls: the age at which so many are left
    return age, np.maximum(death, np.maximum(age, 0))


def _together(rates: Rates, count: int, rng: np.random.Generator) -> Floats:
    """Latent normal scores, shape (people, LATENT), by which conditions come together."""
    given = rates.raw["correlation"]
    matrix = np.eye(len(LATENT))
    for pair in (
        ("diabetes", "hypertension", given["diabetes_hypertension"]), ("diabetes", "coronary", given["diabetes_coronary"]),
        ("hypertension", "coronary", given["hypertension_coronary"]), ("copd", "coronary", given["copd_coronary"]),
        ("diabetes", "mass", 0.35), ("hypertension", "mass", 0.25), ("copd", "smoking", 0.5), ("coronary", "smoking", 0.2),
    ):  # fmt: skip
        i, j = LATENT.index(str(pair[0])), LATENT.index(str(pair[1]))
        matrix[i, j] = matrix[j, i] = pair[2]
    scores: Floats = rng.standard_normal((count, len(LATENT))) @ np.linalg.cholesky(matrix).T
    return scores


def _phi(scores: Floats) -> Floats:
    """The normal distribution's function (Abramowitz and Stegun 1964, 26.2.17; error below 7.5e-8)."""
    t = 1 / (1 + 0.2316419 * np.abs(scores))
    sums = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-(scores**2) / 2) / np.sqrt(2 * np.pi) * sums
    found: Floats = np.where(scores >= 0, 1 - upper, upper)
    return found


def _by_sex(female: Bools, of_women: dict[str, float], of_men: dict[str, float], scores: Floats) -> Floats:
    found: Floats = np.where(female, of_women["mean"] + of_women["sd"] * scores, of_men["mean"] + of_men["sd"] * scores)
    return found
