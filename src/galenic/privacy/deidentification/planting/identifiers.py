"""Made-up identifiers to plant: new in each run, in the form of the values around them."""

import datetime
import re
import secrets
from dataclasses import dataclass, field

import numpy as np

from galenic.privacy.deidentification.planting.dates import date_like, format_of
from galenic.privacy.deidentification.planting.names import composed, full_name, is_part_of_others

_DOMAINS = ("gmail.com", "yahoo.com", "outlook.com", "posteo.de", "example.org", "mail.net")
_STREETS = ("Street", "Avenue", "Road", "Lane", "Drive")
_TOWNS = ("ville", "ton", "field", "burg", "ford", "wood", " Springs", " Heights")
_PHONES = ("{a}-{b}-{c}", "({a}) {b}-{c}", "{a}.{b}.{c}", "{a} {b} {c}", "+1 {a} {b} {c}")
TRIES = 20
_DATES = ("%m/%d/%Y", "%B %d, %Y", "%d %B %Y", "%Y-%m-%d", "%b %d, %Y", "%m/%d/%y")


@dataclass(frozen=True)
class Plant:
    """One planted identifier. stratum: its column, element or text type. kind: name, date, phone, … day: of a date. is_local:
    True if only its own column is searched for it, because other columns may contain the same word or number."""

    stratum: str
    kind: str
    value: str
    day: datetime.date | None = None
    is_local: bool = False


def _fresh() -> np.random.Generator:
    return np.random.default_rng(secrets.randbits(128))


@dataclass
class IdentifierMaker:
    """Generator of identifiers. Its randomness is new in each run, so that no detector can be prepared for the values.

    used: words of names in the current copy. Further names do not use them, so that they cannot be confused.
    """

    rng: np.random.Generator = field(default_factory=_fresh)
    used: set[str] = field(default_factory=set)

    def _unused_name(self, script: str = "Latin") -> tuple[str, str]:
        for _ in range(TRIES):
            given, family = full_name(self.rng, script)
            if not ({given.casefold(), family.casefold()} & self.used or is_part_of_others(given) or is_part_of_others(family)):
                break
        self.used |= {given.casefold(), family.casefold()}
        return given, family

    def pick(self, among: tuple[str, ...]) -> str:
        """One of several texts."""
        return among[int(self.rng.integers(len(among)))]

    def name(self, like: str = "", script: str = "Latin") -> str:
        """Person's name with as many words as `like`, in the same order and case."""
        given, family = self._unused_name(script)
        if script != "Latin":
            return family + given if script in ("Han", "Kana", "Hangul") else f"{given} {family}"
        words = re.findall(r"[^\W\d_]+", like)
        if "," in like:
            name = f"{family}, {given}"
        elif len(words) == 1:
            name = family
        else:
            name = f"{given} {family}"
        return name.upper() if like.isupper() else name.lower() if like.islower() else name

    def place(self, like: str = "") -> str:
        """Place: a street with a number if `like` begins with a number, five digits if it consists of digits, otherwise a town."""
        if like.strip().isdigit():
            return self.shaped(like)
        if re.match(r"\d+ ", like):
            return f"{self.rng.integers(10, 990)} {self._town()} {self.pick(_STREETS)}"
        return self._town()

    def _town(self) -> str:
        return composed(self.rng) + self.pick(_TOWNS)

    def date_in(self, like: str, form: str | None) -> tuple[str, datetime.date] | None:
        """Another day in the same format as `like`; None if it is not a date in this format."""
        return date_like(like, form, self.rng) if form else None

    def date(self, like: str = "") -> tuple[str, datetime.date]:
        """Date in the format of `like`, or in one of several formats if that is not a date."""
        found = self.date_in(like, format_of([like])) if like else None
        if found:
            return found
        day = datetime.date(1990, 1, 1) + datetime.timedelta(days=int(self.rng.integers(12_500)))
        return day.strftime(self.pick(_DATES)), day

    def shaped(self, like: str) -> str:
        """A value of the same form: digits are replaced; letters too if the value has digits."""
        out = "".join(self._sign(c) for c in like)
        return out if out != like else "".join(self._sign(c) for c in like)

    def _sign(self, c: str) -> str:
        if c.isdigit():
            return c if c in "01" and self.rng.random() < 0.3 else str(self.rng.integers(2, 9))
        if c.isascii() and c.isalpha():
            letter = "abcdefghijklmnopqrstuvwxyz"[self.rng.integers(26)]
            return letter.upper() if c.isupper() else letter
        return c

    def phone(self) -> str:
        """A telephone number in one of several forms."""
        a, b, c = self.rng.integers(201, 989), self.rng.integers(201, 999), self.rng.integers(1000, 9999)
        return self.pick(_PHONES).format(a=a, b=b, c=c)

    def ssn(self) -> str:
        """A social security number."""
        return f"{self.rng.integers(101, 660)}-{self.rng.integers(11, 99)}-{self.rng.integers(1001, 9999)}"

    def record(self) -> str:
        """A medical record number."""
        return self.shaped(self.pick(("7712034", "20455189", "MR-448120", "A1938227", "00482913")))

    def email(self) -> str:
        """An e-mail address of somebody's name."""
        given, family = self._unused_name()
        local = re.sub(r"[^a-z]", "", given.lower()) + self.pick((".", "_", "")) + re.sub(r"[^a-z]", "", family.lower())
        return f"{local}@{self.pick(_DOMAINS)}"

    def age(self) -> str:
        """An age above 89, for a text: others than `value` gives for fields, so that they are not mistaken for each other."""
        return str(self.rng.integers(100, 109))

    def value(self, kind: str, like: str = "") -> tuple[str, datetime.date | None]:
        """(value, day of a date) of a kind, in the form of `like`."""
        if kind == "date":
            return self.date(like)
        if kind in ("name", "place"):
            return getattr(self, kind)(like), None
        if kind == "age" and like:
            return str(self.rng.choice([*range(91, 100), *range(109, 120)])), None
        if kind in ("phone", "ssn", "record") and sum(c.isdigit() for c in like) >= 5:
            return self.shaped(like), None
        return getattr(self, kind)(), None
