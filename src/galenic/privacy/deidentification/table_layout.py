"""Layout of one table: the role of each column, its name in the output, and its text in the report."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.anonymization import TableOptions, read_table_options
from galenic.privacy.deidentification.column_profile import ColumnProfile, profile_columns
from galenic.privacy.deidentification.column_roles import ColumnRole, column_role, declared_role, suspicious_cells
from galenic.privacy.deidentification.rules.cell_dates import contains_date
from galenic.privacy.deidentification.rules.column_headers import header_kinds, header_words
from galenic.privacy.deidentification.rules.columns import POLICY_KINDS, ColumnRules, Treatment
from galenic.privacy.deidentification.rules.vocabulary import fold, header_vocabulary, is_known, is_name
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import DeidentificationPolicy, Detector
from galenic.records import Source, patient_columns

_SEARCHED = (
    "name",
    "ssn",
    "record",
    "phone",
    "email",
    "plan",
    "account",
)  # kinds whose values are searched for in a row's texts
_DEMOGRAPHIC = re.compile(
    r"(^|_)(age|sex|gender|race|ethnic\w*|zip\w*|postal\w*|postcode|birth\w*|dob|marital\w*|education\w*|occupation|profession|language|religion|income|"
    r"country|region|state|province|nationality|admission_?date|discharge_?date|date)(_|$)",
    re.I,
)
_WRITTEN_ROLES = ("category", "code", "number", "date", "birth", "age", "year", "zip", "verbatim")
_YEAR = re.compile(r"\d{4}(?:$|-)")
_DATA_IN_HEADER = re.compile(r"\d(?:[ ()./-]{0,2}\d){5}|@")
_PATIENT = frozenset("patient patienten pat paciente paziente subject participant person member".split())  # noqa: SIM905
_ABBREVIATION = 3  # letters of a short word of a header
_HEADER_ROWS = 2  # first cells that name kinds of columns, from which a table counts as transposed
PASSING = ("category", "number", "verbatim")  # declared kinds whose values are written as the user says
UNPLANTED = ", so no identifiers were planted into it to measure recall: look at its values"
DECLARE = "Declare what it holds with --column NAME=KIND (category, number, date, text, a kind of identifier, drop)"


@dataclass(frozen=True)
class TableLayout:
    """Columns in order. roles: by name. patient: the column that identifies patients, or None. names: in the output."""

    roles: dict[str, ColumnRole]
    profiles: dict[str, ColumnProfile]
    patient: str | None
    names: dict[str, str]

    def shown(self, name: str) -> str:
        """The column's name in the output and in the report."""
        return self.names[name]

    def treatment(self, name: str, rules: ColumnRules, run: DeidentificationRun) -> Treatment | None:
        """The treatment of a column."""
        role, profile = self.roles[name], self.profiles[name]
        day_first = profile.day_first > profile.month_first or (run.day_first and not profile.month_first)
        return rules.treatment(name, role.kind, role.accepted, role.limits, day_first=day_first)

    def of_copy(self, copy: Source, detector: Detector) -> "TableLayout":
        """The layout of a copy of some rows: columns keep their roles and names; columns that the table does not have get roles."""
        added = [n for n in copy.names if n not in self.roles]
        profiles = {**self.profiles, **(profile_columns(copy, detector.common, added) if added else {})}
        roles = {n: self.roles.get(n) or column_role(profiles[n]) for n in copy.names}
        names = {n: self.names.get(n) or (n if _is_free(n) else f"column_{i + 1}") for i, n in enumerate(copy.names)}
        return TableLayout(roles, {n: profiles[n] for n in copy.names}, self.patient, names)

    @property
    def written(self) -> list[str]:
        """Columns whose content is written, not as identifiers."""
        return [n for n, role in self.roles.items() if role.kind in _WRITTEN_ROLES]

    def withheld(self) -> set[str]:
        """Columns that are withheld because their content is unknown."""
        return {n for n, role in self.roles.items() if role.kind == "withheld"}

    def has_text(self) -> bool:
        """True if a column holds texts."""
        return any(role.kind == "text" for role in self.roles.values())

    def searched_kinds(self) -> dict[str, str]:
        """By column: kind of identifier that its values are searched for in the texts of their rows."""
        kinds = {n: "record" if r.kind == "patient" else POLICY_KINDS.get(r.kind, r.kind) for n, r in self.roles.items()}
        kinds |= {n: "name" for n in self.withheld() if not self.roles[n].reason.startswith("holds lists")}
        return {n: kind for n, kind in kinds.items() if kind in _SEARCHED}

    def is_demographic(self, name: str) -> bool:
        """True if the column is a quasi-identifier: its name suggests that others commonly know its values, and they are
        written."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
        known = bool(_DEMOGRAPHIC.search(words)) or self.roles[name].kind in ("age", "zip", "birth")
        return known and self.roles[name].kind in _WRITTEN_ROLES

    def anonymization_kind(self, name: str) -> str:
        """date, category, or numeric (a postal code is a category)."""
        kind = self.roles[name].kind
        return "date" if kind in ("date", "birth") else "numeric" if kind in ("number", "age", "year") else "category"

    def comparable(self, name: str, values: list[str | None]) -> list[str | None]:
        """Values of a quasi-identifier; of dates those that begin with a year."""
        if self.anonymization_kind(name) != "date":
            return values
        return [v if v is not None and _YEAR.match(v) else None for v in values]

    def column_reports(self, file: str, cells: Counter[str], written: Collection[str]) -> list[dict[str, Any]]:
        """Withheld, removed and declared columns, for the report, without values. cells: emptied cells by column; written: columns."""
        out: list[dict[str, Any]] = []
        for number, (name, role) in enumerate(self.roles.items()):
            about = {
                "file": file,
                "column": self.shown(name),
                "number": number + 1,
                "role": role.kind,
                "declared": role.declared,
            }
            if role.kind == "withheld":
                out.append({**about, "what": f"withheld: it {role.reason}. {DECLARE}."})
            elif name not in written:
                by = "declared" if role.declared else "recognized"
                out.append(
                    {**about, "what": f"removed: {by} as {role.kind}{'' if role.declared else f'. {DECLARE} if it is none'}."}
                )
            elif role.declared or cells[name] or self.shown(name) != name:
                lost = "words were replaced" if role.kind == "text" else "cells were emptied"
                left_out = f"{cells[name]:,} {lost}: not recognized as free of identifiers" if cells[name] else ""
                declared = (
                    f"declared as {role.kind} by the user{UNPLANTED if role.kind in PASSING else ''}" if role.declared else ""
                )
                renamed = "renamed: its header is not free of identifiers" if self.shown(name) != name else ""
                out.append({**about, "what": "; ".join(t for t in (declared, left_out, renamed) if t)})
        return out


def table_settings(policy: DeidentificationPolicy) -> tuple[TableOptions, dict[str, str]]:
    """(options, declared kinds of columns) of the policy's [table] section."""
    section = dict(policy.table)
    declared = dict(section.pop("columns", {}))
    return read_table_options(policy.name, section), declared


def layout_of(source: Source, run: DeidentificationRun) -> TableLayout:
    """Layout of a table under the policy of a run; for a planted copy, that of the original file."""
    options, declared = table_settings(run.report.policy)
    if isinstance(run.layout, TableLayout):
        return run.layout.of_copy(source, run.detector)
    return read_layout(source, run.detector, declared, options.patient)


def read_layout(source: Source, detector: Detector, declared: dict[str, str], patient: str | None) -> TableLayout:
    """Layout of a table, from all its rows. Raise RecordError if it has no header, is transposed, or contradicts a declaration."""
    _refuse_identifiers_in_header(source, detector)
    profiles = profile_columns(source, detector.common)
    if not profiles:
        raise RecordError("has no rows. Expected at least one row of values.")
    _refuse_transposed(source, profiles)
    patient = _patient(profiles, declared, patient)
    roles = {n: ColumnRole("patient") if n == patient else _role(p, declared.get(n)) for n, p in profiles.items()}
    names = {n: n if _is_free(n) else f"column_{i + 1}" for i, n in enumerate(source.names)}
    return TableLayout(roles, profiles, patient, names)


def _role(profile: ColumnProfile, declared: str | None) -> ColumnRole:
    if declared is None:
        return column_role(profile)
    role = declared_role(profile.name, declared)
    found = list(suspicious_cells(profile, role))
    if found:
        raise RecordError(
            f"column {profile.name!r} is declared as {declared}, but has cells that look like {' and '.join(found)}. "
            "Declare that kind of identifier, or text. To write every value unchanged, use --column NAME=verbatim; the "
            "report records this."
        )
    return role


def _patient(profiles: dict[str, ColumnProfile], declared: dict[str, str], wanted: str | None) -> str | None:
    """The column that tells patients apart: as declared, by the policy, or by its header."""
    chosen = next((n for n, kind in declared.items() if kind == "patient" and n in profiles), wanted)
    if chosen is not None:
        return chosen if chosen in profiles else None
    candidates = list(patient_columns(tuple(profiles)))
    candidates += [n for n in profiles if _PATIENT & set(header_words(n)) and header_kinds(n).identifier == "record"]
    usable = (n for n in candidates if n not in declared and len(profiles[n].distinct) > 1)
    return next(usable, None)


def _refuse_identifiers_in_header(source: Source, detector: Detector) -> None:
    """A transposed table has patients in its header; a table without one, its first row."""
    for number, name in enumerate(source.names):
        spans = detector.find(f"Seen: {name}.")
        identifiers = [s.kind for s in spans if s.layer == "rule" and s.kind not in ("date", "age", "place")]
        identifiers += ["number"] if _DATA_IN_HEADER.search(name) and not contains_date(name) else []
        if identifiers:
            raise RecordError(
                f"has an identifier ({identifiers[0]}) in its header, column {number + 1}. Transpose the table, add a header, or "
                "rename the column."
            )
    listed = sum(
        bool(words := header_words(n)) and any(is_name(w) and not is_known(w) for w in words) and not _kinds_known(n)
        for n in source.names
    )
    numbers = sum(not header_words(n) for n in source.names)
    if len(source.names) > 1 and (2 * listed >= len(source.names) or (numbers > 1 and 3 * numbers >= len(source.names))):
        raise RecordError(
            "has names or numbers instead of a header in its first line. Add a header with column names, or "
            "transpose the table."
        )


def _kinds_known(name: str) -> bool:
    kinds = header_kinds(name)
    return bool(kinds.hard or kinds.soft or kinds.values)


def _refuse_transposed(source: Source, profiles: dict[str, ColumnProfile]) -> None:
    """A first column of names of columns (date of birth, name, sex): the header holds patients."""
    first = profiles[source.names[0]].distinct
    if len(first) > 200 or len(source.names) < 2:
        return
    kinds = [
        k
        for value in first
        if (k := header_kinds(value).hard) and k[0] in ("name", "birth", "record", "phone", "place", "zip", "age")
    ]
    if len(kinds) >= _HEADER_ROWS and len(set(kinds)) >= _HEADER_ROWS and not any(_kinds_known(n) for n in source.names[1:]):
        raise RecordError(
            "seems to be transposed: its first column contains field names. Transpose it, so that each row is a patient."
        )


def _is_free(name: str) -> bool:
    """True if a header may be written: no date and no listed name in it. An abbreviation in lower case is no name."""
    if contains_date(re.sub(r"[^\W_]+", lambda m: "" if fold(m[0]) in header_vocabulary() else m[0], name)):
        return False
    return _kinds_known(name) or not any(
        is_name(w) and not is_known(w) for w in header_words(name) if _may_name_somebody(w, name)
    )


def _may_name_somebody(word: str, name: str) -> bool:
    """True if a word of a header has the length or the capital letter of a name."""
    return len(word) > _ABBREVIATION or word.capitalize() in name
