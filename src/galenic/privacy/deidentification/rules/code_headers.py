"""Code systems that a column's header names, and validation of values as their codes."""

import re
from dataclasses import dataclass

from galenic.privacy.deidentification.rules.codes import fits_loinc, fits_snomed, fits_system

_URIS = {
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "rxcui": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "cpt": "http://www.ama-assn.org/go/cpt",
    "hcpcs": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "atc": "http://www.whocc.no/atc",
    "icd9": "http://hl7.org/fhir/sid/icd-9-cm",
}
_GRAMMARS = {  # of systems without a shipped table, as their publishers describe them
    "ops": r"[1-9]-\d{2}[0-9a-z](?:\.[0-9a-z]{1,2})?",
    "ccam": r"[A-Z]{4}\d{3}",
    "ebm": r"[0-5]\d{4}[A-Z]?",
    "goa": r"[A-Z]?\d{1,4}[A-Za-z]?",
    "tarmed": r"\d\d\.\d{4}",
    "cups": r"\d{6}",
    "orpha": r"(?:ORPHA:?)?[1-9]\d{1,5}",
    "omim": r"[1-6]\d{5}",
    "hpo": r"HP:\d{7}",
    "opcs": r"[A-Z]\d\d(?:\.\d)?",
    "drg": r"[1-9]\d{0,2}|[A-Z]\d\d[A-Z]",
}
_PARTS = ("snomed", "sct", "loinc", *_URIS, *_GRAMMARS, "pzn")  # of headers, in which the longest names decide


@dataclass(frozen=True)
class CodesOfHeader:
    """Values of the code systems that a header names. systems: their short names; without any, no value passes."""

    systems: tuple[str, ...]

    def passes(self, value: str) -> bool:
        """True if a value has the form, the check digit or the table entry of one of the systems."""
        return any(_fits(system, value) for system in self.systems)


def codes_of_header(words: list[str]) -> CodesOfHeader:
    """The code systems that the words of a header name."""
    joined = "".join(words)
    return CodesOfHeader(tuple(s for s in _PARTS if s in words or (len(s) > 3 and s in joined)))


def _fits(system: str, value: str) -> bool:
    if system in ("snomed", "sct"):
        return fits_snomed(value)
    if system == "loinc":
        return fits_loinc(value)
    if system == "pzn":
        return _fits_pzn(value)
    if system in _URIS:
        return fits_system(_URIS[system], value)
    return re.fullmatch(_GRAMMARS[system], value) is not None


def _fits_pzn(value: str) -> bool:
    """Number of a drug package in Germany: eight digits, the last one a check digit modulo 11."""
    digits = value.removeprefix("PZN").lstrip("- ")
    return bool(re.fullmatch(r"\d{8}", digits)) and sum(int(d) * (i + 1) for i, d in enumerate(digits[:7])) % 11 == int(
        digits[7]
    )
