"""The attack by shadow models: it finds a maker that remembers, and not one that only counts."""

import numpy as np
import pyarrow as pa

from galenic.evidence.tables import noisy_copy, shadow_attack
from galenic.schema import Finding, NotMeasured, Table
from made import made_table


def shuffles(rows: Table) -> Table:
    """Columns one by one: nobody's row is in it, and everybody's values are."""
    rng = np.random.default_rng(rows.rows)
    frame = {n: rows.frame[n].take(pa.array(rng.permutation(rows.rows))) for n in rows.frame.column_names}
    return Table(pa.table(frame), rows.columns)


def test_a_maker_that_remembers_is_found_and_one_that_only_counts_is_not() -> None:
    train, test = made_table(900, 1), made_table(900, 2)

    def remembers(rows: Table) -> Table:
        return noisy_copy(rows, rows.columns, np.random.default_rng(0), share=0.15)

    for make, leaks in ((remembers, True), (shuffles, False)):
        rng = np.random.default_rng(0)
        found = shadow_attack(make, train, test, make(train), rng, shadows=6)
        assert isinstance(found, Finding)
        assert found.detail["alarm"] == leaks
        assert (found.value > 0.7) == leaks


def test_too_few_shadows_are_not_measured() -> None:
    train = made_table(300, 1)
    found = shadow_attack(shuffles, train, train, train, np.random.default_rng(0), shadows=2)
    assert isinstance(found, NotMeasured)
