"""Words of the shipped terminologies, to recognize clinical terms in values that are not codes."""

import re
from functools import cache

import pyarrow.compute as pc

from galenic.records.terminology.tables import HL7, SHIPPED, shipped_table

_WORD = re.compile(r"[^\W\d_]{2,}")
_ICD = SHIPPED["http://hl7.org/fhir/sid/icd-10-cm"]


@cache
def ordinary_words() -> frozenset[str]:
    """Words that some display has in lower case, so they are not names of people or places."""
    return frozenset(w for w in _words() if w.islower())


@cache
def capitalized_words() -> frozenset[str]:
    """Words that ICD-10-CM's displays never have in lower case: eponyms such as Parkinson, and first words."""
    return frozenset(w.lower() for w in _words() if not w.islower()) - ordinary_words()


@cache
def icd10_categories() -> frozenset[str]:
    """The three-character categories of ICD-10-CM."""
    return frozenset(pc.unique(pc.utf8_slice_codeunits(shipped_table(_ICD)["code"], 0, 3)).to_pylist())


@cache
def icd10_codes() -> frozenset[str]:
    """The codes of ICD-10-CM without the dot."""
    return frozenset(pc.unique(pc.replace_substring(shipped_table(_ICD)["code"], ".", "")).to_pylist())


@cache
def _words() -> frozenset[str]:
    displays = (shipped_table(name)["display"] for name in (_ICD, HL7))
    parts = (pc.unique(pc.list_flatten(pc.split_pattern(one.combine_chunks(), " "))).to_pylist() for one in displays)
    return frozenset(w for part in parts for text in part if text for w in _WORD.findall(text))
