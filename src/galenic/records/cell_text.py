"""Cells of any column type as trimmed text, with missing words as null."""

import pyarrow as pa
import pyarrow.compute as pc

from galenic.errors import RecordError

HOUR = 3_600.0


def is_nested(kind: pa.DataType) -> bool:
    """Whether values of a type are lists, structures or bytes, which no column kind holds."""
    if pa.types.is_dictionary(kind):
        return is_nested(kind.value_type)
    return pa.types.is_nested(kind) or any(
        check(kind) for check in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )


def as_text(array: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as text: times with a zone as the local time there, durations as hours, truth values as true and false. RecordError for
    lists, structures and bytes."""
    array = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if is_nested(array.type):
        raise RecordError(
            "a column holds lists, structures or bytes; expected one number, date or text per row. Leave it out (--drop NAME), or write "
            "one column for each of its parts."
        )
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = pc.local_timestamp(array)
    if pa.types.is_duration(array.type):
        seconds = array.cast(pa.duration("ns")).cast(pa.int64()).cast(pa.float64())
        array = pc.divide(seconds, HOUR * 1e9)
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def clean_text(array: pa.Array | pa.ChunkedArray, tokens: tuple[str, ...]) -> pa.ChunkedArray:
    """Strings trimmed, with the missing tokens made null."""
    text = pc.utf8_trim_whitespace(as_text(array))
    return pc.if_else(pc.is_in(text, value_set=pa.array(tokens, pa.string())), pa.scalar(None, pa.string()), text)
