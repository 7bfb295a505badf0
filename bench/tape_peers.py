"""What others write by hand, the pieces of ``tape.py`` that livetape is compared with; see tape_piece.py.

The article's code stores a row and commits. What it does not say is done as its readers would: a cursor in
the order of time, pandas to resample. So are CSV files.
"""

import heapq
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pyarrow.parquet as pq
from journal import SYNC_EVERY, Executemany
from msgspec import Struct
from tape_data import (
    ARTICLE,
    INDEX_ARTICLE,
    INSERT_ARTICLE,
    LAST,
    REPLAYED,
    WRITTEN,
    article_rows,
    bars_found,
    events,
    frame,
    trades,
)
from tape_piece import CHANNEL, Work, read_through, run_piece

from livetape.core.events import Trade

WRITTEN_SINGLY = 1_000
CSV_ROWS = 2_000  #: a batch, 20 ms of 100,000 trades a second
BATCH = 65_536
NAME = CHANNEL.removesuffix("/trade")


class Tick(Struct, gc=False):
    """A row of the article's table."""

    symbol: str
    price: float
    volume: float
    time: datetime
    side: str
    id: str
    received: int


# Writing


def write_executemany(place: Path) -> Work:
    """The hand-written batched writer of ``journal.py``."""
    given, directory = [*events(trades(WRITTEN))], Path(mkdtemp(dir=place / "scratch"))

    def work() -> tuple[int, object]:
        side = Executemany(directory)
        for event in given:
            side.record(event)
        side.close()
        return len(given), None

    return work


def write_article(place: Path) -> Work:
    """The article's code: a row, a commit."""
    given = [*article_rows(trades(WRITTEN_SINGLY))]
    db = sqlite3.connect(Path(mkdtemp(dir=place / "scratch")) / "financial_data.db")
    db.execute(ARTICLE)
    db.execute(INDEX_ARTICLE)

    def work() -> tuple[int, object]:
        cursor = db.cursor()
        for row in given:
            cursor.execute(INSERT_ARTICLE, row)
            db.commit()
        return len(given), None

    return work


def write_csv(place: Path) -> Work:
    """A data frame a batch, appended; each tenth synced."""
    rows = frame(trades(WRITTEN)).to_dict("records")
    path = Path(mkdtemp(dir=place / "scratch")) / "trades.csv"

    def work() -> tuple[int, object]:
        with path.open("a", newline="") as file:
            for number, start in enumerate(range(0, len(rows), CSV_ROWS), 1):
                pd.DataFrame(rows[start : start + CSV_ROWS]).to_csv(file, index=False, header=number == 1)
                file.flush()
                if number % SYNC_EVERY == 0:
                    os.fsync(file.fileno())
        return len(rows), None

    return work


# Bars


def bars_article(place: Path) -> Work:
    """One instrument out of the article's table, resampled by pandas."""
    query = "SELECT timestamp, price, volume FROM forex_data WHERE symbol = ? ORDER BY timestamp, id"

    def work() -> tuple[int, object]:
        with closing(sqlite3.connect(place / "article.sqlite")) as db:
            rows = pd.read_sql_query(query, db, params=(NAME,), parse_dates=["timestamp"])
        return len(rows), _resampled(rows.set_index("timestamp"), "volume")

    return work


def bars_csv(place: Path) -> Work:
    """The same out of a CSV file, which has to be read whole."""

    def work() -> tuple[int, object]:
        columns = ["time", "symbol", "price", "size"]
        rows = pd.read_csv(place / "trades.csv", usecols=columns, parse_dates=["time"])
        rows = rows[rows["symbol"] == NAME]
        return len(rows), _resampled(rows.set_index("time"), "size")

    return work


def _resampled(rows: pd.DataFrame, volume: str) -> str:
    minutes = rows.resample("1min")
    bars = minutes["price"].ohlc().assign(volume=minutes[volume].sum()).dropna()
    starts = bars.index.to_numpy().astype("M8[ns]").view("i8")
    return bars_found(starts, *(bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))


# Replay


def replay_cursor(place: Path) -> Work:
    """The article's table, row by row in the order of time."""
    query = (
        "SELECT symbol, price, volume, timestamp, side, trade_id, received FROM forex_data"
        " WHERE received >= ? AND received < ? ORDER BY received, id"
    )

    def ticks(db: sqlite3.Connection) -> Iterator[Tick]:
        parse = datetime.fromisoformat
        for symbol, price, volume, time, side, number, received in db.execute(query, REPLAYED):
            yield Tick(symbol, price, volume, parse(time), side, number, received)

    def work() -> tuple[int, object]:
        with closing(sqlite3.connect(place / "article.sqlite")) as db:
            return read_through(ticks(db))

    return work


def replay_merge(place: Path) -> Work:
    """An iterator over each instrument's Parquet file, merged by the standard library."""
    files = sorted((place / "instruments").iterdir())

    def instrument(path: Path) -> Iterator[Trade]:
        for batch in pq.ParquetFile(path).iter_batches(BATCH):
            columns = (column.to_pylist() for column in batch.columns)
            for channel, ts, price, size, side, number, recv, session, seq in zip(*columns, strict=True):
                yield Trade(channel, ts, price, size, side, number, recv_ns=recv, session=session, seq=seq)

    def work() -> tuple[int, object]:
        order = lambda e: (e.recv_ns, e.session, e.seq)  # noqa: E731
        return read_through(heapq.merge(*map(instrument, files), key=order))

    return work


# The last trades


def history_sqlite(place: Path) -> Work:
    """The newest trades of an instrument, all columns, by an index."""
    query = (
        "SELECT * FROM trades WHERE venue = ? AND symbol = ?"
        " ORDER BY recv DESC, session DESC, seq DESC LIMIT ?"
    )

    def last(path: Path) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as db:
            return db.execute(query, (*NAME.split(":"), LAST)).fetchall()[::-1]

    def work() -> tuple[int, object]:
        rows = last(place / "indexed.sqlite")
        return len(rows), [row[15] for row in rows]

    last(place / "small.sqlite")
    return work


if __name__ == "__main__":
    run_piece(
        {
            "write_executemany": write_executemany,
            "write_article": write_article,
            "write_csv": write_csv,
            "bars_article": bars_article,
            "bars_csv": bars_csv,
            "replay_cursor": replay_cursor,
            "replay_merge": replay_merge,
            "history_sqlite": history_sqlite,
        }
    )
