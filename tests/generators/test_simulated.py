"""Simulated patients: what they are drawn from is what comes out, the same seed gives the same, and everything says it is synthetic."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from galenic import cli
from galenic.errors import OptionError
from galenic.generators import simulated
from galenic.records import fhir
from galenic.records.meds import read_codes, read_meds
from galenic.records.omop import Omop

STOP = 20_089.0  # 2025-01-01
START = STOP - 3_653
YEAR = 365.2425
RATES = simulated.load_rates()


@pytest.fixture(scope="module")
def drawn() -> tuple[simulated.SimulatedPatients, ...]:
    rng = np.random.default_rng(3)
    return tuple(simulated.draw_people(RATES, 20_000, start=START, stop=STOP, rng=rng) for _ in range(3))


def joined(drawn: tuple[simulated.SimulatedPatients, ...], name: str) -> np.ndarray:
    return np.concatenate([getattr(p, name) for p in drawn])


@pytest.mark.parametrize("name", [c.name for c in RATES.conditions])
def test_prevalence_by_age_is_the_cited_one(drawn: tuple[simulated.SimulatedPatients, ...], name: str) -> None:
    """Within five standard errors (a false alarm in a million) and the half of the last digit that is cited."""
    given = RATES.raw["condition"][name]
    age, alive = (STOP - joined(drawn, "birth")) / YEAR, joined(drawn, "death") > STOP
    had = np.concatenate([p.had(name, STOP) for p in drawn])
    if given.get("sex") == "female":
        alive &= joined(drawn, "female")
        assert not had[~joined(drawn, "female")].any()
    for (low, high), cited in zip(given["ages"], given["prevalence"], strict=True):
        group = alive & (age >= low) & (age < high)
        error = math.sqrt(max(cited, 1e-4) * (1 - cited) / group.sum())
        assert abs(had[group].mean() - cited) < 5 * error + 0.006, (low, high)


@pytest.mark.parametrize("sex", ["female", "male"])
def test_expectation_of_life_is_the_cited_one(drawn: tuple[simulated.SimulatedPatients, ...], sex: str) -> None:
    """From deaths and years lived by age, as a life table is made; its standard error is about 0.15 years."""
    mine = joined(drawn, "female") == (sex == "female")
    birth, death = joined(drawn, "birth")[mine], joined(drawn, "death")[mine]
    begin, end = np.maximum(birth, START), np.minimum(death, STOP)
    alive, years = 1.0, 0.0
    for age in range(110):
        lived = np.clip(np.minimum(end, birth + (age + 1) * YEAR) - np.maximum(begin, birth + age * YEAR), 0, None).sum() / YEAR
        deaths = int(((death < STOP) & (np.floor((death - birth) / YEAR) == age)).sum())
        rate = deaths / lived if lived > 0 else 2.0
        gone = min(rate / (1 + rate / 2), 1.0)
        years += alive * (1 - gone / 2)
        alive *= 1 - gone
    assert abs(years - RATES.raw["life"][sex]["expectancy_years"]) < 0.8


def test_conditions_come_together_and_with_mass(drawn: tuple[simulated.SimulatedPatients, ...]) -> None:
    had = {c.name: np.concatenate([p.had(c.name, STOP) for p in drawn]) for c in RATES.conditions}
    old = (STOP - joined(drawn, "birth")) / YEAR > 60
    assert had["hypertension"][old & had["diabetes"]].mean() > had["hypertension"][old & ~had["diabetes"]].mean() + 0.1
    assert joined(drawn, "mass")[had["diabetes"]].mean() > joined(drawn, "mass")[~had["diabetes"]].mean() + 2


def test_measures_and_influenza_are_the_cited_ones() -> None:
    chunks = list(simulated.simulate_events(RATES, 10_000, start=START, stop=STOP, seed=5))
    table = pa.concat_tables([t for _, t in chunks])
    counts = Counter(table["code"].to_pylist())
    lived = sum((np.minimum(p.death, STOP) - np.maximum(p.birth, START)).sum() for p, _ in chunks) / YEAR
    assert counts["ICD10CM//J10.1"] / 2 / lived == pytest.approx(
        RATES.raw["influenza"]["per_season"], rel=0.06
    )  # visit, diagnosis
    assert counts["CVX//140"] / lived == pytest.approx(RATES.raw["vaccination"]["per_season"], rel=0.06)
    for sex in ("female", "male"):
        who = table.filter(pc.equal(table["code"], f"GENDER//{sex}"))["subject_id"].combine_chunks()
        height = table.filter(pc.and_(pc.equal(table["code"], "LOINC//8302-2"), pc.is_in(table["subject_id"], value_set=who)))
        given = RATES.raw["measure"][f"height_{sex}"]
        first = height.group_by("subject_id").aggregate([("numeric_value", "min")])["numeric_value_min"].to_numpy()
        assert first.mean() == pytest.approx(given["mean"], abs=0.6)
        assert first.std() == pytest.approx(given["sd"], rel=0.06)


def test_what_people_live_in_is_as_cited(drawn: tuple[simulated.SimulatedPatients, ...]) -> None:
    shares = np.bincount(joined(drawn, "education"), minlength=4) / 60_000
    assert np.abs(shares - RATES.raw["education"]["shares"]).max() < 0.01
    assert joined(drawn, "hungry").mean() == pytest.approx(RATES.raw["food"]["insecure"], abs=0.006)
    smoking = np.bincount(joined(drawn, "smoking"), minlength=3) / 60_000
    assert smoking[2] == pytest.approx(RATES.raw["smoking"]["current"], abs=0.007)
    assert smoking[1] == pytest.approx(RATES.raw["smoking"]["former"], abs=0.009)


def test_nothing_happens_after_death_or_before_birth() -> None:
    for _, table in simulated.simulate_events(RATES, 5_000, start=START, stop=STOP, seed=6):
        timed = table.filter(pc.is_valid(table["time"]))
        spans = timed.group_by("subject_id").aggregate([("time", "min"), ("time", "max")])
        for code, name in (("MEDS_BIRTH", "time_min"), ("MEDS_DEATH", "time_max")):
            known = dict(zip(spans["subject_id"].to_pylist(), spans[name].to_pylist(), strict=True))
            of = timed.filter(pc.equal(timed["code"], code))
            assert of.num_rows
            assert all(known[s] == t for s, t in zip(of["subject_id"].to_pylist(), of["time"].to_pylist(), strict=True))


def test_the_same_seed_gives_the_same_and_more_people_change_nobody() -> None:
    few, many, other = (
        [t for _, t in simulated.simulate_events(RATES, n, start=START, stop=STOP, seed=s)]
        for n, s in ((5_000, 9), (6_000, 9), (5_000, 10))
    )
    assert few[0].equals(many[0])
    assert not few[0].equals(other[0])
    assert not set(many[0]["encounter_id"].drop_null().to_pylist()) & set(many[1]["encounter_id"].drop_null().to_pylist())


def test_every_form_holds_the_same_people_and_fhir_says_that_they_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = []
    for form in ("meds", "fhir", "bundle", "omop"):
        words = [
            "simulate",
            "40",
            "--out",
            str(tmp_path / form),
            "--as",
            form,
            "--seed",
            "4",
            "--until",
            "2025-01-01",
            "--json",
        ]
        assert cli.run(words) == 0
        made.append(json.loads(capsys.readouterr().out))
    assert {m["people"] for m in made} == {40}
    (table,) = read_meds(tmp_path / "meds")
    assert table.num_rows == made[0]["events"]
    reads = {r["code"]: r["description"] for r in read_codes(tmp_path / "meds").to_pylist()}
    assert reads["ICD10CM//I10"] == "Essential (primary) hypertension"
    assert set(table["code"].to_pylist()) <= set(reads)
    for path in sorted((tmp_path / "fhir").glob("*.ndjson")):
        for line in fhir.read_ndjson(path):
            assert line.document
            assert not fhir.validate_resource(line.document.resource)
            labels = line.document.resource.get("meta", {}).get("security", [{}])
            assert path.name == "Provenance.ndjson" or labels[0]["code"] == "HTEST"
    assert not fhir.validate_resource(fhir.parse((tmp_path / "bundle").read_bytes()).resource)
    assert sum(t.num_rows for t in Omop(tmp_path / "omop").rows("person")) == 40


def test_what_can_not_be_simulated_is_refused(tmp_path: Path) -> None:
    for count, form, years in ((10, "hl7", 10), (10, "meds", 0), (0, "meds", 10)):
        with pytest.raises(OptionError):
            simulated.simulate(simulated.SimulationRequest(count, years=years), tmp_path / "x", form=form)
    assert not (tmp_path / "x").exists()


def test_every_rate_names_its_source_or_says_that_it_is_assumed(capsys: pytest.CaptureFixture) -> None:
    assert all(rate["assumed"] or rate["source"] for rate in simulated.rate_sources())
    assert cli.run(["records", "simulate", "--rates"]) == 0
    assert "unverified" in capsys.readouterr().out
