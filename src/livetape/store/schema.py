"""The tables of a journal segment, and how records become rows (floor 3).

Rule 1: every record of a store, raw or typed, has the next number ``n``, in the order of recording; so the
        numbers of all tables and segments together are 1, 2, 3 … without a hole.
Rule 2: every field of an event has its column, and its text is the venue's own. Beside ``price_text`` there
        is ``price``, the same as a number for SQL. Times are ns UTC.
Rule 3: one statement a batch. It travels as JSON, a list of rows for each table, and a trigger deals it out,
        so that the thread gives Python's lock away, and has to win it back, once and not once a row.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import json
from msgspec.structs import astuple

from ..core.book import Book
from ..core.events import (
    Amendment,
    Auction,
    Bar,
    BestQuote,
    BookUpdate,
    Gap,
    Luld,
    Mark,
    MarketEvent,
    News,
    Quote,
    Status,
    Summary,
    Trade,
)
from ..core.raw import RawRecord

VERSION = 4  #: 3 has ``best_quotes``, 4 the ``revision`` of bars
Record = MarketEvent | RawRecord

_COMMON = ("n", "session", "seq", "recv", "ts", "venue", "symbol", "trust", "origin")
_PROOF = ("method", "depth", "since")
COLUMNS: dict[str, tuple[str, ...]] = {
    "raw": ("n", "session", "recv", "direction", "note", "payload"),
    "trades": (
        *_COMMON,
        "price_text",
        "size_text",
        "side",
        "id",
        "number",
        "conditions",
        "excluded",
        *_PROOF,
    ),
    "amendments": (
        *(*_COMMON, "trade_id", "old_price_text", "old_size_text", "price_text", "size_text", "id", *_PROOF),
    ),
    "quotes": (*_COMMON, "bid_text", "bid_size_text", "ask_text", "ask_size_text", "venue_seq", *_PROOF),
    "best_quotes": (
        *(*_COMMON, "bid_text", "bid_size_text", "bid_venue", "ask_text", "ask_size_text", "ask_venue"),
        *("state", *_PROOF),
    ),
    "books": (*_COMMON, "snapshot", "venue_first", "venue_last", "checksum", "bids", "asks", *_PROOF),
    "bars": (
        *(*_COMMON, "interval", "start", "open_text", "high_text", "low_text", "close_text", "volume_text"),
        *("trades", "vwap_text", "closed", "revision", *_PROOF),
    ),
    "summaries": (
        *(*_COMMON, "open_text", "high_text", "low_text", "last_text", "previous_close_text"),
        *("volume_text", "turnover_text", "counted_since", *_PROOF),
    ),
    "marks": (*_COMMON, "mark_text", "index_text", "funding_text", *_PROOF),
    "auctions": (
        *(*_COMMON, "state", "id", "auction", "success", "price_text", "size_text", "bid_text", "ask_text"),
        *("collar_text", *_PROOF),
    ),
    "lulds": (*_COMMON, "up_text", "down_text", "indicator", *_PROOF),
    "news": (*_COMMON, "id", "headline", "source", "url", "summary", "symbols", "updated", *_PROOF),
    "status": (*_COMMON, "kind", "state", "detail", "why", *_PROOF),
    "gaps": (*_COMMON, "kind", "start", "end", "cause", "healed", "missing", *_PROOF),
}
#: The events that the rows of each table are.
EVENTS: dict[str, type[MarketEvent]] = {
    "trades": Trade,
    "quotes": Quote,
    "best_quotes": BestQuote,
    "books": BookUpdate,
    "bars": Bar,
    "amendments": Amendment,
    "summaries": Summary,
    "marks": Mark,
    "auctions": Auction,
    "lulds": Luld,
    "news": News,
    "status": Status,
    "gaps": Gap,
}
_TABLE = {event: table for table, event in EVENTS.items()}
_INTEGERS = {
    *("session", "seq", "recv", "ts", "number", "venue_seq", "venue_first", "venue_last", "checksum"),
    *("snapshot", "start", "end", "trades", "closed", "revision", "missing", "depth", "since"),
    *("counted_since", "auction", "success", "updated"),
}
#: The event's field, where the column has another name.
_FIELD = {
    "recv": "recv_ns",
    "ts": "venue_ns",
    "start": "start_ns",
    "end": "end_ns",
    "venue_first": "first",
    "venue_last": "last",
    "since": "since_ns",
    "counted_since": "since_ns",
    "auction": "auction_ns",
    "updated": "updated_ns",
}
_ARRAYS = ("bids", "asks", "conditions", "excluded", "symbols")  #: kept as JSON text
_NAME = {"n": 0, "venue": 1, "symbol": 2, "kind": 3}  # what stands before the event's own fields


def create_statements() -> list[str]:
    """The SQL that makes an empty segment."""
    statements = ["CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"]
    for table, columns in COLUMNS.items():
        declared = [f'"{column}" {_type(column)}' for column in columns]
        declared += [
            f'"{column.removesuffix("_text")}" REAL AS (CAST({column} AS REAL)) VIRTUAL'
            for column in columns
            if column.endswith("_text")
        ]
        statements.append(f"CREATE TABLE {table} ({', '.join(declared)}) STRICT")
    sides = (
        f"SELECT n, session, seq, recv, venue, symbol, trust, snapshot, '{side}' AS side,"
        f" l.value ->> 0 AS price_text, l.value ->> 1 AS size_text FROM books, json_each({side}s) AS l"
        for side in ("bid", "ask")
    )
    statements.append(f"CREATE VIEW book_levels AS {' UNION ALL '.join(sides)}")
    return statements


def inbox_statements() -> list[str]:
    """The SQL that gives a writing connection its ``inbox``, where ``INSERT_BATCH`` puts a batch."""
    columns = ", ".join(f"NULL AS {column}" for column in (*COLUMNS, "payloads"))
    inserts = "; ".join(map(_insert, COLUMNS))
    return [
        f"CREATE TEMP VIEW inbox AS SELECT {columns}",
        f"CREATE TEMP TRIGGER deal INSTEAD OF INSERT ON inbox BEGIN {inserts}; END",
    ]


INSERT_BATCH = f"INSERT INTO inbox VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"


def batch_values(first: int, records: Sequence[Record]) -> list[str | bytes | None]:
    """What ``INSERT_BATCH`` inserts: ``records`` with the numbers from ``first``.

    Raises ValueError or TypeError when one of them cannot be written.
    """
    rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in COLUMNS}
    payloads: list[bytes] = []
    at = 1  # SQL counts bytes from 1
    for n, record in enumerate(records, first):
        if isinstance(record, RawRecord):
            size = len(record.payload)
            rows["raw"].append((n, record.session, record.recv_ns, record.direction, record.note, at, size))
            payloads.append(record.payload)
            at += size
        else:
            rows[_TABLE[type(record)]].append((n, *_names(record.channel), *astuple(record)))
    texts = (_encode(some).decode() if some else None for some in rows.values())
    return [*texts, b"".join(payloads)]


def table_of(event: MarketEvent) -> str:
    """The table that ``event`` is kept in."""
    return _TABLE[type(event)]


def _type(column: str) -> str:
    if column == "n":
        return "INTEGER PRIMARY KEY"
    return "INTEGER" if column in _INTEGERS else "BLOB" if column == "payload" else "TEXT"


def _insert(table: str) -> str:
    columns = COLUMNS[table]
    names = ", ".join(f'"{column}"' for column in columns)
    if table == "raw":
        values = [f"value ->> {i}" for i in range(5)]
        values.append("iif(value ->> 6, substr(new.payloads, value ->> 5, value ->> 6), x'')")
    else:
        kind = EVENTS[table]
        values = [_source(column, kind.__struct_fields__) for column in columns]
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM jsonb_each(new.{table})"


def _source(column: str, fields: tuple[str, ...]) -> str:
    """The SQL that finds ``column`` in a JSON row: ``n``, the channel's names, then an event's ``fields``."""
    if column in _NAME:
        return f"value ->> {_NAME[column]}"
    if column == "interval":
        return f"substr(value ->> {_NAME['kind']}, {len('bar.') + 1})"
    if column in _PROOF:
        return f"value ->> '$[{len(_NAME) + fields.index('proof')}].{_FIELD.get(column, column)}'"
    at = len(_NAME) + fields.index(_FIELD.get(column, column))
    return f"value {'->' if column in _ARRAYS else '->>'} {at}"


@lru_cache(maxsize=100_000)
def _names(channel: str) -> tuple[str, str, str]:
    """The venue, symbol and kind of ``channel``, which may be just a venue."""
    venue, _, rest = channel.partition(":")
    symbol, _, kind = rest.partition("/")
    return venue, symbol, kind


def _skip(value: object) -> None:
    """A book update refers to its book, which is no data of its own."""
    if not isinstance(value, Book):
        raise TypeError(f"{type(value).__name__} cannot be recorded")


_encode = json.Encoder(enc_hook=_skip).encode
