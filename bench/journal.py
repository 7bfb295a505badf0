"""How long a record waits until it is committed, with an idle and a busy event loop; beside ``executemany``.

    python bench/journal.py [--rounds N] [--seconds S] [--rate R]

The peer is what one writes first: a thread that takes what has gathered each 20 ms and hands it to
``executemany`` of the standard library's sqlite3, with the same columns, WAL, commits and syncs. Both sides
get the same records, half of them raw frames, and take turns, each time in an empty directory. A lag is that
of the oldest record of a commit, from receive to commit: the worst of the commit. The busy loop computes in
pure Python for nine tenths of its time, 18 ms at a stretch, and records meanwhile; Python's switch interval
is untouched. ``livetape, sealed`` begins a new segment every two seconds, while a process of its own seals
the segments before.
"""

import asyncio
import platform
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, NamedTuple, Protocol

import apsw
import typer
from msgspec import json
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sides import show

from livetape import __version__, clock
from livetape.core.events import BookUpdate, MarketEvent, Proof, Quote, Trade
from livetape.core.raw import Direction, RawRecord
from livetape.store.attendant import Attendant
from livetape.store.journal import COMMIT_S, Journal
from livetape.store.plan import Rules

PERIOD_S, BUSY = 0.02, 0.9
BURST = 200_000  #: records for the rate that a side sustains
BUFFER = 4 << 30
SYNC_EVERY = 10
SESSION = 1_700_000_000_000_000_000

_PROOF = Proof("crc32", 10, SESSION)
_LEVELS = [("63004.1", "0.79488026"), ("63004.2", "0"), ("63004.3", "1.25")]
_FRAME = b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":1}]}'
RECORDS: list[MarketEvent | RawRecord] = [
    RawRecord(SESSION, 0, Direction.IN, _FRAME * 2),
    BookUpdate("kraken:BTC-USD/book", SESSION, False, _LEVELS[:2], _LEVELS, proof=_PROOF),
    RawRecord(SESSION, 0, Direction.IN, _FRAME),
    Trade("kraken:BTC-USD/trade", SESSION, "63004.1", "0.00731", "buy", "71298312", 71298312, proof=_PROOF),
    RawRecord(SESSION, 0, Direction.IN, _FRAME),
    BookUpdate("gemini:ETH-USD/book", SESSION, False, [], _LEVELS[:1], 1729182, 1729183, proof=_PROOF),
    RawRecord(SESSION, 0, Direction.IN, _FRAME),
    Quote("gemini:ETH-USD/quote", SESSION, "1877.64", "1.5", "1877.65", "0.4", 1729183, proof=_PROOF),
]


class Side(Protocol):
    """One of the compared."""

    @property
    def dropped(self) -> int: ...
    @property
    def lags_ns(self) -> Iterable[int]: ...
    def record(self, event: MarketEvent) -> None: ...
    def tap(self, raw: RawRecord) -> None: ...
    def close(self) -> None: ...


class Outcome(NamedTuple):
    """Lags in ms, ascending; how many records a second came, and what share of its time the loop computed."""

    lags_ms: list[float]
    rate: float
    load: float


class Measured(NamedTuple):
    """What a side did: steadily, by whether the loop was busy, and records a second of each burst."""

    steady: dict[bool, list[Outcome]]
    bursts: list[float]


# The peer

_COMMON = (
    "n INTEGER PRIMARY KEY, session INTEGER, seq INTEGER, recv INTEGER, ts INTEGER, venue TEXT, symbol TEXT,"
    " trust TEXT, origin TEXT, method TEXT, depth INTEGER, since INTEGER, "
)
TABLES = {
    "raw": "n INTEGER PRIMARY KEY, session INTEGER, recv INTEGER, direction TEXT, note TEXT, payload BLOB",
    "trades": _COMMON + "price TEXT, size TEXT, side TEXT, id TEXT, number INTEGER",
    "quotes": _COMMON + "bid TEXT, bid_size TEXT, ask TEXT, ask_size TEXT, venue_seq INTEGER",
    "books": _COMMON + "snapshot INTEGER, first INTEGER, last INTEGER, crc INTEGER, bids TEXT, asks TEXT",
}


class Executemany:
    """The peer; see the module."""

    def __init__(self, directory: Path) -> None:
        self.lags_ns: list[int] = []
        self.dropped = 0
        self._rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in TABLES}
        self._n = self._first_ns = 0
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._db = sqlite3.connect(directory / "peer.sqlite", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        for table, columns in TABLES.items():
            self._db.execute(f"CREATE TABLE {table} ({columns}) STRICT")
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def record(self, event: MarketEvent) -> None:
        self._put(_TABLE[type(event)], event.recv_ns, _row(event))

    def tap(self, raw: RawRecord) -> None:
        self._put("raw", raw.recv_ns, (raw.session, raw.recv_ns, raw.direction, raw.note, raw.payload))

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._db.close()

    def _put(self, table: str, recv_ns: int, row: tuple[object, ...]) -> None:
        with self._lock:
            self._n += 1
            self._rows[table].append((self._n, *row))
            self._first_ns = self._first_ns or recv_ns

    def _write(self) -> None:
        while not self._stopping.wait(COMMIT_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, {table: [] for table in TABLES}
            first_ns, self._first_ns = self._first_ns, 0
        if not first_ns:
            return
        level = "NORMAL" if (len(self.lags_ns) + 1) % SYNC_EVERY else "FULL"
        self._db.execute(f"PRAGMA synchronous={level}")
        self._db.execute("BEGIN")
        for table, some in rows.items():
            if some:
                marks = ", ".join("?" * len(some[0]))
                self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
        self._db.execute("COMMIT")
        self.lags_ns.append(clock.now_ns() - first_ns)


_TABLE: dict[type, str] = {Trade: "trades", Quote: "quotes", BookUpdate: "books"}


def _row(e: MarketEvent) -> tuple[object, ...]:
    proof = (e.proof.method, e.proof.depth, e.proof.since_ns) if e.proof else (None, None, None)
    common = (e.session, e.seq, e.recv_ns, e.venue_ns, e.venue, e.symbol, e.trust, e.origin, *proof)
    match e:
        case Trade():
            return (*common, e.price_text, e.size_text, e.side, e.id, e.number)
        case Quote():
            return (*common, e.bid_text, e.bid_size_text, e.ask_text, e.ask_size_text, e.venue_seq)
        case BookUpdate():
            levels = (json.encode(e.bids).decode(), json.encode(e.asks).decode())
            return (*common, int(e.snapshot), e.first, e.last, e.checksum, *levels)
    raise TypeError(type(e))


# The measurement


class Sealed(Journal):
    """A journal that begins a new segment every two seconds, while a process seals those before."""

    def __init__(self, directory: Path) -> None:
        self._attendant = Attendant(directory, Rules(), [])
        super().__init__(directory, buffer_bytes=BUFFER, segment_s=2, on_closed=self._attendant.wake)
        self._attendant.start()

    def close(self) -> None:
        self._attendant.close()
        super().close()


SIDES: dict[str, Callable[[Path], Side]] = {
    "livetape": lambda directory: Journal(directory, buffer_bytes=BUFFER),
    "livetape, sealed": Sealed,
    "executemany": Executemany,
}


async def steady(side: Side, *, rate: int, seconds: float, busy: bool) -> Outcome:
    """Record ``rate`` records a second, while the loop computes or rests."""
    began, computed, n = perf_counter(), 0.0, 0
    while (now := perf_counter()) - began < seconds:
        until = now + PERIOD_S * BUSY if busy else now
        due = int((now - began + PERIOD_S) * rate)
        start = n
        while n < due:
            put(side, n)
            n += 1
            while busy and perf_counter() - now < (n - start) / (due - start) * PERIOD_S * BUSY:
                pass
        while perf_counter() < until:
            pass
        computed += perf_counter() - now
        await asyncio.sleep(max(0, now + PERIOD_S - perf_counter()))
    spent = perf_counter() - began
    side.close()
    return Outcome(sorted(ns / 1e6 for ns in side.lags_ns), n / spent, computed / spent)


def burst(side: Side) -> float:
    """Records a second when they come as fast as they are taken, until the last is committed and synced."""
    began = perf_counter()
    for n in range(BURST):
        put(side, n)
    side.close()
    assert not side.dropped
    return BURST / (perf_counter() - began)


def put(side: Side, n: int) -> None:
    """Record number ``n``, received now."""
    record = replace(RECORDS[n % len(RECORDS)], recv_ns=clock.now_ns())
    if isinstance(record, RawRecord):
        side.tap(record)
    else:
        side.record(record)


def measured(rounds: int, rate: int, seconds: float) -> dict[str, Measured]:
    """What the sides did; they take turns at going first."""
    found = {name: Measured({False: [], True: []}, []) for name in SIDES}
    for turn in range(rounds):
        for name in sorted(SIDES, reverse=bool(turn % 2)):
            for busy, outcomes in found[name].steady.items():
                with TemporaryDirectory() as directory:
                    side = SIDES[name](Path(directory))
                    outcomes.append(asyncio.run(steady(side, rate=rate, seconds=seconds, busy=busy)))
            with TemporaryDirectory() as directory:
                found[name].bursts.append(burst(SIDES[name](Path(directory))))
    return found


def table(found: dict[str, Measured]) -> Table:
    """The lags, all rounds together."""
    headers = ("loop", "side", "records/s", "load", "commits", "p50 ms", "p99 ms", "max ms")
    result = Table(*headers, box=SIMPLE_HEAD)
    for column in result.columns[2:]:
        column.justify = "right"
    for busy in (False, True):
        for name, (by_load, _) in found.items():
            outcomes = by_load[busy]
            lags = sorted(lag for outcome in outcomes for lag in outcome.lags_ms)
            figures = (lags[len(lags) // 2], lags[len(lags) * 99 // 100], lags[-1])
            result.add_row(
                *("busy" if busy else "idle", name, f"{median(o.rate for o in outcomes):,.0f}"),
                *(f"{median(o.load for o in outcomes):.0%}", f"{len(lags):,}"),
                *(f"{ms:,.1f}" for ms in figures),
            )
    return result


def main(
    rounds: Annotated[int, typer.Option(help="How often each side is measured.", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="How long each lag is measured.", min=0.5)] = 4.0,
    rate: Annotated[int, typer.Option(help="Records a second, events and raw frames.", min=100)] = 20_000,
) -> None:
    """Lags from receive to commit, and records a second, of livetape's journal and of executemany."""
    found = measured(rounds, rate, seconds)
    ours, theirs = found["livetape"].bursts, found["executemany"].bursts
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    show(
        table(found),
        f"{BURST:,} records at once: livetape {median(ours):,.0f} records/s,"
        f" executemany {median(theirs):,.0f}; ratio {ratio:.2f}, median of {rounds} rounds.",
        f"livetape {__version__} with SQLite {apsw.sqlite_lib_version()}, executemany with SQLite"
        f" {sqlite3.sqlite_version}, Python {platform.python_version()}.",
    )


if __name__ == "__main__":
    typer.run(main)
