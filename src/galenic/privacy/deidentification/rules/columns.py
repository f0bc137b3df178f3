"""Columns of a table without identity: each by what its description says it is, and by what its name tells."""

import hmac
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, reveals_age_over_89
from galenic.schema import Column

_NAMES = {  # what a column's name tells of what stands in it, by whole words of it; the first that fits
    "ssn": r"ssn|social_sec\w*|nhs|national_(?:id|number)",
    "email": r"e?_?mail",
    "fax": r"fax",
    "phone": r"\w*phone|mobile|cell|tel",
    "url": r"url|web_?site|web_?page",
    "ip": r"ip|ip_?addr\w*",
    "place": r"zip\w*|postal\w*|postcode|plz|street\w*|address\w*|addr\d?|city|town|village|county|district|birth_?place|residence",
    "record": r"mrn|(?:medical|patient|hospital)_?(?:record|number|no|id)|accession|(?:encounter|visit|stay|hadm|icustay)_?id",
    "plan": r"(?:member|policy|insur\w*|beneficiary)_?(?:id|no|number)",
    "account": r"account|acct|iban|card_?(?:no|number)",
    "licence": r"licen[cs]e|npi|dea_?(?:no|number)|passport",
    "vehicle": r"vin|plate_?(?:no|number)|vehicle",
    "device": r"serial\w*|device_?id|udi",
    "name": r"\w*_name|name|names|surname|forename|lastname|firstname|fullname|physician|doctor|provider|surgeon|author",
    "organisation": r"hospital|employer|school|clinic|company|facility",
    "age": r"age|age_?(?:at|in)_?\w+|\w+_age",
    "photo": r"photo|image_?path",
    "biometric": r"finger\w*|voice\w*|retina|biometric",
}
_TOLD = {kind: re.compile(rf"(?:^|_)(?:{pattern})(?:$|_)") for kind, pattern in _NAMES.items()}
LONG_NUMBER = 10_000_000  # whole numbers that are all as large are numbers of somebody or something
_KNOWN = ("name", "ssn", "record", "phone", "email", "plan", "account")  # what a row's own texts are searched for
DEMOGRAPHIC = re.compile(
    r"(^|_)(age|sex|gender|race|ethnic\w*|zip\w*|postal\w*|postcode|birth\w*|dob|marital\w*|education\w*|occupation|profession|language|religion|income|"
    r"country|region|state|province|nationality|admission_?date|discharge_?date|date)(_|$)",
    re.I,
)


def identifier_kind(name: str) -> str | None:
    """The kind of identifier that a column's name speaks of; None where it speaks of none."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).strip().lower().replace(" ", "_").replace("-", "_")
    return next((kind for kind, pattern in _TOLD.items() if pattern.search(plain)), None)


def is_demographic(column: Column) -> bool:
    """Whether others commonly know what stands in it: by its name, and as it comes out."""
    return bool(DEMOGRAPHIC.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name))) and column.kind not in (
        "identifier",
        "text",
    )


_ISO = re.compile(r"\d{4}-\d\d-\d\d")
Treat = Callable[[list[str | None], list[Replacer], list[StatedIdentifiers | None]], list[str | None]]


@dataclass
class ColumnRules:
    """What a table's columns go through. key: 32 bytes of the run: the patients' numbers become tokens under it."""

    detector: Detector
    policy: dict[str, str]
    key: bytes
    taken: TextFindings = field(default_factory=TextFindings)
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        plain = replace(self.detector, tagger=None)
        self.plain = lru_cache(100_000)(lambda text: tuple(plain.find(text)))

    def token(self, value: str) -> str:
        """A keyed token for a patient's number."""
        return hmac.digest(self.key, f"patient\0{value}".encode(), "sha256")[:8].hex()

    def treatment(self, column: Column) -> Treat | None:
        """What is done with each value of a column; None: it is left out."""
        if column.role == "patient":
            return self._tokens
        kind = identifier_kind(column.name)
        if column.kind == "date":
            return None if self.policy["date"] in ("redact", "mask") else self._dates
        if column.kind == "text":
            return self._texts
        if column.role == "drop":
            return None
        if kind == "age":
            return self.ages
        if column.kind == "identifier" and kind is None:
            kind = "other"
        if kind is None and column.kind == "integer" and (column.low or 0) >= LONG_NUMBER:
            kind = "other"
        if kind is None:
            return self.numbers if column.kind in ("numeric", "integer") else self.values
        return None if self.policy[kind] == "redact" else self._whole(kind)

    def knows(self, column: Column) -> str | None:
        """The kind under which a column's value is searched for in the texts of its row."""
        kind = identifier_kind(column.name)
        return "record" if column.role == "patient" else kind if kind in _KNOWN else None

    def _tokens(
        self, values: list[str | None], replacers: list[Replacer], _known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        self.taken.found["record", "field"] += sum(v is not None for v in values)
        for replacer in replacers[:1]:
            replacer.count("record", "tokenise")
        return [None if v is None else self.token(v) for v in values]

    def _whole(self, kind: str) -> Treat:
        def treat(
            values: list[str | None], replacers: list[Replacer], _known: list[StatedIdentifiers | None]
        ) -> list[str | None]:
            self.taken.found[kind, "field"] += sum(v is not None for v in values)
            return [None if v is None else r.value(kind, v) for v, r in zip(values, replacers, strict=True)]

        return treat

    def _dates(
        self, values: list[str | None], replacers: list[Replacer], _known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        """ISO dates: kept, moved with the patient's others, or their year alone."""
        self.taken.found["date", "field"] += sum(v is not None for v in values)
        out: list[str | None] = []
        for value, replacer in zip(values, replacers, strict=True):
            if value is None:
                out.append(None)
            elif not _ISO.match(value):
                out.append(replacer.value("date", value))
            elif self.policy["date"] == "generalise":
                replacer.count("date", "generalise")
                out.append(None if reveals_age_over_89(int(value[:4])) else value[:4])
            else:
                out.append(replacer.value("date", value[:10]) + value[10:])
        return out

    def ages(
        self, values: list[str | None], replacers: list[Replacer], _known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        """Above 89 all are 90 (45 CFR 164.514(b)(2)(i)(C)), unless the policy keeps ages."""
        if self.policy["age"] == "keep":
            return values
        out: list[str | None] = []
        for value, replacer in zip(values, replacers, strict=True):
            try:
                old = value is not None and float(value) > 89
            except ValueError:
                old = False
            if old:
                self.taken.found["age", "field"] += 1
                replacer.count("age", "generalise")
            out.append("90" if old else value)
        return out

    def _texts(
        self, values: list[str | None], replacers: list[Replacer], known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        return [
            None if v is None else deidentify_text(v, self.detector, r, k, self.taken)
            for v, r, k in zip(values, replacers, known, strict=True)
        ]

    def numbers(
        self, values: list[str | None], _replacers: list[Replacer], _known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        """Measurements, as they are."""
        return values

    def values(
        self, values: list[str | None], replacers: list[Replacer], _known: list[StatedIdentifiers | None]
    ) -> list[str | None]:
        """Categories: what has the form of an identifier goes."""
        out: list[str | None] = []
        for value, replacer in zip(values, replacers, strict=True):
            spans = [s for s in self.plain(value) if s.kind != "date" or len(value) > 12] if value else ()
            self.taken.found.update((s.kind, s.layer) for s in spans)
            out.append(replacer.text(value, spans) if value and spans else value)
        return out
