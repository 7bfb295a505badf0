"""The feeds of all venues behind one pair of verbs: want and drop (floor 3)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from ..core.decimals import nearest
from ..core.errors import ConfigError, LivetapeError, SubscriptionDenied
from ..core.instruments import Channel, Instrument
from .feed import Feed
from .line import Line
from .rest import Rest

_log = logging.getLogger("livetape.feed")


class Hub:
    """Makes a venue's feed when it is first wanted. Use it on one running loop; ``close`` it at the end."""

    def __init__(self, make_feed: Callable[[str, Rest], Feed]) -> None:
        self._make_feed = make_feed
        self._rest = Rest()
        self._stopping: set[asyncio.Future[object]] = set()
        self.feeds: dict[str, Feed] = {}
        self.paused = False

    def want(self, channels: Iterable[Channel]) -> None:
        """Subscribe. Raises ConfigError, and subscribes nothing, when one cannot be had by its name."""
        channels = list(channels)
        for venue in {channel.venue for channel in channels}:
            if venue not in self.feeds:
                self.feeds[venue] = self._make_feed(venue, self._rest)
            self.feeds[venue].check([channel for channel in channels if channel.venue == venue])
        for venue, feed in self.feeds.items():
            if mine := [channel for channel in channels if channel.venue == venue]:
                feed.want(mine)
        if not self.paused:
            self.resume()

    def drop(self, channels: Iterable[Channel]) -> None:
        """Give up what ``want`` asked for, once."""
        channels = list(channels)
        for venue, feed in self.feeds.items():
            for line in feed.drop([channel for channel in channels if channel.venue == venue]):
                self._later(line.stop())

    @property
    def lines(self) -> list[Line]:
        """Every connection, of every venue."""
        return [line for feed in self.feeds.values() for line in feed.lines]

    async def instruments(self, venue: str) -> list[Instrument]:
        """What ``venue`` lists; empty when it cannot be asked now."""
        if venue not in self.feeds:
            self.feeds[venue] = self._make_feed(venue, self._rest)
        try:
            return await self.feeds[venue].instruments()
        except LivetapeError as error:
            _log.warning("%s: no list of symbols: %s", venue, error)
            return []

    async def explain(self, channel: Channel, reason: str) -> LivetapeError:
        """A refusal as an error: of a symbol that does not exist, with its neighbours, or by the vendor."""
        known = [instrument.symbol for instrument in await self.instruments(channel.venue)]
        if not known or channel.symbol in known:
            return SubscriptionDenied(channel.venue, reason, channel.symbol)
        return ConfigError(
            f"{channel.symbol!r}: {reason}", where=channel.venue, allowed=nearest(channel.symbol, known)
        )

    def pause(self) -> None:
        """Close every connection and keep what is subscribed."""
        self.paused = True
        for line in self.lines:
            self._later(line.pause())

    def resume(self) -> None:
        """Dial again after ``pause``."""
        self.paused = False
        for line in self.lines:
            line.start()

    async def close(self) -> None:
        """Stop every connection and wait for it."""
        lines = self.lines
        for feed in self.feeds.values():
            feed.lines = []
        await asyncio.gather(*(line.stop() for line in lines), *self._stopping)
        await self._rest.close()

    def _later(self, ending: Awaitable[object]) -> None:
        task = asyncio.ensure_future(ending)
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
