"""Columns that identify people by their headers, with the knowledge of de-identification: names, birth dates, telephone numbers, …"""

from galenic.privacy.deidentification.rules.column_headers import header_kinds
from galenic.schema import Column

IDENTIFIERS = {
    "name": "names of people",
    "birth": "dates of birth",
    "phone": "telephone numbers",
    "fax": "fax numbers",
    "email": "e-mail addresses",
    "ssn": "social security numbers",
    "licence": "license numbers",
}


def identifying_headers(names: tuple[str, ...]) -> dict[str, str]:
    """Name of each column that announces an identifier, and what it holds; from the header alone."""
    kinds = {name: header_kinds(name) for name in names}
    return {n: IDENTIFIERS[k.identifier] for n, k in kinds.items() if k.identifier in IDENTIFIERS and not k.values}


def without_identifying(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The description with those columns as identifiers that are left out. Their origin is a dictionary: no row decided it."""
    found = identifying_headers(tuple(c.name for c in columns if c.role == "value"))
    return tuple(
        Column(c.name, "identifier", role="drop", missing=c.missing, kind_origin="dictionary") if c.name in found else c
        for c in columns
    )
