"""``livetape watch`` (floor 5)."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct

from .. import clock
from ..app import App
from ..config import Config
from ..core.events import Bar, BestQuote, BookUpdate, Gap, MarketEvent, Quote, Status, Trade
from ..core.instruments import Channel
from ..core.wire import event_json
from .following import following
from .running import Lines

if TYPE_CHECKING:
    from rich.table import Table


class View(Struct, frozen=True):
    """What to show: JSON lines or a table, how many events (0: no end), how many book levels."""

    as_json: bool
    count: int
    depth: int | None


async def show(config: Config, view: View, stop: asyncio.Event) -> int:
    """Show the sources of ``config`` until ``stop``. Raises what the user should know at the end."""
    app, channels = App(config), config.channels_of(config.sources)
    screen: _Json | _Table = _Json(view, stop) if view.as_json else _Table(channels, stop, view.depth)
    for name in (*map(str, channels), *{channel.venue for channel in channels}):
        app.bus.subscribe(name, screen.put)
    async with following(app, channels, stop):
        with screen:
            await stop.wait()
    return 0


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
            case BestQuote():
                bid = f"{event.bid_text} x {event.bid_size_text} {event.bid_venue}"
                ask = f"{event.ask_text} x {event.ask_size_text} {event.ask_venue}"
                self.last = f"{bid} | {ask} {event.state}".rstrip()
            case BookUpdate():
                bids, asks = event.book.bids.top(depth), event.book.asks.top(depth)
                pairs = [f"{size}@{price}" for price, size in reversed(bids)]
                self.last = " ".join(pairs) + " | " + " ".join(f"{price}@{size}" for price, size in asks)
            case Bar():
                self.last = f"{event.open_text} {event.high_text} {event.low_text} {event.close_text}"
        self.heard_ns, self.events = event.recv_ns, self.events + 1
