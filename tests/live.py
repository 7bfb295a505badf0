"""Drives the real feeds against a loopback server, and keeps what they publish."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from livetape.app import App
from livetape.config import Config, VenueConfig
from livetape.core.channel import ChannelState
from livetape.core.events import BookUpdate, Gap, MarketEvent, Status, Trade
from livetape.core.instruments import Channel
from livetape.feeds.line import Line

from . import sessions

PATIENCE_S = 20.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


class Live:
    """A running app with everything it published."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.events: list[MarketEvent] = []
        self.tops: dict[int, object] = {}
        app.bus.subscribe(None, self.events.append)

    def of(self, kind: type[MarketEvent]) -> list[MarketEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def books(self) -> list[BookUpdate]:
        return [event for event in self.events if isinstance(event, BookUpdate)]

    @property
    def trades(self) -> list[Trade]:
        return [event for event in self.events if isinstance(event, Trade)]

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]

    def states(self, channel: str) -> list[str]:
        return [e.state for e in self.events if isinstance(e, Status) and e.channel == channel]

    @property
    def lines(self) -> list[Line]:
        return self.app.hub.lines

    def channel(self, name: str) -> ChannelState:
        return next(line.session.channels[name] for line in self.lines if name in line.session.channels)

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)

    def conserved(self) -> bool:
        return conserved(self.app)


def conserved(app: App) -> bool:
    return all(sessions.conserved(line.session) for line in app.hub.lines)


def accounted(status: dict[str, Any]) -> bool:
    """The same by what the gateway says of itself, where no book is fetched and so none is held."""
    return all(c["received"] == c["delivered"] + c["superseded"] + c["discarded"] for c in status["channels"])


@asynccontextmanager
async def live(
    sources: Iterable[str],
    venue: str,
    ws_url: str,
    *,
    api: str = "",
    options: dict[str, object] | None = None,
) -> AsyncIterator[Live]:
    config = Config(list(sources), {venue: VenueConfig(ws_url=ws_url, api=api, options=options or {})})
    app = App(config)
    running = Live(app)
    try:
        app.hub.want(map(Channel.parse, sources))
        yield running
        assert running.conserved()
    finally:
        await app.close()
