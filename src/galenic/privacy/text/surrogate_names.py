"""Surrogates for names, of the same culture and gender if lists show them, and for places and organizations."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from galenic.errors import MissingExtraError
from galenic.privacy.text.stated_identifiers import fold

# cultures with lists of names; a name of any other becomes a name of the first
CULTURES = (
    "en_US",
    "es_ES",
    "es_MX",
    "fr_FR",
    "de_DE",
    "it_IT",
    "pt_BR",
    "nl_NL",
    "pl_PL",
    "sv_SE",
    "tr_TR",
    "en_IN",
    "vi_VN",
    "ro_RO",
    "hu_HU",
    "fi_FI",
)


@dataclass(frozen=True)
class NameLists:
    """Sorted lists of names of one culture."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]


@cache
def _cultures() -> tuple[NameLists, ...]:
    cultures = []
    for locale in CULTURES:
        try:
            provider = import_module(f"faker.providers.person.{locale}").Provider
        except ModuleNotFoundError:
            raise MissingExtraError("surrogate names need the package Faker", "text") from None
        lists = (
            _of(provider, "first_names_female"),
            _of(provider, "first_names_male"),
            _of(provider, "last_names", "last_names_female"),
        )
        cultures.append(NameLists(*lists))
    return tuple(cultures)


def _of(provider: type, *names: str) -> tuple[str, ...]:
    for name in names:
        listed = getattr(provider, name, None)
        if isinstance(listed, tuple | list | dict) and len(listed) > 5:
            return tuple(sorted({str(n) for n in listed if str(n).isalpha()}))
    return ()


@cache
def _name_index() -> dict[str, tuple[int, str]]:
    """By name in lower case: (culture, list) of the first culture that has it."""
    index: dict[str, tuple[int, str]] = {}
    for part in ("women", "men", "families"):
        for i, culture in enumerate(_cultures()):
            for name in getattr(culture, part):
                index.setdefault(fold(name), (i, part))
    return index


def is_listed_name(word: str) -> bool:
    """True if the word is a listed name."""
    return fold(word) in _name_index()


def listed_names() -> frozenset[str]:
    """Every name of every culture in lower case."""
    return frozenset(n.lower() for c in _cultures() for part in (c.women, c.men, c.families) for n in part)


def given_name(number: int, like: str) -> str:
    """Given name of the culture and gender of `like` (lower case); "" if that is a family name; any name if `like` is ""."""
    culture, part = _name_index().get(like, (0, "families")) if like else (0, "women" if number % 2 else "men")
    names = getattr(_cultures()[culture], part)
    return "" if part == "families" else str(names[number // 2 % len(names)])


def surname(number: int, like: str) -> str:
    """A family name of the culture of `like`."""
    families = _cultures()[_name_index().get(like, (0, ""))[0]].families or _cultures()[0].families
    return str(families[number % len(families)])


_TOWN_SUFFIXES = ("ville", "ton", "field", "burg", "ford", "wood")
_ORGANIZATION_TYPES = (
    "hospital",
    "clinic",
    "center",
    "centre",
    "school",
    "university",
    "bank",
    "pharmacy",
    "institute",
    "college",
    "church",
    "home",
)


def town_name(number: int) -> str:
    """An invented town."""
    return surname(number, "") + _TOWN_SUFFIXES[number // 1000 % len(_TOWN_SUFFIXES)]


def street_address(number: int) -> str:
    """An invented street with a number."""
    return f"{number // 7 % 980 + 10} {surname(number, '')} {('Street', 'Avenue', 'Road', 'Lane')[number % 4]}"


def company_name(number: int, like: str) -> str:
    """An invented organization of the same type as `like`."""
    kind = next((k for k in _ORGANIZATION_TYPES if k in like.casefold()), "")
    return f"{surname(number, '')} {kind.capitalize()}" if kind else f"{surname(number, '')} & {surname(number // 3, '')}"
