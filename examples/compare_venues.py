"""Compares the best prices of one symbol at two venues, as long as both may be believed.

python examples/compare_venues.py BTC-USD kraken gemini --seconds 20
"""

import argparse
import asyncio
import contextlib

from livetape import Stream
from livetape.core.events import Gap, Quote, Trust

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("symbol", nargs="?", default="BTC-USD")
arguments.add_argument("venues", nargs="*", default=["kraken", "gemini"])
arguments.add_argument("--seconds", type=float, help="end after so many seconds, else with Ctrl-C")

DOUBTFUL = (Trust.STALE, Trust.RESYNCING)


async def compare(symbol: str, venues: list[str], seconds: float | None) -> None:
    best: dict[str, Quote] = {}
    async with asyncio.timeout(seconds), Stream(*(f"{venue}:{symbol}/quote" for venue in venues)) as stream:
        async for event in stream:
            if isinstance(event, Gap) and event.end_ns is None:
                best.pop(event.venue, None)  # what it said is of the past
                print(f"{event.venue}: {event.cause}")
            if not isinstance(event, Quote) or event.trust in DOUBTFUL:
                continue
            best[event.venue] = event
            asks = [(quote.ask, venue) for venue, quote in best.items() if quote.ask is not None]
            bids = [(quote.bid, venue) for venue, quote in best.items() if quote.bid is not None]
            if len(best) == len(venues) and asks and bids:
                (ask, cheap), (bid, dear) = min(asks), max(bids)
                print(f"buy at {cheap} for {ask}, sell at {dear} for {bid}: {bid - ask:+.2f}")


chosen = arguments.parse_args()
with contextlib.suppress(KeyboardInterrupt, TimeoutError):
    asyncio.run(compare(chosen.symbol, chosen.venues, chosen.seconds))
