"""What stands in the place of an identifier: a mark, less of it, or something of the same kind that is nobody's."""

import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

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
_ZIP = re.compile(r"(?<!\d)(\d{5})(?:-\d{4})?(?!\d)")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_WORD = re.compile(r"[^\W\d_]+")
_PARTS = re.compile(r"(,\s*|\n\s*)")
_WEEK = 7


def reveals_age_over_89(year: int) -> bool:
    """Whether whoever lived in that year is past 89 now: then the year goes, too (45 CFR 164.514(b)(2)(i)(C))."""
    return date.today().year - year > OLDEST


@dataclass
class Replacer:
    """Replaces the identifiers of one patient. key: 32 bytes that are the patient's: without it no surrogate leads back."""

    policy: DeidentificationPolicy
    key: bytes
    states: frozenset[str] = frozenset()
    day_first: bool = False
    avoid: frozenset[str] = frozenset()  # words that are somebody's in the same data: no surrogate is one of them
    counted: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def days(self) -> int:
        """How far this patient's dates move: 53 to 312 whole weeks back, so that weekdays and intervals stay."""
        return -_WEEK * (53 + self._number("days") % 260)

    def text(self, text: str, spans: Iterable[TextSpan]) -> str:
        """The text with every span replaced."""
        out, at = [], 0
        for span in spans:
            out += [text[at : span.start], self.value(span.kind, text[span.start : span.end])]
            at = span.end
        return "".join([*out, text[at:]])

    def count(self, kind: str, how: str) -> None:
        """Counts an identifier that was treated."""
        self.counted[kind, how] = self.counted.get((kind, how), 0) + 1

    def value(self, kind: str, value: str) -> str:
        """What stands in the place of one identifier."""
        how = self.policy[kind]
        self.count(kind, how)
        kind = identifier_kinds()[kind].of or kind
        if how == "keep":
            return value
        if how == "mask":
            return "".join("*" if c.isalnum() else c for c in value)
        if how == "generalise":
            return self._less(kind, value)
        return self._other(kind, value) if how == "surrogate" else f"[{kind.upper()}]"

    # less of it

    def _less(self, kind: str, value: str) -> str:
        if kind == "date":
            year = _YEAR.search(value)
            alone = value.strip().casefold() in WEEKDAYS
            moved = None if year or alone else shift_date(value, 0, day_first=self.day_first)
            known = int(year[0]) if year else moved.year if moved else None
            return str(known) if known and not reveals_age_over_89(known) else "[DATE]"
        if kind == "age":
            number = int("".join(c for c in value if c.isdigit()) or 0)
            return value if 0 < number <= OLDEST else "90 or older" if number else "[AGE]"
        if kind == "place":
            kept = [k for part in _PARTS.split(value) if (k := self._area(part))]
            return " ".join(kept) or "[PLACE]"
        return f"[{kind.upper()}]"

    def _area(self, part: str) -> str:
        """What of a part of an address is not smaller than a state, or is a large ZIP area."""
        code = _ZIP.search(part)
        area = "" if code is None else "000" if code[1][:3] in FEW_PEOPLE else code[1][:3]
        rest = (part[: code.start()] if code else part).strip(" .,")
        return f"{rest} {area}".strip() if rest.casefold() in self.states else area

    # something else of the same kind

    def _other(self, kind: str, value: str) -> str:
        if kind == "name":
            return _WORD.sub(lambda m: self._name(m[0]), value)
        if kind == "date":
            return shift_date(value, self.days, day_first=self.day_first).text or "[DATE]"
        if kind == "age":
            return self._less(kind, value)
        if kind == "place":
            return self._place(value)
        if kind == "organisation":
            return _cased(self._free(lambda n: company_name(n, value), "organisation", value.casefold()), value)
        if kind == "email":
            made = self._free(lambda n: f"{given_name(n, '')}.{surname(n, '')}", "email", value.casefold())
            return f"{made}@example.org".lower().replace(" ", "")
        if kind == "url":
            return f"https://example.org/{self._number('url', value) % 10**8:08d}"
        if kind == "ip":  # documentation networks (RFC 5737, RFC 3849)
            n = self._number("ip", value)
            return f"2001:db8::{n % 65536:x}" if value.count(":") > 2 else f"203.0.113.{n % 256}"
        return self._digits(kind, value)

    def _name(self, word: str) -> str:
        low = fold(word)
        if len(word) == 1:
            return _cased("abcdefghjklmnprstw"[self._number("initial", low) % 18], word)
        return _cased(self._free(lambda n: given_name(n, low) or surname(n, low), "name", low), word)

    def _free(self, make: Callable[[int], str], *said: str) -> str:
        """A made value that is nobody's in the same data, and not the one it stands for, after at most some tries."""
        made = ""
        own = {fold(w) for w in _WORD.findall(said[-1])}
        for attempt in range(20):
            made = make(self._number(*said, *([str(attempt)] if attempt else [])))
            words = [w.casefold() for w in _WORD.findall(made)]
            if self.avoid.isdisjoint(words) and own.isdisjoint(map(fold, words)):
                break
        return made

    def _place(self, value: str) -> str:
        """Part by part: states stay, postal codes move within their region, streets and towns are others."""
        return "".join(p if i % 2 else self._part(p) for i, p in enumerate(_PARTS.split(value)))

    def _part(self, part: str) -> str:
        plain = part.strip(" .")
        if not plain or plain.casefold() in self.states:
            return part
        code = _ZIP.search(part)
        if code and (plain == code[0] or plain[: -len(code[0])].strip().casefold() in self.states):
            near = "000" if code[1][:3] in FEW_PEOPLE else code[1][:3]
            other = (int(code[1][3:]) + 1 + self._number("zip", code[1]) % 99) % 100  # never itself
            return f"{part[: code.start()]}{near}{other:02d}{part[code.end() :]}"
        make = street_address if any(c.isdigit() for c in plain) else town_name
        return _cased(self._free(make, "place", plain.casefold()), plain)

    def _digits(self, kind: str, value: str) -> str:
        """Digits for digits and letters for letters, such that nobody has the number: SSNs of area 9xx and telephone numbers of
        exchange 555 are never given out."""
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

    def _number(self, *said: str) -> int:
        return int.from_bytes(hmac.digest(self.key, "\0".join(said).encode("utf-8", "surrogatepass"), "sha256"), "big")


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.lower() if like.islower() else word
