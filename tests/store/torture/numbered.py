"""A tape whose record number n says all about that record: every other one is raw, and days pass quickly."""

from pathlib import Path
from typing import NamedTuple

from livetape.core.events import Trade
from livetape.core.raw import Direction, RawRecord, Recipe
from livetape.store import columns
from livetape.store.catalog import Catalog
from livetape.store.plan import DAY_NS
from livetape.store.scan import Tape, Wanted, visible

FIRST_DAY = 20_000 * DAY_NS
DAY_ROWS = 10_000
SESSION = 7


def record(n: int) -> Trade | RawRecord:
    """Record ``n``; the first one begins the session of all raw ones."""
    recv_ns = FIRST_DAY + n * (DAY_NS // DAY_ROWS)
    if n == 1:
        return RawRecord(SESSION, recv_ns, Direction.BEGIN, note=Recipe("kraken").encode())
    if n % 2:
        return RawRecord(SESSION, recv_ns, Direction.IN, b"%d" % n * (n % 20), str(n))
    channel = f"kraken:{'ABC'[n % 3]}-USD/trade"
    return Trade(channel, recv_ns - 1, f"{n}.50", "1e-8", "buy", str(n), n, recv_ns=recv_ns, seq=n)


class Found(NamedTuple):
    """How far the tape goes: the last record, the first raw one, and how many raw ones were removed."""

    last: int
    first_raw: int
    removed: int


def check(directory: Path) -> Found:
    """Every record is there once, as it was written, up to the last one; raises AssertionError."""
    with visible(directory) as tape:
        trades = columns.events("trades", tape.ordered(Wanted("trades")))
        raw = _raw(tape)
        assert not any(part.num_rows for part in tape.scan(Wanted("gaps")))
    assert trades == [record(2 * k) for k in range(1, len(trades) + 1)]
    last_trade = 2 * len(trades)
    last_raw = raw[-1].recv_ns if raw else 0
    first_raw = _number(raw[0]) if raw else 1
    assert raw == [record(n) for n in range(first_raw, first_raw + 2 * len(raw), 2)]
    removed = sum(each.rows for each in Catalog(directory).removed())
    return Found(max(last_trade, _number(raw[-1]) if last_raw else 0), first_raw, removed)


def _raw(tape: Tape) -> list[RawRecord]:
    """The raw records: a folder's files may overlap in time, the segments come after them."""
    found = [record for part in tape.scan(Wanted("raw")) for record in columns.records(part)]
    return sorted(found, key=lambda record: record.recv_ns)


def _number(record: RawRecord) -> int:
    return (record.recv_ns - FIRST_DAY) // (DAY_NS // DAY_ROWS)
