"""Roles of table columns, by the classes of all values and by the header. Columns that are not positively recognized are
withheld."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from galenic.errors import OptionError
from galenic.privacy.deidentification.column_numbers import FEW_CELLS, MOST_DISTINCT, MOST_LEVELS
from galenic.privacy.deidentification.column_profile import ColumnProfile, is_nested
from galenic.privacy.deidentification.rules.cell_dates import date_of_number
from galenic.privacy.deidentification.rules.cells import cell_class
from galenic.privacy.deidentification.rules.code_headers import CodesOfHeader, codes_of_header
from galenic.privacy.deidentification.rules.column_headers import HeaderKinds, header_kinds, header_tokens, header_words
from galenic.privacy.deidentification.rules.number_limits import LONG_FRACTION, NumberLimits, largest_of_measure
from galenic.privacy.deidentification.rules.vocabulary import word_set, words_of
from galenic.privacy.text import identifier_kinds

OLDEST = 89
DECLARABLE = ("category", "number", "date", "birth", "age", "zip", "text", "patient", "drop", "verbatim")
CLINICAL_SHARE, UNKNOWN_SHARE = 0.6, 0.9  # of recognized cells, under a clinical header and under any other
TEXT_SHARE = 0.7  # of recognized words, so that a text can be read
_SERIALS = (36_000, 47_500)  # 1998 to 2030
MOST_LONG = 0.5  # of whole numbers with four digits or more, under a header that says nothing
_COORDINATES = "has precise numbers in a narrow range and an unknown meaning: they could be coordinates"
_RECORD_NUMBERS = "has whole numbers that distinguish rows or groups of rows, as record numbers do"
_DAYS = "has whole numbers that could each be a month and a day"
_GENERIC = word_set("generic_measures")
_STATES = word_set("states")
_COLORED, _RACES, _RELIGIOUS = word_set("colored"), word_set("races"), word_set("religious")
_RANGES = word_set("ranges")
MOST_DENOMINATORS = 3
_SCALES = (4, 5, 6, 8, 10)  # usual ends of scales
_CODE_SYSTEMS = word_set("code_systems")
_BASE = ("word", "measurement", "time", "boolean")
_BESIDE_CODES = ("code", "word", "term", "boolean")
_NAMED = ("named", "rarely named", "color", "faith")
_UNDER_CLINICAL = (*_BASE, "term", "fraction", "alphanumeric", "code", "number")


@dataclass(frozen=True)
class ColumnRole:
    """Kind of the values of a column, and its treatment.

    kind: category, code, number, date, birth, age, year, zip, text, patient, drop, verbatim, withheld, or a kind of identifier.
    accepted: classes of cells that are written unchanged, numbers and codes only within the limits. reason: reason for
    withholding the column. declared: True if the user declared the kind.
    """

    kind: str
    accepted: tuple[str, ...] = ()
    limits: NumberLimits | CodesOfHeader | None = None
    reason: str = ""
    declared: bool = False


def declared_role(name: str, kind: str) -> ColumnRole:
    """Role that the user declared. Raise OptionError if there is no such kind."""
    if kind not in (*DECLARABLE, *identifier_kinds()):
        raise OptionError(
            f"column {name!r} is declared as {kind!r}. Expected one of {', '.join(DECLARABLE)}, or a kind of identifier: "
            f"{', '.join(identifier_kinds())}."
        )
    accepted = {
        "category": (*_UNDER_CLINICAL, *_NAMED, "possible age", "state", "codelike", "unknown"),
        "number": ("number", "measurement", "possible age", "fraction", "boolean", "word", "time"),
    }
    return ColumnRole(kind, accepted.get(kind, ()), declared=True)


def column_role(profile: ColumnProfile) -> ColumnRole:
    """Role of a column without a declaration."""
    header = header_kinds(profile.name)
    role = next(role for decide in _DECISIONS if (role := decide(profile, header)) is not None)
    return replace(role, limits=number_limits(profile, header)) if role.kind in ("category", "number") else role


def number_limits(p: ColumnProfile, header: HeaderKinds) -> NumberLimits:
    """Limits by the usual forms of the column's numbers, and by the measure that its header names."""
    n = p.numbers
    high = largest_of_measure(header_tokens(p.name)) if "measure" in header.values else float("inf")
    decimals = n.usual(n.fractions, LONG_FRACTION - 1)
    decimals = 99 if decimals >= LONG_FRACTION else decimals  # as binary fractions are written
    measured = "measure" in header.values and not _is_generic(p.name)
    return NumberLimits(
        max(4, n.usual(n.digits, 1)), max(LONG_FRACTION - 1, decimals), high, not measured and p.numbers.may_be_ages()
    )


def _withheld(reason: str) -> ColumnRole:
    return ColumnRole("withheld", reason=reason)


def _by_type(p: ColumnProfile, _header: HeaderKinds) -> ColumnRole | None:
    if is_nested(p.type):
        return _withheld("has lists, structures or bytes, which are not searched")
    if not p.present or pa.types.is_boolean(p.type):
        return ColumnRole("category", ("boolean",))
    return None


def _by_header(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    """Headers that announce an identifier; answers such as yes and no are none, whatever the header."""
    numbers = {v for v in p.distinct if v in ("0", "1")}
    answers = p.classes["boolean"] + (p.classes["number"] if len(numbers) == len(p.distinct) else 0)
    if p.present and (answers == p.present or (p.share("boolean") == 1 and len(p.distinct) <= 5)):
        return ColumnRole("category", ("boolean", "number"))
    kind = header.identifier
    if kind in (None, "date", "birth", "age", "year", "text", "zip"):
        return None
    if (
        not header.hard
        and kind == "record"
        and p.share("number") == 1
        and len(p.distinct) <= MOST_LEVELS
        and p.numbers.high <= OLDEST
        and p.rows > 2 * len(p.distinct)
    ):
        return ColumnRole("number", ("number", "boolean"))
    return ColumnRole(str(kind))


def _dates(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    birth = "birth" if header.announces("birth") else "date"
    if pa.types.is_temporal(p.type) and not pa.types.is_time(p.type):
        return ColumnRole(birth)
    found = p.share("date") + (p.share("dated") if p.classes["date"] else 0)
    if found and (found >= 0.5 or (header.announces("date", "birth") and not header.values)):
        return ColumnRole(birth)
    if header.identifier not in ("date", "birth") and not header.announces("birth"):
        return None
    if found:
        return ColumnRole(birth)
    if p.share("number") >= 0.5 and not header.values:
        return ColumnRole(birth) if _are_dates(p) else _withheld("has a name of a date column, but its numbers are not dates")
    if p.share(*_BASE, "number") >= UNKNOWN_SHARE:
        return None
    return _withheld("has a name of a date column, but its values are not recognized as dates")


def _are_dates(p: ColumnProfile) -> bool:
    return p.numbers.count > 0 and all(date_of_number(n) is not None for n in (p.numbers.low, p.numbers.high))


def _by_name_of_number(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    kind = header.identifier
    if header.announces("zip"):
        return ColumnRole("zip")
    if kind == "age" or (header.announces("age") and not header.values):
        return ColumnRole("age")
    years = p.numbers.years * 2 >= p.numbers.count
    if kind == "year" and (years or p.share("number") < 0.5):
        return ColumnRole("year")
    if years and p.share("number") >= 0.5 and p.share("number", *_BASE) >= UNKNOWN_SHARE and "measure" not in header.values:
        return ColumnRole("year")
    return None


def _codes(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    """Codes of a system that the header names; another code for nearly every row is none."""
    if not _names_code_system(p.name, header):
        return None
    systems = codes_of_header(header_tokens(p.name))
    fitting = sum(systems.passes(v) or cell_class(v) in _BESIDE_CODES for v in p.distinct)
    if fitting < CLINICAL_SHARE * len(p.distinct):
        return None
    unique = len(p.distinct) > 0.9 * min(p.rows, MOST_DISTINCT) and p.rows >= MOST_LEVELS
    if unique and p.share("code") < UNKNOWN_SHARE:
        return _withheld("has a name of a code column, but nearly every row has a different value")
    return ColumnRole("code", _BESIDE_CODES, systems)


def _names_code_system(name: str, header: HeaderKinds) -> bool:
    words = header_words(name)
    return "code" in header.values and bool(
        _CODE_SYSTEMS.intersection((*words, name.casefold()))
        or any(s in "".join(words) for s in ("icd", "loinc", "snomed", "atc"))
    )


def _numbers(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    if p.share("number", "measurement", "possible age") < UNKNOWN_SHARE or not p.classes["number"] or p.share("number") < 0.5:
        return None
    problem = number_problem(p, header)
    accepted = ("number", "measurement", "word", "boolean", *_fractions(p, header), *_compared(header))
    return _withheld(problem) if problem else ColumnRole("number", accepted)


def _compared(header: HeaderKinds) -> tuple[str, ...]:
    """Comparisons and ranges above 89 are no ages under the header of a measure."""
    return ("possible age",) if "measure" in header.values else ()


def number_problem(p: ColumnProfile, header: HeaderKinds) -> str:
    """Reason why numbers could identify a person; "" if they do not."""
    n = p.numbers
    if n.long * 2 >= n.count:
        return f"has numbers of seven digits or more, as identifiers have ({n.count:,} cells)"
    if n.leading_zeros >= max(FEW_CELLS, 0.01 * n.count) or n.leading_zeros * 2 > n.count:
        return "has numbers with leading zeros, as codes and identifiers have"
    whole = n.decimals * 10 < n.count
    if "measure" in header.values:
        return _problem_of_generic(p, whole=whole) if _is_generic(p.name) else _problem_of_measure(p, whole=whole)
    if whole and n.are_days():
        return _DAYS
    if whole and (_numbers_the_rows(p) or n.are_record_numbers()):
        return _RECORD_NUMBERS
    if header.values and "code" not in header.values:
        levels = n.high <= 999 and n.low >= -999 and not n.precise
        return "" if levels else "has numbers that are not levels of a category"
    return _problem_of_unknown(p, whole=whole)


def _is_generic(name: str) -> bool:
    """True if the words of a header name any measure: value, result."""
    words = set(header_words(name))
    return words <= _GENERIC | {"lab", "x"} or not any(len(w) > 1 for w in words)


def _problem_of_measure(p: ColumnProfile, *, whole: bool) -> str:
    n = p.numbers
    if whole and n.low >= _SERIALS[0] and n.high <= _SERIALS[1]:
        return "has numbers that are spreadsheet dates"
    usual = n.usual(n.fractions, 0)
    constant = n.fractions[usual] + n.fractions[usual - 1] >= 0.98 * n.count
    if constant and (5 <= usual <= 7 and _are_coordinates(p)):
        return _COORDINATES
    return (
        "has nine or ten digits after the decimal point, as many as personal identification numbers have"
        if constant and usual in (9, 10)
        else ""
    )


def _numbers_the_rows(p: ColumnProfile) -> bool:
    """Another whole number in each row, of a range that is hardly larger than their count."""
    n = p.numbers
    return p.present >= MOST_LEVELS and len(p.distinct) >= min(p.present, MOST_DISTINCT) and n.high - n.low < 1.2 * p.present


def _problem_of_generic(p: ColumnProfile, *, whole: bool) -> str:
    """Under a header such as value, of which the numbers may be anything."""
    unique = len(p.distinct) > 0.9 * min(p.rows, MOST_DISTINCT) and p.rows >= MOST_LEVELS
    if whole and (p.numbers.low >= 10_000 or (unique and p.numbers.low >= 1_000)):
        return "has large whole numbers, and a header that does not say what they mean"
    return _COORDINATES if _are_coordinates(p) else ""


def _are_coordinates(p: ColumnProfile) -> bool:
    n = p.numbers
    largest = max(abs(n.low), abs(n.high))
    return n.precise * 2 >= n.count and 1 < largest <= 180 and abs(n.mean) > 3 * n.deviation


def _problem_of_unknown(p: ColumnProfile, *, whole: bool) -> str:
    """Under a header that says nothing."""
    n = p.numbers
    if whole:
        unique = len(p.distinct) > 0.95 * min(p.present, MOST_DISTINCT) and p.present >= MOST_LEVELS
        long = n.share_of_digits(4)
        codes = long > MOST_LONG or (unique and long > 0.2) or n.years > 0.2 * n.count
        return (
            ("has numbers of four digits or more with an unknown meaning: they could be years, postal codes or record numbers")
            if codes
            else ""
        )
    if _are_coordinates(p):
        return _COORDINATES
    return "has numbers that could be dates" if date_of_number(n.low) and date_of_number(n.high) else ""


def _categories(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    accepted = accepted_classes(p, header)
    share = p.share(*accepted)
    enough = CLINICAL_SHARE if header.values else UNKNOWN_SHARE
    if share >= enough and not (p.share("unknown", "text") > 0.05 and header.announces("text")):
        return ColumnRole("category", accepted)
    return None


def accepted_classes(p: ColumnProfile, header: HeaderKinds) -> tuple[str, ...]:
    """Classes of cells that pass in a column of categories."""
    states = ("state",) if _STATES.intersection(header_words(p.name)) else ()
    numbers = ("number",) if p.classes["number"] and not number_problem(p, header) else ()
    if header.values:
        clinical = tuple(c for c in _UNDER_CLINICAL if c not in ("number", "fraction"))
        return (*clinical, *_named(p), *states, *numbers, *_fractions(p, header), *_compared(header))
    repeated = p.rows >= 2 * len(p.distinct)
    codes = ("code",) if p.share("code") >= UNKNOWN_SHARE and repeated else ()
    named = tuple(c for c in _named(p) if c != "rarely named")
    return (*_BASE, *named, *codes, *states, *numbers)


def _named(p: ColumnProfile) -> tuple[str, ...]:
    """Classes of words that are names, too, which the header or the other values tell to be none."""
    colors = ("color",) if _tells_race(p) else ()
    faiths = ("faith",) if _RELIGIOUS.intersection(header_words(p.name)) else ()
    kinds = Counter(cell_class(v) for v in p.distinct)
    rarely = ("rarely named",) if kinds["rarely named"] <= kinds["word"] + kinds["term"] else ()
    return (*colors, *faiths, *rarely)


def _tells_race(p: ColumnProfile) -> bool:
    """True if white, black and brown are no names of people: beside other races, or under a header of races, colors or
    religions."""
    if _COLORED.intersection(header_words(p.name)):
        return True
    return len(p.distinct) <= MOST_LEVELS and any(w in _RACES for v in p.distinct for w in words_of(v))


def _fractions(p: ColumnProfile, header: HeaderKinds) -> tuple[str, ...]:
    """Pairs such as 3/10 are values, not months and days, if their denominators are those of scores; 3-5 under a header of ranges."""
    denominators = {b for _, b in p.pairs}
    few = len(denominators) <= MOST_DENOMINATORS and "measure" in header.values
    return ("fraction",) if p.pairs and (few or _are_of_scale(p.pairs) or _RANGES.intersection(header_words(p.name))) else ()


def _are_of_scale(pairs: set[tuple[int, int]]) -> bool:
    """True if all pairs have one denominator, up to which they reach, or which is the usual end of a scale."""
    numerators, denominators = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(denominators) != 1:
        return False
    end, high = denominators.pop(), max(numerators)
    return high > 12 or (len(numerators) >= 3 and (high == end or end in _SCALES))


def _texts(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    wordy = p.words >= 4 * p.present
    if not header.announces("text") and not (wordy and not header.values):
        return None
    if p.known < TEXT_SHARE * p.words:
        return _withheld("has texts with too few words that are recognized in the language of the run")
    return ColumnRole("text")


def _nothing(p: ColumnProfile, header: HeaderKinds) -> ColumnRole:
    unrecognized = p.present - sum(p.classes[c] for c in accepted_classes(p, header))
    return _withheld(f"has values that are not recognized as free of identifiers ({unrecognized:,} of {p.present:,} cells)")


_DECISIONS: tuple[Callable[[ColumnProfile, HeaderKinds], ColumnRole | None], ...] = (
    _by_type,
    _by_header,
    _dates,
    _by_name_of_number,
    _codes,
    _numbers,
    _categories,
    _texts,
    _nothing,
)


def suspicious_cells(profile: ColumnProfile, role: ColumnRole) -> Iterator[str]:
    """Kind of identifier that a column declared free of identifiers seems to contain."""
    if role.kind not in ("category", "number"):
        return
    if profile.classes["date"] or profile.classes["dated"]:
        yield "dates"
    if profile.identifiers or profile.numbers.long or profile.numbers.leading_zeros:
        yield "numbers or addresses as identifiers have"
    if role.kind == "category" and profile.names:
        yield "names of people"
    if role.kind == "category" and 2 * profile.classes["text"] > profile.present:
        yield "free text"
