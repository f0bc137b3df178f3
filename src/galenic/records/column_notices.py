"""Notices about columns: what is read in a way that a user should know of, in one sentence each and without any value."""

from galenic.records.column_statistics import MISSING_CODES, _ColumnStatistics
from galenic.records.number_formats import COMMA, PLAIN
from galenic.schema import Column

GAP = 3.0  # a code for missing lies this many times the range of all other values away from them


def column_notices(column: Column, s: _ColumnStatistics) -> tuple[str, ...]:
    """Notices about a described column, for the reader before the fit."""
    where = f"column {column.name!r}"
    if s.nested:
        return (f"{where} holds lists, structures or bytes and is left out. Write one column for each part that you need.",)
    if not s.present:
        return (f"{where} has no values. Leave it out (--drop), or fill it in.",)
    if column.role == "patient":
        return ()
    found = _of_kind(column, s)
    return tuple(f"{where}: {sentence}" for sentence in found)


def _of_kind(column: Column, s: _ColumnStatistics) -> list[str]:
    if column.kind in ("numeric", "integer"):
        return _of_numbers(column, s)
    if column.kind == "date":
        return _of_dates(column, s)
    if column.role == "drop":
        return [f"looks like {'free text' if column.kind == 'text' else 'an identifier'} and is left out."]
    sentence = next((sentence for sentence, applies in _of_categories(column, s) if applies), None)
    return [sentence] if sentence else []


def _of_categories(column: Column, s: _ColumnStatistics) -> list[tuple[str, bool]]:
    """Sentences with whether they apply; the first one that does is told."""
    half = s.present / 2
    others = f"{s.present - s.fitting_numbers:,} other values"
    return [
        (
            "times of day are learned as categories. Write minutes after midnight to learn them as numbers.",
            s.marked["time of day"] > half,
        ),
        (
            "dates with two-digit years are learned as categories, because the century is unclear. Write four digits.",
            s.marked["short year"] > half,
        ),
        ("numbers under a name of codes are learned as categories; rare ones become OTHER.", column.other and s.numbers > half),
        ("has one value in every row.", len(s.hashes) == 1),
        ("has many different values; rare ones become OTHER. Group them, or leave the column out.", column.other),
        (f"mixes numbers with {others}, and is learned as categories.", half < s.fitting_numbers < s.present),
    ]


def _of_numbers(column: Column, s: _ColumnStatistics) -> list[str]:
    found = []
    form = s.number_form
    others = s.present - s.fitting_numbers
    if others:
        found.append(f"{others:,} of {s.present:,} values are not numbers and become missing.")
    if s.marked["limit"]:
        found.append("values below or above a limit (<, >) are read as the limit.")
    if COMMA in form:
        found.append("a comma is read as the decimal point.")
    elif form == PLAIN and s.formats[PLAIN] > s.marked["limit"]:
        found.append('a comma is read as a separator of thousands. If it is a decimal point, set format = "#,#".')
    if form not in ("", PLAIN, COMMA):
        found.append(f"the sign or unit in {form!r} is removed; the numbers are learned.")
    code = next((c for c in MISSING_CODES if _stands_apart(c, column, s)), None)
    if code is not None:
        found.append(f"{code:g} looks like a code for missing values. If it is, list it under missing_tokens.")
    return found


def _stands_apart(code: float, column: Column, s: _ColumnStatistics) -> bool:
    """Whether a code is an extreme value and far from all other ones, as far as values are known."""
    if not s.marked[f"code {code:g}"] or code not in (column.low, column.high) or len(s.values) < 3:
        return False
    others = sorted(v for v in (_number(text) for text in s.values) if v is not None and v != code)
    if len(others) < 2:
        return False
    nearest = others[0] - code if code == column.low else code - others[-1]
    if code < 0:
        return others[0] >= 0 and (code < -1 or others[0] > 1)
    return nearest > GAP * max(others[-1] - others[0], 1.0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _of_dates(column: Column, s: _ColumnStatistics) -> list[str]:
    found = []
    if not column.format:
        found.append('day and month cannot be told apart. Set format = "%d/%m/%Y" or format = "%m/%d/%Y" in the description.')
    if s.marked["timed"] > 0:
        found.append("only the day is learned; times of day are left out.")
    others = s.present - max(s.dates.values(), default=0)
    if others > 0:
        found.append(f"{others:,} of {s.present:,} values are not dates of the format and become missing.")
    if column.format == "%Y%m%d":
        found.append("eight digits are read as dates (YYYYMMDD).")
    return found
