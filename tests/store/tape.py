"""What the tests of the store share: events and raw records to write, and their way back from the rows."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from msgspec import json

from livetape.core.events import (
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
    Origin,
    Proof,
    Quote,
    Status,
    Summary,
    Trade,
    Trust,
    Why,
)
from livetape.core.raw import Direction, RawRecord
from livetape.store.journal import Journal
from livetape.store.schema import COLUMNS

NOW = 1_795_000_000_123_456_789
PROOF = Proof("crc32", 10, NOW - 5)
SAMPLES: list[MarketEvent] = [
    Trade(
        *("kraken:BTC-USD/trade", NOW - 7, "63004.10", "1e-8", "buy", "000123", 123),
        recv_ns=NOW,
        session=NOW,
        seq=1,
        trust=Trust.VERIFIED,
        proof=Proof("trade_id", None, NOW - 9),
    ),
    Quote("gemini:ETH-USD/quote", None, None, None, "1877.65", "0.40", recv_ns=NOW + 1, session=2, seq=2),
    BookUpdate(
        *("kraken:BTC-USD/book", NOW - 6, True, [("63004.1", "0.790"), ("63004.0", "0")], []),
        *(2**63 - 1, -(2**63), 4294967295),
        recv_ns=NOW + 2,
        session=3,
        seq=3,
        trust=Trust.VERIFIED,
        proof=PROOF,
    ),
    Bar(
        *("kraken:BTC-USD/bar.1m", NOW - 60, "1.0", "2.50", "0.5", "1", "0", 0, None, False, None),
        recv_ns=NOW + 3,
        session=4,
        seq=4,
        origin=Origin.BACKFILLED,
    ),
    Status("kraken", "disconnected", "réseau \U0001f4c9 \x00 '\";--", recv_ns=NOW + 4, session=5, seq=5),
    Status("kraken:BTC-USD/book", "stale", recv_ns=NOW + 5, session=5, seq=6, trust=Trust.STALE),
    Gap("kraken:BTC-USD/book", NOW - 3, None, "checksum", recv_ns=NOW + 6, session=5, seq=7),
    Gap("kraken:BTC-USD/book", NOW - 3, NOW, "checksum", "snapshot", 0, recv_ns=NOW + 7, session=5, seq=8),
    Trade(
        *("alpaca:AAPL/trade", NOW - 2, "126.55", "1", None, "96921", None, ("@", "I"), ("last", "range")),
        recv_ns=NOW + 8,
    ),
    Amendment("alpaca:AAPL/trade", NOW, "96921", "126.55", "1", "126.56", "2", "96922", recv_ns=NOW + 9),
    Amendment("alpaca:AAPL/trade", None, "96922", "126.56", "2", recv_ns=NOW + 10),
    Summary("itick:SPX/summary", NOW, "1", "3", "0.5", "2.50", "1.1", "7", "9", NOW - 1, recv_ns=NOW + 11),
    Summary("itick:DJI/summary", None, recv_ns=NOW + 12),
    Mark("gemini:BTC-GUSD-PERP/mark", NOW, "9500.1", "9500", "0.0001", recv_ns=NOW + 13),
    Auction(
        "gemini:BTC-USD/auction", NOW, "result", "7", NOW, True, "1", "2", "0", "3", "4", recv_ns=NOW + 14
    ),
    Luld("alpaca:IONM/luld", NOW, "3.24", "2.65", "B", recv_ns=NOW + 15),
    News("alpaca:CRSR/news", NOW, "24", "Über", "b", "https://x/", "s", ("CRSR", "A"), NOW, recv_ns=NOW + 16),
    BestQuote(
        "best:BTC-USD/quote", NOW, "1.0", "2", "0.9", None, "kraken", "gemini", "crossed", recv_ns=NOW + 18
    ),
    BestQuote("best:BTC-USD/quote", None, recv_ns=NOW + 19, session=NOW, seq=2, trust=Trust.STALE),
    Status("finnhub:X/trade", "denied", "Invalid symbol X", NOW, Why.SYMBOL, recv_ns=NOW + 17),
]


def trade(n: int) -> Trade:
    return Trade("kraken:BTC-USD/trade", NOW, "63004.1", "0.5", "sell", str(n), n, recv_ns=NOW + n)


def frame(n: int, payload: bytes = b"{}") -> RawRecord:
    return RawRecord(1, NOW + n, Direction.IN, payload)


def written(directory: Path, *records: MarketEvent | RawRecord) -> Path:
    """The segment that holds ``records``."""
    journal = Journal(directory)
    before = journal.watermark.committed
    for record in records:
        if isinstance(record, RawRecord):
            journal.tap(record)
        else:
            journal.record(record)
    journal.close()
    assert before + journal.rows == journal.watermark.committed == journal.watermark.synced
    return journal.path


def until(true: Callable[[], object], timeout_s: float = 20) -> None:
    """Wait until ``true()``."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


def segments(directory: Path) -> list[Path]:
    return sorted((directory / "journal").glob("*.sqlite"))


def select(segment: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(apsw.Connection(str(segment))) as db:
        return list(db.execute(query))


def numbers(segment: Path) -> list[int]:
    """The numbers of all tables together, in order."""
    union = " UNION ALL ".join(f"SELECT n FROM {table}" for table in COLUMNS)
    return [n for (n,) in select(segment, f"SELECT n FROM ({union}) ORDER BY n")]


def events(segment: Path) -> list[MarketEvent]:
    """The events of a segment, made again from its rows alone, in the order of recording."""
    found: list[tuple[int, MarketEvent]] = []
    for table, kind in KINDS.items():
        names = ", ".join(f'"{column}"' for column in COLUMNS[table])
        for values in select(segment, f"SELECT {names} FROM {table}"):
            row = dict(zip(COLUMNS[table], values, strict=True))
            found.append((row["n"], _event(kind, row)))
    return [event for _, event in sorted(found, key=lambda item: item[0])]


KINDS: dict[str, type[MarketEvent]] = {
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
FIELDS = {"recv": "recv_ns", "ts": "venue_ns", "start": "start_ns", "end": "end_ns"}
FIELDS |= {"venue_first": "first", "venue_last": "last"}
FIELDS |= {"counted_since": "since_ns", "auction": "auction_ns", "updated": "updated_ns"}
#: What a channel of such events ends in, where that is always the same.
STREAM: dict[object, str] = {Trade: "trade", Amendment: "trade", Quote: "quote", BookUpdate: "book"}
STREAM |= {BestQuote: "quote"}
STREAM |= {Summary: "summary", Mark: "mark", Auction: "auction", Luld: "luld", News: "news"}
_texts = json.Decoder(tuple[str, ...]).decode
_READ: dict[str, Callable[[Any], object]] = {
    "trust": Trust,
    "origin": Origin,
    "snapshot": bool,
    "closed": lambda closed: None if closed is None else bool(closed),
    "success": lambda success: None if success is None else bool(success),
    "why": Why,
    "conditions": _texts,
    "excluded": _texts,
    "symbols": _texts,
    "bids": lambda text: json.decode(text, type=list[tuple[str, str]]),
    "asks": lambda text: json.decode(text, type=list[tuple[str, str]]),
}


def _event(kind: type[MarketEvent], row: dict[str, Any]) -> MarketEvent:
    take = row.pop
    take("n")
    venue, symbol, method, depth, since = map(take, ("venue", "symbol", "method", "depth", "since"))
    name = f"bar.{take('interval')}" if kind is Bar else take("kind", None) or STREAM.get(kind)
    read = {column: _READ[column](row[column]) if column in _READ else row[column] for column in row}
    fields: dict[str, Any] = {FIELDS.get(column, column): value for column, value in read.items()}
    return kind(
        channel=f"{venue}:{symbol}/{name}" if symbol else venue,
        proof=None if method is None else Proof(method, depth, since),
        **fields,
    )
