"""``livetape watch`` (floor 5)."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from .. import clock
from ..app import App
from ..config import Config
from ..core.errors import ConnectError, LivetapeError
from ..core.events import Bar, BookUpdate, Gap, MarketEvent, Quote, Status, Trade
from ..core.instruments import Channel
from ..core.wire import event_json
from .running import Lines, channels_of

if TYPE_CHECKING:
    from rich.table import Table

PATIENCE_S = 2.0  #: for the list of symbols that explains a refusal


class View(Struct, frozen=True):
    """What to show: JSON lines or a table, how many events (0: no end), how many book levels."""

    as_json: bool
    count: int
    depth: int | None


async def show(config: Config, view: View, stop: asyncio.Event) -> int:
    """Show the sources of ``config`` until ``stop``. Raises what the user should know at the end."""
    app, channels = App(config), channels_of(config.sources)
    screen: _Json | _Table = _Json(view, stop) if view.as_json else _Table(channels, stop, view.depth)
    for name in (*map(str, channels), *{channel.venue for channel in channels}):
        app.bus.subscribe(name, screen.put)
    async with following(app, channels, stop):
        with screen:
            await stop.wait()
    return 0


@asynccontextmanager
async def following(app: App, channels: list[Channel], stop: asyncio.Event) -> AsyncIterator[None]:
    """Want ``channels`` while the context lasts, then close ``app``.

    Raises at the end what the user should know: that all was refused, or that nobody ever answered.
    """
    denials = Denials(app, channels, stop)
    app.bus.subscribe(None, denials.put)
    try:
        app.hub.want(channels)
        yield
    finally:
        lines = app.hub.lines
        await denials.settle()
        await app.close()
    denials.raise_if_all()
    if lines and not any(line.ever_connected for line in lines):
        raise ConnectError(lines[0].session.adapter.venue, lines[0].last_error or "no connection yet")


class Denials:
    """Tells of refused channels, and ends the command when none is left."""

    def __init__(self, app: App, channels: list[Channel], stop: asyncio.Event) -> None:
        self._app, self._stop = app, stop
        self._left = set(map(str, channels))
        self._errors: list[LivetapeError] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: asyncio.Task[None] | None = None

    def put(self, event: MarketEvent) -> None:
        """Notice a refusal; with the last one the command ends."""
        if not isinstance(event, Status) or event.state != "denied" or event.channel not in self._left:
            return
        self._left.discard(event.channel)
        channel = Channel.parse(event.channel)
        if (about := f"{channel.venue}:{channel.symbol}") not in self._tasks:
            self._tasks[about] = asyncio.create_task(self._explain(channel, event.detail))
        if not self._left:
            self._ending = asyncio.create_task(self._end())

    async def settle(self) -> None:
        """Wait a little for the explanations that are under way."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=PATIENCE_S)
        for task in self._tasks.values():
            task.cancel()

    def raise_if_all(self) -> None:
        """Raise the first refusal when nothing could be had."""
        if self._errors and not self._left:
            raise self._errors[0]

    async def _explain(self, channel: Channel, reason: str) -> None:
        error = await self._app.hub.explain(channel, reason)
        self._errors.append(error)
        if self._left:
            sys.stderr.write(f"livetape: {error}\n")

    async def _end(self) -> None:
        await self.settle()
        self._stop.set()


class _Json(contextlib.AbstractContextManager["_Json"]):
    def __init__(self, view: View, stop: asyncio.Event) -> None:
        self._view, self._stop = view, stop
        self._lines = Lines(stop.set)
        self._put = 0

    def put(self, event: MarketEvent) -> None:
        if self._view.count and self._put >= self._view.count:
            return
        self._put += not isinstance(event, Status | Gap)
        self._lines.put(event_json(event, self._view.depth))
        if self._view.count and self._put >= self._view.count:
            self._stop.set()

    def __exit__(self, *_: object) -> None:
        self._lines.flush()


class _Table(contextlib.AbstractContextManager["_Table"]):
    """One row a channel, redrawn four times a second."""

    def __init__(self, channels: list[Channel], stop: asyncio.Event, depth: int | None) -> None:
        from rich.live import Live

        self._rows: dict[str, _Row] = {str(channel): _Row() for channel in channels}
        self._depth = depth or 1
        self._live = Live(get_renderable=self._draw, refresh_per_second=4)

    def put(self, event: MarketEvent) -> None:
        if row := self._rows.get(event.channel):
            row.put(event, self._depth)

    def __enter__(self) -> "_Table":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _draw(self) -> "Table":
        from rich.table import Table

        table = Table("channel", "last", "trust", "age", "events", "gaps", box=None, header_style="bold")
        for name, row in self._rows.items():
            age = f"{(clock.now_ns() - row.heard_ns) / 1e9:.1f} s" if row.heard_ns else "-"
            style = {"verified": "green", "live": "green", "unverifiable": "yellow"}.get(row.trust, "red")
            table.add_row(name, row.last, f"[{style}]{row.trust}[/]", age, str(row.events), str(row.gaps))
        return table


class _Row:
    def __init__(self) -> None:
        self.last, self.trust, self.heard_ns, self.events, self.gaps = "-", "connecting", 0, 0, 0

    def put(self, event: MarketEvent, depth: int) -> None:
        match event:
            case Status(state=state, detail=detail):
                self.trust = f"{state} {detail}".strip()
                return
            case Gap(end_ns=end_ns):
                self.gaps += end_ns is None
                return
            case Trade():
                self.last = f"{event.price_text} x {event.size_text} {event.side or ''}"
            case Quote():
                self.last = (
                    f"{event.bid_text} x {event.bid_size_text} | {event.ask_text} x {event.ask_size_text}"
                )
            case BookUpdate():
                bids, asks = event.book.bids.top(depth), event.book.asks.top(depth)
                pairs = [f"{size}@{price}" for price, size in reversed(bids)]
                self.last = " ".join(pairs) + " | " + " ".join(f"{price}@{size}" for price, size in asks)
            case Bar():
                self.last = f"{event.open_text} {event.high_text} {event.low_text} {event.close_text}"
        self.heard_ns, self.events = event.recv_ns, self.events + 1
