"""The tables of a journal segment, and how an event becomes a row (floor 3).

Every record of a segment, raw or typed, has the next number ``n``, in the order in which it was received; so
the numbers of all tables together are 1, 2, 3 … without a hole. Times are ns UTC. ``price_text`` is the venue's
exact text, ``price`` the same as a number for SQL.
"""

from msgspec import json

from ..core.decimals import Level
from ..core.events import Bar, BookUpdate, Gap, MarketEvent, Quote, Status, Trade

VERSION = 1
Row = tuple[object, ...]

_COMMON = ("n", "session", "seq", "recv", "ts", "venue", "symbol", "trust", "origin")
COLUMNS: dict[str, tuple[str, ...]] = {
    "raw": ("n", "session", "recv", "direction", "note"),  # and payload, see journal.py
    "trades": (*_COMMON, "price_text", "size_text", "side", "id"),
    "quotes": (*_COMMON, "bid_text", "bid_size_text", "ask_text", "ask_size_text", "venue_seq"),
    "books": (*_COMMON, "snapshot", "venue_first", "venue_last", "bids", "asks", "method", "depth", "since"),
    "bars": (
        *(*_COMMON, "interval", "start", "open_text", "high_text", "low_text", "close_text", "volume_text"),
        *("trades", "vwap_text", "closed"),
    ),
    "status": (*_COMMON, "kind", "state", "detail"),
    "gaps": (*_COMMON, "kind", "start", "end", "cause", "healed", "missing"),
}
_TYPES = {
    **dict.fromkeys(("n",), "INTEGER PRIMARY KEY"),
    **dict.fromkeys(
        (
            "session",
            "seq",
            "recv",
            "ts",
            "venue_seq",
            "venue_first",
            "venue_last",
            "snapshot",
            "depth",
            "since",
        )
        + ("start", "end", "trades", "closed", "missing"),
        "INTEGER",
    ),
}


def create_statements() -> list[str]:
    """The SQL that makes an empty segment."""
    statements = ["CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"]
    for table, columns in COLUMNS.items():
        declared = [f'"{c}" {_TYPES.get(c, "TEXT")}' for c in columns]
        if table == "raw":
            declared.append("payload BLOB")
        declared += [
            f"{c.removesuffix('_text')} REAL AS (CAST({c} AS REAL)) VIRTUAL"
            for c in columns
            if c.endswith("_text")
        ]
        statements.append(f"CREATE TABLE {table} ({', '.join(declared)}) STRICT")
    statements.append(
        "CREATE VIEW book_levels AS"
        " SELECT n, session, seq, recv, venue, symbol, trust, snapshot, 'bid' AS side,"
        " l.value ->> 0 AS price_text, l.value ->> 1 AS size_text FROM books, json_each(bids) AS l UNION ALL"
        " SELECT n, session, seq, recv, venue, symbol, trust, snapshot, 'ask',"
        " l.value ->> 0, l.value ->> 1 FROM books, json_each(asks) AS l"
    )
    return statements


def insert_statement(table: str) -> str:
    """One statement that inserts a whole batch, given as a JSON array of rows; raw payloads as one blob."""
    columns = COLUMNS[table]
    values = [f"value ->> {i}" for i in range(len(columns))]
    names = [f'"{c}"' for c in columns]
    if table == "raw":
        at = len(columns)
        names.append("payload")
        values.append(f"substr(?2, 1 + (value ->> {at}), value ->> {at + 1})")
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM json_each(?1)"


def row_of(event: MarketEvent) -> tuple[str, Row]:
    """The table of ``event``, and its row without the leading ``n``."""
    common = (
        event.session,
        event.seq,
        event.recv_ns,
        event.venue_ns,
        event.venue,
        event.symbol,
        event.trust,
        event.origin,
    )
    match event:
        case Trade():
            return "trades", (*common, event.price_text, event.size_text, event.side, event.id)
        case Quote():
            prices = (event.bid_text, event.bid_size_text, event.ask_text, event.ask_size_text)
            return "quotes", (*common, *prices, event.venue_seq)
        case BookUpdate(proof=p):
            proof = (p.method, p.depth, p.since_ns) if p else (None, None, None)
            levels = (_levels(event.bids), _levels(event.asks))
            return "books", (*common, int(event.snapshot), event.first, event.last, *levels, *proof)
        case Bar():
            texts = (event.open_text, event.high_text, event.low_text, event.close_text, event.volume_text)
            closed = None if event.closed is None else int(event.closed)
            interval = event.kind.removeprefix("bar.")
            return "bars", (*common, interval, event.start_ns, *texts, event.trades, event.vwap_text, closed)
        case Status():
            return "status", (*common, event.kind, event.state, event.detail)
        case Gap():
            bounds = (event.start_ns, event.end_ns)
            return "gaps", (*common, event.kind, *bounds, event.cause, event.healed, event.missing)


def _levels(levels: list[Level]) -> str:
    return json.encode(levels).decode()
