"""Builds everything from a Config; the only file that knows all (floor 4)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from . import clock
from .calendars import Phases, days_of
from .config import Config
from .core.bars import Grid
from .core.bus import Bus
from .core.channel import ChannelState
from .core.consolidated import BEST, Consolidated
from .core.errors import LivetapeError
from .core.instruments import Channel, Instrument, interval_ns
from .core.livebars import RECENT, TICK_NS, LiveBars
from .core.raw import RawRecord
from .core.redundant import Merge
from .core.times import SECOND
from .feeds.catalogue import Catalogue
from .feeds.feed import Feed
from .feeds.hub import Hub
from .feeds.line import Line
from .feeds.rest import Rest
from .gateway.server import Gateway
from .store.attendant import Attendant
from .store.journal import Journal

ASK_AGAIN_NS = 60_000_000_000
_log = logging.getLogger("livetape.app")


class _Made(Struct, frozen=True):
    """A channel that is made of others."""

    sources: list[Channel]
    maker: Consolidated | LiveBars


class App:
    """The bus, the feeds and the recorder. Use it on one running loop, and ``close`` it at the end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bus = Bus()
        self.hub = Hub(self._make_feed)
        self.journal: Journal | None = None
        self._attendant: Attendant | None = None
        self.unasked: set[str] = set()  #: channels that are subscribed only because others are made from them
        self._users: Counter[Channel] = Counter()
        self._made: dict[Channel, _Made] = {}
        self._phases = Phases()
        self._ticking: asyncio.TimerHandle | None = None

    def want(self, channels: Iterable[Channel], *, queue: bool = True) -> None:
        """Subscribe ``channels``, or what they are made from. Raises as ``Hub.want`` does."""
        channels = list(channels)
        behind = self.config.behind(channels)
        try:
            for channel in dict.fromkeys(channels):
                self._make(channel)
            self.hub.want(behind, queue=queue)
            self._users.update(channels)
        finally:
            self._sort_out()

    def drop(self, channels: Iterable[Channel]) -> None:
        """Give up what ``want`` asked for, once."""
        channels = [channel for channel in channels if self._users[channel]]
        self._users.subtract(channels)
        self.hub.drop(self.config.behind(channels))
        self._sort_out()

    @property
    def bars(self) -> list[tuple[Channel, Channel, LiveBars]]:
        """The bars that are made here: their channel, the one that they are made from, and their maker."""
        made = [(channel, made.sources[0], made.maker) for channel, made in self._made.items()]
        return [(channel, source, maker) for channel, source, maker in made if isinstance(maker, LiveBars)]

    def _make(self, channel: Channel) -> None:
        """Make ``channel`` from now on, if it is made of others and is not yet."""
        sources = self.config.behind([channel])
        if sources == [channel] or channel in self._made:
            return
        maker: Consolidated | LiveBars
        if channel.venue == BEST:
            venues = [source.venue for source in sources]
            maker = Consolidated(channel, venues, self.bus.publish, clock.now_ns())
        else:
            grid = Grid(interval_ns(channel.kind), days_of(channel.venue, channel.symbol))
            recent = RECENT if self.hub.feed(channel.venue).adapter.amends else 0
            maker = LiveBars(channel, grid, self.bus.publish, clock.now_ns(), recent=recent)
        self._made[channel] = _Made(sources, maker)
        for source in sources:
            self.bus.subscribe(str(source), maker.take)
        if self.bars and self._ticking is None:
            self._tick()

    def _sort_out(self) -> None:
        """Make no more what nobody uses, and find what is subscribed only for what is made."""
        for channel in [channel for channel in self._made if not self._users[channel]]:
            made = self._made.pop(channel)
            for source in made.sources:
                self.bus.unsubscribe(str(source), made.maker.take)
        behind = [source for made in self._made.values() for source in made.sources]
        self.unasked.clear()
        self.unasked.update(str(channel) for channel in behind if not self._users[channel])

    def _tick(self) -> None:
        """Let the bars know the time, as long as there are any."""
        for _, _, maker in (bars := self.bars):
            maker.tick(clock.now_ns())
        later = asyncio.get_running_loop().call_later
        self._ticking = later(TICK_NS / SECOND, self._tick) if bars else None

    def record(self, directory: str | Path) -> Journal:
        """Record everything from now on. Raises StoreError when the directory cannot be written."""
        store = self.config.store
        attendant = Attendant(directory, store.rules, store.settings())
        self.journal = Journal(
            directory, buffer_bytes=store.buffer_bytes, segment_s=store.seal_s, on_closed=attendant.wake
        )
        self._attendant = attendant
        attendant.start()
        self.bus.subscribe(None, self.journal.record)
        return self.journal

    async def close(self) -> None:
        """Stop the feeds, then write what is left. Raises StoreError when rows could not be written."""
        if self._ticking is not None:
            self._ticking.cancel()
        await self.hub.close()
        self._phases.close()
        if self._attendant is not None:
            self._attendant.close()
        if self.journal is not None:
            self.journal.close()

    def gateway(self) -> Gateway:
        """The edge towards users, on this app's feeds."""
        return Gateway(self.bus, _Feeds(self), outbox_bytes=self.config.gateway.outbox_bytes)

    def _make_feed(self, venue: str, rest: Rest) -> Feed:
        chosen = self.config.venue(venue)
        endpoint, *others = chosen.endpoints(venue)
        return Feed(
            venue,
            endpoint,
            rest,
            second=others[0] if others else None,
            publish=self.bus.publish,
            tap=self._tap,
            api=chosen.api,
            options=chosen.options,
            keys=chosen.keys(venue),
            retry=chosen.retry or self.config.retry,
            phase=self._phases,
        )

    def _tap(self, raw: RawRecord) -> None:
        if self.journal is not None and self.config.store.raw:
            self.journal.tap(raw)


class _Feeds:
    """The hub as the gateway sees it (see ``gateway.upstream.Upstream``)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._catalogue = Catalogue(app.hub.instruments)
        self._lists: dict[str, list[Instrument]] = {}
        self._asked_ns: dict[str, int] = {}
        self.channels_of, self.want, self.drop = app.config.channels_of, app.want, app.drop

    def venues(self) -> list[str]:
        """Those configured or in use, the first source's first."""
        config = self._app.config
        sources = [channel.venue for channel in config.behind(config.channels_of(config.sources))]
        return list(dict.fromkeys([*sources, *config.venues, *self._app.hub.feeds]))

    async def instruments(self, venue: str) -> list[Instrument]:
        """The vendor's list; where it cannot be had, it is asked for again after a while."""
        now_ns = clock.now_ns()
        if venue not in self._lists and now_ns - self._asked_ns.get(venue, 0) > ASK_AGAIN_NS:
            self._asked_ns[venue] = now_ns
            try:
                self._lists[venue] = await self._ask(venue)
            except LivetapeError as error:
                _log.warning("%s: no list of symbols: %s", venue, error)
        return self._lists.get(venue, [])

    async def _ask(self, venue: str) -> list[Instrument]:
        """Lists of others than the vendor, such as a simulator's, are not worth keeping."""
        endpoint = self._app.config.venue(venue).endpoint(venue)
        if not endpoint.own:
            return await self._app.hub.instruments(venue)
        return (await self._catalogue.listed(venue, endpoint.rest_url)).instruments

    def status(self) -> dict[str, Any]:
        """Every connection and channel."""
        lines = self._app.hub.lines
        channels = [
            _channel(state) for line in lines for state in line.session.channels.values() if state.wanted
        ]
        status: dict[str, Any] = {
            "connections": [_connection(line) for line in lines],
            "channels": channels + self._bars(channels),
        }
        if merges := [_merged(name, merge) for name, merge in self._app.hub.merges()]:
            status["redundant"] = merges
        if (journal := self._app.journal) is not None:
            mark = journal.watermark
            status["store"] = {
                "dir": str(journal.directory),
                "rows": journal.rows,
                "lost": journal.dropped,
                "committed": mark.committed,
                "synced": mark.synced,
            }
        return status

    def _bars(self, channels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Bars that are made here, with the trust of what they are made from; ``channels`` has that."""
        rows = {row["channel"]: row for row in channels}
        return [
            rows[str(source)]
            | {
                "channel": str(name),
                "received": maker.received,
                "delivered": maker.delivered,
                "superseded": 0,
                "discarded": maker.discarded,
            }
            for name, source, maker in self._app.bars
            if str(source) in rows
        ]


def _connection(line: Line) -> dict[str, Any]:
    return {
        "venue": line.session.adapter.venue,
        "session": line.session.number,
        "connected": line.connected,
        "dials": line.dials,
        "last_error": line.last_error,
        "frames": line.session.frames,
        "undecodable": line.session.undecodable,
        "subscriptions": len(line.session.channels),
    }


def _merged(channel: str, merge: Merge) -> dict[str, Any]:
    return {
        "channel": channel,
        "in_step": merge.in_step,
        "received": merge.received,
        "delivered": merge.delivered,
        "superseded": merge.superseded,
        "held": merge.held,
        "diverged": merge.diverged,
    }


def _channel(state: ChannelState) -> dict[str, Any]:
    proof, agreement = state.proof, state.agreement
    return {
        "channel": str(state.channel),
        "trust": state.trust,
        "cause": state.cause,
        "since": state.since_ns,
        "last": state.heard_ns,
        "proof": {"method": proof.method, "depth": proof.depth, "since": proof.since_ns} if proof else None,
        "agreement": agreement
        and {
            "score": agreement.score,
            "audits": agreement.audits,
            "agreed": agreement.agreed,
            "levels": agreement.levels,
            "levels_agreed": agreement.levels_agreed,
            "since": agreement.since_ns,
        },
        "received": state.received,
        "delivered": state.delivered,
        "superseded": state.superseded,
        "discarded": state.discarded,
        "gap": state.gap is not None,
    }
