"""Simulated vendors in virtual time: nothing waits, and nothing goes over a socket."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from livetape import dialects
from livetape.core.adapter import Adapter
from livetape.core.dialect import Answer, Call, Dialect, House, Pushed
from livetape.core.instruments import Channel
from livetape.core.times import SECOND
from livetape.simulator.listings import listed
from livetape.simulator.market import Market

RATE = 3.0  #: actions a second in each market


class Clock:
    """The time, and what is to be done when. What is due at the same time is done in order of asking."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = count()

    def at(self, ns: int, do: Callable[[], None]) -> None:
        heappush(self._due, (ns, next(self._asked), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(self.now_ns + round(seconds * SECOND), do)

    def every(self, seconds: float, do: Callable[[], None]) -> None:
        def again() -> None:
            do()
            self.after(seconds, again)

        self.after(seconds, again)

    def run(self, until_ns: int) -> None:
        while self._due[0][0] <= until_ns:
            self.now_ns, _, do = heappop(self._due)
            do()
        self.now_ns = until_ns


class Peer(Protocol):
    """The other end of a connection to a vendor."""

    def hear(self, pushed: Sequence[Pushed]) -> None: ...

    def parted(self) -> None:
        """The vendor has hung up."""


class Client:
    """A connection as the vendor sees it."""

    def __init__(self, vendor: "Vendor", dialect: Dialect, peer: Peer) -> None:
        self.dialect = dialect
        self._vendor, self._peer = vendor, peer

    def ask(self, frame: bytes) -> None:
        """The other end says something."""
        self.tell(self.dialect.receive(frame, self._vendor.clock.now_ns))

    def tell(self, pushed: Sequence[Pushed]) -> None:
        if pushed:
            self._peer.hear(pushed)
        if self.dialect.leaving is not None and self in self._vendor.clients:
            self.leave()
            self._peer.parted()

    def leave(self) -> None:
        """The connection is gone."""
        self._vendor.clients.remove(self)
        self._vendor.house.members.remove(self.dialect)


class Vendor:
    """One venue with all its APIs, its market and its REST."""

    def __init__(self, clock: Clock, venue: str, symbols: set[str], seed: int) -> None:
        listings = [replace(each, rate=RATE) for each in listed(venue) if each.symbol in symbols]
        assert {each.symbol for each in listings} == symbols
        self.clock = clock
        self.market = Market(listings, seed, clock.now_ns, venue)
        self.house = House()
        self.clients: list[Client] = []
        self._speaks = dialects.of(venue)
        clock.at(self.market.next_ns, self._act)
        for dialect in self._speaks:
            clock.every(dialect.beat_s, partial(self._beat, dialect))

    def connect(self, adapter: Adapter, channels: Sequence[Channel], peer: Peer) -> Client:
        """Let somebody in; the greeting is heard before this returns."""
        call = called(adapter.endpoint(adapter.ws_url, channels), adapter.ws_headers())
        [speaks] = [dialect for dialect in self._speaks if dialect.path.fullmatch(call.path)]
        assert speaks(self.market, self.house).refusal(call, self.clock.now_ns) is None
        dialect = speaks(self.market, self.house)
        greeting = dialect.open(call, self.clock.now_ns)
        self.house.members.append(dialect)
        client = Client(self, dialect, peer)
        self.clients.append(client)
        client.tell(greeting)
        return client

    def answer(self, adapter: Adapter, path: str) -> Answer:
        """What REST says now."""
        call = called(path, adapter.rest_headers())
        found = (dialect.answer(self.market, self.house, call, self.clock.now_ns) for dialect in self._speaks)
        return next((answer for answer in found if answer is not None), Answer(404, b""))

    def _act(self) -> None:
        for action in self.market.advance(self.clock.now_ns):
            for dialect in self._speaks:
                dialect.witness(self.market, self.house, action)
            memo: dict[str, bytes] = {}
            for client in self.clients.copy():
                client.tell(client.dialect.push(action, memo))
        self.clock.at(self.market.next_ns, self._act)

    def _beat(self, dialect: type[Dialect]) -> None:
        for client in self.clients.copy():
            if type(client.dialect) is dialect:
                client.tell(client.dialect.beat(self.clock.now_ns))


def called(address: str, headers: Mapping[str, str]) -> Call:
    """What an HTTP client would ask for."""
    url = urlsplit(address)
    return Call(
        url.path, dict(parse_qsl(url.query)), {name.lower(): value for name, value in headers.items()}
    )
