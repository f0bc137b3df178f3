"""Codes that identify nobody: each fits the grammar, check digit or shipped table of its published code system."""

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

from galenic.privacy.deidentification.rules.coded_words import is_clinical, words_of
from galenic.records.fhir import r4
from galenic.records.terminology import Terminology, hl7_codes

_D = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6), (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
      (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1), (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
      (8, 7, 6, 5, 9, 3, 2, 1, 0, 4), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0))  # fmt: skip
_P = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2), (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
      (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
      (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8))  # fmt: skip


def fits_snomed(code: str) -> bool:
    """SNOMED CT identifier: 6 to 18 digits, a partition that SNOMED International assigns, Verhoeff's check digit."""
    if not re.fullmatch(r"[1-9]\d{5,17}", code) or code[-3:-1] not in ("00", "01", "02", "10", "11", "12", "06", "16"):
        return False
    check = 0
    for i, digit in enumerate(reversed(code)):
        check = _D[check][_P[i % 8][int(digit)]]
    return check == 0


def fits_loinc(code: str) -> bool:
    """LOINC number, part (LP) or answer (LA): up to 7 digits, a hyphen, and a check digit modulo 10 (Luhn)."""
    m = re.fullmatch(r"(?:LP|LA|LL|LG)?(\d{1,7})-(\d)", code)
    if m is None:
        return False
    doubled = [int(d) * (1 + (i + 1) % 2) for i, d in enumerate(reversed(m[1]))]
    return (10 - sum(n - 9 * (n > 9) for n in doubled) % 10) % 10 == int(m[2])


_SNOMED, _LOINC, _UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
_HL7_TABLES = re.compile(r"2\.16\.840\.1\.113883\.(?:5|11|12)\.\d{1,5}(?:\.\d{1,3})?")


@cache
def _known() -> dict[str, dict[str, str]]:
    return tomllib.loads(
        files("galenic.privacy.deidentification.rules").joinpath("known_values.toml").read_text(encoding="utf-8")
    )


@cache
def known_words(kind: str) -> frozenset[str]:
    """The values of one kind in known_values.toml."""
    return frozenset(_known()["words"][kind].split())


def _grammar() -> dict[str, str]:
    return _known()["grammar"]


def _oids() -> dict[str, str]:
    return _known()["oid"]


@cache
def _by_lower_case() -> dict[str, str]:
    return {system.casefold(): system for system in (*_grammar(), _SNOMED, _LOINC, _UCUM)}


@cache
def _terminology() -> Terminology:
    return Terminology()


@cache
def _hl7_systems() -> frozenset[str]:
    own = (system for codes in r4().codes.values() for system in codes)
    return frozenset((*_terminology().systems(), *own))


@lru_cache(10_000)
def published_system(system: str) -> str | None:
    """URI of a published code system, given by URI or OID; None if it is unknown here."""
    if "|" in system:
        return None
    oid = system.removeprefix("urn:oid:")
    if oid in _oids():
        return _oids()[oid]
    if _HL7_TABLES.fullmatch(oid):
        return oid
    return _by_lower_case().get(system.rstrip("/").casefold()) or (system if system in _hl7_systems() else None)


@lru_cache(100_000)
def fits_system(system: str, code: str) -> bool:
    """True if a code can be one of a published system, by its shipped table or, without one, by its grammar."""
    name = published_system(system)
    if name is None:
        return False
    if name == _SNOMED:
        return fits_snomed(code)
    if name == _LOINC:
        return fits_loinc(code)
    if name == _UCUM:
        return is_unit(code)
    if name in _grammar():
        return re.fullmatch(_grammar()[name], code) is not None
    if _HL7_TABLES.fullmatch(name):
        return code in hl7_code_words()
    return _terminology().validate(name, code).state == "found" or code in _bound_codes().get(name, frozenset())


@cache
def _bound_codes() -> dict[str, frozenset[str]]:
    systems: dict[str, set[str]] = {}
    for codes in r4().codes.values():
        for system, some in codes.items():
            systems.setdefault(system, set()).update(some)
    return {system: frozenset(codes) for system, codes in systems.items()}


@cache
def hl7_code_words() -> frozenset[str]:
    """Codes of HL7 version 2 and 3 tables."""
    return frozenset(
        code for version in ("v2", "v3") for code in hl7_codes(f"http://terminology.hl7.org/CodeSystem/{version}-")
    )


@lru_cache(50_000)
def display_of(system: str, code: str) -> str | None:
    """The display that the shipped table gives a code; None if it has none."""
    name = published_system(system)
    found = _terminology().validate(name, code) if name else None
    return found.concept.display if found is not None and found.concept is not None else None


_UNIT_SPLIT = re.compile(r"\d+(?:\.\d+)?|[./*^()\[\]\s+-]+")


@lru_cache(20_000)
def is_unit(unit: str) -> bool:
    """True if a text is made of units of UCUM or of words for units; notes in braces may hold known words only."""
    if len(unit) > 40 or any(run not in ("100", "1000") for run in re.findall(r"\d{3,}", unit)):
        return False
    notes = re.findall(r"\{([^{}]*)\}", unit)
    if any(not is_clinical(word) for note in notes for word in words_of(note)):
        return False
    units = known_words("units")
    rest = re.sub(r"\{[^{}]*\}", " ", unit).replace("10*", " ").replace("10^", " ")
    atoms = [a for a in _UNIT_SPLIT.split(rest) if a]
    return bool(atoms or notes or "10*" in unit or "10^" in unit) and all(
        a in units or a.replace("µ", "u").replace("μ", "u") in units for a in atoms
    )
