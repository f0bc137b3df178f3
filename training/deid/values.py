"""Values that are planted into training text: names, places, dates, numbers of many countries, and names that nobody ever had."""

import random
import string
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module

from faker import Faker

LATIN = (
    "en_US en_US en_US en_GB en_CA en_AU en_IE en_IN en_NZ en_PH es_ES es_MX es_CO es_AR es_CL fr_FR fr_CA fr_CH fr_BE de_DE de_AT "
    "de_CH it_IT pt_BR pt_PT nl_NL nl_BE sv_SE da_DK no_NO fi_FI pl_PL cs_CZ sk_SK hu_HU ro_RO hr_HR sl_SI et_EE lt_LT lv_LV tr_TR "
    "id_ID vi_VN az_AZ fil_PH sw zu_ZA yo_NG ha_NG ig_NG tw_GH en_KE en_TH"
).split()
OTHER = "ja_JP zh_CN ko_KR ru_RU uk_UA bg_BG el_GR ar_AA he_IL hi_IN th_TH ka_GE hy_AM fa_IR".split()
NAMES = ("first_names", "first_names_male", "first_names_female", "last_names", "last_names_male", "last_names_female")


@dataclass
class Markov:
    """Words that look like others and are none of them: letters by the three before."""

    words: list[str]

    @cached_property
    def _next(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for word in self.words:
            text = f"^^^{word.lower()}$"
            for i in range(3, len(text)):
                found[text[i - 3 : i]][text[i]] += 1
        return found

    def make(self, rng: random.Random) -> str:
        """A word of 3 to 14 letters, capitalised."""
        known = self._known
        while True:
            text = "^^^"
            while not text.endswith("$") and len(text) < 18:
                after = self._next[text[-3:]]
                text += rng.choices(list(after), list(after.values()))[0]
            word = text[3:-1]
            if text.endswith("$") and 3 <= len(word) <= 14 and word not in known and word.isalpha():
                return word.capitalize()

    @cached_property
    def _known(self) -> set[str]:
        return {w.lower() for w in self.words}


def _listed(value: object) -> list[str]:
    return [str(v) for v in value] if isinstance(value, tuple | list | dict) else []


def names_of(locale: str) -> tuple[list[str], list[str]]:
    """Given names and surnames that Faker has for a locale."""
    try:
        provider = import_module(f"faker.providers.person.{locale}").Provider
    except ModuleNotFoundError:
        return [], []
    first, last = set(), set()
    for name in NAMES:
        (last if name.startswith("last") else first).update(_listed(getattr(provider, name, ())))
    return sorted(first), sorted(last)


@dataclass
class World:
    """Values of one split. share: of invented names and places among all."""

    rng: random.Random
    part: int = 0  # of 5; 0 to 3 train, 4 is held out
    invented: float = 0.5
    size: int = 120  # values drawn per locale and kind
    pools: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every_first, every_last, every_place = [], [], []
        for locale in dict.fromkeys(LATIN + OTHER):
            first, last = (self._mine(x) for x in names_of(locale))
            pool = {"first": first, "last": last}
            fake = Faker(locale)
            fake.seed_instance(self.rng.randrange(2**32))
            for kind in ("street_address", "street_name", "city", "postcode", "address", "phone_number", "company"):
                pool[kind] = self._drawn(getattr(fake, kind, None))
            self.pools[locale] = pool
            if locale in LATIN:
                every_first += first
                every_last += last
                every_place += [w for c in pool["city"] for w in c.split() if w.isalpha()]
        self.first, self.last, self.place = Markov(every_first), Markov(every_last), Markov(every_place)
        fake = Faker("en_US")
        fake.seed_instance(self.rng.randrange(2**32))
        self.us = fake
        self.countries = self._drawn(fake.country, 400)
        self.states = self._drawn(fake.state, 200)
        self.jobs = self._drawn(fake.job, 300)

    def _mine(self, words: list[str]) -> list[str]:
        """Those of this split: four fifths train, one fifth is held out."""
        held = [w for w in words if sum(w.encode()) % 5 == 4]
        return held if self.part == 4 else [w for w in words if sum(w.encode()) % 5 != 4]

    def _drawn(self, make: Callable[[], str] | None, size: int | None = None) -> list[str]:
        found: set[str] = set()
        try:
            for _ in range(size or self.size):
                found.add(str(make()))  # type: ignore[misc]
        except (AttributeError, TypeError, ValueError, IndexError, KeyError):
            pass
        return sorted(found)

    # names

    def locale(self) -> str:
        """Mostly Latin script."""
        return self.rng.choice(LATIN if self.rng.random() < 0.97 else OTHER)

    def _pick(self, kind: str, locale: str) -> str:
        pool = self.pools[locale].get(kind) or self.pools["en_US"][kind]
        return self.rng.choice(pool)

    def first_name(self, locale: str) -> str:
        if locale in LATIN and self.rng.random() < self.invented:
            return self.first.make(self.rng)
        return self._pick("first", locale)

    def last_name(self, locale: str) -> str:
        r = self.rng.random()
        if locale in LATIN and r < self.invented:
            name = self.last.make(self.rng)
        else:
            name = self._pick("last", locale)
        r = self.rng.random()
        if r < 0.03:
            name = f"{name}-{self._pick('last', locale)}"
        elif r < 0.05:
            name = (
                self.rng.choice(("van ", "van der ", "de ", "de la ", "von ", "Mc", "O'", "El ", "al-", "St. ", "Di ", "Ben "))
                + name
            )
        return name

    def person(self) -> tuple[str, str]:
        locale = self.locale()
        return self.first_name(locale), self.last_name(locale)

    def name(self) -> str:
        """A whole name in one of the forms that people write."""
        first, last = self.person()
        initial = self.rng.choice(string.ascii_uppercase)
        r = self.rng.random()
        forms = (
            (0.52, f"{first} {last}"), (0.60, f"{last}, {first}"), (0.66, f"{first} {initial}. {last}"), (0.69, f"{first[0]}. {last}"),
            (0.72, f"{last}, {first} {initial}."), (0.75, f"{first} {initial} {last}"), (0.78, f"{first} {self.first_name('en_US')} {last}"),
            (0.80, f"{last.upper()}, {first}"), (0.83, f"{last.upper()}, {first.upper()}"), (0.85, f"{last} {first}"), (0.87, f"{first} {last[0]}."),
            (0.885, f"{first} {last} Jr."), (0.895, f"{first} {last} III"), (0.91, f"{first[0]}{last[0]}"), (0.92, f"{first[0]}.{last[0]}."),
            (0.93, f"{last} {first[0]}"), (0.96, first), (1.0, last),
        )  # fmt: skip
        return next(text for share, text in forms if r <= share)

    # places

    def town(self) -> str:
        r = self.rng.random()
        if r < self.invented * 0.7:
            base = self.place.make(self.rng)
            return self.rng.choice(
                (
                    base,
                    base,
                    base,
                    f"{base}ville",
                    f"{base} Falls",
                    f"Port {base}",
                    f"New {base}",
                    f"{base} Beach",
                    f"St. {base}",
                )
            )
        return self._pick("city", self.locale())

    def street(self) -> str:
        r = self.rng.random()
        if r < 0.35:
            base = self.last.make(self.rng) if self.rng.random() < self.invented else self._pick("last", "en_US")
            kind = self.rng.choice(
                "Street St St. Avenue Ave Ave. Road Rd Rd. Lane Ln Drive Dr Court Ct Boulevard Blvd Way Place Terrace Circle Parkway".split()
            )
            way = self.rng.choice(("", "", "", "", "N ", "South ", "W. ", "East "))
            return f"{self.rng.randrange(1, 9999)} {way}{base} {kind}"
        return self._pick("street_address", self.locale()).replace("\n", ", ")

    def address(self) -> str:
        r = self.rng.random()
        code = self.zip()
        line = self.rng.choice((", ", ", ", "\n", "\n", " "))
        unit = self.rng.choice(
            (
                "",
                "",
                "",
                f" Apt. {self.rng.randrange(1, 999)}",
                f" Suite {self.rng.randrange(1, 999)}",
                f", Unit {self.rng.randrange(1, 99)}",
                f" #{self.rng.randrange(1, 99)}",
            )
        )
        if r < 0.45:
            state = self.rng.choice(self.states) if self.rng.random() < 0.3 else self.us.state_abbr()
            return f"{self.street()}{unit}{line}{self.town()}, {state} {code}"
        if r < 0.65:
            return (
                self._pick("address", self.locale())
                if self.rng.random() < 0.5
                else self._pick("address", self.locale()).replace("\n", ", ")
            )
        if r < 0.80:
            return f"{self.street()}{unit}{line}{self.town()}"
        if r < 0.93:
            return f"{self.street()}{unit}{line}{self.town()}{line}{self.rng.choice(self.countries)}{self.rng.choice(('', ' ' + code))}"
        return f"{code} {self.town()}, {self.street()}"

    def zip(self) -> str:
        if self.rng.random() < 0.6:
            return f"{self.rng.randrange(501, 99950):05d}" + (
                f"-{self.rng.randrange(10_000):04d}" if self.rng.random() < 0.15 else ""
            )
        return self._pick("postcode", self.locale())

    def country(self) -> str:
        return self.rng.choice(self.countries)

    # organisations

    def hospital(self) -> str:
        base = self.rng.choice(
            (
                self.town(),
                self.last_name("en_US"),
                f"St. {self.first_name('en_US')}'s",
                f"St. {self.first_name('en_US')}",
                f"{self.last_name('en_US')} Memorial",
                f"Mount {self.place.make(self.rng)}",
            )
        )
        kind = self.rng.choice(
            (
                "Hospital",
                "General Hospital",
                "Medical Center",
                "Clinic",
                "University Hospital",
                "Health Center",
                "Regional Medical Center",
                "Family Practice",
                "Surgery",
                "Rehabilitation Center",
                "Nursing Home",
                "Cancer Institute",
                "Children's Hospital",
                "Health",
                "Infirmary",
                "Veterans Hospital",
                "Hospice",
                "Imaging",
                "Care Center",
                "Pharmacy",
            )
        )
        return f"{base} {kind}"

    def company(self) -> str:
        r = self.rng.random()
        if r < 0.5:
            return self._pick("company", self.locale())
        base = self.last.make(self.rng) if r < 0.8 else self.place.make(self.rng)
        return base + self.rng.choice(
            (
                "",
                "",
                " Inc.",
                " Ltd",
                " Group",
                " and Sons",
                " GmbH",
                " LLC",
                " Bank",
                " Corporation",
                " School",
                " University",
                " High School",
                " Partners",
                " Technologies",
                " Foods",
                " Construction",
                " Insurance",
                " Airlines",
                " Transport",
                " Farms",
                " Steel",
                " Electric",
                " Hotel",
                " Library",
                " Museum",
                " Church",
                " College",
                " Academy",
                " Police Department",
                " Law Firm",
                " Stores",
                " Brothers",
                " Elementary",
                " Warehouse",
                " Salon",
            )
        )
