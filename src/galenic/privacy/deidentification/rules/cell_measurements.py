"""Measurements in cells: numbers with units, pairs that can be clinical, and values that could be an age above 89."""

import re

from galenic.privacy.deidentification.rules.quantities import OLDEST, is_over_89
from galenic.privacy.deidentification.rules.vocabulary import fold, word_set

_AMOUNT = r"[+-]?\d{1,6}(?:[.,]\d{1,4})?"
_UNIT = r"[a-zA-Zµμ%°Ωåμ/²³⁹·*^\[\]()\d .'{}_-]{1,24}"
_SIGN = r"[<>≤≥~≈±=]{1,2}"
_MEASUREMENT = re.compile(
    rf"(?P<sign>{_SIGN}\s?)?(?P<numbers>{_AMOUNT}(?:\s?(?:-|–|/|x|×|:|\+|±|to|bis|a|à)\s?(?:[<>≤≥]=?\s?)?{_AMOUNT}){{0,3}})"
    rf"\s?(?P<more>\+)?(?P<unit>{_UNIT})?"
)
_UNITS = word_set("units")
_NUMBERED = re.compile(r"\d\s?[-–]\s?\d+\s?[-–]\s?\d|(?:\d\D{0,2}){11}")  # parts or digits as numbers of people have
_POWER = re.compile(r"(?:m|cm|mm|µm|um|dm|s|sec|x10e?|e)\d{1,2}")  # of a unit
_PARTS = re.compile(r"[/·*^.\s()\[\]{}_-]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_ONE_LETTER = frozenset(("g", "l", "u", "j"))  # units of numbers of four digits (birth weight 3250 g)
_TITRE = re.compile(r"1\s?[:/]\s?(\d{1,5})")
_SIZE = re.compile(r"[\d.,\s]+(?:[x×][\d.,\s]+){2,3}")  # 12 x 8 x 6
_BETWEEN = re.compile(r"\d\s?(?:-|–|to|bis|a|à)\s?\d")
_SEXES = frozenset("fmwhv")  # F, M, W, H (hombre, homme), V (varón)
_LONGEST_LIFE = 130
_YEARS = r"(?:years?|yrs?|y/?o|y\.o|yo|jahren?|j|ans|anos?|anni|jaar)\b"
_STATED_AGE = re.compile(
    rf"(?<![\d.,])(?:9\d|1[0-2]\d)(?:[.,]\d)?(?:\s?(?:-|–|to|bis|and|y|a)\s?\d{{2,3}})?\s?-?{_YEARS}"
    r"|\b(?:aged?|alter|edad|eta|idade|leeftijd|lebensjahr)\W{0,3}(?:9\d|1[0-2]\d)\b"
    r"|\b(?:ninet(?:y|ies)|neunzig|noventa|novanta|negentig|nonagenari|centenari|hundertjahrig)"
)


def measurement_class(value: str) -> str | None:
    """The class of a number, comparison, range or ratio: measurement; age, in years above 89; possible age (95M, 92-97); None if it is none."""
    m = _MEASUREMENT.fullmatch(value)
    if m is None or _NUMBERED.search(value):
        return None
    unit, numbers = (m["unit"] or "").strip(), _NUMBER.findall(m["numbers"])
    if unit and not (is_unit(unit) or _is_written_unit(unit)):
        return None
    if not (_fits_unit(numbers, unit.casefold()) if unit else _fits_without_unit(m, numbers)):
        return None
    amounts = [float(n.replace(",", ".")) for n in numbers]
    if unit and any(is_over_89(a, fold(unit)) for a in amounts):
        return "age"
    old = any(OLDEST < a < _LONGEST_LIFE for a in amounts) and all(a.is_integer() and a < _LONGEST_LIFE for a in amounts)
    compared = not unit and bool(m["sign"] or m["more"] or _BETWEEN.search(m["numbers"]))
    return "possible age" if old and (compared or unit.casefold() in _SEXES) else "measurement"


def states_age_over_89(value: str) -> bool:
    """True if words around a number, or words alone, state an age above 89."""
    return _STATED_AGE.search(fold(value)) is not None


def is_unit(value: str) -> bool:
    """A unit of measurement alone."""
    plain = value.lower().replace("²", "2").replace("³", "3").replace("⁹", "9")
    parts = [p for p in _PARTS.split(plain) if p]
    known = all(p in _UNITS or _POWER.fullmatch(p) for p in parts)
    return bool(parts) and known and sum(c.isdigit() for c in value) <= 4 and not value.isdigit()


def _is_written_unit(unit: str) -> bool:
    """Parts of units in any number, of which one is no number."""
    parts = [p for p in _PARTS.split(unit.lower()) if p]
    return all(p in _UNITS for p in parts) and any(not p.isdigit() for p in parts)


def _fits_unit(numbers: list[str], unit: str) -> bool:
    """True if numbers are as short or as round as measured ones: 841221-9684 f is none."""
    letters = sum(c.isalpha() for c in unit)
    for digits in map(_whole, numbers):
        long_unit = letters > 1 or "%" in unit
        if len(digits) > 4 and not (long_unit and int(digits) % 100 == 0):
            return False
        if len(digits) == 4 and not long_unit and (unit not in _ONE_LETTER or len(numbers) > 1):
            return False
    return True


def _fits_without_unit(m: re.Match[str], numbers: list[str]) -> bool:
    """True if a comparison, range or ratio without a unit can be clinical: of two numbers of up to three digits, or a titre."""
    if len(numbers) == 1:
        digits = _whole(numbers[0])
        return len(digits) <= (3 if m["more"] else 4) or int(digits) % 100 == 0
    titre = _TITRE.fullmatch(m["numbers"])
    if titre is not None and not titre[1].startswith("0"):
        dilution = int(titre[1])
        return dilution <= 999 or dilution % 10 == 0 or dilution & (dilution - 1) == 0
    if len(numbers) > 2 and not _SIZE.fullmatch(m["numbers"]):
        return False
    return all(len(_whole(n)) <= 3 and len(n) - len(_whole(n)) <= 3 and not re.match(r"0\d", n) for n in numbers)


def _whole(number: str) -> str:
    return re.split(r"[.,]", number)[0]
