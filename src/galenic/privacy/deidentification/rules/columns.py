"""Treatments of table columns by their role and the policy. Cells that a role does not accept are left out."""

import hmac
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from galenic.privacy.deidentification.rules.cell_dates import CellDate, date_of_number, parse_date
from galenic.privacy.deidentification.rules.cells import cell_class
from galenic.privacy.deidentification.rules.code_headers import CodesOfHeader
from galenic.privacy.deidentification.rules.column_headers import header_words
from galenic.privacy.deidentification.rules.number_limits import NumberLimits
from galenic.privacy.deidentification.rules.vocabulary import fold, is_clinical_term, is_known, is_name, word_set
from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, reveals_age_over_89

Values = list[str | None]
Stated = list[StatedIdentifiers | None]
Treatment = Callable[[Values, list[Replacer], Stated], Values]  # (values, replacer of each row, stated identifiers of each row)

POLICY_KINDS = {
    "geo": "place",
    "zip": "place",
    "birth": "date",
    "year": "date",
}  # kinds that headers announce, and the policy's
WITHHELD = "[WITHHELD]"  # in place of words and numbers of a text that are not recognized
_WORDS_OR_NUMBERS = re.compile(r"[^\W\d_]+|\d[\d.,/:-]*")
_ZIP = re.compile(r"\d{5}(?:-\d{4})?")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)?")
_LONG_CELL = re.compile(r"[+-]?\d{9,}(?:\.0*)?")
_ALLOWED_IN_AGES = ("measurement", "age", "possible age", "fraction", "word", "boolean", "alphanumeric", "number")
_MONTHS = word_set("months")
_DAYS = word_set("days")
_OLDEST_LIVING = 115  # years, for two-digit years of birth that can be read in two ways


@dataclass
class ColumnRules:
    """Treatments of the columns of one table. key: 32 bytes of the run; patient ids become tokens under it. withheld: cells left out, by
    column."""

    detector: Detector
    policy: dict[str, str]
    key: bytes
    findings: TextFindings = field(default_factory=TextFindings)
    withheld: Counter[str] = field(default_factory=Counter)

    def token(self, value: str) -> str:
        """A keyed token for a patient id."""
        return hmac.digest(self.key, f"patient\0{value}".encode(), "sha256")[:8].hex()

    def treatment(
        self,
        name: str,
        kind: str,
        accepted: tuple[str, ...],
        limits: NumberLimits | CodesOfHeader | None = None,
        *,
        day_first: bool = False,
    ) -> Treatment | None:
        """The treatment of a column by its role; None if the column is left out."""
        by_role: dict[str, Treatment] = {
            "patient": self._tokens,
            "verbatim": lambda values, _replacers, _stated: values,
            "text": self._texts(name),
            "age": self._ages(name),
        }
        if kind in by_role:
            return by_role[kind]
        if kind in ("category", "code", "number"):
            return self._categories(name, frozenset(accepted), limits)
        if kind in ("withheld", "drop"):
            return None
        how = self.policy[POLICY_KINDS.get(kind, kind)]
        if kind in ("date", "birth", "year"):
            return None if how in ("redact", "mask") else self._dates(name, how, birth=kind == "birth", day_first=day_first)
        if how == "redact" or (kind == "geo" and how != "keep"):
            return None
        return self._whole(kind)

    def _leave_out(self, name: str, value: str | None) -> None:
        self.withheld[name] += value is not None

    def _tokens(self, values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
        self.findings.counts["record", "field"] += sum(v is not None for v in values)
        for replacer in replacers[:1]:
            replacer.count("record", "tokenise")
        return [None if v is None else self.token(v) for v in values]

    def _whole(self, header: str) -> Treatment:
        """Whole values are identifiers. Of a postal code only the area may stay; a name has no digits."""
        kind = POLICY_KINDS.get(header, header)

        def replaced(value: str, replacer: Replacer) -> str | None:
            if header == "zip" and not _ZIP.fullmatch(value):
                return None
            written = "".join(c for c in value if not c.isdigit()) if kind in ("name", "organisation") else value
            return replacer.value(kind, written)

        def replace_all(values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
            self.findings.counts[kind, "field"] += sum(v is not None for v in values)
            if self.policy[kind] == "keep":
                return values
            return [None if v is None else replaced(v, r) for v, r in zip(values, replacers, strict=True)]

        return replace_all

    def _dates(self, name: str, how: str, *, birth: bool, day_first: bool) -> Treatment:
        """Dates: kept, shifted with the patient's other dates, or reduced to the year. What is none is left out unless it is a known word."""

        def treat(values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
            self.findings.counts["date", "field"] += sum(v is not None for v in values)
            return [None if v is None else one(v, r) for v, r in zip(values, replacers, strict=True)]

        def one(value: str, replacer: Replacer) -> str | None:
            found = _date_of(value, day_first=day_first)
            if found is None:
                if cell_class(value) in ("word", "boolean"):
                    return value
                self._leave_out(name, value)
                return None
            if how == "generalise":
                replacer.count("date", "generalise")
                return _year(found, birth=birth)
            if how == "keep" or found.day is None:
                return replacer.value("date", value)
            replacer.count("date", how)
            return replacer.value("date", found.day.isoformat()) + found.time

        return treat

    def _ages(self, name: str) -> Treatment:
        """Ages above 89 become 90 (45 CFR 164.514(b)(2)(i)(C)), unless the policy keeps ages."""
        words = set(header_words(name))
        scale = 12 if words & _MONTHS else 365.25 if words & _DAYS else 1
        keep = self.policy["age"] == "keep"

        def one(value: str, replacer: Replacer) -> str | None:
            numbers = [float(n.replace(",", ".")) for n in _DIGITS.findall(value)]
            if cell_class(value) not in _ALLOWED_IN_AGES or max(numbers, default=0) > 150 * scale:
                self._leave_out(name, value)
                return None
            if keep or max(numbers, default=0) < 90 * scale:
                return value
            self.findings.counts["age", "field"] += 1
            replacer.count("age", "generalise")
            return str(int(90 * scale)) if cell_class(value) == "number" else "90 or older"

        def treat(values: Values, replacers: list[Replacer], _stated: Stated) -> Values:
            return [None if v is None else one(v, r) for v, r in zip(values, replacers, strict=True)]

        return treat

    def _texts(self, name: str) -> Treatment:
        """Texts: identifiers replaced, then words and long numbers that are not recognized."""

        def treat(values: Values, replacers: list[Replacer], stated: Stated) -> Values:
            out: Values = []
            for value, replacer, known in zip(values, replacers, stated, strict=True):
                if value is None:
                    out.append(None)
                    continue
                clean = deidentify_text(value, self.detector, replacer, known, self.findings)
                out.append(self._recognized(name, value, clean))
            return out

        return treat

    def _recognized(self, name: str, value: str, clean: str) -> str:
        """The text with words withheld that stand in the original and are neither ordinary nor clinical."""
        original = {fold(w) for w in _WORDS_OR_NUMBERS.findall(value)}
        common = self.detector.common

        def passes(word: str, *, starts: bool) -> bool:
            low = fold(word)
            if word[0].isdigit():
                return sum(c.isdigit() for c in word) <= 4 and parse_date(word) is None
            if low not in original:
                return True  # a placeholder or a surrogate
            if word[0].isupper() and not starts and is_name(low):
                return False
            return len(low) == 1 or low in common or is_known(low) or is_clinical_term(low)

        def replaced(m: re.Match[str]) -> str:
            before = clean[: m.start()].rstrip(" \"'(")
            if passes(m[0], starts=not before or before[-1] in ".!?:\n"):
                return m[0]
            self.withheld[name] += 1
            return WITHHELD

        return _WORDS_OR_NUMBERS.sub(replaced, clean)

    def _categories(self, name: str, accepted: frozenset[str], limits: NumberLimits | CodesOfHeader | None) -> Treatment:
        """Values of accepted classes are kept, numbers within their limits, and codes of the systems that the header names."""

        def passes(value: str) -> bool:
            found = cell_class(value)
            if isinstance(limits, CodesOfHeader):
                return limits.passes(value) or found in accepted
            if found == "number" and limits is not None and not limits.passes(value):
                return False
            return found in accepted and not _LONG_CELL.fullmatch(value)

        def treat(values: Values, _replacers: list[Replacer], _stated: Stated) -> Values:
            verdicts = {v: passes(v) for v in set(values) if v is not None}
            self.withheld[name] += sum(v is not None and not verdicts[v] for v in values)
            return [v if v is not None and verdicts[v] else None for v in values]

        return treat


def _date_of(value: str, *, day_first: bool) -> CellDate | None:
    found = parse_date(value, day_first=day_first)
    if found is not None:
        return found
    number = value.replace(",", ".")
    try:
        return date_of_number(float(number)) if cell_class(value) == "number" else None
    except (ValueError, OverflowError):
        return None


def _year(found: CellDate, *, birth: bool) -> str | None:
    """The year; None where it reveals an age over 89, or could if the century is not written."""
    if found.year is None or reveals_age_over_89(found.year):
        return None
    if birth and not found.century and date.today().year - (found.year - 100) <= _OLDEST_LIVING:
        return None
    return str(found.year)
