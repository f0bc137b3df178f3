"""Replacement of identifiers: a placeholder, a generalization, or a surrogate of the same kind that belongs to nobody."""

import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

from galenic.privacy.text.ages import is_over_89, suffix_end
from galenic.privacy.text.dates import WEEKDAYS, shift_date
from galenic.privacy.text.policy import DeidentificationPolicy, identifier_kinds
from galenic.privacy.text.stated_identifiers import fold
from galenic.privacy.text.surrogate_names import company_name, given_name, street_address, surname, town_name
from galenic.schema import TextSpan

# first three digits of postal codes of 20,000 people or fewer in the census of 2000 (HHS's guidance on de-identification of 2012,
# from memory: unverified)
FEW_PEOPLE = frozenset(
    ["036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890", "893"]
)
OLDEST = 89  # ages above are one group (45 CFR 164.514(b)(2)(i)(C))
OVER_89 = "90 or older"
_ZIP = re.compile(r"(?<!\d)(\d{5})(?:-\d{4})?(?!\d)")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_WORD = re.compile(r"[^\W\d_]+")
_PARTS = re.compile(r"(,\s*|\n\s*)")
_WEEK = 7


def reveals_age_over_89(year: int) -> bool:
    """True if a person who lived in that year is over 89 now. Then the year is removed, too (45 CFR 164.514(b)(2)(i)(C))."""
    return date.today().year - year > OLDEST


@dataclass
class Replacer:
    """Replacer of the identifiers of one patient. key: 32 bytes of the patient; without it, no surrogate can be traced back.

    shared_key: of all patients of a run, only for names of people, so that a name has the same surrogate in all files.
    """

    policy: DeidentificationPolicy
    key: bytes
    states: frozenset[str] = frozenset()
    day_first: bool = False
    reserved_words: frozenset[str] = frozenset()  # names of people in the same data, which no surrogate may be
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    shared_key: bytes | None = None

    @property
    def days(self) -> int:
        """Shift, in days, of this patient's dates: 53 to 312 whole weeks back, which keeps weekdays and intervals."""
        return -_WEEK * (53 + _number(self.key, "days") % 260)

    def replace(self, text: str, spans: Iterable[TextSpan]) -> str:
        """The text with every span replaced."""
        out, at = [], 0
        for span in spans:
            new = self.value(span.kind, text[span.start : span.end])
            out += [text[at : span.start], new]
            at = span.end
            if new == OVER_89:  # not "90 or older-year-old", nor "90 or olderF"
                at = suffix_end(text, at)
                out.append(" " if text[at : at + 1].isalnum() else "")
        return "".join([*out, text[at:]])

    def count(self, kind: str, treatment: str) -> None:
        """Count a replacement."""
        self.counts[kind, treatment] = self.counts.get((kind, treatment), 0) + 1

    def value(self, kind: str, value: str) -> str:
        """The replacement of one identifier."""
        treatment = self.policy[kind]
        self.count(kind, treatment)
        kind = identifier_kinds()[kind].parent or kind
        if treatment == "keep":
            return value
        if treatment == "mask":
            return "".join("*" if c.isalnum() else c for c in value)
        if treatment == "generalise":
            return self._generalize(kind, value)
        return self._surrogate(kind, value) if treatment == "surrogate" else f"[{kind.upper()}]"

    # generalization

    def _generalize(self, kind: str, value: str) -> str:
        if kind == "date":
            year = _YEAR.search(value)
            alone = value.strip().casefold() in WEEKDAYS
            moved = None if year or alone else shift_date(value, 0, day_first=self.day_first)
            known = int(year[0]) if year else moved.year if moved else None
            return str(known) if known and not reveals_age_over_89(known) else "[DATE]"
        if kind == "age":
            number = int("".join(c for c in value if c.isdecimal())[:4] or 0)
            if number > OLDEST or is_over_89(value):
                return OVER_89
            return value if number else "[AGE]"
        if kind == "place":
            areas = [k for part in _PARTS.split(value) if (k := self._area(part))]
            return " ".join(areas) or "[PLACE]"
        return f"[{kind.upper()}]"

    def _area(self, part: str) -> str:
        """The state and large ZIP code area in a part of an address."""
        code = _ZIP.search(part)
        area = "" if code is None else "000" if code[1][:3] in FEW_PEOPLE else code[1][:3]
        rest = (part[: code.start()] if code else part).strip(" .,")
        return f"{rest} {area}".strip() if rest.casefold() in self.states else area

    # surrogates

    def _surrogate(self, kind: str, value: str) -> str:
        if kind == "name":
            return _WORD.sub(lambda m: self._surrogate_name(m[0]), value)
        if kind == "date":
            return shift_date(value, self.days, day_first=self.day_first).text or "[DATE]"
        if kind == "age":
            return self._generalize(kind, value)
        if kind == "place":
            return self._surrogate_place(value)
        if kind == "organisation":
            return _cased(self._unused(lambda n: company_name(n, value), "organisation", value.casefold()), value)
        if kind == "email":
            made = self._unused(lambda n: f"{given_name(n, '')}.{surname(n, '')}", "email", value.casefold())
            return f"{made}@example.org".lower().replace(" ", "")
        if kind == "url":
            return f"https://example.org/{self._number('url', value) % 10**8:08d}"
        if kind == "ip":  # documentation networks (RFC 5737, RFC 3849)
            n = self._number("ip", value)
            return f"2001:db8::{n % 65536:x}" if value.count(":") > 2 else f"203.0.113.{n % 256}"
        return self._digits(kind, value)

    def _surrogate_name(self, word: str) -> str:
        low = fold(word)
        if len(word) == 1:
            return _cased("abcdefghjklmnprstw"[self._number("initial", low) % 18], word)
        return _cased(self._unused(lambda n: given_name(n, low) or surname(n, low), "name", low), word)

    def _unused(self, make: Callable[[int], str], *source: str) -> str:
        """A surrogate that belongs to nobody in the same data and differs from the original, after at most 20 attempts."""
        made = ""
        own = {fold(w) for w in _WORD.findall(source[-1])}
        for attempt in range(20):
            made = make(self._number(*source, *([str(attempt)] if attempt else [])))
            words = [w.casefold() for w in _WORD.findall(made)]
            if self.reserved_words.isdisjoint(words) and own.isdisjoint(map(fold, words)):
                break
        return made

    def _surrogate_place(self, value: str) -> str:
        """Part by part: states are kept, postal codes change within their region, streets and towns are replaced."""
        return "".join(p if i % 2 else self._surrogate_part(p) for i, p in enumerate(_PARTS.split(value)))

    def _surrogate_part(self, part: str) -> str:
        plain = part.strip(" .")
        if not plain or plain.casefold() in self.states:
            return part
        code = _ZIP.search(part)
        if code and (plain == code[0] or plain[: -len(code[0])].strip().casefold() in self.states):
            near = "000" if code[1][:3] in FEW_PEOPLE else code[1][:3]
            other = (int(code[1][3:]) + 1 + self._number("zip", code[1]) % 99) % 100  # never the same code
            return f"{part[: code.start()]}{near}{other:02d}{part[code.end() :]}"
        make = street_address if any(c.isdigit() for c in plain) else town_name
        return _cased(self._unused(make, "place", plain.casefold()), plain)

    def _digits(self, kind: str, value: str) -> str:
        """Digits for digits and letters for letters, in ranges that are never assigned: SSNs of area 9xx, telephone numbers of exchange
        555."""
        number = self._number(kind, "".join(c for c in value if c.isalnum()).casefold())
        out = []
        for c in value:
            if c.isdigit():
                number, n = divmod(number, 10)
                out.append(str(n))
            elif c.isalpha() and c.isascii():
                number, n = divmod(number, 26)
                out.append(chr(n + (65 if c.isupper() else 97)))
            else:
                out.append(c)
        places = [i for i, c in enumerate(out) if c.isdigit()]
        if kind == "ssn" and places:
            out[places[0]] = "9"
        if kind in ("phone", "fax") and len(places) >= 7:
            for i in places[-7:-4]:
                out[i] = "5"
        return "".join(out)

    def _number(self, *source: str) -> int:
        names = self.shared_key if source[0] in ("name", "initial") else None
        return _number(names or self.key, *source)


def _number(key: bytes, *source: str) -> int:
    return int.from_bytes(hmac.digest(key, "\0".join(source).encode("utf-8", "surrogatepass"), "sha256"), "big")


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.lower() if like.islower() else word
