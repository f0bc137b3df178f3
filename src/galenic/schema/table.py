"""A table of patients: an Arrow frame with a description of each column."""

from dataclasses import dataclass

import pyarrow as pa

from galenic.errors import RecordError
from galenic.schema.column import Column

ARROW_TYPES: dict[str, pa.DataType] = {
    "numeric": pa.float64(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "category": pa.string(),
    "ordinal": pa.string(),
    "identifier": pa.string(),
    "text": pa.string(),
    "unknown": pa.string(),
}


@dataclass(frozen=True)
class Table:
    """Arrow frame with exactly the described columns, in order, each in the Arrow type of its kind; missing is null."""

    frame: pa.Table
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        described = [column.name for column in self.columns]
        absent = [name for name in described if name not in self.frame.column_names]
        if absent:
            raise RecordError(
                f"columns {absent} are in the description but not in the data, which has {self.frame.column_names}. "
                "Rename the column in the source, or remove it from the description."
            )
        extra = [name for name in self.frame.column_names if name not in described]
        if extra:
            raise RecordError(f"columns {extra} are in the data but not in the description. Describe them, or drop them.")
        if self.frame.column_names != described:
            object.__setattr__(self, "frame", self.frame.select(described))
        for column in self.columns:
            found, expected = self.frame.schema.field(column.name).type, ARROW_TYPES[column.kind]
            if found != expected:
                raise RecordError(
                    f"column {column.name!r} has type {found}; a {column.kind} column must have type {expected}. Convert it."
                )

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.frame.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Description of one column. Raise KeyError if there is none with that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
