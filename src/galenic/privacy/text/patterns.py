"""Identifiers with a pattern: regular expressions, and check digits where there are some."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from galenic.privacy.text.ages import find_numbers, find_words
from galenic.privacy.text.spelled_identifiers import find_spelled
from galenic.schema import TextSpan

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_SHORT = "jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec"
_MONTH = rf"(?:{_MONTHS}|(?:{_SHORT})\.?)"
_YEAR = r"(?:(?:19|20)\d\d)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_ORDINAL = rf"{_DAY}(?:st|nd|rd|th)?"
_DATE = (
    rf"{_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]{_DAY}"
    rf"|{_DAY}[-/.](?:0?[1-9]|1[0-2])[-/.](?:{_YEAR}|\d\d)|(?:0?[1-9]|1[0-2])[-/.]{_DAY}[-/.](?:{_YEAR}|\d\d)"
    rf"|{_DAY}\|(?:0?[1-9]|1[0-2])\|{_YEAR}|(?:0?[1-9]|1[0-2])\|{_DAY}\|{_YEAR}|{_YEAR}\|(?:0?[1-9]|1[0-2])\|{_DAY}"
    rf"|{_MONTH}\s{{1,9}}{_ORDINAL},?(?:\s{{1,9}}{_YEAR})?|{_ORDINAL}[\s-]{{1,9}}(?:of\s{{1,9}})?{_MONTH}(?:[\s,-]{{1,9}}{_YEAR})?"
    rf"|{_MONTH}[\s,]{{1,9}}(?:of\s{{1,9}})?{_YEAR}"
)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (1 + i % 2)
        total += n - 9 * (n > 9)
    return total % 10 == 0


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def _card(text: str) -> bool:
    d = _digits(text)
    return 13 <= len(d) <= 19 and len(set(d)) > 1 and luhn(d)


def _ssn(text: str) -> bool:
    """Areas 000, 666 and 9xx, group 00 and serial 0000 are never issued (SSA)."""
    d = _digits(text)
    return d[:3] not in ("000", "666") and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def _nhs(text: str) -> bool:
    """NHS number: weights 10 to 2, modulus 11 (NHS Data Dictionary)."""
    d = _digits(text)
    check = 11 - sum(int(c) * w for c, w in zip(d[:9], range(10, 1, -1), strict=True)) % 11
    return check % 11 == int(d[9]) and check != 10


def _iban(text: str) -> bool:
    """ISO 13616: modulus 97 of the number with the country and check digits moved behind it."""
    t = re.sub(r"\s", "", text).upper()
    return 15 <= len(t) <= 34 and int("".join(str(int(c, 36)) for c in t[4:] + t[:4])) % 97 == 1


def _npi(text: str) -> bool:
    """45 CFR 162.406: Luhn over 80840 and the number."""
    return luhn("80840" + _digits(text))


def _dni(text: str) -> bool:
    """Spanish DNI and NIE: the letter is the number modulus 23."""
    t = text.upper().replace("-", "").replace(" ", "")
    number = t[:-1].replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1)
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == t[-1]


def _vin(text: str) -> bool:
    """49 CFR 565: the ninth character is the weighted sum modulus 11."""
    values = {
        **{str(d): d for d in range(10)},
        **dict(
            zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
        ),
    }
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    t = text.upper()
    return (
        all(c in values for c in t) and "0123456789X"[sum(values[c] * w for c, w in zip(t, weights, strict=True)) % 11] == t[8]
    )


@dataclass(frozen=True)
class IdentifierPattern:
    """A pattern of identifiers of one kind. pattern: group "v", or the whole match, is the identifier. check: validates check digits."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None


def _pattern(kind: str, pattern: str, check: Callable[[str], bool] | None = None) -> IdentifierPattern:
    return IdentifierPattern(kind, re.compile(pattern, re.I), check)


# Every quantifier is bounded, or follows a character that it cannot match itself: the time is linear in the length of the text.
_LABEL = r"(?:\s{0,4}(?:no|num|number|nr|id|#|code)\b\.?)?\s{0,4}[:#=]?\s{0,4}(?:is\s{1,4})?#?\s{0,4}"
_VALUE = r"(?P<v>(?=[A-Z-]{0,5}\d)[A-Z0-9][A-Z0-9-]{3,18})\b"
PATTERNS = (
    _pattern("email", r"[\w.+%-]{1,200}@[\w-]{1,200}(?:\.[\w-]+)+"),
    _pattern("url", r"\b(?:https?://|ftp://|www\.)[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]|(?<![\w.-])\.{0,3}[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|io)\b(?:/[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])?"),
    _pattern("ip", r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b|\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"),
    _pattern("ssn", r"\b(?:\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}|[x*]{3}-[x*]{2}-\d{4})\b"),
    _pattern("ssn", r"\b(?:\d[ .-]){8}\d\b", _ssn),
    _pattern("ssn", r"(?:\bssn\b|social security(?: number)?)" + _LABEL + r"(?P<v>\d[\d -]{7,11}\d)\b"),
    _pattern("ssn", r"\b(?:\d{3} \d{3} \d{4}|\d{10})\b", _nhs),
    _pattern("ssn", r"\b(?:[XYZ]-?\d{7}|\d{8})[- ]?[A-HJ-NP-TV-Z]\b", _dni),
    _pattern("ssn", r"\b(?:ssn|ss#|social(?: security)?|last (?:four|4))(?:[\s:#.]{1,3}(?:is|ends?|ending|last|four|4|in|with|digits|of|no|number|ssn|social|security|the)\b){0,5}[\s:#.]{1,3}(?P<v>\d{4})(?![\w/-]|[.,]\d)"),
    _pattern("account", r"\b(?:\d[ -]?){12,18}\d\b", _card),
    _pattern("account", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", _iban),
    _pattern("licence", r"\bNPI" + _LABEL + r"(?P<v>\d{10})\b"),
    _pattern("licence", r"\b[12]\d{9}\b", _npi),
    _pattern("licence", r"\bDEA" + _LABEL + r"(?P<v>[A-Z]{2}\d{7})\b"),
    _pattern("licence", r"\b(?:driver'?s?|driving)\s+licen[cs]e" + _LABEL + _VALUE),
    _pattern("licence", r"\b(?:passport|licen[cs]e|certificate)" + _LABEL + _VALUE),
    _pattern("vehicle", r"\b[A-HJ-NPR-Z0-9]{17}\b", _vin),
    _pattern("vehicle", r"\b(?:VIN|vehicle identification)" + _LABEL + r"(?P<v>[A-HJ-NPR-Z0-9]{11,17})\b"),
    _pattern("vehicle", r"\b(?:licen[cs]e|number|registration|vehicle)\s+plate" + _LABEL + r"(?P<v>(?=[A-Z -]{0,14}\d)[A-Z0-9]{1,4}(?:[ -][A-Z0-9]{1,4}){0,2})\b"),
    _pattern("device", r"\b(?:serial|s/n|UDI|lot)" + _LABEL + _VALUE),
    _pattern("device", r"\(01\)\d{14}(?:\(\d\d\)[\w-]+)*"),
    _pattern("record", r"\b(?:MRN|MR#|medical record|unit|chart|hospital|patient|record|accession|encounter|visit|case)" + _LABEL + r"(?P<v>(?=[A-Z-]{0,5}\d[A-Z\d-]{0,16}\d{2})[A-Z0-9][A-Z0-9-]{4,15})\b"),
    _pattern("plan", r"\b(?:member|policy|subscriber|beneficiary|medicare|medicaid|insurance|group|plan)" + _LABEL + r"(?P<v>(?=[A-Z-]{0,5}\d[A-Z\d-]{0,16}\d{2})[A-Z0-9][A-Z0-9-]{4,18})\b"),
    _pattern("account", r"\b(?:account|acct|card)" + _LABEL + r"(?P<v>(?=[A-Z-]{0,3}\d)[A-Z0-9][A-Z0-9 -]{3,22}\d)\b"),
    _pattern("fax", r"\bfax" + _LABEL + r"(?P<v>\+?\(?\d[\d ().-]{5,16}\d)"),
    _pattern("phone", r"(?<![\d/.-])(?:\+?1[ .-]?)?\(\d{3}\)\s?\d{3}[ .-]?\d{4}(?!\d)(?:\s?(?:x|ext\.?)\s?\d{1,5})?|(?<![\d/.-])(?:\+?1[ .-])?\d{3}[.-]\d{3}[.-]\d{4}(?!\d)(?:\s?(?:x|ext\.?)\s?\d{1,5})?"),
    _pattern("phone", r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}(?!\d)"),
    _pattern("phone", r"(?<![\w./+-])\d{3} \d{3} (?:\d{3}|\d{4}|\d{2} \d{2})(?![\w/]|[ .,-]?\d| ?(?:mg|mcg|g|ml|IU|units?)\b)"),
    _pattern("date", r"(?<![\d./-])(?:18|19|20)\d\d-(?:0(?!00)[0-9]{2}|[12]\d\d|3[0-5]\d|36[0-6])(?![\d-]|\.\d)"),
    _pattern("phone", r"\b(?:tel|phone|mobile|cell|pager|telephone)" + _LABEL + r"(?P<v>\+?\(?\d[\d ().-]{4,16}\d)"),
    _pattern("phone", r"\b(?:extn?|(?:extension|extensi[óo]n|anexo|page[dr]?|pgr|beeper|bleep|busca)(?=\W{1,4}(?:\w{2,6}\W{1,4})?\d{4}))" + _LABEL + r"(?P<v>\d{3,7}(?:-\d{4})?)(?![\w/°%]|[.,]\d|\s?(?:deg|mg|x\b))"),
    _pattern("phone", r"\b(?:beeper|bleep|pager|pgr)" + _LABEL + r"(?P<v>\d{3})\b"),
    _pattern("phone", r"(?<![\w.])x\d{4,5}\b"),
    _pattern("date", r"\b(?:el|del|al|d[íi]a|fecha|cita|revisi[óo]n|control|ingreso|alta|consulta)(?:\s(?:el|del|d[íi]a)){0,2}[\s:]{1,3}(?P<v>(?:0?[1-9]|[12]\d|3[01])[-/](?:0?[1-9]|1[0-2]))(?![\w/%-]|[.,]\d|\s(?:comp|mg|ml|tab|past|amp|veces|cada|horas|h\b))"),
    _pattern("date", rf"(?<![\d/.])\b(?=[\djfmasond])(?:{_DATE})(?![\d/])"),
    _pattern("place", r"\b(?:[A-Z]{2}\s+(?P<v>\d{5}(?:-\d{4})?))\b"),
)  # fmt: skip
_AGE = re.compile(
    r"\b(?:aged?|age of)\s*:?\s*(\d{1,3})\b|\b(\d{1,3})[ -]?(?:years?|yrs?|y)[ -]?(?:old|o\b|/o)|\b(\d{1,3})\s?(?:yo|y/o|y\.o\.)",
    re.I,
)


_NEAR = re.compile(r"\d[\d ().:/-]*|@|www\.|://|\.(?:com|org|net|edu|gov|info|io)\b", re.I)
CONTEXT = 48  # characters before and after a digit that a pattern may need
_CUT = "\x1f"


def _near(text: str) -> tuple[str, list[int], list[int]]:
    """Text near digits and addresses, joined; the start of each piece therein, and in the original."""
    pieces: list[str] = []
    there: list[int] = []
    here: list[int] = []
    size, start, end = 0, -1, -1

    def close() -> None:
        nonlocal size
        if end > start >= 0:
            pieces.append(text[start:end])
            there.append(size)
            here.append(start)
            size += end - start + 1

    for m in _NEAR.finditer(text):
        a, b = max(m.start() - CONTEXT, 0), min(m.end() + CONTEXT, len(text))
        if a > end:
            close()
            start = text.rfind(" ", max(a - CONTEXT, 0), a) + 1 if a and text[a - 1] != " " else a
            start = max(start, a - CONTEXT, end, 0)
        end = b
    close()
    return _CUT.join(pieces), there, here


def find_patterns(text: str) -> Iterator[TextSpan]:
    """Every match of a pattern; matches may overlap. Most need a digit or an address, so only text near one is read."""
    yield from (TextSpan(a, b, "age", "rule") for a, b in find_words(text))
    yield from (TextSpan(a, b, kind, "rule") for a, b, kind in find_spelled(text))
    cut, there, here = _near(text)
    if not cut:
        return
    for one in PATTERNS:
        for m in one.pattern.finditer(cut):
            a, b = m.span("v") if "v" in one.pattern.groupindex else m.span()
            if a < b and (one.check is None or one.check(cut[a:b])):
                yield _back(a, b, one.kind, there, here)
    for m in _AGE.finditer(cut):
        yield _back(*m.span(m.lastindex or 0), "age", there, here)
    for a, b, kind in find_numbers(cut):
        yield _back(a, b, kind, there, here)


def _back(a: int, b: int, kind: str, there: list[int], here: list[int]) -> TextSpan:
    shift = here[i := bisect_right(there, a) - 1] - there[i]
    return TextSpan(a + shift, b + shift, kind, "rule")
