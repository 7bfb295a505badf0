"""All connections to one venue, and who wants what of it (floor 3)."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

from .. import clock
from ..adapters import find
from ..core.adapter import Adapter
from ..core.errors import ConfigError
from ..core.events import MarketEvent
from ..core.instruments import Channel, Instrument, by_symbol
from ..core.raw import Recipe
from ..core.session import Session
from .endpoint import Endpoint
from .line import Line, Tap
from .rest import Rest


class Feed:
    """Packs channels into as few connections as the vendor allows; two users of a channel cost one."""

    def __init__(
        self,
        venue: str,
        endpoint: Endpoint,
        rest: Rest,
        *,
        publish: Callable[[MarketEvent], None],
        tap: Tap,
        api: str = "",
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._make: Callable[[], Adapter] = lambda: find(venue, api)(options)
        self._recipe = Recipe(venue, api, dict(options or {}))
        self._endpoint, self._rest = endpoint, rest
        self._publish, self._tap = publish, tap
        self._users: Counter[Channel] = Counter()
        self._dials: deque[int] = deque()
        self.adapter = self._make()
        self.lines: list[Line] = []

    def check(self, channels: Iterable[Channel]) -> None:
        """Raise ConfigError when the vendor does not offer a kind of channel."""
        for channel in channels:
            kinds = self.adapter.kinds | ({"quote"} if "book" in self.adapter.kinds else set())
            if channel.kind not in kinds:
                raise ConfigError(
                    f"{channel.venue} has no {channel.kind!r}", where=str(channel), allowed=sorted(kinds)
                )

    def want(self, channels: Iterable[Channel]) -> None:
        """Count one more user of each channel, and subscribe those that had none."""
        channels = list(channels)
        self.check(channels)
        new = [channel for channel in channels if not self._users[channel]]
        self._users.update(channels)
        for symbol, kinds in by_symbol(new).items():
            line = self._line_for(symbol)
            line.want([channel for channel in new if channel.symbol == symbol and channel.kind in kinds])

    def drop(self, channels: Iterable[Channel]) -> list[Line]:
        """Count one user less; give up what nobody wants. Returns the lines that carry nothing any more."""
        channels = [channel for channel in channels if self._users[channel]]
        self._users.subtract(channels)
        gone = [channel for channel in channels if not self._users[channel]]
        for line in self.lines:
            if mine := [channel for channel in gone if channel.symbol in line.symbols]:
                line.drop(mine)
        idle = [line for line in self.lines if not line.session.channels]
        self.lines = [line for line in self.lines if line not in idle]
        return idle

    async def instruments(self) -> list[Instrument]:
        """What the vendor lists. Raises ConnectError or VendorError; empty where it has no list."""
        path = self.adapter.symbols_path()
        if path is None:
            return []
        body = await self._rest.get(self.adapter.venue, self._endpoint.rest_url + path)
        return self.adapter.decode_symbols(body)

    def _line_for(self, symbol: str) -> Line:
        most = self.adapter.limits.symbols_per_socket
        carrying = [line for line in self.lines if symbol in line.symbols]
        if found := carrying or [line for line in self.lines if len(line.symbols) < most]:
            return found[0]
        session = Session(self._make(), number=clock.now_ns(), publish=self._publish)
        line = Line(session, self._recipe, self._endpoint, self._rest, tap=self._tap, turn=self._turn)
        self.lines.append(line)
        return line

    async def _turn(self) -> None:
        """Wait until the vendor's budget of connections allows one more; another endpoint has none."""
        if not self._endpoint.own:
            return
        minute_ns, most = 60 * 1_000_000_000, self.adapter.limits.connects_per_minute
        free_ns = self._dials[0] + minute_ns if len(self._dials) >= most else 0
        self._dials.append(max(free_ns, clock.now_ns()))
        if len(self._dials) > most:
            self._dials.popleft()
        await asyncio.sleep(max(0, free_ns - clock.now_ns()) / 1e9)
