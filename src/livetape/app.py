"""Builds everything from a Config; the only file that knows all (floor 4)."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import clock
from .calendars import Phases
from .config import Config
from .core.bus import Bus
from .core.channel import ChannelState
from .core.consolidated import BEST, Consolidated
from .core.errors import LivetapeError
from .core.instruments import Channel, Instrument
from .core.raw import RawRecord
from .core.redundant import Merge
from .feeds.catalogue import Catalogue
from .feeds.feed import Feed
from .feeds.hub import Hub
from .feeds.line import Line
from .feeds.rest import Rest
from .gateway.server import Gateway
from .store.journal import Journal

ASK_AGAIN_NS = 60_000_000_000
_log = logging.getLogger("livetape.app")


class App:
    """The bus, the feeds and the recorder. Use it on one running loop, and ``close`` it at the end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bus = Bus()
        self.hub = Hub(self._make_feed)
        self.journal: Journal | None = None
        self.unasked: set[str] = set()  #: channels that are subscribed only because a best quote needs them
        self._users: Counter[Channel] = Counter()
        self._best: dict[Channel, Consolidated] = {}
        self._phases = Phases()

    def want(self, channels: Iterable[Channel], *, queue: bool = True) -> None:
        """Subscribe ``channels``, or what they are made from. Raises as ``Hub.want`` does."""
        channels = list(channels)
        self.hub.want(self.config.behind(channels), queue=queue)
        self._users.update(channels)
        for channel in dict.fromkeys(channels):
            if channel.venue == BEST and channel not in self._best:
                quotes = self.config.behind([channel])
                venues = [quote.venue for quote in quotes]
                self._best[channel] = Consolidated(channel, venues, self.bus.publish, clock.now_ns())
                for quote in quotes:
                    self.bus.subscribe(str(quote), self._best[channel].take)
        self._sort_out()

    def drop(self, channels: Iterable[Channel]) -> None:
        """Give up what ``want`` asked for, once."""
        channels = [channel for channel in channels if self._users[channel]]
        self._users.subtract(channels)
        self.hub.drop(self.config.behind(channels))
        for channel in [channel for channel in self._best if not self._users[channel]]:
            consolidated = self._best.pop(channel)
            for quote in self.config.behind([channel]):
                self.bus.unsubscribe(str(quote), consolidated.take)
        self._sort_out()

    def _sort_out(self) -> None:
        behind = self.config.behind(self._best)
        self.unasked.clear()
        self.unasked.update(str(channel) for channel in behind if not self._users[channel])

    def record(self, directory: str | Path) -> Journal:
        """Record everything from now on. Raises StoreError when the directory cannot be written."""
        self.journal = Journal(directory, buffer_bytes=self.config.store.buffer_bytes)
        self.bus.subscribe(None, self.journal.record)
        return self.journal

    async def close(self) -> None:
        """Stop the feeds, then write what is left. Raises StoreError when rows could not be written."""
        await self.hub.close()
        self._phases.close()
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
        status: dict[str, Any] = {
            "connections": [_connection(line) for line in lines],
            "channels": [
                _channel(state) for line in lines for state in line.session.channels.values() if state.wanted
            ],
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
