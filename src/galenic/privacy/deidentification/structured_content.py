"""Recognition of structured formats in files named like notes: their names and numbers are in fields, not in sentences."""

import html
import re
from collections.abc import Callable
from itertools import pairwise

from galenic.privacy.deidentification.rules.coded_words import unknown_words
from galenic.privacy.text import common_words

_HL7 = re.compile(
    r"\b(?:MSH|FHS|BHS)(?P<d>[^\w\s])[^\w\s]{3,5}(?P=d)|(?:^|[\r\n\v])\s{0,4}(?:PID|PV1|NK1|OBR|OBX|ORC|EVN|IN1|GT1|DG1)\|[^|\r\n]{0,80}\|"
)
_LABORATORY = re.compile(  # a header with its delimiters, or records with their number
    r"(?:^|[\r\n\v])\s{0,4}\d?(?:H(?P<d>[|!;,#~])(?:(?!(?P=d))[^\w\s]){2,4}(?P=d)|[POR]\|\d{1,4}\|[^|\r\n]{0,80}\|)"
)
_EDI = re.compile(r"^\s*(?:ISA[^\w\s]\d\d[^\w\s]|UN[AB][+:])|[\r\n~']\s?(?:ST[*|]\d{3}[*|]|UNH\+)")
_JSON = re.compile(r"\s*(?:\{\s*(?:\"|\})|\[\s*[{\[\"])")
_XML = re.compile(r"\s*(?:<\?xml|<!doctype|<!--|<[a-z][\w:.-]*(?:\s[^<>]*)?/?>)", re.I)
_CLOSING_TAG = re.compile(r"</[a-z]|/>", re.I)
_CARD = re.compile(r"(?:^|[\r\n])BEGIN:(?:VCARD|VCALENDAR|VEVENT)", re.I)
_MAIL = re.compile(
    r"(?:^|[\r\n])(?:MIME-Version|Message-ID|Received|Return-Path|Content-Transfer-Encoding|DKIM-Signature):\s", re.I
)
# the same formats inside of a note, behind prose
_JSON_INSIDE = re.compile(r"\{\s{0,20}\"[^\"\n]{1,60}\"\s{0,5}:")
_TAG_NAMES = "b|i|u|em|strong|p|br|div|span|table|tr|td|th|ul|ol|li|font|a|h[1-6]|html|body|head|sub|sup|small|mark|pre|code|img|hr|input"
_TAG_INSIDE = re.compile(
    rf"<(?:{_TAG_NAMES})(?:\s+[\w-]+=[^<>\n]{{0,200}})?\s?/?>|</(?:{_TAG_NAMES})\s?>"
    rf"|<([A-Za-z][\w:.-]{{0,40}})[^<>]{{0,200}}>[^<>]{{0,200}}</\1>",
    re.I,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30}(?=;));?", re.I)
_IDENTITY = r"(?:given|family|name|surname|(?:first|last|full|maiden|patient)_?(?:name)?|dob|birth_?date|ssn|mrn|address|phone)"
_KEYED = re.compile(
    rf"(?:^|\n)[ \t]*(?:[\w.-]{{0,30}}[_.-])?{_IDENTITY}[ \t]*=[ \t]*\S"
    rf"|(?:^|\n)[ \t]*[a-z_]{{2,30}}[ \t]*=[ \t]*[\"'][^\n]*[\"'][ \t]*(?:\r?\n|$)"
    rf"|(?:^|\n)[ \t]*(?:- )?{_IDENTITY}:[ \t]+[^\n]{{1,200}}\n[ \t]*{_IDENTITY}:[ \t]"
)
_FULL_DATE = re.compile(r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]?\d{2}[./-]?\d{2})(?!\d)")
_ABBREVIATION = 3  # letters of a cell that is no name
_MIN_INSIDE = 3  # delimiters of each of two lines in a row
_SAMPLE, _MIN_LINES, _MIN_SEPARATORS = 20, 3, 2
START = 100_000  # characters in which a format other than HL7 v2 is recognized


def _is_table(text: str) -> bool:
    """True if the first lines have the same number of tabs, bars, semicolons or of commas without a space behind them."""
    lines = [line for line in text.splitlines()[: 3 * _SAMPLE] if line.strip()][:_SAMPLE]
    if len(lines) < _MIN_LINES:
        return False
    for separator in (r"\t", r"\|", ";", r",(?! )"):
        counts = {len(re.findall(separator, line)) for line in lines}
        if len(counts) == 1 and counts.pop() >= _MIN_SEPARATORS:
            return True
    return False


def _has_rows(text: str) -> bool:
    """True if two lines in a row have the same number of the same delimiter and each a cell that may be a name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for one, other in pairwise(lines):
        for separator in "\t|;":
            count = one.count(separator)
            if count >= _MIN_INSIDE and count == other.count(separator) and _names(one, separator) and _names(other, separator):
                return True
    return False


def _names(line: str, separator: str) -> bool:
    """True if a cell has a word in no vocabulary, or a row with a date has any word that is not clinical."""
    common = common_words("en") if not _FULL_DATE.search(line) else frozenset()
    cells = [c.strip() for c in line.split(separator)]
    return any(len(c) > _ABBREVIATION and c.replace(" ", "").isalpha() and unknown_words(c, common) for c in cells)


def _has_letter_entity(text: str) -> bool:
    """True if a letter is written as a character reference of HTML."""
    return any(html.unescape(m[0]).isalpha() for m in _ENTITY.finditer(text))


_Recognizer = Callable[[str], object]
_FORMATS: tuple[tuple[str, _Recognizer, str], ...] = (
    ("RTF", re.compile(r"\s*\{\\rtf").match, "Export it as plain text"),
    ("a PDF file", re.compile(r"\s*%PDF-").match, "Export it as plain text"),
    ("JSON", lambda t: _JSON.match(t) and re.search(r"\"\s*:|^\s*[\[{]\s*[\]}]|\[\s*[\[\"{]", t), (
        "Rename it to .json or .ndjson if it is FHIR R4"
    )),
    ("XML or HTML", lambda t: _XML.match(t) and _CLOSING_TAG.search(t), (
        "Rename it to .xml if it is C-CDA; export HTML as plain text"
    )),
    ("X12 or EDIFACT", _EDI.search, "Convert it to FHIR R4 or to a table"),
    ("a vCard or calendar", _CARD.search, "Convert it to FHIR R4 or to a table"),
    ("an e-mail with its headers", _MAIL.search, "Save the text without headers"),
    ("a table", _is_table, "Rename it to .csv or .tsv"),
)  # fmt: skip
_INSIDE: tuple[tuple[str, _Recognizer, str], ...] = (
    ("RTF", re.compile(r"\{\\rtf\d?").search, "Export it as plain text"),
    ("JSON", _JSON_INSIDE.search, "Move it to a separate file: .json or .ndjson if it is FHIR R4"),
    ("XML or HTML", lambda t: _TAG_INSIDE.search(t) or _has_letter_entity(t), "Export it as plain text"),
    ("fields with keys", _KEYED.search, "Move them to a table (.csv)"),
    ("rows of a table", _has_rows, "Move them to a separate file (.csv)"),
)  # fmt: skip


def structured_format(text: str) -> str:
    """Format of a text that is not prose, and advice, as the end of a sentence; "" for prose."""
    if _HL7.search(text):
        return "HL7 v2, which is not prose. Expected a note. Convert it to FHIR R4 and de-identify that"
    if _LABORATORY.search(text):
        return "ASTM E1394 (LIS2), which is not prose. Expected a note. Convert it to FHIR R4 and de-identify that"
    start = text[:START].removeprefix("\ufeff")
    found = [one for one in _FORMATS if one[1](start)] or [one for one in _INSIDE if one[1](text)]
    return next((f"{name}, which is not prose. Expected a note. {advice}" for name, _, advice in found), "")
