"""Form of a column's values, from the values and the header, without the rules of de-identification except names of measures."""

import re
from collections.abc import Collection

from galenic.errors import MissingExtraError
from galenic.privacy.deidentification.planting.dates import format_of
from galenic.privacy.deidentification.rules.column_headers import header_kinds, header_tokens
from galenic.privacy.deidentification.rules.vocabulary import word_set
from galenic.privacy.text import is_listed_name

_FORMS = {  # kind by the form of a whole value
    "record": re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=.*\d)[0-9a-fA-F]{16,}"),  # UUIDs and digests
    "email": re.compile(r"[^@\s]+@[^@\s]+\.\w+"),
    "ssn": re.compile(r"\d{3}-\d\d-\d{4}"),
    "phone": re.compile(  # one point or comma alone is that of a decimal number, unless it divides as in 555.0100
        r"(?=(?:\D*\d){7,15}\D*$)(?!\d+[.,]\d+$)\+?[\d(][\d ()./-]*[ ()./-][\d ()./-]*|\d{3}\.\d{4}"
    ),
}
_HEADERS = {  # kind by words of the header, in several languages
    "age": r"age|alter|edad|eta|idade|leeftijd|age_\w+|\w+_age",
    "phone": r"\w*phone|tel|telefon\w*|telefono|mobile|cell|fax|handy",
    "ssn": r"ssn|social_security\w*|nhs_?n\w*|dni|nif|bsn|national_id",
    "place": r"zip\w*|postal\w*|postcode|plz|street\w*|addr\w*|city|town|village|county|residence|wohnort|ort|strasse|ciudad|direccion|ville",
    "name": r"\w*name|surname|mother|father|guardian|parent|spouse|partner|kin|nok|contact|clerk|nurse|dr|doctor|physician|provider|"
    r"surgeon|author|\w+_by|pt|nachname|vorname|nombre|apellidos?|nom|prenom|medico|arzt|cognome|nome",
    "date": r"dob|birth\w*|bday|born|date|\w+date|geburts\w*|fecha\w*|datum|naissance",
    "record": r"mrn|id|\w*_id|\w+id|record\w*|accession|chart|case_?n\w*|number|no|nr",
}
_HEADER_PATTERNS = {kind: re.compile(rf"(?:^|_)(?:{words})(?:$|_)") for kind, words in _HEADERS.items()}
_WORD = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\D*(?:\d\D{0,2}){4,}")
TEXT_WORDS = 4  # median words of a cell from which a column is text
LONG_NUMBER = 6  # digits of a number that tells people apart
DISTINCT = 0.9  # share of distinct values of a column that tells rows apart


def words_of_header(name: str) -> str:
    """The header in lower case with underscores between its words."""
    return re.sub(r"[^\w]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()


def form_of_column(name: str, values: Collection[str], rows: int, common: frozenset[str]) -> str | None:
    """Kind of identifier that a column's distinct values look like, or "text"; None for measurements and categories.

    rows: number of rows with a value. common: words of ordinary text.
    """
    if not values:
        return None
    header = words_of_header(name)
    hinted = [kind for kind, pattern in _HEADER_PATTERNS.items() if pattern.search(header)]
    if format_of(list(values)) and not _is_number_column(values):
        return "date"
    for kind, pattern in _FORMS.items():
        if _share(values, lambda v, p=pattern: bool(p.fullmatch(v.strip()))) >= 0.5:
            return kind
    if _is_number_column(values):
        form = _form_of_numbers(values, hinted, rows)
        return None if form == "record" and not hinted and _names_measure(name) else form
    if "date" in hinted and any(format_of([v]) for v in values):
        return "date"
    if _median_words(values) >= TEXT_WORDS:
        return "text"
    return _form_of_words(values, hinted, rows, common)


def _share(values: Collection[str], test: object) -> float:
    return sum(bool(test(v)) for v in values) / len(values)  # type: ignore[operator]


def _is_number_column(values: Collection[str]) -> bool:
    return _share(values, lambda v: re.fullmatch(r"[-+]?\d+(?:[.,]\d+)?", v.strip())) >= 0.9


def _form_of_numbers(values: Collection[str], hinted: list[str], rows: int) -> str | None:
    whole = [v.strip() for v in values if v.strip().isdigit()]
    if "date" in hinted and format_of(whole):
        return "date"
    for kind in ("age", "phone", "ssn", "place"):
        if kind in hinted and whole:
            return kind
    lengths = {len(v) for v in whole}
    tells_apart = len(values) >= DISTINCT * rows and min(lengths, default=0) >= LONG_NUMBER and len(lengths) <= 2
    return "record" if len(whole) * 2 >= len(values) and (tells_apart or ("record" in hinted and min(lengths) >= 4)) else None


def _names_measure(name: str) -> bool:
    """True if the header names a measure, as "platelets" does: numbers of six digits under it tell nobody apart."""
    return "measure" in header_kinds(name).values and not word_set("generic_measures").intersection(header_tokens(name))


def _form_of_words(values: Collection[str], hinted: list[str], rows: int, common: frozenset[str]) -> str | None:
    if _share(values, _DIGITS.match) >= 0.5 and (len(values) >= DISTINCT * rows or "record" in hinted):
        return "record"
    if "place" in hinted:
        return "place"
    lettered = [v for v in values if _WORD.search(v)]
    if "name" in hinted and len(lettered) * 2 >= len(values) and any(_is_uncommon(v, common) for v in lettered):
        return "name"
    named = sum(_names_somebody(v, common) for v in values)
    return "name" if named * 10 >= 3 * len(values) and not any(c.isdigit() for v in values for c in v) else None


def _is_uncommon(value: str, common: frozenset[str]) -> bool:
    return any(len(w) > 1 and w.casefold() not in common for w in _WORD.findall(value))


def _names_somebody(value: str, common: frozenset[str]) -> bool:
    """A listed name that is no common word, or two or more capitalized words of which most are uncommon."""
    words = [w for w in _WORD.findall(value) if len(w) > 1]
    uncommon = [w for w in words if w.casefold() not in common]
    if "/" in value or len(words) > 4 or not uncommon:
        return False
    try:
        if any(is_listed_name(w) and w[0].isupper() for w in uncommon):
            return True
    except MissingExtraError:
        pass
    return len(words) > 1 and all(w[0].isupper() for w in words) and len(uncommon) * 2 >= len(words)


def _median_words(values: Collection[str]) -> float:
    counts = sorted(len(_WORD.findall(v)) for v in values)
    return counts[len(counts) // 2]
