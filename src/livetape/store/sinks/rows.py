"""Rows of the tape as text that PostgreSQL's COPY reads, with the venue's exact digits (floor 3)."""

import io
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import json
from pyarrow import csv

from .. import columns, numbers

_NUL, _SHOWN = "\0", "\N{SYMBOL FOR NULL}"  #: PostgreSQL has no text with a zero character
_OPTIONS = csv.WriteOptions(include_header=False)
_read_levels = json.Decoder(dict[str, list[tuple[str, str]]]).decode


@cache
def names_of(table: str) -> list[str]:
    """The columns of ``table`` in a database: a number is one."""
    return [name for name in columns.schema(table).names if not name.endswith(("_text", "_decimals"))]


def csv_of(table: str, rows: pa.Table) -> bytes:
    """``rows`` of ``table``, a line each, in the order of ``names_of``."""
    rows = rows.combine_chunks()
    levels = _levels(rows) if table == "books" else {}
    out = io.BytesIO()
    made = {name: levels[name] if name in levels else _column(table, name, rows) for name in names_of(table)}
    csv.write_csv(pa.table(made), out, _OPTIONS)
    return out.getvalue()


def _column(table: str, name: str, rows: pa.Table) -> pa.Array:
    column = rows[name].combine_chunks()
    if column.type == pa.float64():
        return columns.public(table, rows, [f"{name}_text"]).column(0).combine_chunks()
    if column.type == columns.TIME:
        return column.view(pa.int64())
    if column.type == pa.binary():
        return pa.array(["\\x" + value.hex() for value in column.to_pylist()], pa.string())
    if pa.types.is_list(column.type):
        return _array(column, _quoted(column.flatten()))
    return pc.replace_substring(column, _NUL, _SHOWN) if column.type == pa.string() else column


def _levels(rows: pa.Table) -> dict[str, pa.Array]:
    """Prices and sizes of both sides; where the columns do not give the venue's text back, from that."""
    whole = rows["levels_text"].combine_chunks()
    kept, exact = pc.is_valid(whole), [_read_levels(text) for text in whole.drop_null().to_pylist()]
    made: dict[str, pa.Array] = {}
    for side in ("bid", "ask"):
        for at, number in enumerate(("price", "size")):
            column = rows[f"{side}_{number}"].combine_chunks()
            of_rows = rows[f"{number}_decimals"].combine_chunks()
            decimals, values = of_rows.take(pc.list_parent_indices(column)), column.flatten()
            texts = numbers.unpack(values, decimals, pa.nulls(len(values), pa.string()))
            told = ["{" + ",".join([level[at] for level in sides[f"{side}s"]]) + "}" for sides in exact]
            made[f"{side}_{number}"] = pc.replace_with_mask(
                _array(column, texts), kept, pa.array(told, pa.string())
            )
    return made


def _array(column: pa.ListArray, values: pa.StringArray) -> pa.StringArray:
    """``{a,b}`` for each list of ``column``, whose elements are written as ``values``."""
    ends = np.concatenate([[0], np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy())])
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)
    return pc.binary_join_element_wise("{", pc.binary_join(lists, ","), "}", "")


def _quoted(values: pa.StringArray) -> pa.StringArray:
    for plain, written in ((_NUL, _SHOWN), ("\\", "\\\\"), ('"', '\\"')):
        values = pc.replace_substring(values, plain, written)
    return pc.binary_join_element_wise('"', values, '"', "")
