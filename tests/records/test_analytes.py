"""Measurements by name and code: conversions, and limits that include their ends."""

import numpy as np
import pytest

from galenic.records.quality.analytes import ANALYTES, Analyte, _other, analyte_of
from galenic.records.quality.units import KNOWN, find_mix

HEAT = Analyte(("1-1",), ("heat",), "heat", "Cel", (25.0, 45.0), (36.0, 38.0), {"[degF]": (0.5, -10.0), "K": (1.0, -273.0)})


@pytest.mark.parametrize(
    ("value", "possible", "typical"),
    [
        pytest.param(24.9, False, False, id="below the lowest possible"),
        pytest.param(25.0, True, False, id="the lowest possible"),
        pytest.param(35.9, True, False, id="below typical"),
        pytest.param(36.0, True, True, id="the lowest typical"),
        pytest.param(38.0, True, True, id="the highest typical"),
        pytest.param(38.1, True, False, id="above typical"),
        pytest.param(45.0, True, False, id="the highest possible"),
        pytest.param(45.1, False, False, id="above the highest possible"),
    ],
)
def test_limits_include_their_ends(value: float, possible: bool, typical: bool) -> None:
    assert HEAT.is_possible(np.array([value])).tolist() == [possible]
    assert HEAT.is_typical(np.array([value])).tolist() == [typical]


def test_values_are_converted_by_factor_and_offset_and_unknown_units_give_nothing() -> None:
    values = np.array([100.0])
    assert HEAT.converted(values, "Cel").tolist() == HEAT.converted(values, "").tolist() == [100.0]
    assert HEAT.converted(values, "[degF]").tolist() == [40.0]
    assert HEAT.converted(values, "K").tolist() == [-173.0]
    assert np.isnan(HEAT.converted(values, "mg")).all()


def test_another_unit_is_written_as_factor_and_offset() -> None:
    assert _other("[degF]=0.5-10") == ("[degF]", (0.5, -10.0))
    assert _other("g/L=100") == ("g/L", (100.0, 0.0))
    assert _other("K=1+2.5") == ("K", (1.0, 2.5))


@pytest.mark.parametrize("analyte", ANALYTES, ids=lambda a: a.names[0])
def test_typical_values_are_possible_ones(analyte: Analyte) -> None:
    (least, most), (low, high) = analyte.possible, analyte.typical
    assert least <= low < high <= most
    assert all(factor > 0 for factor, _ in analyte.others.values())


def test_a_measurement_is_known_by_name_by_a_longer_name_and_by_its_code() -> None:
    one = ANALYTES[0]
    assert analyte_of(one.names[0]) is one
    assert analyte_of(f" {one.names[0].upper()}!") is one
    assert analyte_of(f"{one.names[0]}_mean") is one
    assert analyte_of(f"LOINC//{one.loinc[0]}") is one
    assert analyte_of("LOINC//nothing") is None
    assert analyte_of("shoe_size") is None


def test_creatinine_and_glucose_are_what_laboratories_say_they_are() -> None:
    creatinine, glucose = analyte_of("creatinine"), analyte_of("glucose")
    assert creatinine is not None
    assert glucose is not None
    assert creatinine.converted(np.array([88.4]), "umol/L")[0] == pytest.approx(1.0, rel=1e-3)
    assert glucose.converted(np.array([5.55]), "mmol/L")[0] == pytest.approx(100.0, rel=1e-2)


def mixed(few: int, of: int = 100) -> np.ndarray:
    """Temperatures of 37 °C, the first `few` of them in °F."""
    fever = Analyte((), ("t",), "t", "Cel", (25.0, 45.0), (35.0, 40.0), {"[degF]": (1 / 1.8, -32 / 1.8)})
    values = np.full(of, 37.0)
    values[:few] = 98.6
    found = find_mix(values, fever)
    return found.places if found is not None else np.array([])


def test_three_values_in_another_unit_are_a_mix_and_two_are_none() -> None:
    assert mixed(2).tolist() == []
    assert mixed(3).tolist() == [0, 1, 2]


def test_among_many_values_two_in_a_thousand_are_a_mix() -> None:
    assert len(mixed(4, 2_000)) == 4
    assert len(mixed(3, 2_000)) == 0


def test_a_mix_says_how_to_convert_and_who_says_the_unit_is_believed() -> None:
    fever = Analyte((), ("t",), "t", "Cel", (25.0, 45.0), (35.0, 40.0), {"[degF]": (1 / 1.8, -32 / 1.8)})
    values = np.r_[np.full(40, 98.6), np.full(60, 37.0), np.nan]
    found = find_mix(values, fever)
    assert found is not None
    assert (found.unit, found.other) == ("Cel", "[degF]")
    factor, offset = found.convert or (0.0, 0.0)
    assert factor * 98.6 + offset == pytest.approx(37.0)
    stated = find_mix(values, fever, "[degF]")
    assert stated is not None
    assert (stated.unit, stated.other, len(stated.places)) == ("[degF]", "Cel", 60)
    factor, offset = stated.convert or (0.0, 0.0)
    assert factor * 37.0 + offset == pytest.approx(98.6)


def test_most_of_a_column_decides_its_unit_where_nobody_states_it() -> None:
    fever = Analyte((), ("t",), "t", "Cel", (25.0, 45.0), (35.0, 40.0), {"[degF]": (1 / 1.8, -32 / 1.8)})
    mostly = find_mix(np.r_[np.full(60, 98.6), np.full(40, 37.0)], fever)
    doubtful = find_mix(np.r_[np.full(52, 98.6), np.full(48, 37.0)], fever)
    assert mostly is not None
    assert doubtful is not None
    assert (mostly.unit, doubtful.unit) == ("[degF]", "Cel")


def test_the_middle_of_a_patients_values_is_that_of_all_of_them() -> None:
    weight = Analyte((), ("w",), "w", "kg", (1.0, 400.0), (40.0, 150.0), {"[lb_av]": (1 / 2.20462, 0.0)})
    values = np.array([60.0, 132.3, 61.0, 59.0, np.nan, 0.0] * 3)
    found = find_mix(values, weight, "kg", np.repeat(np.arange(3), 6))
    assert found is not None
    assert found.places.tolist() == [1, 7, 13]


def two_weights(pounds: bool) -> tuple[np.ndarray, np.ndarray]:
    """Six weights of each of four patients; the last one of each perhaps in pounds."""
    kilograms = np.array([60.0, 61.0, 59.0, 60.5, 60.2, 60.0])
    if pounds:
        kilograms[5] *= 2.20462
    return np.tile(kilograms, 4), np.repeat(np.arange(4), 6)


def test_a_patients_own_values_tell_pounds_from_kilograms() -> None:
    weight = Analyte((), ("w",), "w", "kg", (1.0, 400.0), (40.0, 150.0), {"[lb_av]": (1 / 2.20462, 0.0)})
    values, who = two_weights(pounds=True)
    found = find_mix(values, weight, "kg", who)
    assert found is not None
    assert found.places.tolist() == [5, 11, 17, 23]
    assert find_mix(values, weight, "kg") is None
    assert find_mix(two_weights(pounds=False)[0], weight, "kg", who) is None


def test_two_values_of_a_patient_tell_nothing() -> None:
    weight = Analyte((), ("w",), "w", "kg", (1.0, 400.0), (40.0, 150.0), {"[lb_av]": (1 / 2.20462, 0.0)})
    values = np.tile([60.0, 132.3], 10)
    assert find_mix(values, weight, "kg", np.repeat(np.arange(10), 2)) is None


def test_one_patient_with_few_values_does_not_end_the_search_and_three_values_are_enough() -> None:
    weight = Analyte((), ("w",), "w", "kg", (1.0, 400.0), (40.0, 150.0), {"[lb_av]": (1 / 2.20462, 0.0)})
    values = np.r_[60.0, 60.0, np.tile([60.0, 61.0, 132.3], 3)]
    found = find_mix(values, weight, "kg", np.r_[0, 0, np.repeat([1, 2, 3], 3)])
    assert found is not None
    assert found.places.tolist() == [4, 7, 10]


def test_known_factors_are_those_between_the_units_that_they_name() -> None:
    assert list(KNOWN.values()) == [88.4, 18.0156, 38.67, 2.20462, 2.54, 100.0, 1000.0, 10.0]


def test_zeros_and_missing_values_belong_to_no_group() -> None:
    values = np.r_[np.full(40, 1.0), np.full(9, 1000.0), 0.0, -1.0, np.nan]
    assert find_mix(values) is None  # 49 values above 0
    with_one_more = np.r_[values, 1000.0]
    found = find_mix(with_one_more)
    assert found is not None
    assert found.places.tolist() == [*range(40, 49), 52]


@pytest.mark.parametrize(
    ("celsius", "fahrenheit", "found"),
    [
        pytest.param(37.0, 98.6 + 2.6, True, id="nearly 1.5 degrees apart"),
        pytest.param(37.0, 98.6 + 2.8, False, id="more than 1.5 degrees apart"),
        pytest.param(37.0, 98.6 - 2.6, True, id="nearly 1.5 degrees apart from below"),
        pytest.param(30.5, 86.9, True, id="just above 30 degrees"),
        pytest.param(29.5, 85.1, False, id="below 30 degrees"),
        pytest.param(44.5, 112.1, True, id="just below 45 degrees"),
        pytest.param(45.5, 113.9, False, id="above 45 degrees"),
    ],
)
def test_two_groups_are_celsius_and_fahrenheit_near_body_temperature(celsius: float, fahrenheit: float, found: bool) -> None:
    mix = find_mix(np.r_[np.full(40, celsius), np.full(12, fahrenheit)])
    assert (mix is not None and mix.other == "[degF]") is found


def test_of_many_values_the_ends_are_left_out_by_their_share() -> None:
    values = np.r_[np.full(9_980, 1.0), np.full(20, 1000.0)]
    assert find_mix(values) is None  # 20 of 10,000 are as many as are left out
    assert find_mix(np.r_[values, 1000.0, 1000.0]) is not None


def test_groups_that_are_wide_themselves_are_none() -> None:
    spread = np.r_[np.geomspace(1, 30, 40), np.geomspace(300, 9_000, 20)]
    assert find_mix(spread) is None


def grouped(low: float, high: float, few: int, of: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    values = np.r_[low * rng.uniform(0.97, 1.03, of - few), high * rng.uniform(0.97, 1.03, few)]
    found = find_mix(values)
    return (found.places if found is not None else np.array([])), values


@pytest.mark.parametrize(
    ("high", "few", "of", "expected"),
    [
        pytest.param(1000.0, 10, 60, 10, id="a thousandfold: g among kg"),
        pytest.param(100.0, 10, 60, 10, id="a hundredfold: cm among m"),
        pytest.param(88.4, 10, 60, 10, id="creatinine in umol/L among mg/dL"),
        pytest.param(38.67, 10, 60, 10, id="cholesterol in mg/dL among mmol/L"),
        pytest.param(18.0156, 10, 60, 10, id="glucose in mg/dL among mmol/L"),
        pytest.param(10.0, 10, 60, 10, id="tenfold"),
        pytest.param(2.54, 10, 60, 10, id="cm among inches"),
        pytest.param(2.20462, 10, 60, 10, id="pounds among kilograms"),
        pytest.param(10.0 * 1.15, 10, 60, 10, id="nearly a known factor"),
        pytest.param(10.0 * 1.2, 10, 60, 0, id="not near enough"),
        pytest.param(10.0 / 1.2, 10, 60, 0, id="not near enough from below"),
        pytest.param(1000.0, 10, 49, 0, id="too few values to say"),
        pytest.param(1000.0, 10, 50, 10, id="fifty values are enough"),
        pytest.param(1000.0, 3, 60, 0, id="three values stand at the edge"),
        pytest.param(1000.0, 4, 60, 4, id="four values are a group"),
        pytest.param(5.0, 10, 60, 0, id="a factor that nobody knows"),
        pytest.param(1.5, 10, 60, 0, id="too close together"),
    ],
)
def test_two_groups_of_a_column_that_nobody_knows(high: float, few: int, of: int, expected: int) -> None:
    places, _ = grouped(1.0, high, few, of)
    assert len(places) == expected


def test_fahrenheit_among_celsius_is_found_by_the_middles_of_the_groups() -> None:
    for few, of, unit, other in ((20, 100, "Cel", "[degF]"), (80, 100, "[degF]", "Cel")):
        values = np.r_[np.linspace(36.5, 37.5, of - few), np.linspace(97.7, 99.5, few)]
        found = find_mix(values)
        assert found is not None
        assert (found.unit, found.other, len(found.places)) == (unit, other, min(few, of - few))
        factor, offset = found.convert or (0.0, 0.0)
        assert factor * values[found.places].mean() + offset == pytest.approx(37.0 if unit == "Cel" else 98.6, abs=0.2)
