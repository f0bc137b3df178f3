"""Recognition of structured formats in files that are named as notes: their names and numbers stand in fields, not in sentences."""

import re
from collections.abc import Callable

_HL7 = re.compile(
    r"\b(?:MSH|FHS|BHS)(?P<d>[^\w\s])[^\w\s]{3,5}(?P=d)|(?:^|[\r\n\v])\s{0,4}(?:PID|PV1|NK1|OBR|OBX|ORC|EVN|IN1|GT1|DG1)\|[^|\r\n]{0,80}\|"
)
_EDI = re.compile(r"^\s*(?:ISA[^\w\s]\d\d[^\w\s]|UN[AB][+:])|[\r\n~']\s?(?:ST[*|]\d{3}[*|]|UNH\+)")
_JSON = re.compile(r"\s*(?:\{\s*(?:\"|\})|\[\s*[{\[\"])")
_XML = re.compile(r"\s*(?:<\?xml|<!doctype|<!--|<[a-z][\w:.-]*(?:\s[^<>]*)?/?>)", re.I)
_CLOSING_TAG = re.compile(r"</[a-z]|/>", re.I)
_CARD = re.compile(r"(?:^|[\r\n])BEGIN:(?:VCARD|VCALENDAR|VEVENT)", re.I)
_MAIL = re.compile(
    r"(?:^|[\r\n])(?:MIME-Version|Message-ID|Received|Return-Path|Content-Transfer-Encoding|DKIM-Signature):\s", re.I
)
_SAMPLE, _MIN_LINES, _MIN_SEPARATORS = 20, 3, 2
START = 100_000  # characters in which a format other than HL7 v2 is recognized


def _is_table(text: str) -> bool:
    """Whether the first lines have the same number of tabs, bars, semicolons or of commas without a space behind them."""
    lines = [line for line in text.splitlines()[: 3 * _SAMPLE] if line.strip()][:_SAMPLE]
    if len(lines) < _MIN_LINES:
        return False
    for separator in (r"\t", r"\|", ";", r",(?! )"):
        counts = {len(re.findall(separator, line)) for line in lines}
        if len(counts) == 1 and counts.pop() >= _MIN_SEPARATORS:
            return True
    return False


_Recognizer = Callable[[str], object]
_FORMATS: tuple[tuple[str, _Recognizer, str], ...] = (
    ("RTF", re.compile(r"\s*\{\\rtf").match, "Export it as plain text"),
    ("a PDF file", re.compile(r"\s*%PDF-").match, "Export it as plain text"),
    ("JSON", lambda t: _JSON.match(t) and re.search(r"\"\s*:|^\s*[\[{]\s*[\]}]|\[\s*[\[\"{]", t), "Name it .json or .ndjson if it is FHIR R4"),
    ("XML or HTML", lambda t: _XML.match(t) and _CLOSING_TAG.search(t), "Name it .xml if it is C-CDA; export HTML as plain text"),
    ("X12 or EDIFACT", _EDI.search, "Convert it to FHIR R4 or to a table"),
    ("a vCard or calendar", _CARD.search, "Convert it to FHIR R4 or to a table"),
    ("an e-mail with its headers", _MAIL.search, "Save the text without headers"),
    ("a table", _is_table, "Name it .csv or .tsv"),
)  # fmt: skip


def structured_format(text: str) -> str:
    """What a text that is no prose is, and what to do with it, as the end of a sentence; "" for prose."""
    if _HL7.search(text):
        return "HL7 v2, which is not read as prose. Expected a note. Convert it to FHIR R4 and de-identify that"
    start = text[:START].removeprefix("\ufeff")
    return next(
        (f"{name}, which is not read as prose. Expected a note. {advice}" for name, is_it, advice in _FORMATS if is_it(start)),
        "",
    )
