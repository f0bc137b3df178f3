"""Domain of a private fit: kinds, bounds, bins and categories of columns, declared or paid for from the budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from galenic.errors import DescriptionError
from galenic.privacy.binning import MAX_BINS, bin_count
from galenic.privacy.domain_purchase import (
    DomainPurchase,
    bins_of_small_integers,
    count_from_first_date,
    without_rare_categories,
)
from galenic.privacy.measurement import PrivateRows
from galenic.schema import Column

MIN_PATIENTS = 5  # patients who must share a value before a fit without noise may contain it


@dataclass(frozen=True)
class Domain:
    """Columns that are ready to be encoded.

    rows, rows_sigma: noisy number of rows, and the noise's standard deviation. bins: maximum bins per numeric column. common:
    values of learned numeric columns that many patients share, with noisy counts.
    """

    columns: tuple[Column, ...]
    rows: int
    rows_sigma: float
    bins: int
    common: Mapping[str, Mapping[float, int]] = field(default_factory=dict)


def refuse_observed(columns: tuple[Column, ...]) -> None:
    """Raise DescriptionError if a private fit would use a kind, bound or category that was read from the patients it protects."""
    observed = [c.name for c in columns if c.role == "value" and _observed(c)]
    if observed:
        raise DescriptionError(
            f'columns {_first(observed)} have kinds, bounds or categories with the origin "observed". Using them is not '
            'covered by epsilon. If you know them from elsewhere, set the origin to "declared" or "dictionary". '
            "Otherwise spend budget on them: --buy. In a file that an earlier version of galenic table describe wrote, a "
            "kind without kind_origin counts as observed."
        )


def refuse_observed_drops(columns: tuple[Column, ...]) -> None:
    """Raise DescriptionError if columns would be left out only because their rows looked like identifiers or free text: the
    choice of columns would reveal data of the rows, and noise cannot prevent that."""
    looked = [c.name for c in columns if c.kind_origin == "observed" and _left_out(c)]
    if looked:
        raise DescriptionError(
            f"columns {_first(looked)} are described as identifiers or free text only because of their rows (kind_origin "
            '= "observed"). A private fit must not use rows to decide which columns to leave out. Decide it yourself: '
            'leave them out (--drop NAME, or kind_origin = "declared" in the description), or include them (role = '
            '"value", their kind, and kind_origin = "declared").'
        )


def _first(names: list[str]) -> str:
    return f"{names[:8]}{' …' if len(names) > 8 else ''}"


def _left_out(c: Column) -> bool:
    return c.role == "drop" or (c.role == "value" and c.kind in ("identifier", "text"))


def _observed(c: Column) -> bool:
    return (
        c.kind_origin == "observed"
        or (c.bounds_origin == "observed" and (c.low is not None or c.high is not None or bool(c.edges)))
        or (c.categories_origin == "observed" and bool(c.categories))
    )


def without_observed(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Description without kinds, bounds and categories that were read from the data; they will be paid for from the budget.
    Columns left out because of their rows remain marked as observed."""
    cleared = []
    for c in columns:
        if c.bounds_origin == "observed":
            c = c.but(low=None, high=None, edges=(), step=1.0 if c.kind == "integer" else None, bounds_origin="declared")
        if c.categories_origin == "observed":
            c = c.but(categories=(), other=True, categories_origin="declared")
        if c.kind_origin == "observed" and c.role == "value" and not _left_out(c):
            c = _without_kind(c)
        cleared.append(c.but(missing=True) if c.role == "value" else c)
    return tuple(cleared)


def _without_kind(c: Column) -> Column:
    """The column without an observed kind and what goes with it. Declared categories or a hierarchy make it a category."""
    if c.categories or c.hierarchy:
        return c.but(kind="ordinal" if c.kind == "ordinal" else "category", format="", step=None, kind_origin="declared")
    return c.but(kind="unknown", format="", step=None, anchor="", heaps=(), other=False, kind_origin="declared")


def needs_buying(columns: tuple[Column, ...]) -> bool:
    """True if the domain of any column is incomplete."""
    return any(not _complete(c) for c in columns)


def domain_share(columns: tuple[Column, ...]) -> Fraction:
    """Share of rho for the domain: 1/100 for the number of rows alone, and more if more columns must be learned: up to 1/4 if
    their kinds are declared, and up to 1/2 if the kinds must be learned, too.

    Measured on the raw diabetes table with all columns bought, kinds included, 2-way distance to held-out patients: a fifth
    .078, a third .064, half .050, three quarters .044; on 14 of its columns with declared kinds half .020, a third .0188, a
    quarter .0185, an eighth .019; one or two runs each (docs/log.md).
    """
    price = sum((Fraction(1, 2) if c.kind == "unknown" else Fraction(1, 4) for c in columns if not _complete(c)), Fraction(0))
    return max(Fraction(1, 100), price / max(len(columns), 1))


def _complete(c: Column) -> bool:
    return bool(c.edges) if c.binned else c.kind != "unknown" and bool(c.categories)


def buy_domain(
    private_rows: PrivateRows,
    columns: tuple[Column, ...],
    rho: Fraction,
    delta: Fraction,
    *,
    min_patients: int = MIN_PATIENTS,
) -> Domain:
    """Columns with all facts that encoding needs, learned for at most rho (and delta for categories), including the number of
    rows.

    Each incomplete column costs the same; a measurement that a column does not need makes its others more accurate. Without a
    budget the measurements are exact, and categories that fewer than `min_patients` patients share become OTHER.
    """
    total_rho, cap = private_rows.rho, private_rows.cap
    size_rho = rho / 10 if needs_buying(columns) else rho
    rows, sigma = private_rows.size(size_rho)
    bins = bin_count(rows, total_rho, cap) if private_rows.private else MAX_BINS
    columns = count_from_first_date(bins_of_small_integers(columns, bins))
    if not private_rows.private:
        columns = without_rare_categories(private_rows, columns, min_patients * cap)
    incomplete = [c for c in columns if not _complete(c)]
    common: dict[str, dict[float, int]] = {}
    if incomplete:
        per_column = {c.name: (rho - size_rho) / len(incomplete) for c in incomplete}
        purchase = DomainPurchase(private_rows, rows, bins, per_column, delta, min_patients * cap)
        columns, common = purchase.buy(columns)
    return Domain(columns, rows, sigma, bins, common)
