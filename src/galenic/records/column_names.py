"""Knowledge from names of columns: codes, dates, ages and identifiers. From the header alone, so nothing is told of the rows."""

import re

from galenic.records.patient_column import words_of_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES = _words(
    "zip zipcode postcode postal plz cap icd icdcm icdpcs icdo snomed loinc ndc cpt hcpcs drg msdrg atc rxnorm fips "
    "cvx opcs ops"
)
_LAST_OF_CODES = _words("code codes cd id ids")
_DATES = _words("date dates datum datetime dt dob birthdate birthday day admitted discharged fecha data datenaissance on at")
_AGES = _words("age alter edad eta idade leeftijd")
_AGE_FILLERS = _words("years year yrs a patient pat at admission in inclusion baseline entry enrolment enrollment x")
_THINGS = _words(
    "drug med medication medicine product brand generic test lab analyte procedure proc dx diagnosis disease "
    "organism specimen code column item field file event"
)
_IDENTIFYING = re.compile(
    r"(^|[_\W])(unnamed|id|ids|nbr|mrn|ssn|nhs|npi|uuid|guid|email|e_?mail|phone|fax|tel|name|surname|address|street)($|[_\W])|(^|[_\W])key$",
    re.I,
)


def is_code_name(name: str) -> bool:
    """Whether values under a name are codes, such as ZIP codes: equal or not, never more or less."""
    words = words_of_name(name)
    return bool(words) and (bool(_CODES & set(words)) or words[-1] in _LAST_OF_CODES)


def is_date_name(name: str) -> bool:
    """Whether eight digits under a name may be a date, such as 20190704."""
    return bool(_DATES & set(words_of_name(name)))


def is_age_name(name: str) -> bool:
    """Whether numbers under a name are ages in years."""
    words = set(words_of_name(name))
    return bool(words & _AGES) and words <= _AGES | _AGE_FILLERS


def is_identifying_name(name: str) -> bool:
    """Whether a name announces an identifier of a person or record, and not the name of a thing such as a drug."""
    return _IDENTIFYING.search(name) is not None and not (_THINGS & set(words_of_name(name)) and "name" in words_of_name(name))
