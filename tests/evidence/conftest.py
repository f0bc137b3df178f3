"""Five tables of different made-up patients, and their columns as a judge codes them."""

import pytest

from galenic.evidence.tables import bin_column
from galenic.schema import Column, Table
from made import made_table


@pytest.fixture(scope="session")
def tables() -> tuple[Table, ...]:
    return tuple(made_table(2_000, seed) for seed in range(5))


@pytest.fixture(scope="session")
def columns(tables: tuple[Table, ...]) -> tuple[Column, ...]:
    return tuple(bin_column(tables[0], c) for c in tables[0].columns)
