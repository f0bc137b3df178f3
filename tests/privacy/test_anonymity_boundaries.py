"""Small tables whose groups, losses and risks are known by hand: hierarchies, Mondrian, the lattice and re-identification risk."""

import numpy as np
import pytest

from galenic.errors import DescriptionError, RecordError
from galenic.privacy.anonymization import (
    AnonymizationMethod,
    PrivacyModel,
    QuasiIdentifier,
    anonymize,
    best_node,
    is_rare,
    measure_groups,
    measure_risk,
    partition_rows,
    population_uniques,
    quasi_identifier,
)
from galenic.privacy.anonymization.hierarchies import MAX_LISTED
from galenic.privacy.anonymization.lattice import MAX_NODES, _untagged_above, information_loss
from galenic.privacy.anonymization.population import _harmonic, _pitman, _zayatz


def sizes(codes: list[list[int]], model: PrivacyModel, sensitive: list[int] | None = None) -> list[int]:
    """Sizes of Mondrian's groups, the smallest first."""
    found = partition_rows(np.array(codes), model, None if sensitive is None else np.array(sensitive))
    return sorted(np.bincount(found).tolist())


def test_a_group_is_cut_only_where_both_halves_keep_k_rows() -> None:
    rows = [[0], [1], [2], [3]]
    assert sizes(rows, PrivacyModel(1)) == [1, 1, 1, 1]
    assert sizes(rows, PrivacyModel(2)) == [2, 2]
    assert sizes(rows, PrivacyModel(3)) == [4]
    assert sizes(rows, PrivacyModel(4)) == [4]
    assert sizes([[0], [0], [0], [1]], PrivacyModel(2)) == [4]
    assert sizes([[0], [0], [1], [1], [1]], PrivacyModel(2)) == [2, 3]
    assert sizes([[0], [1], [1], [1], [1]], PrivacyModel(1)) == [1, 4]
    assert sizes([[0], [0], [0], [0], [1]], PrivacyModel(1)) == [1, 4]
    assert sizes([[5], [5]], PrivacyModel(1)) == [2]
    with pytest.raises(RecordError, match="4 rows, fewer than k = 5"):
        sizes(rows, PrivacyModel(5))


def test_the_column_in_which_rows_differ_most_is_cut_first_by_its_width_in_the_table() -> None:
    rows = np.array([[0, 0], [0, 9], [1, 0], [1, 9]])
    assert sizes(rows.tolist(), PrivacyModel(2)) == [2, 2]
    wide = np.array([[0, 100], [10, 101], [0, 102], [10, 103]])
    assert partition_rows(wide, PrivacyModel(2)).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_groups_keep_l_values_and_stay_within_t() -> None:
    rows, two = [[0], [0], [1], [1]], [0, 1, 0, 1]
    assert sizes(rows, PrivacyModel(2, 2), two) == [2, 2]
    assert sizes(rows, PrivacyModel(2, 2), [0, 0, 1, 1]) == [4]
    assert sizes(rows, PrivacyModel(2, 1, 0.5), [0, 0, 1, 1]) == [2, 2]
    assert sizes(rows, PrivacyModel(2, 1, 0.49), [0, 0, 1, 1]) == [4]
    assert sizes(rows, PrivacyModel(2, 1, 0.0), two) == [2, 2]
    with pytest.raises(RecordError, match="fewer than l = 3 values"):
        sizes(rows, PrivacyModel(2, 3), two)


AGES = quasi_identifier("age", "number", [str(v) for v in (20, 21, 22, 30, 31, 40, 60, 84)])


def test_numbers_have_bands_each_twice_as_wide() -> None:
    assert [labels[0] for labels in AGES.labels] == ["20", "20..24", "20..39", "0..39", "*"]
    assert [len(labels) for labels in AGES.labels] == [8, 5, 4, 3, 1]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        pytest.param(["0", "19"], [("0", "19"), ("*",)], id="a span below 20: bands of 2 that tell as much are left out"),
        pytest.param(["0", "1", "19"], [("0", "1", "19"), ("0..1", "18..19"), ("*",)], id="bands of 2"),
        pytest.param(["0", "4", "20"], [("0", "4", "20"), ("0..4", "20..24"), ("*",)], id="a span of 20: bands of 5"),
        pytest.param(["5", "5"], [("5",)], id="one value"),
        pytest.param(["", "1", "1"], [("1", "(none)"), ("*",)], id="one value and missing ones"),
        pytest.param([""], [("(none)",)], id="missing ones alone"),
        pytest.param(["-3", "-1"], [("-3", "-1"), ("*",)], id="below 0"),
        pytest.param(
            ["0.01", "0.012", "0.2"], [("0.01", "0.012", "0.2"), ("0.01..0.015", "0.2..0.205"), ("*",)], id="fractions"
        ),
        pytest.param(["0", "1e14"], [("0", "1e14"), ("*",)], id="very large numbers"),
    ],
)
def test_bands_of_few_numbers(values: list[str], labels: list[tuple[str, ...]]) -> None:
    assert list(quasi_identifier("x", "number", values).labels) == labels


@pytest.mark.parametrize(("largest", "finest"), [("320", "0..4"), ("321", "0..9"), ("640", "0..9"), ("641", "0..19")])
def test_the_finest_band_is_a_sixty_fourth_of_the_span_or_the_next_round_number(largest: str, finest: str) -> None:
    assert quasi_identifier("x", "number", ["0", "1", "6", largest]).labels[1][0] == finest


def test_codes_of_one_length_lose_their_last_digits_and_others_have_no_hierarchy() -> None:
    column = quasi_identifier("zip", "category", ["10115", "10117", "20095"])
    assert column.labels == (("10115", "10117", "20095"), ("1011*", "2009*"), ("*",))
    assert quasi_identifier("zip", "category", ["101", "20095"]).labels[1:] == (("*",),)
    assert quasi_identifier("ward", "category", ["A11", "A12"]).labels[1:] == (("*",),)


def test_dates_become_months_years_and_spans_of_years() -> None:
    column = quasi_identifier("seen", "date", ["2024-01-05", "2024-01-09", "2024-03-01", "2021-03-01", "2009-03-01", ""])
    assert column.labels[1] == ("2009-03", "2021-03", "2024-01", "2024-03", "(none)")
    assert column.labels[2] == ("2009", "2021", "2024", "(none)")
    assert column.labels[3] == ("2005..2009", "2020..2024", "(none)")
    assert column.labels[4:] == (("2000..2039", "(none)"), ("*",))


def test_a_sites_hierarchy_needs_as_many_levels_for_each_value() -> None:
    with pytest.raises(DescriptionError, match="different numbers of levels"):
        quasi_identifier("w", "category", ["a", "b"], {"a": ("x",), "b": ("x", "y")})
    assert quasi_identifier("w", "category", ["a", "b", ""], {"a": ("x",), "b": ("x",)}).labels[1] == ("x", "(none)")


def test_a_group_is_called_by_its_values_as_far_as_they_can_be_listed() -> None:
    wards = [f"w{i}x" for i in range(9)] + ["other"]
    column = quasi_identifier("ward", "category", wards, {w: ("wards" if w != "other" else "rest",) for w in wards})
    assert column.label(np.array([2])) == ("w1x", 1)
    assert column.label(np.array([1, 2])) == ("w0x|w1x", 2)
    assert column.label(np.arange(1, MAX_LISTED + 1))[1] == MAX_LISTED
    assert column.label(np.arange(1, MAX_LISTED + 2)) == ("wards", 9)
    assert column.label(np.arange(10)) == ("*", 10)
    assert AGES.label(np.array([0, 3])) == ("20..30", 4)
    assert quasi_identifier("age", "number", ["1", "2", ""]).label(np.array([0, 2])) == ("1..1|(none)", 3)


def test_information_loss_is_the_share_of_the_width_that_a_step_covers() -> None:
    assert information_loss(AGES, 0).tolist() == [0.0] * 8
    assert information_loss(AGES, 1).tolist() == pytest.approx([2 / 64] * 3 + [1 / 64] * 2 + [0.0] * 3)
    assert information_loss(AGES, len(AGES.levels) - 1).tolist() == [1.0] * 8
    zips = quasi_identifier("zip", "category", ["10115", "10117", "20095"])
    assert information_loss(zips, 1).tolist() == [0.5, 0.5, 0.0]
    dates = quasi_identifier("d", "date", ["2024-01-05", "2024-01-09", "2024-03-01"])
    assert information_loss(dates, 1).tolist() == [0.5, 0.5, 0.0]
    assert information_loss(quasi_identifier("x", "number", ["5"]), 0).tolist() == [0.0]
    assert information_loss(quasi_identifier("x", "category", ["a"]), 0).tolist() == [0.0]
    missing = quasi_identifier("x", "number", ["0", "4", "20", ""])
    assert information_loss(missing, 1).tolist() == pytest.approx([0.2, 0.2, 0.0, 0.0])


def lattice(share: float, model: PrivacyModel, sensitive: list[int] | None = None) -> tuple[tuple[int, ...], int, float]:
    """Of ten zip codes: rows 0-5 share four digits, 6-8 share three with them, 9 is far away."""
    values = ["10110", "10111", "10112", "10113", "10114", "10115", "10120", "10121", "10122", "99999"]
    column = quasi_identifier("zip", "category", values)
    node = best_node((column,), np.arange(10)[:, None], model, share, None if sensitive is None else np.array(sensitive))
    return node.levels, node.suppressed, round(node.loss, 6)


def test_the_lattice_goes_no_higher_than_k_and_the_share_of_suppressed_rows_ask() -> None:
    assert lattice(0.0, PrivacyModel(1)) == ((0,), 0, 0.0)
    assert lattice(0.1, PrivacyModel(3)) == ((1,), 1, round(0.1 + 0.9 * (6 * 5 / 9 + 3 * 2 / 9) / 10, 6))
    assert lattice(0.09, PrivacyModel(3))[0] == (3,)
    assert lattice(0.4, PrivacyModel(6))[:2] == ((1,), 4)
    assert lattice(0.39, PrivacyModel(6))[:2] == ((2,), 1)
    with pytest.raises(RecordError, match=r"k = 11, l = 1, t = 1.0 with at most 0.0% of rows suppressed"):
        lattice(0.0, PrivacyModel(11))


def test_the_lattice_keeps_l_values_and_t() -> None:
    assert lattice(0.1, PrivacyModel(2, 2), [0, 1] * 5)[0] == (1,)
    assert lattice(0.1, PrivacyModel(2, 2), [0] * 6 + [1] * 4)[0] == (2,)
    assert lattice(1.0, PrivacyModel(1, 1, 1.0), [0] * 6 + [1] * 4)[0] == (0,)
    assert lattice(0.1, PrivacyModel(3, 1, 0.2), [0, 1] * 3 + [0, 1, 0, 1])[:2] == ((1,), 1)
    assert lattice(0.1, PrivacyModel(3, 1, 0.1), [0, 1] * 3 + [0, 1, 0, 1])[0] == (2,)


def test_a_lattice_of_too_many_nodes_is_refused() -> None:
    rung = np.zeros(1, np.int64)
    tall = QuasiIdentifier("x", "category", ("a",), (rung,) * 450, (("a",),) * 450)
    with pytest.raises(RecordError, match=f"202,500 .*more than {MAX_NODES:,}"):
        best_node((tall, tall), np.zeros((1, 2), np.int64), PrivacyModel(1))


def test_mondrian_calls_each_group_by_what_it_covers_and_suppresses_nobody() -> None:
    sex = quasi_identifier("sex", "category", ["f", "m"])
    codes = np.array([[0, 0], [1, 0], [2, 1], [3, 1], [4, 0], [5, 1], [6, 0], [7, 1]])
    done = anonymize((AGES, sex), codes, PrivacyModel(4))
    assert done.suppressed == 0
    assert sorted(done.group_sizes.tolist()) == [4, 4]
    called = {
        (done.label_names[0][a], done.label_names[1][b])
        for a, b in zip(done.group_labels[0], done.group_labels[1], strict=True)
    }
    assert called == {("20..31", "f"), ("20..30", "f|m"), ("31..84", "f|m")} & called
    ages = anonymize((AGES,), np.arange(8)[:, None], PrivacyModel(4))
    assert [ages.label_names[0][i] for i in ages.group_labels[0]] == ["20..30"] * 4 + ["31..84"] * 4
    assert ages.loss == pytest.approx((10 / 64 * 4 + 53 / 64 * 4) / 8)
    whole = anonymize((sex,), np.array([[0], [1]]), PrivacyModel(2))
    assert (whole.loss, whole.label_names) == (1.0, (("f|m",),))
    exact = anonymize((sex,), np.array([[0], [1]]), PrivacyModel(1))
    assert (exact.loss, sorted(exact.label_names[0])) == (0.0, ["f", "m"])


def test_two_of_three_categories_lose_half_and_one_value_loses_nothing() -> None:
    ward = quasi_identifier("ward", "category", ["a", "bc", "d"])
    pair = anonymize((ward,), np.array([[0], [1], [2], [2]]), PrivacyModel(2))
    assert pair.loss == pytest.approx(0.5 * 2 / 4)
    one = anonymize((quasi_identifier("x", "category", ["a"]),), np.array([[0], [0]]), PrivacyModel(2))
    assert (one.loss, one.suppressed) == (0.0, 0)
    numbers = quasi_identifier("x", "number", ["10", "20", "50", ""])
    assert anonymize((numbers,), np.array([[0], [1], [2], [2]]), PrivacyModel(2)).loss == pytest.approx(0.25 * 2 / 4)
    dates = quasi_identifier("x", "date", ["2020-01-01", "2020-02-01", "2024-01-01"])
    assert anonymize((dates,), np.array([[0], [1], [2], [2]]), PrivacyModel(2)).loss == pytest.approx(0.5 * 2 / 4)


def test_the_loss_of_a_table_is_the_mean_of_its_columns() -> None:
    sex = quasi_identifier("sex", "category", ["f", "m"])
    both = anonymize((sex, sex), np.array([[0, 0], [0, 1]]), PrivacyModel(2))
    assert both.loss == 0.5


def test_paths_through_the_lattice_go_up_by_one_level_to_nodes_that_are_not_tagged() -> None:
    tags = np.zeros((2, 3), np.int8)
    assert _untagged_above(tags, (0, 0)) == (1, 0)
    assert _untagged_above(tags, (1, 0)) == (1, 1)
    assert _untagged_above(tags, (1, 2)) is None
    tags[1, 0] = 1
    assert _untagged_above(tags, (0, 0)) == (0, 1)
    tags[:] = 1
    assert _untagged_above(tags, (0, 0)) is None


def test_global_recoding_suppresses_rows_in_small_groups() -> None:
    column = quasi_identifier("zip", "category", ["10115", "10117", "20095"])
    done = anonymize((column,), np.array([[0], [1], [1], [2]]), PrivacyModel(3), AnonymizationMethod("global", 0.25))
    assert done.released.tolist() == [True, True, True, False]
    assert (done.suppressed, done.group_sizes.tolist()) == (1, [3])
    assert [done.label_names[0][i] for i in done.group_labels[0]] == ["1011*", "1011*", "1011*", "2009*"]
    split = anonymize(
        (column,),
        np.array([[0], [0], [2], [2]]),
        PrivacyModel(2, 2),
        AnonymizationMethod("global", 0.5),
        sensitive=np.array([0, 1, 1, 1]),
    )
    assert split.released.tolist() == [True, True, False, False]


def test_groups_are_measured_on_what_comes_out() -> None:
    labels = [np.array([0, 0, 1, 1, 1]), np.array([0, 0, 2, 2, 0])]
    found = measure_groups(labels)
    assert (sorted(found.sizes.tolist()), found.l, found.t) == ([1, 2, 2], 0, 0.0)
    apart = [np.array([0, 0, 1]), np.array([0, 1, 0])]
    assert measure_groups(apart).sizes.tolist() == [1, 1, 1]
    found = measure_groups(labels[:1], np.array([0, 1, 1, 1, 1]))
    assert (found.sizes.tolist(), found.l, found.t) == ([2, 3], 1, pytest.approx(0.3))
    assert is_rare(np.array([0, 0, 1, 1, 1]), 3).tolist() == [True, True, False, False, False]


def test_risk_counts_classes_of_eleven_as_small_enough() -> None:
    assert measure_risk(np.array([11])).prosecutor == (1 / 11, 1 / 11, 1.0)
    assert measure_risk(np.array([12])).prosecutor == (1 / 12, 1 / 12, 0.0)
    found = measure_risk(np.array([1, 3]))
    assert (found.rows, found.equivalence_classes, found.smallest_class, found.marketer, found.unique) == (4, 2, 1, 0.5, 0.25)
    assert (found.journalist, found.population_unique) == (None, None)
    sampled = measure_risk(np.array([2, 4]), 0.5)
    assert sampled.journalist == (0.25, pytest.approx(1 / 6))
    assert (sampled.marketer, sampled.unique, sampled.population_unique) == (pytest.approx(1 / 6), 0.0, (0.0, 0.0))
    assert sampled.as_dict()["journalist"] == {"highest": 0.25, "mean": pytest.approx(1 / 6)}
    assert found.as_dict()["journalist"] is None
    empty = measure_risk(np.array([], np.int64))
    assert (empty.prosecutor, empty.marketer, empty.unique, empty.smallest_class) == ((0.0, 0.0, 0.0), 0.0, 0.0, 0)


def test_of_a_whole_population_the_uniques_are_counted_and_of_a_sample_they_are_fewer() -> None:
    classes = np.array([1] * 30 + [2] * 20 + [3] * 10 + [5] * 6)
    assert population_uniques(classes, 1.0) == (30.0, 30.0)
    assert population_uniques(classes, 1.5) == (30.0, 30.0)
    least, most = population_uniques(classes, 0.5)
    assert 0 < least <= most < 30
    assert population_uniques(np.array([2, 2]), 0.5) == (0.0, 0.0)
    alone = population_uniques(np.array([1, 1, 1]), 0.5)
    assert alone[0] <= alone[1] <= 3.0


def test_the_models_of_uniques_have_the_values_of_their_formulas() -> None:
    classes = np.array([1] * 30 + [2] * 20 + [3] * 10 + [5] * 6)
    i, share = np.array([1, 2, 3, 5]), np.array([30, 20, 10, 6]) / 66
    once = i * 0.5 * 0.5 ** (i - 1)
    assert _zayatz(classes, 0.5) == pytest.approx(30 * share[0] * 0.5 / (share * once).sum() / 0.5)
    assert _harmonic(2.5, 4) == pytest.approx(1 / 3.5 + 1 / 4.5 + 1 / 5.5)
    assert _pitman(np.array([1, 1, 1]), 10.0) is None
    assert _pitman(np.array([4]), 10.0) is None
    assert _pitman(classes, 280.0) is None  # the likelihood has no maximum
    sample = np.array([1] * 30 + [2] * 8 + [4] * 4 + [30] * 2)
    assert [_pitman(sample, n) for n in (122.0, 244.0, 1_220.0)] == pytest.approx([32.1294, 50.8625, 147.7785], rel=1e-4)
