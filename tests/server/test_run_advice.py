"""Advice on the page of a refused run aims at what was measured."""

from typing import Any

import pytest

from galenic.generators.tables import TableSize, expected_quality
from galenic.schema import Finding, Report
from galenic.server.console.run_advice import advise

PAIRS = "fidelity.tvd2.excess"


Refused = tuple[dict[str, Any], Report]


def refused(measured: float, threshold: str = "at most 0.1", **changes: Any) -> Refused:
    columns = [{"table": "data", "column": f"c{i}", "kind": "category", "levels": 8, "values": "declared"} for i in range(12)]
    item = {"finding": PAIRS, "outcome": "not met", "threshold": threshold}
    sheet = {"epsilon": 1.0, "delta": 1e-9, "split": {"train_rows": 2_100, "test_rows": 900}, "columns": columns}
    finding = Finding(PAIRS, measured, "distance", "lower", audience="internal")
    return {**sheet, "decision": {"items": [item]}, **changes}, Report("run", (finding,))


def test_advice_names_more_patients_and_a_larger_epsilon() -> None:
    size = TableSize(3_000, 12, 8.0, 0.0)
    expected = expected_quality(size, 1.0).pairs
    patients, epsilon = advise(*refused(expected, f"at most {expected / 2:.4f}"))
    assert "This run had 3,000." in patients and "at ε = 1." in patients
    assert epsilon.startswith("Spend ε = ") and float(epsilon.split()[3]) > 1


def test_a_table_that_did_worse_than_expected_gets_larger_numbers() -> None:
    expected = expected_quality(TableSize(3_000, 12, 8.0, 0.0), 1.0).pairs
    limit = f"at most {expected / 2:.4f}"

    def needed(measured: float) -> int:
        return int(advise(*refused(measured, limit))[0].split()[2].replace(",", ""))

    assert needed(expected * 1.5) > needed(expected)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(refused(0.2, "at most -1"), id="a limit that no data meets"),
        pytest.param(refused(0.2, "at least 0.5"), id="a lower limit"),
        pytest.param(refused(0.2, epsilon=None, delta=None), id="without a privacy budget"),
        pytest.param(refused(0.2, columns=[]), id="a sheet of an earlier version"),
        pytest.param(refused(0.2, split={}), id="related tables"),
    ],
)
def test_no_advice_where_nothing_can_be_estimated(run: Refused) -> None:
    assert advise(*run) == ()
