"""Keeps trades, and the gaps between them, in an SQLite file of your own design.

    python examples/record_to_sqlite.py trades.sqlite kraken:BTC-USD/trade gemini:BTC-USD/trade --seconds 20

``livetape record`` keeps everything. This keeps what one program needs: exact prices, one commit a second.
"""

import argparse
import asyncio
import contextlib
import sqlite3

from livetape import Stream
from livetape.core.events import Gap, Trade

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("file", nargs="?", default="trades.sqlite")
arguments.add_argument("sources", nargs="*", default=["kraken:BTC-USD/trade", "gemini:BTC-USD/trade"])
arguments.add_argument("--seconds", type=float, help="end after so many seconds, else with Ctrl-C")

TABLES = """
CREATE TABLE IF NOT EXISTS trades (
    recv INTEGER, venue TEXT, symbol TEXT, price TEXT, size TEXT, side TEXT, id TEXT
);
CREATE TABLE IF NOT EXISTS gaps (
    venue TEXT, symbol TEXT, start INTEGER, end INTEGER, cause TEXT, missing INTEGER,
    PRIMARY KEY (venue, symbol, start)
);
"""


def keep(db: sqlite3.Connection, trades: list[Trade], gaps: list[Gap]) -> None:
    """Write what has gathered, in one transaction."""
    with db:
        db.executemany(
            "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(t.recv_ns, t.venue, t.symbol, t.price_text, t.size_text, t.side, t.id) for t in trades],
        )
        db.executemany(  # a gap is told twice: the second time it has its end
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
            [(g.venue, g.symbol, g.start_ns, g.end_ns, g.cause, g.missing) for g in gaps],
        )
    trades.clear()
    gaps.clear()


async def record(file: str, sources: list[str], seconds: float | None) -> None:
    trades: list[Trade] = []
    gaps: list[Gap] = []
    stream = Stream(*sources)
    stream.on("trade")(trades.append)
    stream.on_gap(gaps.append)
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript(TABLES)
        try:
            async with asyncio.timeout(seconds), stream:
                while True:
                    await asyncio.sleep(1)
                    keep(db, trades, gaps)
        except TimeoutError:
            pass
        finally:
            keep(db, trades, gaps)
            for row in db.execute("SELECT venue, symbol, count(*) FROM trades GROUP BY 1, 2"):
                print(*row)


chosen = arguments.parse_args()
with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(record(chosen.file, chosen.sources, chosen.seconds))
