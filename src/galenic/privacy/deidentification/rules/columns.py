"""De-identification of table columns: each by its description (kind, role) and by its name."""

import hmac
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, reveals_age_over_89
from galenic.schema import Column

_NAMES = {  # kind of identifier by whole words of the column's name; the first match counts
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
_NAME_PATTERNS = {kind: re.compile(rf"(?:^|_)(?:{pattern})(?:$|_)") for kind, pattern in _NAMES.items()}
LONG_NUMBER = 10_000_000  # an integer column without smaller values holds numbers that identify
_SEARCHED = (
    "name",
    "ssn",
    "record",
    "phone",
    "email",
    "plan",
    "account",
)  # kinds whose values are searched for in a row's texts
DEMOGRAPHIC = re.compile(
    r"(^|_)(age|sex|gender|race|ethnic\w*|zip\w*|postal\w*|postcode|birth\w*|dob|marital\w*|education\w*|occupation|profession|language|religion|income|"
    r"country|region|state|province|nationality|admission_?date|discharge_?date|date)(_|$)",
    re.I,
)


def identifier_kind(name: str) -> str | None:
    """The kind of identifier that a column's name suggests; None if it suggests none."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).strip().lower().replace(" ", "_").replace("-", "_")
    return next((kind for kind, pattern in _NAME_PATTERNS.items() if pattern.search(words)), None)


def is_demographic(column: Column) -> bool:
    """Whether others commonly know the column's values, by its name, and they are written: a quasi-identifier."""
    return bool(DEMOGRAPHIC.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name))) and column.kind not in (
        "identifier",
        "text",
    )


_ISO = re.compile(r"\d{4}-\d\d-\d\d")
Values = list[str | None]
Stated = list[StatedIdentifiers | None]
Treatment = Callable[[Values, list[Replacer], Stated], Values]  # (values, replacer of each row, stated identifiers of each row)


@dataclass
class ColumnRules:
    """Rules for the columns of one table. key: 32 bytes of the run; patient ids become tokens under it."""

    detector: Detector
    policy: dict[str, str]
    key: bytes
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        without_tagger = replace(self.detector, tagger=None)
        self.find_patterns = lru_cache(100_000)(lambda text: tuple(without_tagger.find(text)))

    def token(self, value: str) -> str:
        """A keyed token for a patient id."""
        return hmac.digest(self.key, f"patient\0{value}".encode(), "sha256")[:8].hex()

    def treatment(self, column: Column) -> Treatment | None:
        """The treatment of a column's values; None if the column is left out."""
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

    def searched_kind(self, column: Column) -> str | None:
        """The kind of identifier as which a column's values are searched for in the texts of their rows."""
        kind = identifier_kind(column.name)
        return "record" if column.role == "patient" else kind if kind in _SEARCHED else None

    def _tokens(self, values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
        self.findings.counts["record", "field"] += sum(v is not None for v in values)
        for replacer in replacers[:1]:
            replacer.count("record", "tokenise")
        return [None if v is None else self.token(v) for v in values]

    def _whole(self, kind: str) -> Treatment:
        def replace_all(values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
            self.findings.counts[kind, "field"] += sum(v is not None for v in values)
            return [None if v is None else r.value(kind, v) for v, r in zip(values, replacers, strict=True)]

        return replace_all

    def _dates(self, values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
        """ISO dates: kept, shifted with the patient's other dates, or reduced to the year."""
        self.findings.counts["date", "field"] += sum(v is not None for v in values)
        out: Values = []
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

    def ages(self, values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
        """Ages above 89 become 90 (45 CFR 164.514(b)(2)(i)(C)), unless the policy keeps ages."""
        if self.policy["age"] == "keep":
            return values
        out: Values = []
        for value, replacer in zip(values, replacers, strict=True):
            try:
                old = value is not None and float(value) > 89
            except ValueError:
                old = False
            if old:
                self.findings.counts["age", "field"] += 1
                replacer.count("age", "generalise")
            out.append("90" if old else value)
        return out

    def _texts(self, values: Values, replacers: list[Replacer], stated: Stated) -> Values:
        return [
            None if v is None else deidentify_text(v, self.detector, r, s, self.findings)
            for v, r, s in zip(values, replacers, stated, strict=True)
        ]

    def numbers(self, values: Values, _replacers: list[Replacer], _stated: Stated) -> Values:
        """Measurements are kept."""
        return values

    def values(self, values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
        """Categories: values with the pattern of an identifier are replaced."""
        out: Values = []
        for value, replacer in zip(values, replacers, strict=True):
            spans = [s for s in self.find_patterns(value) if s.kind != "date" or len(value) > 12] if value else ()
            self.findings.counts.update((s.kind, s.layer) for s in spans)
            out.append(replacer.replace(value, spans) if value and spans else value)
        return out
