"""cryptofeed's side of ``ingest.py``, for a Python that has cryptofeed 2.x and need not have livetape.

Questions come as lines of JSON on stdin, answers leave on stdout. Nothing goes over a network.
"""

import asyncio
import gc
import json
import sys
from time import thread_time_ns
from urllib.parse import parse_qs, urlsplit

from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges import Binance, Gemini, Kraken
from cryptofeed.symbols import Symbols

EXCHANGES = {"binance": Binance, "gemini": Gemini, "kraken": Kraken}
CHANNELS = {"book": L2_BOOK, "trade": TRADES}


class Wire:
    """Stands for the connection and for the REST client."""

    def __init__(self, subscription, snapshots):
        self.subscription = subscription
        self._snapshots = snapshots

    async def write(self, frame):
        pass

    async def read(self, address):
        [native] = parse_qs(urlsplit(address).query)["symbol"]
        return self._snapshots[native]


async def started(load, on_book, on_trade):
    """A feed whose books stand, and its wire."""
    recording = load["recording"]
    exchange, channels = EXCHANGES[recording["venue"]], [CHANNELS[kind] for kind in recording["kinds"]]
    Symbols.set(exchange.id, recording["symbols"], {})
    options = {} if load["verify"] is None else {"checksum_validation": load["verify"]}
    callbacks = {L2_BOOK: pass_over, TRADES: pass_over}
    feed = exchange(symbols=list(recording["symbols"]), channels=channels, callbacks=callbacks, **options)
    feed.http_conn = wire = Wire(feed.subscription, recording["snapshots"])
    await feed.subscribe(wire)
    for ns, text in recording["start"]:
        await feed.message_handler(text, wire, ns / 1e9)
    feed.callbacks.update({L2_BOOK: [on_book], TRADES: [on_trade]})
    return feed, wire


async def drive(load, on_book, on_trade):
    """CPU nanoseconds from the first frame to the last callback, and the feed."""
    feed, wire = await started(load, on_book, on_trade)
    frames = [(ns / 1e9, text) for ns, text in load["recording"]["frames"]]
    gc.collect()
    began = thread_time_ns()
    for received, text in frames:
        await feed.message_handler(text, wire, received)
    return thread_time_ns() - began, feed


async def measure(load):
    callbacks = (look_at_book, look_at_trade) if load["look"] else (pass_over, pass_over)
    taken, _ = await drive(load, *callbacks)
    return taken / len(load["recording"]["frames"])


async def outcome(load):
    """What comes out: how many callbacks, and the best prices of each book at the end."""
    seen = []

    async def keep(event, received):
        seen.append(event)

    _, feed = await drive(load, keep, keep)
    books = {symbol: book.book for symbol, book in feed._l2_book.items()}
    best = {symbol: [best_of(book.bids), best_of(book.asks)] for symbol, book in books.items()}
    return {"callbacks": len(seen), "best": best}


def best_of(side):
    return float(side.index(0)[0]) if len(side) else None


async def look_at_book(book, received):
    """What a user's callback does at least."""
    book.book.bids.index(0)
    book.book.asks.index(0)


async def look_at_trade(trade, received):
    _ = trade.price


async def pass_over(event, received):
    pass


def main():
    loaded = []
    for line in sys.stdin:
        question = json.loads(line)
        if isinstance(question, int):
            answer = asyncio.run(measure(loaded[question]))
        else:
            loaded.append(question)
            answer = asyncio.run(outcome(question))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
