"""One connection to Finnhub for any number of browsers: a live chart with search, on your own machine.

    python examples/browser_chart.py finnhub:AAPL finnhub:BTC-USDT finnhub:EUR-USD --port 8765

Needs FINNHUB_API_KEY. The same as ``livetape up finnhub:AAPL …``: symbols that browsers choose are subscribed
once, however many look at them, and within the 50 that the plan allows.
"""

import argparse
import asyncio
import contextlib

from livetape.app import App
from livetape.config import load

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("sources", nargs="*", default=["finnhub:AAPL", "finnhub:BTC-USDT", "finnhub:EUR-USD"])
arguments.add_argument("--port", type=int, default=8765)
arguments.add_argument("--seconds", type=float, help="end after so many seconds, else with Ctrl-C")


async def serve(sources: list[str], port: int, seconds: float | None) -> None:
    app = App(load().with_sources(sources))
    try:
        async with asyncio.timeout(seconds), app.gateway().serving("127.0.0.1", port) as gateway:
            gateway.keep(app.config.channels_of(sources))
            print("open", gateway.url, flush=True)
            await asyncio.Event().wait()
    finally:
        await app.close()


chosen = arguments.parse_args()
with contextlib.suppress(KeyboardInterrupt, TimeoutError):
    asyncio.run(serve(chosen.sources, chosen.port, chosen.seconds))
