"""Roles of table columns: by the classes of all values and by the header; what is not positively recognized is withheld."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from galenic.errors import OptionError
from galenic.privacy.deidentification.column_profile import MOST_DISTINCT, ColumnProfile, is_nested
from galenic.privacy.deidentification.rules.cell_dates import date_of_number
from galenic.privacy.deidentification.rules.column_headers import HeaderKinds, header_kinds, header_words
from galenic.privacy.deidentification.rules.vocabulary import fold, word_set
from galenic.privacy.text import identifier_kinds

OLDEST = 89
DECLARABLE = ("category", "number", "date", "birth", "age", "zip", "text", "patient", "drop", "verbatim")
CLINICAL_SHARE, UNKNOWN_SHARE = 0.6, 0.9  # of recognized cells, under a clinical header and under any other
TEXT_SHARE = 0.7  # of recognized words, so that a text can be read
MOST_LEVELS = 20  # distinct numbers of a category
_COORDINATES = "holds precise numbers of a narrow range whose meaning is not known: coordinates of places"
_GENERIC = word_set("generic_measures")
_STATES = word_set("states")
_CODE_SYSTEMS = word_set("code_systems")
_BASE = ("word", "measurement", "time", "boolean")
_UNDER_CLINICAL = (*_BASE, "named", "term", "fraction", "alphanumeric", "code", "number")


@dataclass(frozen=True)
class ColumnRole:
    """Kind of the values of a column, and its treatment.

    kind: category, code, number, date, birth, age, year, zip, text, patient, drop, verbatim, withheld, or a kind of identifier. accepted:
    classes of cells that are written as they are. reason: of a column that is withheld. declared: whether the user said so.
    """

    kind: str
    accepted: tuple[str, ...] = ()
    reason: str = ""
    declared: bool = False


def declared_role(name: str, kind: str) -> ColumnRole:
    """The role that the user declared. OptionError if there is no such kind."""
    if kind not in (*DECLARABLE, *identifier_kinds()):
        raise OptionError(
            f"column {name!r} is declared as {kind!r}. Expected one of {', '.join(DECLARABLE)}, or a kind of identifier: "
            f"{', '.join(identifier_kinds())}."
        )
    accepted = {
        "category": (*_UNDER_CLINICAL, "possible age", "state", "codelike", "unknown"),
        "number": ("number", "measurement", "possible age", "fraction", "boolean", "word", "time"),
    }
    return ColumnRole(kind, accepted.get(kind, ()), declared=True)


def column_role(profile: ColumnProfile) -> ColumnRole:
    """The role of a column that nobody declared."""
    header = header_kinds(profile.name)
    return next(role for decide in _DECISIONS if (role := decide(profile, header)) is not None)


def _withheld(reason: str) -> ColumnRole:
    return ColumnRole("withheld", reason=reason)


def _by_type(p: ColumnProfile, _header: HeaderKinds) -> ColumnRole | None:
    if is_nested(p.type):
        return _withheld("holds lists, structures or bytes, which are not searched")
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
        return ColumnRole("number", ("number",))
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
        return ColumnRole(birth) if _are_dates(p) else _withheld("is called a date, and its numbers are none")
    if p.share(*_BASE, "number") >= UNKNOWN_SHARE:
        return None
    return _withheld("is called a date, and its values are none that is recognized")


def _are_dates(p: ColumnProfile) -> bool:
    return p.numbers.count > 0 and all(date_of_number(n) is not None for n in (p.numbers.low, p.numbers.high))


def _by_name_of_number(_p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    kind = header.identifier
    if header.announces("zip"):
        return ColumnRole("zip")
    if kind == "age" or (header.announces("age") and not header.values):
        return ColumnRole("age")
    if kind == "year":
        return ColumnRole("year")
    return None


def _codes(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    """Codes of a system that the header names; another code for nearly every row is none."""
    if not _names_code_system(p.name, header):
        return None
    accepted: tuple[str, ...] = ("number", "code", "word", "term", "boolean")
    if "icd" not in fold(p.name):
        accepted = (*accepted, "codelike", "alphanumeric")
    if p.share(*accepted) < UNKNOWN_SHARE:
        return None
    unique = len(p.distinct) > 0.9 * min(p.rows, MOST_DISTINCT) and p.rows >= MOST_LEVELS
    if unique and p.share("code") < UNKNOWN_SHARE:
        return _withheld("is called a code, and nearly every row has its own")
    return ColumnRole("code", accepted)


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
    accepted = ("number", "measurement", "word", "boolean", "fraction", *_compared(header))
    return _withheld(problem) if problem else ColumnRole("number", accepted)


def _compared(header: HeaderKinds) -> tuple[str, ...]:
    """Comparisons and ranges above 89 are no ages under the header of a measure."""
    return ("possible age",) if "measure" in header.values else ()


def number_problem(p: ColumnProfile, header: HeaderKinds) -> str:
    """Why numbers may identify somebody; "" if they do not."""
    n, words = p.numbers, set(header_words(p.name))
    if n.long * 2 >= n.count:
        return f"holds numbers of seven digits or more, as identifiers have ({n.count:,} cells)"
    if n.leading_zeros:
        return "holds numbers with leading zeros, as codes and identifiers have"
    whole = n.decimals * 10 < n.count
    if "measure" in header.values:
        generic = words <= _GENERIC | {"lab", "x"} or not any(len(w) > 1 for w in words)
        return _problem_of_generic(p, whole=whole) if generic else ""
    if header.values and "code" not in header.values:
        levels = n.high <= 999 and n.low >= -999 and not n.precise
        return "" if levels else "holds numbers that are no levels of a category"
    return _problem_of_unknown(p, whole=whole)


def _problem_of_generic(p: ColumnProfile, *, whole: bool) -> str:
    """Under a header such as value, of which the numbers may be anything."""
    unique = len(p.distinct) > 0.9 * min(p.rows, MOST_DISTINCT) and p.rows >= MOST_LEVELS
    if whole and (p.numbers.low >= 10_000 or (unique and p.numbers.low >= 1_000)):
        return "holds large whole numbers under a header that any number may have"
    return _COORDINATES if _are_coordinates(p) else ""


def _are_coordinates(p: ColumnProfile) -> bool:
    n = p.numbers
    largest = max(abs(n.low), abs(n.high))
    return n.precise * 2 >= n.count and 1 < largest <= 180 and abs(n.mean) > 3 * n.deviation


def _problem_of_unknown(p: ColumnProfile, *, whole: bool) -> str:
    """Under a header that says nothing."""
    n = p.numbers
    if whole and n.high > OLDEST:
        return "holds whole numbers above 89 whose meaning is not known: ages, years of birth, postal codes or record numbers"
    if whole:
        return ""
    if n.low >= 0 and OLDEST < n.high <= 125:
        return "holds numbers up to 125 whose meaning is not known: ages above 89"
    if _are_coordinates(p):
        return _COORDINATES
    return "holds numbers that may be dates" if date_of_number(n.low) and date_of_number(n.high) else ""


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
        clinical = tuple(c for c in _UNDER_CLINICAL if c != "number")
        return (*clinical, *states, *numbers, *_compared(header))
    clear = p.share("word", "boolean", "measurement") >= TEXT_SHARE
    repeated = p.rows >= 2 * len(p.distinct)
    codes = ("code",) if p.share("code") >= UNKNOWN_SHARE and repeated else ()
    return (*_BASE, *(("named",) if clear else ()), *codes, *states, *numbers)


def _texts(p: ColumnProfile, header: HeaderKinds) -> ColumnRole | None:
    wordy = p.words >= 4 * p.present
    if not header.announces("text") and not (wordy and not header.values):
        return None
    if p.known < TEXT_SHARE * p.words:
        return _withheld("holds texts of which too few words are recognized in the language of the run")
    return ColumnRole("text")


def _nothing(p: ColumnProfile, header: HeaderKinds) -> ColumnRole:
    unrecognized = p.present - sum(p.classes[c] for c in accepted_classes(p, header))
    return _withheld(f"holds values that are not recognized as free of identifiers ({unrecognized:,} of {p.present:,} cells)")


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
    """The kind of identifier that a column declared free of identifiers seems to hold."""
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
