"""Names of people and places that consist of ordinary words (a given name beside a family name, a street, a town), found by
their context."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

from galenic.errors import MissingExtraError
from galenic.privacy.text.surrogate_names import is_listed_name
from galenic.schema import TextSpan

_WORD = re.compile(r"[^\W\d_]{2,}")
_BETWEEN = re.compile(r"(?:[ ,_-]{1,2}|\^| [A-Za-z]\.? )\Z")
_STREETS = (
    r"(?:Street|Road|Lane|Avenue|Boulevard|Terrace|Crescent|Gardens|St|Rd|Ln|Ave|Blvd|Dr|Ct|Pl|Straße|Strasse|Platz)\b"
    r"|(?<=[a-z] )(?:Drive|Way|Court|Close|Place|Square|Row|Mews|Parkway|Highway|Park)\b"
)
_HOUSE = r"\d{1,5}[A-Za-z]?,? (?:[^\W\d_][\w'’.-]{0,20} ){1,3}"
_ADDRESS = re.compile(rf"\b{_HOUSE}(?i:{_STREETS})\.?|\b(?:[A-Z][\w'’-]{{1,20}} ){{1,3}}(?:{_STREETS})\.?(?!\w)")
_HOUSE_OF = re.compile(
    r"\b(?P<w>[A-Z][a-z]+) (?:(?:Street|Road|Lane|Hill|House) )?"
    r"(?:Clinic|Hospital|Surgery|Pharmacy|School|Church|House|Practice|Infirmary|Medical Cent(?:er|re)|Health Cent(?:er|re))\b"
)
_BEFORE_A_NAME = re.compile(
    r"\b(?:(?i:mr|mrs|ms|miss|mx|dr|prof|sister|nurse|aunt|uncle|rev)\.?|(?i:spoke (?:with|to)|seen by|signed by|"
    r"called|named|accompanied by|"
    r"(?:mother|father|wife|husband|son|daughter|brother|partner|name|surname|caller|"
    r"contact)(?: is|:| called)?)) (?P<v>[A-Z][a-z]+(?: [A-Z][a-z]+)?)\b"
)
_BEFORE_A_PLACE = re.compile(
    r"\b(?i:lives? in|living in|lived in|"
    r"born in|moved to|moved from|resides in|resident of|comes from|is from|city of|town of|city:|town:|address:?) "
    r"(?P<v>(?:[A-Z][a-z]+)(?: [A-Z][a-z]+)?)\b"
)


@cache
def _words(kind: str) -> frozenset[str]:
    text = files("galenic.privacy.text").joinpath("data/ordinary_names.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)[kind].split())


def given_words() -> frozenset[str]:
    """Ordinary words, in lower case, that are given names, too."""
    return _words("given")


def family_words() -> frozenset[str]:
    """Ordinary words, in lower case, that are family names, too."""
    return _words("family")


@lru_cache(50_000)
def may_be_name(word: str) -> bool:
    """True if a lower-case word is a listed name, or an ordinary word that is also a name."""
    if word in _words("functions"):
        return False
    return word in _words("given") or word in _words("family") or _is_listed(word)


def _is_listed(word: str) -> bool:
    try:
        return is_listed_name(word)
    except MissingExtraError:
        return False


def find_names(text: str) -> Iterator[TextSpan]:
    """Spans of layer "list": two possible names in a row, one of them a given name, and words that are names or places by their
    context."""
    words = list(_WORD.finditer(text))
    for one, two in pairwise(words):
        if _BETWEEN.match(text[one.end() : two.start()]) and _is_pair(one[0], two[0], alone=len(words) == 2):
            yield TextSpan(one.start(), two.end(), "name", "list", 0.7)
    for pattern, kind in ((_BEFORE_A_NAME, "name"), (_BEFORE_A_PLACE, "place"), (_ADDRESS, "place")):
        for m in pattern.finditer(text):
            a, b = m.span("v") if "v" in pattern.groupindex else m.span()
            if kind != "name" or may_be_name(_WORD.findall(text[a:b])[0].casefold()):
                yield TextSpan(a, b, kind, "list", 0.7)
    for m in _HOUSE_OF.finditer(text):
        if may_be_name(m["w"].casefold()):
            yield TextSpan(*m.span(), "organisation", "list", 0.7)


def _is_pair(one: str, two: str, *, alone: bool) -> bool:
    if not alone and not (one[0].isupper() and two[0].isupper()):
        return False
    a, b = one.casefold(), two.casefold()
    given = _words("given")
    return (
        may_be_name(a)
        and may_be_name(b)
        and (a in given or b in given or (a not in _words("family") or b not in _words("family")))
    )


def holds_names(text: str) -> bool:
    """True if a text, such as a file name, contains two possible names in a row."""
    return next(find_names(text), None) is not None
