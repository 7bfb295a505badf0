"""``livetape latency``: how long REST takes, and how fresh the stream is (floor 5)."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from math import ceil
from statistics import mean

from msgspec import Struct, json
from msgspec.structs import astuple

from .. import clock
from ..adapters import channels_of, find
from ..app import App
from ..config import Config
from ..core.errors import LivetapeError
from ..core.events import BookUpdate, Gap, MarketEvent, Origin, Status
from ..core.instruments import Channel
from ..core.times import MILLISECOND, SECOND
from ..feeds.feed import Feed
from ..feeds.line import Line, Retry
from .doctor import SET_CLOCK, SKEW_NS, explained
from .following import following, why_closed

PINGS_S = 5.0  #: how long all pings together may take
LABELS = {
    "rest_new_connection": "REST, a new connection each",
    "rest_kept_connection": "REST, on one connection",
    "event_age": "WebSocket, age of an event on its arrival",
    "event_interval": "WebSocket, from one event to the next",
    "ping": "WebSocket, ping",
}


class Figure(Struct, frozen=True):
    """What took so many ms, ``n`` times."""

    n: int
    p50: float
    p99: float
    min: float
    max: float
    mean: float


class Measured(Struct, frozen=True):
    """``figures`` by the names of LABELS, None where nothing could be measured.

    An event's age is our clock when it came less the venue's time in it, so it is too small by as much as the
    venue's clock is ahead; that is known to half a second.
    """

    venue: str
    symbol: str
    figures: dict[str, Figure | None]
    clock_ahead_ms: float | None


class Wish(Struct, frozen=True):
    """How often to measure, and how long to wait for events."""

    n: int
    timeout_s: float


def channels_for(config: Config, venue: str, symbol: str) -> list[Channel]:
    """What to subscribe: the kind that ``symbol`` names, else what the venue has of trades and book."""
    named = channels_of([f"{venue}:{symbol}"])
    offers = find(named[0].venue, config.venue(named[0].venue).api).offers()
    return [channel for channel in named if channel.kind in offers] or named


async def measure(
    config: Config, channels: list[Channel], wish: Wish, stop: asyncio.Event, *, as_json: bool
) -> int:
    """Measure, and print it. Raises LivetapeError, as ``following`` does, and when REST fails."""
    config = config.with_retry(Retry(attempts=1))
    app, (venue, symbol, _) = App(config), channels[0]
    try:
        feed = app.hub.feed(venue)
        try:
            new, kept = await _rest(config, feed, feed.adapter.price_path(symbol), wish.n)
        except LivetapeError as error:
            raise await explained(app, channels[0], error) from error
        arrivals = _Arrivals(wish.n, stop)
        for channel in channels:
            app.bus.subscribe(str(channel), arrivals.put)
        asyncio.get_running_loop().call_later(wish.timeout_s, stop.set)
        async with following(app, channels, stop):
            await stop.wait()
            pings = await _pings(app.hub.lines[0], wish.n)
    finally:
        await app.close()
    ahead_ms = None if feed.ahead_ns is None else feed.ahead_ns / MILLISECOND
    times = (new, kept, arrivals.ages_ns, arrivals.intervals_ns, pings)
    measured = Measured(venue, symbol, dict(zip(LABELS, map(_figure, times), strict=True)), ahead_ms)
    if as_json:
        sys.stdout.buffer.write(json.encode(measured) + b"\n")
    else:
        _print_table(measured)
    for note in _notes(measured, channels[0], arrivals):
        sys.stderr.write(f"livetape: {note}\n")
    return 0


async def _rest(config: Config, feed: Feed, path: str | None, n: int) -> tuple[list[int], list[int]]:
    """How long ``n`` requests took on a connection each, and ``n`` on one that was there already."""
    if path is None:
        return [], []
    await feed.get(path)
    kept = [await _timed(feed, path) for _ in range(n)]
    return [await _once(config, feed.adapter.venue, path) for _ in range(n)], kept


async def _once(config: Config, venue: str, path: str) -> int:
    """By a client of its own, which needs a new connection."""
    app = App(config)
    try:
        return await _timed(app.hub.feed(venue), path)
    finally:
        await app.close()


async def _timed(feed: Feed, path: str) -> int:
    began_ns = clock.now_ns()
    await feed.get(path)
    return clock.now_ns() - began_ns


async def _pings(line: Line, n: int) -> list[int]:
    try:
        async with asyncio.timeout(PINGS_S):
            return [round(trip_s * SECOND) for trip_s in await line.round_trips(n)]
    except TimeoutError:
        return []


class _Arrivals:
    """When the first ``n`` events came, and how old they were. History and whole books do not count."""

    def __init__(self, n: int, stop: asyncio.Event) -> None:
        self._n, self._stop = n, stop
        self.times_ns: list[int] = []
        self.ages_ns: list[int] = []

    def put(self, event: MarketEvent) -> None:
        """Take one event; the last one stops the command."""
        whole = isinstance(event, BookUpdate) and event.snapshot
        if isinstance(event, Status | Gap) or whole or event.origin is not Origin.LIVE:
            return
        if len(self.times_ns) < self._n:
            self.times_ns.append(event.recv_ns)
            if event.venue_ns is not None:
                self.ages_ns.append(event.recv_ns - event.venue_ns)
        if len(self.times_ns) == self._n:
            self._stop.set()

    @property
    def intervals_ns(self) -> list[int]:
        return [after - before for before, after in zip(self.times_ns, self.times_ns[1:], strict=False)]


def _figure(times_ns: Sequence[int]) -> Figure | None:
    """Percentiles by the nearest rank."""
    if not times_ns:
        return None
    ranked = [ns / MILLISECOND for ns in sorted(times_ns)]
    n = len(ranked)
    p50, p99 = ranked[ceil(0.5 * n) - 1], ranked[ceil(0.99 * n) - 1]
    return Figure(n, p50, p99, ranked[0], ranked[-1], mean(ranked))


def _print_table(measured: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{measured.venue}:{measured.symbol}, ms"
    table = Table(title, *Figure.__struct_fields__, box=None, header_style="bold")
    for name, figure in measured.figures.items():
        n, *times = astuple(figure) if figure else ("-",)
        table.add_row(LABELS[name], str(n), *(f"{ms:.1f}" for ms in times))
    Console(markup=False).print(table)


def _notes(measured: Measured, channel: Channel, arrivals: _Arrivals) -> Iterator[str]:
    """What the figures do not say."""
    if measured.figures["rest_kept_connection"] is None:
        yield f"{channel.venue} has no price of {channel.symbol} to ask for over REST"
    if not arrivals.times_ns:
        yield f"{channel}: no event came; {why_closed(channel, clock.now_ns())}"
    elif not arrivals.ages_ns:
        yield f"{channel}: its events carry no time of the venue, so their age is not known"
    if measured.clock_ahead_ms is not None:
        off = f"the venue's clock is {measured.clock_ahead_ms / 1_000:+.1f} s from ours, to half a second"
        wrong = abs(measured.clock_ahead_ms) * MILLISECOND > SKEW_NS
        yield f"{off}; ages are wrong by as much: {SET_CLOCK}" if wrong else off
