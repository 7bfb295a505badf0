"""``livetape demo`` (floor 5): vendors, feeds, store, gateway, page and one client, all in one process."""

import asyncio
import os
import sys
import tempfile
import webbrowser
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from ..app import App
from ..config import Config, GatewayConfig, StoreConfig, VenueConfig
from ..core.errors import LivetapeError
from ..core.events import Bar, BookUpdate, Gap, MarketEvent, Quote, Trade
from ..gateway.server import Gateway
from ..store.reader import open_store
from .simulate import make_vendor

SOURCES = ("kraken:BTC-USD", "kraken:ETH-USD", "gemini:BTC-USD", "gemini:ETH-USD")
_DATA = (Trade, Quote, BookUpdate, Bar)


async def demonstrate(
    directory: Path | None, kept: StoreConfig, port: int, seed: int, stop: asyncio.Event, *, browser: bool
) -> int:
    """Run until ``stop``, then print what happened and check it against the tape."""
    os.environ["NO_PROXY"] = "*"  # everything is on this machine
    async with AsyncExitStack() as stack:
        store = directory or Path(tempfile.mkdtemp(prefix="livetape-demo-"))
        vendors = [
            await stack.enter_async_context(make_vendor(v, seed).serving()) for v in ("kraken", "gemini")
        ]
        venues = {each.venue: VenueConfig(ws_url=each.ws_url, options={"depth": 25}) for each in vendors}
        app = App(Config(list(SOURCES), venues, GatewayConfig(port=port), kept))
        tally = Tally()
        app.bus.subscribe(None, tally.put)
        before = _recorded(store)
        app.record(store)
        gateway = await _run(app, port, stop, browser=browser)
        return tally.report(gateway, before, _recorded(store), store)


async def _run(app: App, port: int, stop: asyncio.Event, *, browser: bool) -> Gateway:
    try:
        async with app.gateway().serving("127.0.0.1", port) as gateway:
            gateway.keep(app.config.channels_of(app.config.sources))
            sys.stdout.write(f"livetape demo: {gateway.url}\n")
            sys.stdout.flush()
            if browser:
                webbrowser.open(gateway.url)
            async with aiohttp.ClientSession() as http:
                client = asyncio.create_task(_listen(http, gateway.url, app.config.sources))
                await stop.wait()
                client.cancel()
                await asyncio.gather(client, return_exceptions=True)
    finally:
        await app.close()
    return gateway


async def _listen(http: aiohttp.ClientSession, url: str, sources: Sequence[str]) -> None:
    """Be a client that wants everything, so that the way to a client is measured with no browser open."""
    async with http.ws_connect(f"{url}/v1/stream", max_msg_size=0) as ws:
        await ws.send_json({"op": "subscribe", "channels": list(sources)})
        async for _ in ws:
            pass


class Tally:
    """Counts what went over the bus."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._gaps: Counter[str] = Counter()

    def put(self, event: MarketEvent) -> None:
        """Count one event."""
        if isinstance(event, _DATA):
            self._events[event.channel] += 1
        elif isinstance(event, Gap) and event.end_ns is None:
            self._gaps[event.channel] += 1

    def report(self, gateway: Gateway, before: Counter[str], after: Counter[str], store: Path) -> int:
        """Print the summary; the exit code says whether the tape holds exactly what was counted."""
        out = sys.stdout.write
        out(f"\n{'channel':<24}{'events':>10}{'on tape':>10}{'gaps':>6}\n")
        recorded = after - before
        for channel, n in sorted(self._events.items()):
            out(f"{channel:<24}{n:>10}{recorded[channel]:>10}{self._gaps[channel]:>6}\n")
        latencies = sorted(gateway.fanout.latency_ns)
        if latencies:
            p50, p99 = (latencies[int(len(latencies) * share)] / 1e6 for share in (0.5, 0.99))
            out(f"latency from simulator send to gateway send: p50 {p50:.2f} ms, p99 {p99:.2f} ms\n")
        out(f"total {self._events.total()} events, {recorded.total()} on tape in {store}\n")
        return 0 if recorded == self._events else 5


def _recorded(store: Path) -> Counter[str]:
    try:
        return Counter(open_store(store).counts())
    except LivetapeError:
        return Counter()
