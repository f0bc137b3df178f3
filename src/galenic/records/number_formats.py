"""Numbers as people write them: thousands separators, decimal commas, currencies, percent signs, units, and limits such as <0.01.

A format is written with # for a number with a decimal point and #,# for one with a decimal comma: "$#", "# mg", "#,# €". In both,
thousands may be separated. Numbers below or above a limit are read as the limit.
"""

import re
from functools import lru_cache

import pyarrow as pa

PREFIXES = ("$", "€", "£", "¥")
SPACED = ("g", "l", "m", "h", "s", "d", "t", "y", "a", "mo")  # units that are read only after a space: 5 g, not the bed 5G
SUFFIXES = (
    "$", "€", "£", "usd", "eur", "gbp", "chf", "%", "‰", "mg", "kg", "µg", "ug", "mcg", "ng", "pg", "lb", "lbs", "oz", "dl", "ml", "µl", "ul",
    "fl", "iu", "meq", "mmol", "µmol", "umol", "mmol/l", "µmol/l", "umol/l", "nmol/l", "pmol/l", "mg/dl", "g/dl", "g/l", "mg/l", "ng/ml",
    "pg/ml", "u/l", "iu/l", "miu/l", "meq/l", "mmhg", "mm[hg]", "kpa", "bpm", "/min", "cm", "mm", "km", "in", "ft", "°c", "°f", "years", "year",
    "yrs", "yr", "months", "month", "weeks", "week", "wks", "days", "day", "hours", "hour", "hrs", "hr", "min", "mins", "minutes", "sec",
    "seconds", "ms", "kg/m2", "kg/m²", "kg/m^2", "ml/min", "l/min", "mm/h", "mm/hr", "10^9/l",
    "10*9/l", "x10^9/l", "k/ul", "k/µl", "/µl", "/ul",
    "cells/µl", "cells/ul", "copies/ml", "kcal", "mgy", "gy",
)  # fmt: skip
PLAIN, COMMA = "#", "#,#"
LIMIT = "<"  # begins the format of values such as <0.01, which are numbers only among numbers: <30 and >30 alone are categories
_AFFIXES = ("", *(p + "{}" for p in PREFIXES), *("{} " + s for s in (*SUFFIXES, *SPACED)))
NUMBER_FORMATS: tuple[str, ...] = tuple(
    (affix or "{}").format(number) for affix in (*_AFFIXES, LIMIT + "{}") for number in (PLAIN, COMMA)
)  # every value has one of them, or none

_WRITTEN = re.compile(
    r"(?P<limit>[<>≤≥]=?\s*)?(?P<open>\()?(?P<sign>[+−-]?)\s*(?P<prefix>[$€£¥]?)\s*(?P<sign2>[+−-]?)(?P<number>[\d.,'’\s]*\d[.,]?|\d+[.,]?\d*[eE][+-]?\d{1,3})"
    r"(?P<close>\))?(?P<space>\s*)(?P<suffix>\D.*)?"
)
_MARKS = r"['’\u00a0\u202f]"  # thousands of other countries; a plain space only before decimals, because telephone numbers have spaces
_POINT = re.compile(
    rf"(?:\d{{1,18}}|\d{{1,3}}(?:,\d{{3}}){{1,5}}|\d{{1,3}}(?:{_MARKS}\d{{3}}){{1,5}})?(?:\.\d*)?(?:[eE][+-]?\d{{1,3}})?"
    r"|\d{1,3}(?: \d{3}){1,5}\.\d+"
)
_POINT_COMMA = re.compile(
    rf"(?:\d{{1,18}}|\d{{1,3}}(?:\.\d{{3}}){{1,5}}|\d{{1,3}}(?:{_MARKS}\d{{3}}){{1,5}})?(?:,\d*)?|\d{{1,3}}(?: \d{{3}}){{1,5}},\d+"
)


def number_format(text: str) -> str | None:
    """The format of a number; PLAIN where a comma may separate thousands (1,234), None where the text is no number."""
    found = _parts(text)
    if found is None:
        return None
    affix, number, _ = found
    style = PLAIN if _POINT.fullmatch(number) else COMMA if _POINT_COMMA.fullmatch(number) else None
    if style is None:
        return None
    return LIMIT + style if text.lstrip()[:1] in "<>≤≥" else affix.format(style)


def number_value(text: str, form: str) -> float | None:
    """The number in a text of a format ("" is PLAIN). A missing currency or unit is accepted, another one is not."""
    found = _parts(text)
    if found is None:
        return None
    affix, number, negative = found
    style = COMMA if COMMA in form else PLAIN
    if affix != "{}" and affix.format(style) != form:
        return None
    if not (_POINT_COMMA if style == COMMA else _POINT).fullmatch(number):
        return None
    number = re.sub(r"['’\s]", "", number)
    number = number.replace(".", "").replace(",", ".") if style == COMMA else number.replace(",", "")
    value = float(number)
    return -value if negative else value


@lru_cache(maxsize=65_536)
def _parts(text: str) -> tuple[str, str, bool] | None:
    """(affix with {} for the number, the digits, whether it is negative)."""
    m = _WRITTEN.fullmatch(text.strip()) if len(text) <= 40 else None
    if m is None or bool(m["open"]) != bool(m["close"]) or (m["sign"] and m["sign2"]):
        return None
    suffix = (m["suffix"] or "").strip().lower()
    if m["prefix"] and suffix:
        return None
    if suffix and not (suffix in SUFFIXES or (suffix in SPACED and m["space"])):
        return None
    affix = m["prefix"] + "{}" if m["prefix"] else "{} " + suffix if suffix else "{}"
    return affix, m["number"].strip(), bool(m["open"]) or "-" in (m["sign"] + m["sign2"]) or "−" in (m["sign"] + m["sign2"])


def number_values(texts: pa.ChunkedArray, form: str) -> pa.ChunkedArray:
    """Texts of a format as numbers (double); null where a text is missing or does not fit it."""
    coded = texts.combine_chunks().dictionary_encode() if isinstance(texts, pa.ChunkedArray) else texts.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    values = pa.array([number_value(text, form) for text in coded.dictionary.to_pylist()], pa.float64())
    return pa.chunked_array([values.take(coded.indices)], pa.float64())


def number_formats(texts: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """How many texts have each format; those that are no numbers are not counted."""
    counts: dict[str, int] = {}
    for pair in texts.value_counts().to_pylist():
        form = number_format(pair["values"]) if pair["values"] is not None else None
        if form is not None:
            counts[form] = counts.get(form, 0) + pair["counts"]
    return counts
