"""What the tests of the store share: events and raw records to write, and their way back from the rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from msgspec import json

from livetape.core.events import (
    Bar,
    BookUpdate,
    Gap,
    MarketEvent,
    Origin,
    Proof,
    Quote,
    Status,
    Trade,
    Trust,
)
from livetape.core.raw import Direction, RawRecord
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
]


def trade(n: int) -> Trade:
    return Trade("kraken:BTC-USD/trade", NOW, "63004.1", "0.5", "sell", str(n), n, recv_ns=NOW + n)


def frame(n: int, payload: bytes = b"{}") -> RawRecord:
    return RawRecord(1, NOW + n, Direction.IN, payload)


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


def events(segment: Path) -> Iterator[MarketEvent]:
    """The events of a segment, made again from its rows alone, in the order of recording."""
    found = []
    for table in COLUMNS:
        if table != "raw":
            names = ", ".join(f'"{column}"' for column in COLUMNS[table])
            for row in select(segment, f"SELECT {names} FROM {table}"):
                found.append((table, dict(zip(COLUMNS[table], row, strict=True))))
    for table, row in sorted(found, key=lambda item: item[1]["n"]):
        yield _event(table, row)


def _event(table: str, row: dict[str, Any]) -> MarketEvent:
    take = row.pop
    proof = (take("method"), take("depth"), take("since"))
    common = {
        "recv_ns": take("recv"),
        "session": take("session"),
        "seq": take("seq"),
        "trust": Trust(take("trust")),
        "origin": Origin(take("origin")),
        "proof": None if proof[0] is None else Proof(*proof),
        "venue_ns": take("ts"),
    }
    kind = {"trades": "trade", "quotes": "quote", "books": "book"}.get(table, row.get("kind"))
    if table == "bars":
        kind = f"bar.{take('interval')}"
    row.pop("kind", None)
    channel = f"{row['venue']}:{row['symbol']}/{kind}" if row["symbol"] else row["venue"]
    for column in ("n", "venue", "symbol"):
        del row[column]
    match table:
        case "trades":
            return Trade(channel, **common, **row)
        case "quotes":
            return Quote(channel, **common, **row)
        case "books":
            levels = {side: json.decode(take(side), type=list[tuple[str, str]]) for side in ("bids", "asks")}
            first, last = take("venue_first"), take("venue_last")
            return BookUpdate(
                channel, **common, **levels, first=first, last=last, snapshot=bool(take("snapshot")), **row
            )
        case "bars":
            closed = take("closed")
            row |= {"start_ns": take("start"), "closed": None if closed is None else bool(closed)}
            return Bar(channel, **common, **row)
        case "status":
            return Status(channel, **common, **row)
        case "gaps":
            return Gap(channel, **common, start_ns=take("start"), end_ns=take("end"), **row)
    raise AssertionError(table)
