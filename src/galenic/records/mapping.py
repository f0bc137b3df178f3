"""Mapping of the columns of a table to events: codes, times, values and units, as TOML."""

import tomllib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic.errors import DescriptionError

KEYS = ("code", "code_column", "system", "time", "end", "value", "text", "unit", "unit_column", "encounter")
COLUMNS = ("code_column", "time", "end", "value", "text", "unit_column", "encounter")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class EventRule:
    """One event per row: its code (fixed, or in a column with codes of a system), and the columns of its other parts, if any."""

    code: str = ""
    code_column: str = ""
    system: str = ""
    time: str = ""
    end: str = ""
    value: str = ""
    text: str = ""
    unit: str = ""
    unit_column: str = ""
    encounter: str = ""


@dataclass(frozen=True)
class Mapping:
    """Rules of one table, and their TOML."""

    rules: tuple[EventRule, ...]
    toml: str


def read_mapping(path: Path, columns: tuple[str, ...]) -> Mapping:
    """Mapping in a file. Raise DescriptionError for unknown entries, and for columns that the table does not have."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(
            f"{path} cannot be read ({type(error).__name__}). Expected a TOML file with [[event]] tables."
        ) from None
    mapping = parse_mapping(text, str(path))
    for number, rule in enumerate(mapping.rules, 1):
        absent = [c for c in (getattr(rule, k) for k in COLUMNS) if c and c not in columns]
        if absent:
            raise DescriptionError(
                f"{path}, event {number}: columns {absent} do not exist; the table has {list(columns)}. Correct the names."
            )
    return mapping


def parse_mapping(text: str, where: str = "the mapping") -> Mapping:
    """The mapping from its TOML."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{where} is not valid TOML: {error}. Correct that line.") from None
    events = given.get("event", [])
    if not isinstance(events, list) or not events or set(given) != {"event"}:
        raise DescriptionError(
            f"{where} has no [[event]] table, or has other entries. Expected one [[event]] table for each kind of event."
        )
    rules = []
    for number, event in enumerate(events, 1):
        place = f"{where}, event {number}"
        strange = [k for k in event if k not in KEYS]
        if strange:
            raise DescriptionError(f"{place}: {strange} is unknown. Expected some of {', '.join(KEYS)}.")
        if any(not isinstance(v, str) for v in event.values()):
            raise DescriptionError(f"{place}: every entry must be a quoted string.")
        rule = EventRule(**event)
        if bool(rule.code) == bool(rule.code_column):
            raise DescriptionError(f"{place}: give either code or code_column, not both.")
        if not (rule.time or rule.text or rule.value or rule.code_column):
            raise DescriptionError(f"{place}: no column is named. Expected a time, value, text or code_column.")
        rules.append(rule)
    return Mapping(tuple(rules), text)


def events_of(mapping: Mapping, table: pa.Table, dropped: Counter[str]) -> list[tuple[int, Row]]:
    """(index of the row in the table, fields of schema.Event) by every rule; values that do not fit are counted in `dropped`."""
    needed = {getattr(r, k) for r in mapping.rules for k in COLUMNS} - {""}
    columns = {name: table[name].to_pylist() for name in needed}
    found: list[tuple[int, Row]] = []
    for rule in mapping.rules:
        for place in range(table.num_rows):
            row = _event(rule, {k: columns[getattr(rule, k)][place] for k in COLUMNS if getattr(rule, k)}, dropped)
            if row is not None:
                found.append((place, row))
    return found


def _event(rule: EventRule, cells: dict[str, Any], dropped: Counter[str]) -> Row | None:
    said = [cells[k] for k in ("code_column", "value", "text") if k in cells]
    if all(c is None or c == "" for c in said) and (said or cells.get("time") is None):
        return None  # nothing was recorded
    code = rule.code or f"{rule.system + '//' if rule.system else ''}{cells.get('code_column')}"
    time, offset = _moment(cells.get("time"), dropped, rule.time)
    end, _ = _moment(cells.get("end"), dropped, rule.end)
    if rule.time and time is None:
        dropped[f"{rule.time}: no time"] += 1
        return None
    number, written = _number(cells.get("value"), dropped, rule.value)
    text = cells.get("text")
    unit = cells.get("unit_column") or rule.unit or None
    encounter = cells.get("encounter")
    system = rule.system or None
    return (
        time, code, number, None if text is None else str(text), end, system, None if unit is None else str(unit), written, offset,
        None if encounter is None else str(encounter), None,
    )  # fmt: skip


def _number(value: Any, dropped: Counter[str], column: str) -> tuple[float | None, str | None]:
    if value is None or value == "":
        return None, None
    try:
        return float(value), str(value)
    except ValueError:
        dropped[f"{column}: not a number"] += 1
        return None, str(value)


def _moment(value: Any, dropped: Counter[str], column: str) -> tuple[int | None, int | None]:
    """(microseconds since 1970 in UTC, minutes of the stated offset from UTC)."""
    if value is None or value == "":
        return None, None
    try:
        at = datetime.fromisoformat(value.isoformat() if hasattr(value, "isoformat") else str(value))
    except ValueError:
        dropped[f"{column}: not a time (expected ISO 8601)"] += 1
        return None, None
    shift = at.utcoffset()
    utc = at.replace(tzinfo=UTC) if shift is None else at
    return round(utc.timestamp() * 1_000_000), None if shift is None else round(shift.total_seconds() / 60)
