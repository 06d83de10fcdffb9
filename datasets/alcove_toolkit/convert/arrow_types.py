"""Types of Arrow: it reads more of them than it can compute with."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def to_plain_type(column: pa.Array) -> pa.Array:
    """The same values in a type that Arrow can select from, compare and cast: it can read more than that."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return to_plain_type(column.storage)
    if pa.types.is_run_end_encoded(kind):
        return to_plain_type(pc.run_end_decode(column))
    if pa.types.is_dictionary(kind):
        return to_plain_type(column.dictionary_decode())
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pc.cast(column, pa.binary())
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_float16(kind):
        return pc.cast(column, pa.float32())
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return _to_seconds(column)
    return column


def _to_seconds(column: pa.Array) -> pa.Array:
    """Times of day since midnight, and durations."""
    whole = pc.cast(column, pa.int32() if pa.types.is_time32(column.type) else pa.int64())
    return pc.divide(pc.cast(whole, pa.float64(), safe=False), _UNITS[column.type.unit])


_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
