"""The expected quality of a fit: it moves as measurements do, and recommendations are the smallest that are likely to be accepted."""

import pytest

from galenic.generators.tables import TableSize, expected_quality, least_epsilon, least_patients

LIMITS = {"fidelity.tvd1.excess": 0.10, "fidelity.tvd2.excess": 0.15}
USUAL = TableSize(3_000, 11)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(TableSize(10_000, 11), USUAL, id="more patients"),
        pytest.param(TableSize(3_000, 5), USUAL, id="fewer columns"),
        pytest.param(TableSize(3_000, 11, levels=4.0), USUAL, id="fewer values of a column"),
        pytest.param(TableSize(3_000, 11, bought=0.0), USUAL, id="described columns"),
    ],
)
def test_distances_shrink_with_what_makes_a_fit_easier(better: TableSize, worse: TableSize) -> None:
    good, bad = expected_quality(better, 1.0), expected_quality(worse, 1.0)
    assert good.pairs < bad.pairs
    assert good.singles < bad.singles
    assert good.chance(LIMITS) > bad.chance(LIMITS)


def test_more_epsilon_or_fewer_rows_of_a_patient_mean_less_noise() -> None:
    assert expected_quality(USUAL, 3.0).pairs < expected_quality(USUAL, 1.0).pairs
    assert expected_quality(USUAL, 1.0, cap=3).pairs > expected_quality(USUAL, 1.0).pairs


@pytest.mark.parametrize(
    ("patients", "columns", "levels", "bought", "epsilon", "measured"),
    [
        pytest.param(3_000, 11, 8.0, 1.0, 1.0, 0.152, id="diabetes, nothing described"),
        pytest.param(3_000, 11, 8.0, 0.0, 1.0, 0.083, id="diabetes, described"),
        pytest.param(3_000, 11, 13.0, 1.0, 1.0, 0.141, id="support2, nothing described"),
        pytest.param(9_000, 11, 13.0, 1.0, 1.0, 0.093, id="support2, all patients"),
        pytest.param(3_000, 22, 8.0, 1.0, 1.0, 0.190, id="diabetes, 22 columns"),
    ],
)
def test_measured_distances_lie_within_a_factor_of_two(
    patients: int, columns: int, levels: float, bought: float, epsilon: float, measured: float
) -> None:
    expected = expected_quality(TableSize(patients, columns, levels, bought), epsilon).pairs
    assert measured / 2 < expected < measured * 2


def test_recommendations_are_likely_to_be_accepted_and_the_next_smaller_are_not() -> None:
    epsilon, patients = least_epsilon(USUAL, LIMITS), least_patients(USUAL, 1.0, LIMITS)
    assert epsilon is not None
    assert patients is not None
    assert expected_quality(USUAL, epsilon).chance(LIMITS) >= 0.8 > expected_quality(USUAL, epsilon / 2).chance(LIMITS)
    assert expected_quality(TableSize(patients, 11), 1.0).chance(LIMITS) >= 0.8
    assert expected_quality(TableSize(int(patients * 0.8), 11), 1.0).chance(LIMITS) < 0.8


def test_what_no_epsilon_can_reach_is_not_recommended() -> None:
    assert least_epsilon(TableSize(20, 100, levels=21.0), LIMITS) is None
    assert least_patients(TableSize(20, 500, levels=21.0), 0.0001, LIMITS) is None
    assert expected_quality(USUAL, 1.0).chance({}) == 1.0
