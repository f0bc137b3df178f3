"""Clinical forms with digits that identify nobody: variants of genes, stages, grades, markers, doses and codes of ICD-10-CM."""

import re

from galenic.records.terminology import icd10_codes

_AMINO = "Ala|Arg|Asn|Asp|Cys|Gln|Glu|Gly|His|Ile|Leu|Lys|Met|Phe|Pro|Ser|Thr|Trp|Tyr|Val|Ter"
_POSTCODE = re.compile(r"(?<!\w)(?!T\dN\dM\d)(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d)(?!\w)", re.I)
_FORMS = re.compile(
    r"(?<![\w.])(?:"
    r"[ACDEFGHIKLMNPQRSTVWY]\d{2,4}(?:[ACDEFGHIKLMNPQRSTVWY*]|fs|del|dup)"  # a change of protein, HGVS in one letter
    rf"|p\.\(?(?:{_AMINO})\d{{1,4}}(?:{_AMINO}|fs|del|dup|=)\)?|p\.[A-Z]\d{{1,4}}[A-Z*]|c\.\d{{1,4}}(?:[+-]\d{{1,2}})?[ACGT]>[ACGT]"
    r"|[cpyrmu]{0,2}T(?:is|[0-4X][a-d]?)\s?N[0-3X][a-c]?(?:\s?M[01X][a-c]?)?"
    r"|[cpyrmu]{0,2}(?:T(?:is|[0-4X][a-d]?)|N[0-3X][a-c]?|M[01X][a-c]?)"
    r"|(?:I{1,3}|IV)[ABC]?\d?|G[1-4]|[CTLS]\d{1,2}[-/](?:[CTLS])?\d{1,2}"  # stages, grades, vertebrae
    r"|q\d{1,2}h|[Qq]\d{1,2}[Hh]|\d{1,3}(?:st|nd|rd|th)|\d{1,2}[a-zA-Z]|\d{1,2}[pq]\d{0,2}(?:\.\d{1,2})?"
    r"|CD\d{1,3}[a-z+-]?|CA[ -]?(?:125|15-3|19-9|27[.-]29|72-4)|HPV[ -]?\d{1,2}|CYP\d[A-Z]\d{1,2}|H\d{1,2}N\d{1,2}"
    r"|H2O|S-?100|FIO2|COVID-19|SARS-CoV-2?"
    r"|[A-Z]{2,4}\d|[A-Z]\d{1,2}|PD-L1|HbA1c|A1c"  # HER2, BRCA1, B12, L5
    r")(?![\w])"
)
_ICD = re.compile(r"(?<![\w.])[A-TV-Z]\d[\dA-Z](?:\.[\dA-Z]{1,4})?(?![\w.]\w)")
_FRACTIONS = re.compile(r"(?<![\w/.-])(?:BP\s?)?\d{2,3}/\d{2,3}(?![\w/.-])|(?<![\w/.-])(?P<a>[1-9])/(?P<b>[1-9]|10)(?![\w/.-])")


def clinical_spans(text: str) -> list[tuple[int, int]]:
    """Positions of clinical forms; a postal code with the same letters and digits is not one."""
    postal = [m.span() for m in _POSTCODE.finditer(text)]
    found = [m.span() for m in _FORMS.finditer(text)]
    found += [m.span() for m in _ICD.finditer(text) if m[0].replace(".", "") in icd10_codes()]
    found += [m.span() for m in _FRACTIONS.finditer(text) if _is_fraction(m)]
    return [(a, b) for a, b in found if not any(a < d and c < b for c, d in postal)]


def _is_fraction(m: re.Match[str]) -> bool:
    """Blood pressures and grades such as 3/6; of numbers that may be a day and a month only equal ones and those out of six or ten."""
    if m["a"] is not None:
        return m["a"] == m["b"] or m["b"] in ("5", "6", "10")
    a, b = map(int, m[0].removeprefix("BP").strip().split("/"))
    return max(a, b) > 31 or a == b


def postal_codes(text: str) -> list[tuple[int, int]]:
    """Positions of postal codes with letters (British and Canadian)."""
    return [m.span() for m in _POSTCODE.finditer(text)]
