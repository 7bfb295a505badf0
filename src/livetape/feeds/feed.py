"""All connections to one venue, and who wants what of it (floor 3)."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain

from msgspec.structs import replace

from .. import clock
from ..adapters import find
from ..core.adapter import NOBODY, Adapter
from ..core.channel import ChannelState
from ..core.credentials import Credentials
from ..core.decimals import nearest
from ..core.errors import ConfigError, ConnectError, LimitReached, LoginDenied, VendorError
from ..core.events import MarketEvent, Status, Trust, Why
from ..core.instruments import Channel, Instrument
from ..core.liveness import Phase
from ..core.raw import Recipe
from ..core.redundant import Redundant
from ..core.session import Session
from .endpoint import Endpoint
from .line import RETRY, Line, Retry, Tap
from .rest import Rest

Group = tuple[Line, ...]  #: lines that carry the same channels


class Feed:
    """Packs channels into as few connections as the vendor allows; two users of a channel cost one.

    With a ``second`` endpoint each channel comes over a line to each of the two, and is handed out once.
    """

    def __init__(
        self,
        venue: str,
        endpoint: Endpoint,
        rest: Rest,
        *,
        second: Endpoint | None = None,
        publish: Callable[[MarketEvent], None],
        tap: Tap,
        api: str = "",
        options: Mapping[str, object] | None = None,
        keys: Sequence[Credentials] = (NOBODY,),
        retry: Retry = RETRY,
        phase: Phase | None = None,
    ) -> None:
        self._make: Callable[[Credentials], Adapter] = lambda key: find(venue, api)(options, key)
        self._endpoints = [endpoint] if second is None else [endpoint, second]
        self._rest, self._retry = rest, retry
        lines = len(self._endpoints)
        self._recipe = Recipe(venue, api, dict(options or {}), lines=lines, feed=clock.now_ns())
        self._publish, self._tap, self._phase = publish, tap, phase
        self.redundant = Redundant(publish) if second is not None else None
        self._keys = list(keys)
        self._users: Counter[Channel] = Counter()
        self._queue: list[Channel] = []
        self._dials: deque[int] = deque()
        self.adapter = self._make(self._keys[0])
        self.groups: list[Group] = []
        if self._most_groups == 0:
            problem = f"{len(self._endpoints)} lines are more connections than its keys allow"
            raise ConfigError(problem, where=venue, remedy=f"add another key to {self.adapter.key_names[0]}")

    @property
    def lines(self) -> list[Line]:
        """Every connection."""
        return [*chain(*self.groups)]

    def check(self, channels: Iterable[Channel]) -> None:
        """Raise ConfigError when the vendor does not offer a kind of channel."""
        for channel in channels:
            if channel.kind not in (offers := self.adapter.offers(channel.symbol)):
                problem = f"{channel.venue} has no {channel.kind!r}"
                near = nearest(channel.kind, offers) or sorted(offers)
                raise ConfigError(problem, where=str(channel), allowed=near)

    def want(self, channels: Iterable[Channel], *, queue: bool = True) -> None:
        """Count one more user of each channel, and subscribe those that had none.

        What the vendor's limits leave no room for waits, in order, until something is given up; without
        ``queue`` it raises LimitReached, and nothing is subscribed.
        """
        channels = list(channels)
        self.check(channels)
        new = [channel for channel in dict.fromkeys(channels) if not self._users[channel]]
        if not queue:
            self.check_room(new)
        self._users.update(channels)
        self._queue += new
        self._admit()
        now_ns = clock.now_ns()
        for channel in [channel for channel in new if channel in self._queue]:
            detail = f"all {self._capacity} symbols are in use; {self._remedy}"
            status = Status(str(channel), "queued", detail, trust=Trust.STALE, why=Why.LIMIT, recv_ns=now_ns)
            self._publish(status)

    def drop(self, channels: Iterable[Channel]) -> list[Line]:
        """Count one user less; give up what nobody wants. Returns the lines that carry nothing any more."""
        gone: set[Channel] = set()
        for channel in channels:
            self._users[channel] -= self._users[channel] > 0
            if not self._users[channel]:
                gone.add(channel)
        self._queue = [channel for channel in self._queue if channel not in gone]
        for line in self.lines:
            if mine := [channel for channel in gone if str(channel) in line.session.channels]:
                line.drop(mine)
        if self.redundant is not None:
            self.redundant.drop(gone)
        idle = [line for line in self.lines if not line.session.channels]
        self.groups = [group for group in self.groups if group[0].session.channels]
        self._admit()
        return idle

    async def instruments(self) -> list[Instrument]:
        """What the vendor lists. Raises ConnectError or VendorError; empty where it has no list."""
        listed: list[Instrument] = []
        for path in self.adapter.symbols_paths():
            body = await self.get(path)
            listed += self.adapter.decode_symbols(path, body)
        return listed

    async def get(self, path: str) -> bytes:
        """The vendor's answer at ``path``. Raises ConnectError or VendorError."""
        key = self.adapter.credentials
        try:
            body = await self._rest.get(
                self.adapter.venue, self._endpoints[0].rest_address(path), self.adapter.rest_headers()
            )
            if refused := self.adapter.refusal(body):
                kind = LoginDenied if refused.why is Why.LOGIN else VendorError
                raise kind(self.adapter.venue, refused.reason)
            return body
        except ConnectError as error:
            masked = ConnectError(error.venue, key.mask_text(error.cause), error.retry_after_s)
            raise masked from None
        except VendorError as error:
            raise type(error)(error.venue, key.mask_text(error.reply)) from None

    @property
    def ahead_ns(self) -> int | None:
        """How far the vendor's clock is ahead of ours, to about half a second; None before a REST answer."""
        return self._rest.ahead_ns.get(self.adapter.venue)

    # Packing channels into connections

    def _admit(self) -> None:
        """Subscribe as much of the queue as there is room for, first come, first served."""
        coming: dict[Group, list[Channel]] = {}
        for symbol in dict.fromkeys(channel.symbol for channel in self._queue):
            together = [channel for channel in self._queue if channel.symbol == symbol]
            for channels in self._by_route(together):
                if not self._place(channels, coming):
                    for channel in channels:
                        self._place([channel], coming)
        for group, channels in coming.items():
            self._queue = [channel for channel in self._queue if channel not in channels]
            for line in group:
                line.want(channels)

    def _place(self, channels: list[Channel], coming: dict[Group, list[Channel]]) -> bool:
        """Find a group for all ``channels``, of one symbol and route; False when none has room.

        One that carries the symbol already comes first, then one with room, then a new one.
        """
        route, slots = self.adapter.route(channels[0]), self._slots(channels)
        most = self.adapter.limits.symbols_per_socket
        fitting: list[tuple[bool, Group]] = []
        for group in self._of_route(route):
            soon = coming.get(group, [])
            if len(group[0].slots | self._slots(soon) | slots) <= most:
                symbols = group[0].symbols | {channel.symbol for channel in soon}
                fitting.append((channels[0].symbol not in symbols, group))
        keys = [] if fitting or len(slots) > most else self._free_keys(route)
        if not fitting and not keys:
            return False
        found = min(fitting, key=lambda each: each[0])[1] if fitting else self._add_group(route, keys)
        coming.setdefault(found, []).extend(channels)
        return True

    def _of_route(self, route: str) -> list[Group]:
        return [group for group in self.groups if group[0].route == route]

    def _free_keys(self, route: str) -> list[Credentials]:
        """For each line of a new group the key with the fewest connections of ``route``; none if no room."""
        lines = chain(*self._of_route(route))
        used = Counter(line.session.adapter.credentials for line in lines)
        most = self.adapter.limits.sockets_per_key
        keys: list[Credentials] = []
        for _ in self._endpoints:
            key = min(self._keys, key=lambda key: used[key])
            if most is not None and used[key] >= most:
                return []
            used[key] += 1
            keys.append(key)
        return keys

    def _add_group(self, route: str, keys: Sequence[Credentials]) -> Group:
        group = tuple(self._make_line(n, route, key) for n, key in enumerate(keys))
        self.groups.append(group)
        return group

    def _make_line(self, n: int, route: str, key: Credentials) -> Line:
        endpoint = self._endpoints[n]
        publish = self._publish if self.redundant is None else partial(self.redundant.take, n)
        session = Session(self._make(key), number=clock.now_ns(), publish=publish, phase=self._phase)
        return Line(
            *(session, replace(self._recipe, line=n), endpoint, self._rest),
            route=route,
            tap=self._tap,
            turn=partial(self._turn, endpoint),
            retry=self._retry,
        )

    def check_room(self, channels: Sequence[Channel]) -> None:
        """Raise LimitReached when not all of ``channels`` can be subscribed now."""
        capacity = self._capacity
        for together in self._by_route(channels):
            groups = self._of_route(self.adapter.route(together[0]))
            used = {slot for group in groups for slot in group[0].slots}
            wanted = len(used | self._slots(together))
            if capacity is not None and wanted > capacity:
                raise LimitReached(self.adapter.venue, capacity, wanted, self._remedy)

    def _by_route(self, channels: Sequence[Channel]) -> list[list[Channel]]:
        routes: dict[str, list[Channel]] = {}
        for channel in channels:
            routes.setdefault(self.adapter.route(channel), []).append(channel)
        return list(routes.values())

    def _slots(self, channels: Iterable[Channel]) -> set[str]:
        sources = (ChannelState(channel, self.adapter).source for channel in channels)
        return {slot for source in sources if (slot := self.adapter.slot(source)) is not None}

    @property
    def _most_groups(self) -> int | None:
        """How many groups a route has room for over all keys; None without bound."""
        most = self.adapter.limits.sockets_per_key
        return None if most is None else most * len(self._keys) // len(self._endpoints)

    @property
    def _capacity(self) -> int | None:
        """How many slots a route has over all keys; None without bound."""
        most = self._most_groups
        return None if most is None else self.adapter.limits.symbols_per_socket * most

    @property
    def _remedy(self) -> str:
        another = f", or add another key to {self.adapter.key_names[0]}" if self.adapter.key_names else ""
        return f"give something up{another}"

    async def _turn(self, endpoint: Endpoint) -> None:
        """Wait until the vendor's budget of connections allows one more; another ``endpoint`` has none."""
        if not endpoint.own:
            return
        minute_ns, most = 60 * 1_000_000_000, self.adapter.limits.connects_per_minute
        free_ns = self._dials[0] + minute_ns if len(self._dials) >= most else 0
        self._dials.append(max(free_ns, clock.now_ns()))
        if len(self._dials) > most:
            self._dials.popleft()
        await asyncio.sleep(max(0, free_ns - clock.now_ns()) / 1e9)
