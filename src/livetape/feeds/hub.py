"""The feeds of all venues behind one pair of verbs: want and drop (floor 3)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from ..core.errors import ConfigError, LivetapeError, LoginDenied, SubscriptionDenied
from ..core.events import Why
from ..core.instruments import Channel, Instrument
from ..core.redundant import Merge
from ..core.search import Index
from .feed import Feed
from .line import Line
from .rest import Rest


class Hub:
    """Makes a venue's feed when it is first wanted. Use it on one running loop; ``close`` it at the end."""

    def __init__(self, make_feed: Callable[[str, Rest], Feed]) -> None:
        self._make_feed = make_feed
        self._rest = Rest()
        self._stopping: set[asyncio.Future[object]] = set()
        self.feeds: dict[str, Feed] = {}
        self.paused = False

    def want(self, channels: Iterable[Channel], *, queue: bool = True) -> None:
        """Subscribe. Raises ConfigError, and subscribes nothing, when one cannot be had by its name.

        What has no room under the vendor's limits waits for it; without ``queue`` it raises LimitReached.
        """
        channels = list(channels)
        for venue in {channel.venue for channel in channels}:
            mine = [channel for channel in channels if channel.venue == venue]
            self.feed(venue).check(mine)
            if not queue:
                self.feed(venue).check_room(mine)
        for venue, feed in self.feeds.items():
            if mine := [channel for channel in channels if channel.venue == venue]:
                feed.want(mine, queue=queue)
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

    def merges(self) -> list[tuple[str, Merge]]:
        """What was made of two lines, by channel."""
        both = [feed.redundant for feed in self.feeds.values() if feed.redundant is not None]
        return [merged for redundant in both for merged in redundant.channels.items()]

    @property
    def gave_up(self) -> bool:
        """Whether there are connections, and none of them is dialled any more."""
        return bool(self.lines) and all(line.gave_up for line in self.lines)

    async def instruments(self, venue: str) -> list[Instrument]:
        """What ``venue`` lists. Raises LivetapeError when it cannot be asked now."""
        return await self.feed(venue).instruments()

    def feed(self, venue: str) -> Feed:
        """The feed of ``venue``, made when it is first wanted."""
        if venue not in self.feeds:
            self.feeds[venue] = self._make_feed(venue, self._rest)
        return self.feeds[venue]

    async def explain(self, channel: Channel, reason: str, why: Why = Why.OTHER) -> LivetapeError:
        """A refusal as an error that says what would help; an unknown symbol with its neighbours."""
        venue, symbol = channel.venue, channel.symbol
        keys = " and ".join(self.feed(venue).adapter.key_names)
        match why:
            case Why.LOGIN:
                remedy = f"check {keys}" if keys else "it wants no key, so it may not serve this address"
                return LoginDenied(venue, reason, remedy=remedy)
            case Why.CONNECTIONS:
                remedy = f"end the other program, or use another key in {keys}"
                return LoginDenied(venue, reason, remedy=remedy)
            case Why.PLAN:
                remedy = f"the plan of {keys} does not include it: use a key of a larger plan"
                return SubscriptionDenied(venue, reason, symbol, remedy)
            case Why.LIMIT:
                remedy = f"give something up{f', or add another key to {keys}' if keys else ''}"
                return SubscriptionDenied(venue, reason, symbol, remedy)
        return await self.unlisted(channel, reason) or SubscriptionDenied(venue, reason, symbol)

    async def unlisted(self, channel: Channel, reason: str) -> ConfigError | None:
        """What to say of a symbol that the vendor does not list; None where it does, or cannot be asked."""
        venue, symbol = channel.venue, channel.symbol
        try:
            known = await self.instruments(venue)
        except LivetapeError:
            return None
        if not known or symbol in [instrument.symbol for instrument in known]:
            return None
        index = await asyncio.to_thread(Index, [(venue, instrument) for instrument in known])
        near = [instrument.symbol for _, instrument in index.search(symbol, 3)]
        example = f"livetape symbols {symbol} --venue {venue}"
        return ConfigError(f"{symbol!r}: {reason}", where=venue, allowed=near, example=example)

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
            feed.groups = []
        await asyncio.gather(*(line.stop() for line in lines), *self._stopping)
        await self._rest.close()

    def _later(self, ending: Awaitable[object]) -> None:
        task = asyncio.ensure_future(ending)
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
