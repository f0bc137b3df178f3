"""Classes of cells: positive recognition of a value by its form and its words."""

import re
from functools import lru_cache

from galenic.privacy import text
from galenic.privacy.deidentification.rules.cell_dates import contains_date, parse_date
from galenic.privacy.deidentification.rules.cell_measurements import is_unit, measurement_class, states_age_over_89
from galenic.privacy.deidentification.rules.vocabulary import (
    has_eponym,
    is_clinical_term,
    is_eponym,
    is_known,
    is_name,
    state_words,
    word_set,
    words_of,
)
from galenic.records import terminology

NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?|[+-]?\d{1,3}(?:[,.' ]\d{3}){1,4}(?:[.,]\d{1,2})?")
_TIME = re.compile(r"(?:[01]?\d|2[0-4])[:h][0-5]\d(?::[0-5]\d)?(?: ?[aApP]\.?[mM]\.?)?(?: ?(?:Uhr|h|hrs))?")
_FRACTION = re.compile(r"(\d{1,2})\s?[-/]\s?(\d{1,2})")
_BLOOD = re.compile(
    r"(?:A|B|AB|O|0)\s?(?:Rh)?\s?(?:[+-]|pos|neg|positiv|negativ|positive|negative|D\+|D-)(?:\s?\(?[+-]\)?)?", re.I
)
_SYMBOLS = re.compile(r"[+-]{1,4}|\([+-]\)|[<>]")
_BOOLEAN = word_set("answers")
_CODES = {
    "icd": re.compile(r"[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?[-*+!†]?", re.I),
    "loinc": re.compile(r"\d{1,5}-\d"),
    "atc": re.compile(r"[A-DGHJ-NPRSV]\d\d(?:[A-Z]{2}(?:\d\d)?|[A-Z])"),
}
_UNDOTTED_ICD = re.compile(r"[A-TV-Z]\d[0-9A-Z]{2,5}")
_ALPHANUMERIC = re.compile(
    r"[A-Za-z]{1,2}\s?-?\d{1,2}[a-d]?|\d{1,2}[a-dA-D]|[TNM][0-4xX][a-d]?(?:N[0-3xX])?(?:M[01xX])?|[pc]?T[0-4][a-d]?\s?N[0-3][a-c]?\s?M[01xX]"
)
_CODE_FORM = re.compile(r"(?=[^0-9]*\d)(?!.*\d{6})[A-Z0-9]{1,7}(?:[.\-/][A-Za-z0-9]{1,4}){0,2}[A-Za-z*+!]?")
_ODD = re.compile(r"[@_#\\|{}\[\]=\"“”?!]|//")
_CURRENCY = re.compile(r"[$€£]")
_LONG_DIGITS = re.compile(r"\d(?:[ ()./-]{0,2}\d){4,}|\d{4}")
_LETTERS = re.compile(r"[^\W\d_]+")
_NAMED_KINDS = {"color": word_set("colors"), "faith": word_set("faiths")}
LONGEST_CATEGORY, MOST_WORDS = 120, 12


@lru_cache(200_000)
def cell_class(value: str) -> str:
    """The class of a cell.

    number, boolean, word (on the positive list), named (on it, and every word also a name), color and faith (named, but a word of these),
    rarely named (named, but with a word that is more often none), term (medical form, eponym or drug), state,
    measurement, age (of years above 89), possible age (95M, 92-97), fraction (3/4: a date or a value), day and month (14/03), time, code,
    alphanumeric (T1), codelike (F62A), date, dated (a text with a date), text, or unknown.
    """
    if value.casefold() in _BOOLEAN:
        return "boolean"
    if NUMBER.fullmatch(value):
        return "date" if _is_compact_date(value) else "number"
    if _TIME.fullmatch(value):
        return "time"
    if _SYMBOLS.fullmatch(value) or _BLOOD.fullmatch(value):
        return "word"
    pair = _FRACTION.fullmatch(value)
    if pair:
        a, b = int(pair[1]), int(pair[2])
        if not (min(a, b) <= 12 and max(a, b) <= 31 and min(a, b) > 0):
            return measurement_class(value) or "unknown"
        return "fraction" if a <= b and pair[1][0] != "0" and pair[2][0] != "0" else "day and month"
    if _is_code(value):
        return "code"
    if parse_date(value) is not None:
        return "date"
    return _class_of_words(value)


def _is_compact_date(value: str) -> bool:
    """Eight digits or more that are a day: 20190704."""
    return len(value) in (8, 12, 14) and value.isdigit() and parse_date(value) is not None


def _is_code(value: str) -> bool:
    if _CODES["icd"].fullmatch(value):
        return value[:3].upper() in terminology.icd10_categories()
    if _UNDOTTED_ICD.fullmatch(value):
        return value in terminology.icd10_codes()
    if _CODES["loinc"].fullmatch(value):
        return _loinc_check(value)
    return bool(_CODES["atc"].fullmatch(value))


def _loinc_check(value: str) -> bool:
    """LOINC's check digit: modulus 10 (Luhn) of the number before the hyphen."""
    digits, _, check = value.partition("-")
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (2 if i % 2 == 0 else 1)
        total += n - 9 * (n > 9)
    return (10 - total % 10) % 10 == int(check)


def _class_of_words(value: str) -> str:
    if contains_date(value):
        return "dated"
    value = _CURRENCY.sub("", value)
    measured = measurement_class(value) or ("age" if states_age_over_89(value) else None)
    if measured is not None:
        return measured
    words = words_of(value)
    if len(value) > LONGEST_CATEGORY or len(words) > MOST_WORDS:
        return "text"
    if is_unit(value) and (len(value) > 1 or value == "%"):
        return "word"
    unrecognized = "text" if len(words) >= 4 else "unknown"
    if _CODE_FORM.fullmatch(value) and not _ALPHANUMERIC.fullmatch(value):
        return "codelike"
    if _ODD.search(value) or _LONG_DIGITS.search(value) or "\n" in value:
        return unrecognized
    if not words or sum(len(w) == 1 for w in words) > 1 + len(words) // 3:
        return "unknown"
    if _ALPHANUMERIC.fullmatch(value):
        return "alphanumeric"
    return _class_of_known(value, words) or unrecognized


def _class_of_known(value: str, words: list[str]) -> str | None:
    if len(words) == 2 and value.istitle() and all(map(is_name, words)):
        return None  # Faith Summer
    if len(words) > 1 and next(text.find_names(value), None) is not None:
        return None  # Grace Young, 12 Mill Street
    if all(map(is_known, words)):
        return _class_of_names(_LETTERS.findall(value.casefold()))
    if value.casefold() in text.state_names() or all(w in state_words() for w in words):
        return "state"
    if all(is_known(w) or is_clinical_term(w) or (is_eponym(w) and has_eponym(words)) for w in words):
        return "term"
    return None


def _class_of_names(words: list[str]) -> str:
    """The class of a value of known words, by how many of them may name somebody: young, white."""
    among = word_set("names_among_words")
    if not all(word in among or _may_name_somebody(word) for word in words):
        return "word"
    if any(word in among for word in words):
        return "rarely named"
    return next((kind for kind, listed in _NAMED_KINDS.items() if listed.issuperset(words)), "named")


def _may_name_somebody(word: str) -> bool:
    """True if a known word is a name of people, too, and more than hardly ever one."""
    return word not in word_set("rarely_names") and (is_name(word) or text.may_be_name(word))
