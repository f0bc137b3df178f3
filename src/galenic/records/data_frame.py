"""Data frames of other libraries as Arrow tables: pandas, polars, and anything with an Arrow C stream."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

from galenic.errors import RecordError

_PANDAS = "pandas"


def is_pandas(table: object) -> bool:
    """Whether an object is a pandas data frame; pandas is not imported for that."""
    return type(table).__module__.split(".")[0] == _PANDAS and type(table).__name__ == "DataFrame"


@dataclass(frozen=True)
class FrameLike:
    """Library and column types of a data frame, so that results can be given in the same form. types: pandas types by column, empty for
    an Arrow table."""

    pandas: bool
    types: Mapping[str, str]

    @classmethod
    def of(cls, table: object) -> Self:
        """The form of a table."""
        if not is_pandas(table):
            return cls(False, {})
        frame: Any = table
        return cls(True, {str(name): str(kind) for name, kind in zip(frame.columns, frame.dtypes, strict=True)})

    def like(self, table: pa.Table) -> Any:
        """An Arrow table in that form. A type that cannot hold the new values, such as whole numbers with missing ones, is widened."""
        if not self.pandas:
            return table
        frame = table.to_pandas(date_as_object=False)
        for name in frame.columns:
            frame[name] = _as_type(frame[name], self.types.get(name, ""))
        return frame

    def to_json(self) -> dict[str, Any]:
        """The form as JSON."""
        return {"pandas": self.pandas, "types": dict(self.types)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The form that `to_json` wrote."""
        return cls(bool(saved["pandas"]), dict(saved["types"]))


_TRUTH = {"true": True, "false": False}


def _as_type(column: Any, kind: str) -> Any:
    """A pandas column in a type, where that type can hold its values."""
    if kind in ("bool", "boolean"):
        column = column.map(_TRUTH)
        kind = "boolean" if column.isna().any() else kind
    if kind.startswith(("int", "uint", "Int", "UInt")) and column.isna().any():
        kind = "Int64"
    if not kind or kind == "object":
        return column
    try:
        return column.astype(kind)
    except (TypeError, ValueError):  # dates of days for timestamps with a zone, OTHER among numbers
        return column


def arrow_table(table: Any) -> pa.Table:
    """A data frame as an Arrow table with a column for each of its columns. RecordError, with the column, for what is no table of values."""
    if isinstance(table, pa.Table):
        return table
    if is_pandas(table):
        return _from_pandas(table)
    if isinstance(table, list) and table and all(isinstance(row, Mapping) for row in table):
        table = _columns_of_rows(table)
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    try:
        return table.read_all() if isinstance(table, pa.RecordBatchReader) else pa.table(table)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise RecordError(
            f"a {type(table).__module__}.{type(table).__name__} cannot be read as a table ({type(error).__name__}). Expected a path, a data "
            "frame, an Arrow table, or columns by name, each with one value per row."
        ) from None


def _columns_of_rows(rows: list[Mapping[str, Any]]) -> dict[str, pa.Array]:
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return {name: _array(name, [row.get(name) for row in rows]) for name in names}


def _from_pandas(frame: Any) -> pa.Table:
    if frame.columns.nlevels > 1:
        raise RecordError(
            "the data frame has column names of several levels. Expected one name for each column: df.columns = "
            "['_'.join(map(str, names)) for names in df.columns]."
        )
    if all(
        name is not None for name in frame.index.names
    ):  # an index with names is data, such as the patient; another one is not
        clash = [name for name in frame.index.names if name in frame.columns]
        frame = frame.reset_index(drop=bool(clash))
    names = [str(name) for name in frame.columns]
    return pa.Table.from_arrays([_array(name, frame.iloc[:, i]) for i, name in enumerate(names)], names=names)


def _array(name: str, values: Any) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        array = _mixed(name, list(values))
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _mixed(name: str, values: list[Any]) -> pa.Array:
    """Values of several types as text. RecordError where they are no numbers, dates or texts."""
    if any(isinstance(v, dict | list | tuple | set | complex | bytes) for v in values):
        raise RecordError(
            f"column {name!r} holds lists, structures, bytes or complex numbers; expected one number, date or text per row. Drop it, or "
            "write one column for each of its parts."
        )
    missing = {
        id(v)
        for v in values
        if v is None or (isinstance(v, float) and math.isnan(v)) or type(v).__name__ in ("NAType", "NaTType")
    }
    return pa.array(
        [None if id(v) in missing else str(v).lower() if isinstance(v, bool) else str(v) for v in values], pa.string()
    )
