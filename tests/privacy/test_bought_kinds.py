"""Kinds that a private fit buys: number formats, codes by name and possible ages, from noisy counts."""

import pytest

from galenic.privacy.domain_purchase import OLDEST, _kind, _with_possible_ages
from galenic.privacy.measurement import KIND_CLASSES
from galenic.schema import Column

SIGMA, ROWS = 20.0, 2_000


def kind(**counts: int) -> tuple[str, str]:
    return _kind(dict.fromkeys(KIND_CLASSES, 0) | {name: n for name, n in counts.items()}, ROWS, SIGMA)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"integer": 2_000}, ("integer", ""), id="whole numbers"),
        pytest.param({"number": 2_000}, ("numeric", ""), id="decimals"),
        pytest.param({"$#": 2_000}, ("numeric", "$#"), id="dollars"),
        pytest.param({"#,#": 1_500, "integer": 500}, ("numeric", "#,#"), id="decimal commas"),
        pytest.param({"#": 1_000, "integer": 1_000}, ("integer", ""), id="thousands separators"),
        pytest.param({"# mg": 1_000, "# g": 1_000}, ("category", ""), id="two units"),
        pytest.param({"number": 1_800, "<#": 200}, ("numeric", ""), id="some below a limit"),
        pytest.param({"<#": 1_500, "integer": 500}, ("category", ""), id="most below a limit"),
        pytest.param({"integer": 2_000, "other": 80}, ("integer", ""), id="strays that noise explains"),
        pytest.param({"integer": 1_800, "other": 200}, ("category", ""), id="many words"),
        pytest.param({"integer": 2_000, "# mg": 99, "$#": 99}, ("integer", ""), id="noise in unused formats"),
        pytest.param({"%d.%m.%Y": 1_900}, ("date", "%d.%m.%Y"), id="dates"),
    ],
)
def test_the_kind_follows_from_noisy_counts(counts: dict[str, int], expected: tuple[str, str]) -> None:
    assert kind(**counts) == expected


def test_ages_have_bounds_that_everybody_knows_and_declared_ones_stay() -> None:
    columns = (
        Column("age", "integer"),
        Column("age_years", "numeric", high=90.0),
        Column("age_days", "integer"),
        Column("stage", "integer"),
    )
    bounds = [(c.low, c.high) for c in _with_possible_ages(columns)]
    assert bounds == [(0.0, OLDEST), (0.0, 90.0), (None, None), (None, None)]
