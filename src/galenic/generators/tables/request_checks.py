"""Checks of a request against declared columns, before anything is spent."""

from collections.abc import Mapping, Sequence

from galenic.errors import BudgetError, OptionError, UnknownNameError
from galenic.generators.tables.decoding import allowed_levels
from galenic.schema import OTHER, Column

FEWEST_ROWS = 10  # to learn from privately, by the paid (noisy) count


def check_request(
    columns: tuple[Column, ...],
    *,
    named: Mapping[str, Sequence[str]],
    given: Mapping[str, object],
    balance: str | None,
) -> None:
    """OptionError if a request asks for what its declared columns cannot give. What depends on bought bounds and categories is
    refused when they are known.

    columns: those that are learned. named: option -> the columns that it names. given, balance: as requested of the model.
    """
    by_name = {c.name: c for c in columns}
    options = {**named, "--given": tuple(given), "--balance": () if balance is None else (balance,)}
    for option, names in options.items():
        absent = [n for n in names if n not in by_name]
        if absent:
            raise UnknownNameError(
                f"{option} names {absent}, which no model will know. Columns that are learned: {sorted(by_name)}."
            )
    if given and balance is not None:
        raise OptionError("--given and --balance exclude each other: a given value would undo the balance. Ask for one.")
    check_given(tuple(c for c in columns if c.edges or (c.categories and not c.hierarchy)), given)
    if balance is not None:
        check_balance(by_name[balance])


def check_given(columns: tuple[Column, ...], given: Mapping[str, object]) -> None:
    """OptionError if these columns, with known bounds and categories, cannot take a given value. Rare and missing values of a model
    are known only after its fit."""
    names = {c.name for c in columns}
    allowed_levels(columns, {name: value for name, value in given.items() if name in names and value not in (None, OTHER)})


def check_balance(column: Column) -> None:
    """OptionError if a column has no values that could be equally frequent, as far as it is known."""
    few = not column.binned and column.kind != "unknown" and column.categories and len(column.categories) < 2
    if column.binned or few:
        raise OptionError(f"balance: {column.name!r} is no category column with two values or more. Name one.")


def refuse_few_rows(rows: int, *, private: bool) -> None:
    """BudgetError if the paid number of training rows is tiny. The exact number must not decide: that would leak past epsilon."""
    if private and rows < FEWEST_ROWS:
        raise BudgetError(
            f"by its paid, noisy count the table has about {rows} row(s) to learn from. Expected at least {FEWEST_ROWS}, far more at a "
            "small epsilon. Use a larger table."
        )
