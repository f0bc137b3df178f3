"""Codes and words of the terminologies that the package ships: ICD-10-CM, and the code systems of HL7."""

import re
from functools import cache

import pyarrow.compute as pc

from galenic.records.terminology.tables import HL7, SHIPPED, shipped_table

_WORD = re.compile(r"[^\W\d_]+")


@cache
def shipped_words() -> frozenset[str]:
    """Words of all displays, in lower case."""
    texts = ("\n".join(shipped_table(name)["display"].drop_null().to_pylist()) for name in (HL7, *SHIPPED.values()))
    return frozenset(word for text in texts for word in _WORD.findall(text.casefold()))


@cache
def hl7_codes(prefix: str) -> frozenset[str]:
    """All codes of the code systems of HL7 whose URI begins with a text."""
    rows = shipped_table(HL7)
    return frozenset(rows.filter(pc.starts_with(rows["system"], prefix))["code"].to_pylist())
