"""cryptofeed's side of ``tape.py``: its own TradePostgres, in an environment that has cryptofeed 2.x.

    python tape_cryptofeed.py TRADES ROWS PORT QUEUED

``TRADES`` is a file of JSON rows, of which the first ``ROWS`` are written. ``QUEUED`` at once are given to
the callback, as a feed does; the writer takes what is queued. Prints what that took, of this process.
"""

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import asyncpg
from cryptofeed.backends.postgres import TradePostgres
from cryptofeed.types import Trade

TABLE = """
    DROP TABLE IF EXISTS trades;
    CREATE TABLE trades (
        id serial PRIMARY KEY, "timestamp" timestamp, receipt timestamp, exchange varchar(32),
        symbol varchar(32), side varchar(8), amount numeric(64, 32), price numeric(64, 32),
        trade_id varchar(64), order_type varchar(32)
    )
"""


async def write(rows, port, queued):
    """Seconds and CPU seconds until the last trade is committed."""
    server = {"host": "127.0.0.1", "port": port, "user": "bench"}
    db = await asyncpg.connect(**server, database="postgres")
    await db.execute(TABLE)
    writer = TradePostgres(**server, db="postgres")
    trades = [
        (Trade(exchange, symbol, side, Decimal(size), Decimal(price), ts / 1e9, id=number), received / 1e9)
        for exchange, symbol, side, size, price, number, ts, received in rows
    ]
    await writer._connect()
    began, spent = time.perf_counter(), time.process_time()
    writer.start(asyncio.get_running_loop())
    for start in range(0, len(trades), queued):
        for trade, received in trades[start : start + queued]:
            await writer(trade, received)
        await writer.queue.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    await writer.stop()
    await writer.worker
    assert await db.fetchval("SELECT count(*) FROM trades") == len(rows)
    await writer.conn.close()
    await db.close()
    return {"seconds": seconds, "cpu_s": cpu, "rows": len(rows)}


if __name__ == "__main__":
    count, *arguments = map(int, sys.argv[2:])
    given = json.loads(Path(sys.argv[1]).read_text())[:count]
    print(json.dumps(asyncio.run(write(given, *arguments))))
