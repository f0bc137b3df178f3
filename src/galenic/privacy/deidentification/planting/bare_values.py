"""Bare identifiers to plant in place of short values, without context that reveals their kind."""

from galenic.privacy.deidentification.planting.identifiers import TRIES, IdentifierMaker, Plant

# given and family names that are words of ordinary text
_GIVEN_WORDS = (
    "Hope", "Grace", "Faith", "Joy", "Rose", "Summer", "Dawn", "Frank", "Heather", "Ivy",
    "Olive", "Violet", "Ruby", "Pearl", "Amber", "Crystal", "Autumn", "Melody", "Harmony", "Chase",
)  # fmt: skip
_FAMILY_WORDS = (
    "Young", "Long", "Short", "Brown", "King", "Price", "Cook", "Field", "Baker", "Carpenter",
    "Fisher", "Hunter", "Mason", "Parker", "Shepherd", "Stone", "Waters", "Woods", "Marsh", "Banks",
)  # fmt: skip
_STREETS = ["Maple", "Oak", "Cedar", "Elm", "Walnut", "Chestnut", "Church", "Mill", "Lake", "Hill"]
_WAYS = ("Street", "Avenue", "Road", "Lane", "Drive")
KINDS = ("name", "phone", "record", "name", "street", "postcode", "common name")
SHORT = 90  # characters of a value that is replaced as a whole


def bare_plant(maker: IdentifierMaker, stratum: str, number: int, kept: frozenset[str]) -> Plant | None:
    """An identifier of the kinds in turn; None if the policy keeps that kind."""
    what = KINDS[number % len(KINDS)]
    kind = {"street": "place", "postcode": "place", "common name": "name"}.get(what, what)
    if kind in kept:
        return None
    return Plant(stratum, kind, _value(maker, what))


def common_name(maker: IdentifierMaker) -> str:
    """Given and family name that are words of ordinary text."""
    return f"{_unused(maker, _GIVEN_WORDS)} {_unused(maker, _FAMILY_WORDS)}"


def _value(maker: IdentifierMaker, what: str) -> str:
    if what == "common name":
        return common_name(maker)
    if what == "phone":
        return f"{maker.rng.integers(201, 989)}-{maker.rng.integers(1001, 9999)}"
    if what == "street":
        return f"{maker.rng.integers(10, 9999)} {maker.pick(tuple(_STREETS))} {maker.pick(_WAYS)}"
    if what == "postcode":
        return maker.shaped(maker.pick(("94612", "K1A 4B6", "SW4A 3AB")))
    return maker.name("Two Words") if what == "name" else maker.record()


def _unused(maker: IdentifierMaker, words: tuple[str, ...]) -> str:
    """A word that no name of this copy has, if there is one left."""
    for _ in range(TRIES):
        word = maker.pick(words)
        if word.casefold() not in maker.used:
            break
    maker.used.add(word.casefold())
    return word
