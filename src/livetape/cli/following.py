"""Wanting channels until the end, and telling the user what became of them (floor 5)."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .. import clock
from ..app import App
from ..calendars import hours_of
from ..core.adapter import Adapter
from ..core.consolidated import BEST
from ..core.errors import ConfigError, ConnectError, LivetapeError
from ..core.events import MarketEvent, Status
from ..core.instruments import Channel
from ..core.times import SECOND, iso

PATIENCE_S = 2.0  #: for the list of symbols that explains a refusal
BRIEF_S = 2.0  #: a connection that ends sooner was not meant to be
QUIET_S = 10.0  #: after which the user is told what has not come


@asynccontextmanager
async def following(app: App, channels: list[Channel], stop: asyncio.Event) -> AsyncIterator[None]:
    """Want ``channels`` while the context lasts, then close ``app``.

    Raises at the end what the user should know: that all was refused, or that nobody ever answered.
    """
    denials = Denials(app, channels, stop)
    app.bus.subscribe(None, denials.put)
    quiet = asyncio.create_task(_tell_quiet(app, channels))
    try:
        app.want(channels)
        yield
    finally:
        quiet.cancel()
        lines = app.hub.lines
        alive = any(line.connected for line in lines)
        await denials.settle()
        await app.close()
    denials.raise_if_all()
    if denials.cut_off is not None and not alive:
        raise denials.cut_off
    if lines and all(line.gave_up or not line.ever_connected for line in lines):
        adapter, cause = lines[0].session.adapter, lines[0].last_error or "no connection yet"
        raise cut_off(adapter, cause) if lines[0].ever_connected else ConnectError(adapter.venue, cause)


class Denials:
    """Tells of refused channels, and ends the command when none is left.

    ``cut_off`` is set where a vendor that counts connections keeps ending them at once.
    """

    cut_off: ConnectError | None = None

    def __init__(self, app: App, channels: list[Channel], stop: asyncio.Event) -> None:
        self._app, self._stop = app, stop
        self._left = set(map(str, channels))
        self._errors: list[LivetapeError] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed_ns: dict[int, int] = {}  # by session, when it was connected or disconnected last
        self._brief: Counter[int] = Counter()  # likewise, how many connections in a row were brief
        self._ending: asyncio.Task[None] | None = None

    def put(self, event: MarketEvent) -> None:
        """Notice a refusal; with the last one, or when no line dials any more, the command ends."""
        if isinstance(event, Status) and self._app.hub.gave_up:
            self._stop.set()
        if isinstance(event, Status) and event.state in ("connected", "disconnected"):
            self._notice_cut_off(event)
        if not isinstance(event, Status) or event.channel not in self._left:
            return
        if event.state == "queued":
            sys.stderr.write(f"livetape: {event.channel} waits: {event.detail}\n")
        if event.state != "denied":
            return
        self._left.discard(event.channel)
        channel = Channel.parse(event.channel)
        if (about := f"{channel.venue}:{channel.symbol}") not in self._tasks:
            self._tasks[about] = asyncio.create_task(self._explain(channel, event))
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

    def _notice_cut_off(self, change: Status) -> None:
        before, self._changed_ns[change.session] = self._changed_ns.get(change.session, 0), change.recv_ns
        if change.state == "connected" or self.cut_off is not None:
            return
        brief = change.recv_ns - before < BRIEF_S * SECOND
        self._brief[change.session] = self._brief[change.session] + 1 if brief else 0
        adapter = self._app.hub.feed(change.venue).adapter
        if self._brief[change.session] > 1 and adapter.limits.sockets_per_key:
            self.cut_off = cut_off(adapter, change.detail)
            sys.stderr.write(f"livetape: {self.cut_off}\n")

    async def _explain(self, channel: Channel, denied: Status) -> None:
        error: LivetapeError
        if channel.venue == BEST:
            error = ConfigError(f"no venue has it: {denied.detail}", where=str(channel))
        else:
            error = await self._app.hub.explain(channel, denied.detail, denied.why)
        self._errors.append(error)
        if self._left:
            sys.stderr.write(f"livetape: {error}\n")

    async def _end(self) -> None:
        await self.settle()
        self._stop.set()


def cut_off(adapter: Adapter, cause: str) -> ConnectError:
    """What to tell when the vendor has ended a connection at once and did not say why."""
    names = " and ".join(adapter.key_names)
    remedy = f"if another program uses the key, end it, or use another key in {names}" if names else ""
    return ConnectError(adapter.venue, cause, remedy=remedy)


async def _tell_quiet(app: App, channels: list[Channel]) -> None:
    """Tell, once, which channels have brought nothing, and whether their market is closed."""
    await asyncio.sleep(QUIET_S)
    lines = [line for line in app.hub.lines if line.connected]
    states = {name: state for line in lines for name, state in line.session.channels.items()}
    for channel in app.config.behind(channels):
        state = states.get(str(channel))
        if state is not None and not state.delivered and state.denied is None:
            why = await why_quiet(app, channel)
            sys.stderr.write(f"livetape: {channel}: nothing yet; {why}\n")


async def why_quiet(app: App, channel: Channel) -> str:
    """Why ``channel`` may bring nothing now."""
    if unlisted := await app.hub.unlisted(channel, "the vendor does not list it"):
        return str(unlisted)
    return await asyncio.to_thread(why_closed, channel, clock.now_ns())


def why_closed(channel: Channel, now_ns: int) -> str:
    """Why the market of ``channel`` may be quiet at ``now_ns``."""
    try:
        hours = hours_of(channel.venue, channel.symbol)
    except ConfigError:
        return "nobody has traded"
    opens_ns = hours.next_open(now_ns)
    if hours.is_open(now_ns) or opens_ns is None:
        return "the market is open, but nobody has traded"
    return f"the market is closed until {iso(opens_ns)[:16]}Z ({hours.name})"
