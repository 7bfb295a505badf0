"""The trades of ``tape.py``, and the same trades in every form that it reads: the store's and the peers'.

    python bench/tape_data.py DIRECTORY ROWS

makes what ``DIRECTORY`` lacks. Trades of 20 instruments on four venues, Zipf, over ten days: a random walk by
ticks, log-normal sizes and latencies, venue times to the millisecond. Within a session the receive times
never decrease, so that an instrument's trades have one order, by venue time as by receive time.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from shutil import rmtree
from time import sleep
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from journal import TABLES
from msgspec import json
from numpy.typing import NDArray

from livetape.core.events import Trade
from livetape.store.journal import Journal
from livetape.store.plan import Rules
from livetape.store.upkeep import keep_up

SEED = 20261120
DAY_NS = 86_400 * 10**9
START_NS = int(datetime(2026, 11, 10, tzinfo=UTC).timestamp()) * 10**9
DAYS = 10
VENUES = ("binance", "coinbase", "kraken", "okx")
MARKETS = {"BTC-USDT": 63_000.0, "ETH-USDT": 3_100.0, "SOL-USDT": 140.0, "XRP-USDT": 0.6, "DOGE-USDT": 0.12}
INSTRUMENTS = [(venue, symbol) for symbol in MARKETS for venue in VENUES]  #: the most traded first
WRITTEN = 200_000  #: trades of a burst
REPLAYED = (START_NS + 4 * DAY_NS, START_NS + 5 * DAY_NS)  #: received from, until: a day is replayed
LAST = 1_000  #: trades asked for
SMALL = 1_000  #: trades of a store that only serves to load modules
AT_ONCE = 50_000  #: trades that are given to the journal before it has to have written them

Ints = NDArray[np.int64]
ARTICLE = """
    CREATE TABLE forex_data (
        id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, price REAL, volume REAL, timestamp TIMESTAMP,
        side TEXT, trade_id TEXT, received INTEGER
    )
"""
INDEX_ARTICLE = "CREATE INDEX by_symbol ON forex_data (symbol, timestamp)"
INSERT_ARTICLE = (
    "INSERT INTO forex_data (symbol, price, volume, timestamp, side, trade_id, received)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class Columns(NamedTuple):
    """Trades in the order of receiving. ``ticks`` and ``lots`` have as many decimals as ``decimals`` says."""

    instrument: Ints
    ts: Ints
    recv: Ints
    seq: Ints
    ticks: Ints
    lots: Ints
    bought: Ints
    number: Ints

    def some(self, some: slice | NDArray[np.bool_]) -> "Columns":
        return Columns(*(column[some] for column in self))


def decimals(instrument: int) -> tuple[int, int]:
    """Of the prices and of the sizes of an instrument."""
    price = [*MARKETS.values()][instrument // len(VENUES)]
    return (2, 6) if price > 1_000 else (3, 4) if price > 1 else (5, 1)


def trades(rows: int) -> Columns:
    """So many trades, the same each time."""
    rng = np.random.default_rng(SEED)
    weight = 1 / np.arange(1, len(INSTRUMENTS) + 1)
    instrument = rng.choice(len(INSTRUMENTS), rows, p=weight / weight.sum())
    at = START_NS + np.sort(rng.integers(0, DAYS * DAY_NS - 10**9, rows))
    recv = at + (rng.lognormal(np.log(0.03), 0.5, rows) * 1e9).astype(np.int64)
    seq, number, ticks, lots = (np.zeros(rows, np.int64) for _ in range(4))
    for venue in range(len(VENUES)):
        [of] = np.nonzero(instrument % len(VENUES) == venue)
        recv[of] = np.maximum.accumulate(recv[of])
        seq[of] = np.arange(1, len(of) + 1)
        number[of] = 10**8 * (venue + 1) + np.cumsum(rng.integers(1, 4, len(of)))
    for each in range(len(INSTRUMENTS)):
        [of] = np.nonzero(instrument == each)
        price, (tick, lot) = [*MARKETS.values()][each // len(VENUES)], decimals(each)
        walk = np.cumsum(rng.integers(-3, 4, len(of)) * (rng.random(len(of)) < 0.4))
        ticks[of] = np.maximum(1, round(price * 10**tick) + walk)
        sizes = rng.lognormal(np.log(500 / price), 1.2, len(of))
        lots[of] = np.maximum(1, np.round(sizes * 10**lot / 25)).astype(np.int64) * 25
    bought = rng.integers(0, 2, rows)
    columns = Columns(instrument, at // 10**6 * 10**6, recv, seq, ticks, lots, bought, number)
    return Columns(*(column[np.argsort(recv, kind="stable")] for column in columns))


def events(columns: Columns) -> Iterator[Trade]:
    """The trades as livetape's events."""
    channels = [f"{venue}:{symbol}/trade" for venue, symbol in INSTRUMENTS]
    sessions = [START_NS + venue for venue in range(len(VENUES))]
    places = [decimals(instrument) for instrument in range(len(INSTRUMENTS))]
    for instrument, ts, recv, seq, ticks, lots, bought, number in each(columns):
        tick, lot = places[instrument]
        yield Trade(
            channels[instrument],
            ts,
            f"{ticks / 10**tick:.{tick}f}",
            f"{lots / 10**lot:.{lot}f}",
            "buy" if bought else "sell",
            str(number),
            recv_ns=recv,
            session=sessions[instrument % len(VENUES)],
            seq=seq,
        )


def each(columns: Columns, at_once: int = 100_000) -> Iterator[tuple[int, ...]]:
    """The rows."""
    for start in range(0, len(columns.ts), at_once):
        some = columns.some(slice(start, start + at_once))
        yield from zip(*(column.tolist() for column in some), strict=True)


def article_rows(columns: Columns) -> Iterator[tuple[object, ...]]:
    """The trades as ``INSERT_ARTICLE`` wants them: times are ISO text, as SQLite's own CURRENT_TIMESTAMP."""
    stamps = (str(t) for t in np.datetime_as_string(columns.ts.view("M8[ns]"), unit="ms"))
    for event, stamp in zip(events(columns), stamps, strict=True):
        symbol = event.channel.removesuffix("/trade")
        yield symbol, event.price, event.size, stamp.replace("T", " "), event.side, event.id, event.recv_ns


def bars_found(starts: Ints, *columns: NDArray[np.float64]) -> str:
    """Bars in a word: their starts, open, high, low and close to the last bit, and volume to six decimals."""
    *prices, volume = columns
    digest = sha256(starts.tobytes())
    for column in (*prices, volume.round(6)):
        digest.update(column.tobytes())
    return f"{len(starts)} {digest.hexdigest()}"


# The forms


def make_all(place: Path, rows: int) -> None:
    """Make what ``place`` lacks."""
    columns = trades(rows)
    begin, end = np.searchsorted(columns.recv, REPLAYED)
    day = columns.some(slice(begin, end))
    make(place / "article.sqlite", lambda path: make_article(path, columns))
    make(place / "indexed.sqlite", lambda path: make_indexed(path, columns))
    make(place / "small.sqlite", lambda path: make_indexed(path, columns.some(slice(SMALL))))
    make(place / "trades.csv", lambda path: frame(columns).to_csv(path, index=False))
    make(place / "instruments", lambda path: make_instruments(path, day))
    make(place / "cryptofeed.json", lambda path: make_rows(path, columns.some(slice(WRITTEN))))
    make(place / "store", lambda path: make_store(path, columns))
    make(place / "small", lambda path: make_store(path, columns.some(slice(SMALL))))
    for name, options in {"plain": {"compression": "zstd", "compression_level": 3}, "snappy": {}}.items():
        make(place / name, partial(make_plain, store=place / "store", **options))


def make(path: Path, maker: Callable[[Path], object]) -> None:
    """Let ``maker`` make ``path``, unless it is there; it has its name only once it is whole."""
    if path.exists():
        return
    print(f"Making {path}, once …", file=sys.stderr)
    unborn = path.with_name(f"{path.name}.new")
    if unborn.is_dir():
        rmtree(unborn)
    unborn.unlink(missing_ok=True)
    maker(unborn)
    unborn.rename(path)


def make_article(path: Path, columns: Columns) -> None:
    """The article's table, with what else a trade has and an index, as small as it can be: all at once."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(ARTICLE)
        for start in range(0, len(columns.ts), 1_000_000):
            db.executemany(INSERT_ARTICLE, article_rows(columns.some(slice(start, start + 1_000_000))))
        db.execute(INDEX_ARTICLE)


def make_indexed(path: Path, columns: Columns) -> None:
    """The table of ``journal.py``'s hand-written writer, with an index by instrument and receive time."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TABLE trades ({TABLES['trades']}) STRICT")
        rows = ((n, *indexed_row(event)) for n, event in enumerate(events(columns), 1))
        while some := [*islice(rows, 100_000)]:
            db.executemany(f"INSERT INTO trades VALUES ({', '.join('?' * len(some[0]))})", some)
        db.execute("CREATE INDEX by_instrument ON trades (venue, symbol, recv, session, seq)")


def indexed_row(e: Trade) -> tuple[object, ...]:
    return (
        *(e.session, e.seq, e.recv_ns, e.venue_ns, e.venue, e.symbol, e.trust, e.origin, None, None, None),
        *(e.price_text, e.size_text, e.side, e.id, e.number),
    )


def frame(columns: Columns) -> pd.DataFrame:
    """The trades as a data frame."""
    scales = 10.0 ** np.array([decimals(instrument) for instrument in range(len(INSTRUMENTS))])
    names = np.array([f"{venue}:{symbol}" for venue, symbol in INSTRUMENTS])
    of = columns.instrument
    return pd.DataFrame(
        {
            "received": columns.recv,
            "time": columns.ts.view("M8[ns]"),
            "symbol": names[of],
            "price": columns.ticks / scales[of, 0],
            "size": columns.lots / scales[of, 1],
            "side": np.where(columns.bought, "buy", "sell"),
            "trade_id": columns.number,
        }
    )


def make_instruments(path: Path, columns: Columns) -> None:
    """One Parquet file an instrument, as somebody keeps them who merges iterators."""
    path.mkdir()
    for instrument, (venue, symbol) in enumerate(INSTRUMENTS):
        of = columns.some(columns.instrument == instrument)
        names = ("channel", "ts", "price", "size", "side", "id", "recv", "session", "seq")
        rows = [
            (e.channel, e.venue_ns, e.price_text, e.size_text, e.side, e.id, e.recv_ns, e.session, e.seq)
            for e in events(of)
        ]
        pq.write_table(
            pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))),
            path / f"{venue}-{symbol}.parquet",
        )


def make_rows(path: Path, columns: Columns) -> None:
    """What cryptofeed's trades are made of."""
    rows = [
        (e.venue.upper(), e.symbol, e.side, e.size_text, e.price_text, e.id, e.venue_ns, e.recv_ns)
        for e in events(columns)
    ]
    path.write_bytes(json.encode(rows))


def make_store(path: Path, columns: Columns) -> None:
    """What the recorder makes of the trades: sealed, the days that are over compacted."""
    with closing(Journal(path)) as journal:
        for n, event in enumerate(events(columns), 1):
            journal.record(event)
            while n % AT_ONCE == 0 and journal.watermark.committed < journal.rows:
                sleep(0.005)
    if journal.dropped:
        raise SystemExit(f"the journal lost {journal.dropped} trades")
    keep_up(path, Rules())


def make_plain(path: Path, store: Path, **options: object) -> None:
    """The sealed files again, the same rows in the same order, as pyarrow encodes by default."""
    for sealed in store.glob("trades/**/*.parquet"):
        copy = path / sealed.relative_to(store)
        copy.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.ParquetFile(sealed).read(), copy, **options)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    make_all(place, int(sys.argv[2]))
