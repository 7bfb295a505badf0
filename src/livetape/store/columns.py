"""The tape as columns: rows of a journal become tables, and tables become events again (floor 3).

Rule 1: sealed and scanned tables have the same schema. Every ``price_text`` of the journal is three columns,
        ``price``, ``price_decimals`` and ``price_text``, as numbers.py says; levels of a book share decimals.
Rule 2: nothing is lost. The events made from a table equal those that were recorded, but for the book
        that an update refers to.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import pairwise, repeat
from operator import length_hint
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import DecodeError, json

from ..core.decimals import Level, nearest
from ..core.errors import ConfigError, StoreError
from ..core.events import (
    Event,
    MarketEvent,
    Origin,
    Proof,
    Trust,
    Why,
)
from ..core.raw import Direction, RawRecord
from . import numbers
from .schema import COLUMNS, EVENTS

BATCH = 1 << 16  #: rows made at once
TIME = pa.timestamp("ns")  #: UTC, without a zone, which not every engine can calculate with
#: Lists, whose values Parquet calls so.
_TEXTS, _FLOATS = (pa.list_(pa.field("element", kind)) for kind in (pa.string(), pa.float64()))
_INT_COLUMNS = (
    *("n", "session", "seq", "number", "venue_seq", "venue_first", "venue_last", "checksum", "trades"),
    *("revision", "missing"),
)
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(_INT_COLUMNS, pa.int64()),
    **dict.fromkeys(("recv", "ts", "since", "start", "end", "counted_since", "auction", "updated"), TIME),
    **dict.fromkeys(("snapshot", "closed", "success"), pa.bool_()),
    **dict.fromkeys(("conditions", "excluded", "symbols"), _TEXTS),
    "depth": pa.int32(),
    "payload": pa.binary(),
}
#: What stands for columns that older versions did not write; null for all others.
_DEFAULT: dict[str, Any] = {"conditions": "[]", "excluded": "[]", "why": "", "revision": 0}
#: Columns of text that seldom repeats.
DIVERSE = frozenset({"id", "trade_id", "detail", "cause", "note", "headline", "url", "summary"})

#: What the channels of a table end in, where that is always the same.
KIND = {
    **{"trades": "trade", "amendments": "trade", "quotes": "quote", "best_quotes": "quote", "books": "book"},
    **{"summaries": "summary", "marks": "mark", "auctions": "auction", "lulds": "luld", "news": "news"},
}
#: The column, where an event's field has another name.
_COLUMN = {
    **{"recv_ns": "recv", "venue_ns": "ts", "start_ns": "start", "end_ns": "end", "auction_ns": "auction"},
    **{"since_ns": "counted_since", "updated_ns": "updated", "first": "venue_first", "last": "venue_last"},
}
_Read = Callable[[str], str]
_READ: dict[str, _Read] = {"trust": Trust, "origin": Origin, "why": Why, "direction": Direction}

_LEVELS = r'^\[(\["[^"\\]*","[^"\\]*"\](,\["[^"\\]*","[^"\\]*"\])*)?\]$'
_read_levels = json.Decoder(dict[str, list[Level]]).decode

Column = Iterable[Any]  #: one Python value a row


@cache
def schema(table: str) -> pa.Schema:
    """The columns of ``table``, sealed or scanned."""
    fields: list[tuple[str, pa.DataType]] = []
    for name in hot_names(table):
        if name == "bids":
            fields += [(side, _FLOATS) for side in ("bid_price", "bid_size", "ask_price", "ask_size")]
            fields += [
                ("price_decimals", pa.int8()),
                ("size_decimals", pa.int8()),
                ("levels_text", pa.string()),
            ]
        elif name.endswith("_text"):
            number = name.removesuffix("_text")
            fields += [(number, pa.float64()), (f"{number}_decimals", pa.int8()), (name, pa.string())]
        elif name != "asks":
            fields.append((name, _TYPES.get(name, pa.string())))
    return pa.schema(fields)


@cache
def hot_names(table: str) -> tuple[str, ...]:
    """The columns of a journal's ``table`` that ``from_hot`` wants, in that order."""
    return tuple(name for name in COLUMNS[table] if name != "n" or table == "raw")


def from_hot(table: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows as SQLite gives them, as a table in the same order."""
    names = hot_names(table)
    given = zip(names, _transposed(rows, len(names)), strict=True)
    made = {name: _column(name, values) for name, values in given}
    if table == "books":
        made |= _level_columns(made["bids"], made["asks"], _instruments(made))
    for text in [name for name in names if name.endswith("_text")]:
        packed = numbers.pack(made[text], _instruments(made))
        made |= zip(_number_columns(text), packed, strict=True)
    return pa.table([made[name] for name in schema(table).names], schema=schema(table))


def events(table: str, rows: pa.Table) -> list[MarketEvent]:
    """The events of ``rows``, which have all columns of ``table``. Book updates come without their book."""
    event = EVENTS[table]
    make = _maker(event)
    found: list[MarketEvent] = []
    with _uncollected():
        for part in rows.combine_chunks().to_batches(BATCH):
            found += make(event, *[_field(table, name, part) for name in _fields(event)])
    return found


def complete(table: str, rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """The columns ``names`` of ``rows``, which an older version may have written, as they are now."""
    fields = [schema(table).field(name) for name in names]
    made = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else _column(field.name, [None] * rows.num_rows)
        for field in fields
    ]
    return pa.table(made, schema=pa.schema(fields))


def records(rows: pa.Table) -> list[RawRecord]:
    """The raw records of ``rows``."""
    names = ("session", "recv", "direction", "payload", "note")
    found: list[RawRecord] = []
    for part in rows.combine_chunks().to_batches(BATCH):
        found += map(RawRecord, *[_values(name, part) for name in names])
    return found


def public(table: str, rows: pa.Table, names: Sequence[str] | None = None) -> pa.Table:
    """What users see of ``rows``: numbers as floats, and the exact texts of those that are named."""
    made: dict[str, pa.ChunkedArray] = {}
    for name in public_names(table) if names is None else names:
        if name.endswith("_text"):
            texts = [_public_texts(name, part) for part in rows.to_batches()]
            made[name] = pa.chunked_array(texts, pa.string())
        else:
            made[name] = rows[name]
    return pa.table(made)


@cache
def public_names(table: str, *, texts: bool = False) -> tuple[str, ...]:
    """The columns that ``public`` can make of ``table``."""
    names = (name for name in schema(table).names if not name.endswith("_decimals"))
    return tuple(name for name in names if texts or not name.endswith("_text"))


def stored(table: str, names: Iterable[str]) -> list[str]:
    """The columns of ``table`` that ``public`` needs for ``names``. Raises ConfigError for an unknown one."""
    needed: dict[str, None] = {}
    known = public_names(table, texts=True)
    for name in names:
        if name not in known:
            raise ConfigError(f"{table} has no column {name!r}", allowed=nearest(name, known) or list(known))
        needed |= dict.fromkeys(_number_columns(name) if name.endswith("_text") else (name,))
    return list(needed)


def _number_columns(text: str) -> tuple[str, ...]:
    """The columns of which ``text`` is made, which itself is the last."""
    if text == "levels_text":
        return ("bid_price", "bid_size", "ask_price", "ask_size", "price_decimals", "size_decimals", text)
    number = text.removesuffix("_text")
    return number, f"{number}_decimals", text


# Rows to columns


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """In blocks that fit the processor's cache."""
    columns: list[list[Any]] = [[] for _ in range(width)]
    for at in range(0, len(rows), 512):
        for column, values in zip(columns, zip(*rows[at : at + 512], strict=True), strict=True):
            column += values
    return columns


def _column(name: str, values: list[Any]) -> pa.Array:
    kind = _TYPES.get(name, pa.string())
    raw = {pa.bool_(): pa.int8(), _TEXTS: pa.string()}.get(kind, kind)
    column = pa.array(values, raw)
    if name in _DEFAULT:
        column = column.fill_null(_DEFAULT[name])
    if kind != _TEXTS:
        return column.cast(kind)
    encoded = column.dictionary_encode()
    return pa.array(map(json.decode, encoded.dictionary.to_pylist()), kind).take(encoded.indices)


def _instruments(columns: dict[str, pa.Array]) -> numbers.Ints:
    """A number from 0 for each instrument of each venue."""
    venues, symbols = (columns[name].dictionary_encode() for name in ("venue", "symbol"))
    codes = venues.indices.to_numpy().astype(np.int64) * len(symbols.dictionary) + symbols.indices.to_numpy()
    return np.asarray(codes)


def _level_columns(bids: pa.Array, asks: pa.Array, groups: numbers.Ints) -> dict[str, pa.Array]:
    n = len(bids)
    texts = pa.concat_arrays([bids, asks])
    strange = pc.invert(pc.match_substring_regex(texts, _LEVELS))  # an escape, or damaged
    ends, *columns = _split(pc.if_else(strange, "[]", texts))
    rows = np.repeat(np.tile(np.arange(n), 2), np.diff(ends))
    exact = ~strange.to_numpy(zero_copy_only=False).reshape(2, n).any(axis=0)
    made: dict[str, pa.Array] = {}
    for number, column in zip(("price", "size"), columns, strict=True):
        measured = numbers.measure(column)
        made[f"{number}_decimals"], fits = numbers.agree(measured, rows, groups)
        exact &= fits
        for side, offsets in (("bid", ends[: n + 1]), ("ask", ends[n:])):
            lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), measured.values, _FLOATS)
            made[f"{side}_{number}"] = lists
    whole = pc.binary_join_element_wise('{"bids":', bids, ',"asks":', asks, "}", "")
    return made | {"levels_text": pc.if_else(pa.array(exact), pa.scalar(None, pa.string()), whole)}


def _split(texts: pa.StringArray) -> tuple[numbers.Ints, pa.StringArray, pa.StringArray]:
    """Where the levels of each side in ``texts`` end, from 0, and the prices and sizes of all of them.

    A side is ``[["1.5","20"],["1.4","7"]]``, without escapes.
    """
    parts = pc.split_pattern(texts, '"')
    starts = parts.offsets.to_numpy()[:-1].astype(np.int64)
    levels = parts.value_lengths().to_numpy() // 4
    ends = np.concatenate([[0], np.cumsum(levels)])
    prices = np.repeat(starts - 4 * ends[:-1], levels) + 4 * np.arange(ends[-1]) + 1
    return ends, parts.values.take(pa.array(prices)), parts.values.take(pa.array(prices + 2))


# Columns to events


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which halves the speed and finds none in what is made here."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


@cache
def _fields(event: type[Event]) -> tuple[str, ...]:
    return tuple(name for name in event.__struct_fields__ if name != "_book")


@cache
def _maker(event: type[Event]) -> Callable[..., list[MarketEvent]]:
    """``[event(channel=channel, …) for channel, … in zip(channel, …)]``, a function of the class and columns.

    It is written out because a call with a dict takes five times as long.
    """
    names = ", ".join(_fields(event))
    given = ", ".join(f"{name}={name}" for name in _fields(event))
    source = f"lambda event, {names}: [event({given}) for {names} in zip({names})]"
    make: Callable[..., list[MarketEvent]] = eval(source)
    return make


def _field(table: str, name: str, part: pa.RecordBatch) -> Column:
    """The values of an event's field."""
    if name == "channel":
        return _each(_channel, _values("venue", part), _values("symbol", part), _kinds(table, part))
    if name == "proof":
        return _each(_proof, *(_values(column, part) for column in ("method", "depth", "since")))
    if name in ("bids", "asks"):
        return _levels(name.removesuffix("s"), part)
    if name.endswith("_text"):
        return _texts(*[part[column] for column in _number_columns(name)])
    return _values(_COLUMN.get(name, name), part)


def _kinds(table: str, part: pa.RecordBatch) -> Column:
    """What channels end in."""
    if table == "bars":
        return _each("bar.{}".format, _values("interval", part))
    return repeat(KIND[table], len(part)) if table in KIND else _values("kind", part)


@lru_cache(1 << 14)
def _channel(venue: str, symbol: str, kind: str) -> str:
    return f"{venue}:{symbol}/{kind}" if symbol else venue


@lru_cache(1 << 14)
def _proof(method: str | None, depth: int | None, since_ns: int) -> Proof | None:
    return None if method is None else Proof(method, depth, since_ns)


def _each(make: Callable[..., Any], *columns: Column) -> Column:
    """What ``make`` makes of each row; only once where all rows are the same."""
    if all(isinstance(column, repeat) for column in columns):
        return repeat(make(*map(next, map(iter, columns))), 1 + length_hint(columns[0]))
    return map(make, *columns)


def _values(name: str, part: pa.RecordBatch) -> Column:
    """The values of a column, a ``repeat`` where all are the same."""
    column, read = part[name], _READ.get(name)
    if _constant(column):
        return repeat(_python(column.slice(0, 1), read)[0], len(column))
    if column.type == pa.string() and name not in DIVERSE:
        encoded = column.dictionary_encode("encode")
        return _dealt(_python(encoded.dictionary, read), encoded.indices)
    return _python(column, read)


def _python(column: pa.Array, read: _Read | None) -> list[Any]:
    if column.type == TIME:
        column = column.view(pa.int64())
    if column.type == pa.int64() and not column.null_count:
        return list(column.to_numpy().tolist())
    values: list[Any] = column.to_pylist()
    if column.type == _TEXTS:
        return list(map(tuple, values))
    return values if read is None else [None if value is None else read(value) for value in values]


def _constant(column: pa.Array) -> bool:
    """Whether all values are the same; of lists, whether all are empty."""
    if column.null_count:
        return bool(column.null_count == len(column))
    if not len(column):
        return False
    if pa.types.is_list(column.type):
        return bool(column.offsets[0] == column.offsets[-1])
    return column[0] == column[-1] and bool(pc.all(pc.equal(column, column[0])).as_py())


def _dealt(values: list[Any], indices: pa.Array) -> list[Any]:
    """The one of ``values`` that each index names."""
    objects = np.empty(len(values), object)
    objects[:] = values
    return list(objects[indices.to_numpy()].tolist())


def _texts(values: pa.Array, decimals: pa.Array, texts: pa.Array) -> list[Any]:
    """The texts of a number's three columns, each made once where it is often the same."""
    if texts.null_count < len(texts) or not _constant(decimals):
        return list(numbers.unpack(values, decimals, texts).to_pylist())
    encoded = values.dictionary_encode("encode")
    return _dealt(numbers.notation(encoded.dictionary, decimals[0].as_py()).to_pylist(), encoded.indices)


def _levels(side: str, part: pa.RecordBatch) -> list[list[Level]]:
    lists = part[f"{side}_price"]
    lengths = lists.value_lengths().to_numpy()
    rows = pa.array(np.repeat(np.arange(len(part)), lengths))
    unwritten = pa.nulls(len(rows), pa.string())
    prices, sizes = (
        _texts(part[f"{side}_{number}"].flatten(), part[f"{number}_decimals"].take(rows), unwritten)
        for number in ("price", "size")
    )
    levels = list(zip(prices, sizes, strict=True))
    ends = [0, *np.cumsum(lengths).tolist()]
    found = [levels[start:end] for start, end in pairwise(ends)]
    whole = part["levels_text"]
    for i in np.flatnonzero(pc.is_valid(whole).to_numpy(zero_copy_only=False)).tolist():
        found[i] = _told_levels(whole[i].as_py())[f"{side}s"]
    return found


def _told_levels(text: str) -> dict[str, list[Level]]:
    try:
        return _read_levels(text)
    except DecodeError as error:
        raise StoreError("books", f"levels that were damaged in the journal: {text:.100}") from error


def _public_texts(name: str, part: pa.RecordBatch) -> pa.StringArray:
    if name != "levels_text":
        return numbers.unpack(*[part[column] for column in _number_columns(name)])
    sides = zip(_levels("bid", part), _levels("ask", part), strict=True)
    return pa.array([json.encode({"bids": bids, "asks": asks}).decode() for bids, asks in sides], pa.string())
