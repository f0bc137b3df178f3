"""Search of a text for planted identifiers: in any case, with or without diacritics, separators and encodings, in any date
format."""

import base64
import binascii
import html
import re
import unicodedata
from urllib.parse import unquote

from galenic.privacy.deidentification.planting.dates import dates_in
from galenic.privacy.deidentification.planting.identifiers import Plant

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d(?:[ ()./-]{0,2}\d)*")
_CODE = re.compile(r"[^\W_](?:[-./]?[^\W_])*")
_SEPARATORS = re.compile(r"[\W_]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_GENERIC = frozenset(["street", "avenue", "road", "lane", "drive", "springs", "heights"])
_TOWN = re.compile(  # surrogates of towns are named after people, too; a planted name is a word
    r"(?<![^\W\d_])[^\W\d_]{3,}(?:town|ton|land|ville|berg|burgh|burg|borough|bury|view|port|mouth|stad|furt|chester|fort|haven|side|shire|wood)(?![^\W\d_])"
)
MIN_PART = 3  # letters of a part of a name that is looked for
LONG = 7  # signs from which a number is also looked for within others
WITHIN = 5  # letters from which a part of a name is also looked for within words


def normalize(text: str) -> str:
    """Compatibility forms, lower case, no diacritics."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def decoded(text: str) -> str:
    """The text, and its content in entities, percent and JSON escapes, and Base64."""
    parts = [text]
    if "&" in text:
        parts.append(html.unescape(text))
    if "%" in text:
        parts.append(unquote(text))
    if "\\u" in text:
        parts.append(_ESCAPE.sub(lambda m: chr(int(m[1], 16)), text))
    for m in _BASE64.finditer(text):
        try:
            parts.append(base64.b64decode(m[0] + "=" * (-len(m[0]) % 4)).decode("utf-8"))
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    return "\n".join(parts)


def _compact(value: str) -> str:
    return _SEPARATORS.sub("", value)


class ScannedText:
    """Text that is searched for many identifiers."""

    def __init__(self, text: str) -> None:
        self.text = normalize(decoded(text))
        self.without_towns = _TOWN.sub("", self.text)
        self.words = frozenset(_WORD.findall(self.text))
        self.tokens = frozenset(re.findall(r"\d+", self.text))
        self.number_tokens = frozenset(_compact(m[0]) for m in _NUMBER.finditer(self.text))
        self.code_tokens = frozenset(_compact(m[0]) for m in _CODE.finditer(self.text))
        self.numbers, self.codes = " ".join(self.number_tokens), " ".join(self.code_tokens)
        self.days, self.months = dates_in(self.text)

    def holds(self, plant: Plant) -> bool:
        """True if the text contains any identifying part of the identifier."""
        if plant.day is not None:
            day = plant.day
            return (day.year, day.month, day.day) in self.days or (day.year, day.month) in self.months
        value = normalize(plant.value)
        if plant.kind == "age":
            return value in self.tokens or ("." in value and _compact(value) in self.number_tokens)
        if plant.kind == "email":
            return value.split("@")[0] in self.text
        if plant.kind in ("name", "place") and not value.isdigit():
            return any(self._holds_word(w) for w in _WORD.findall(value) if w not in _GENERIC)
        return self._holds_number(_compact(value))

    def _holds_word(self, word: str) -> bool:
        if not word.isascii() and len(word) > 1:
            return word in self.text
        return len(word) >= MIN_PART and (word in self.words or (len(word) >= WITHIN and word in self.without_towns))

    def _holds_number(self, value: str) -> bool:
        """Whole numbers and codes; long ones also within others."""
        longest = max(re.findall(r"\d+", value), key=len, default="")
        if value in self.code_tokens or value in self.number_tokens or (len(longest) >= WITHIN and longest in self.tokens):
            return True
        return (len(value) >= LONG and value in self.codes) or (len(longest) >= LONG and longest in self.numbers)
