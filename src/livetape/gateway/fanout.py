"""From the bus to the clients: one write a client and turn, nobody is waited for (floor 3)."""

import asyncio
from collections import deque

from .. import clock
from ..core.audience import Audience
from ..core.bus import Bus
from ..core.delivery import Shared
from ..core.events import MarketEvent, Status, Trade
from ..core.wire import batch, snapshot
from .socket import Socket, framed

COALESCE_S = 0.005  #: under load, events wait this long for company
HISTORY = 500  #: trades of a channel that a new subscriber gets at once


class Client:
    """A connected client: its audience and its socket."""

    def __init__(self, socket: Socket, limit: int) -> None:
        self.socket, self.audience = socket, Audience(limit)
        self._limit = limit

    def offer(self, shared: Shared) -> None:
        """Take one event."""
        self.audience.offer(shared, self._limit - self.socket.room)


class Topic:
    """The clients of one channel and what a new one must know."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.trades: deque[Shared] = deque(maxlen=HISTORY)
        self.last: Shared | None = None
        self.status: Shared | None = None
        self.events = 0

    def keep(self, shared: Shared) -> None:
        """Remember ``shared`` for those who come later."""
        if isinstance(shared.event, Status):
            self.status = shared
        elif isinstance(shared.event, Trade):
            self.trades.append(shared)
        else:
            self.last = shared
        self.events += 1

    def present(self, depth: int) -> list[bytes]:
        """The state of the channel as JSON events."""
        parts = [*self.trades, *filter(None, (self.last, self.status))]
        return [shared.json(depth) for shared in parts]


class Fanout:
    """Subscribes the bus for every channel that is wanted, and writes batches to the clients."""

    def __init__(self, bus: Bus) -> None:
        self.channels: dict[str, Topic] = {}
        self.clients: set[Client] = set()
        self.sent = 0
        self.latency_ns: deque[int] = deque(maxlen=100_000)  #: from the venue's time to our write
        self._bus = bus
        self._flushed_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    def open(self, channel: str) -> Topic:
        """Follow ``channel`` from now on."""
        if channel not in self.channels:
            self.channels[channel] = Topic()
            self._bus.subscribe(channel, self._on_event)
        return self.channels[channel]

    def close(self, channel: str) -> None:
        """Follow ``channel`` no more."""
        if self.channels.pop(channel, None) is not None:
            self._bus.unsubscribe(channel, self._on_event)

    def present(self, client: Client, channel: str, depth: int) -> None:
        """Send the state of ``channel`` to a client that has just subscribed it."""
        client.socket.write(framed(snapshot(channel, self.open(channel).present(depth))))

    def _on_event(self, event: MarketEvent) -> None:
        channel = self.channels[event.channel]
        shared = Shared(event)
        channel.keep(shared)
        for client in channel.clients:
            client.offer(shared)
        if channel.clients:
            self._flush_at(max(asyncio.get_running_loop().time(), self._flushed_s + COALESCE_S))

    def _flush_at(self, when_s: float) -> None:
        if self._timer is not None:
            if self._timer_s <= when_s:
                return
            self._timer.cancel()
        self._timer_s = when_s
        self._timer = asyncio.get_running_loop().call_at(when_s, self._flush)

    def _flush(self) -> None:
        self._timer = None
        loop_s, now_ns = asyncio.get_running_loop().time(), clock.now_ns()
        self._flushed_s = loop_s
        next_ns: int | None = None
        for client in list(self.clients):
            self._flush_client(client, now_ns)
            due_ns = client.audience.due_ns
            if due_ns is not None:
                next_ns = due_ns if next_ns is None else min(next_ns, due_ns)
        if next_ns is not None:
            self._flush_at(loop_s + max((next_ns - now_ns) / 1e9, COALESCE_S))

    def _flush_client(self, client: Client, now_ns: int) -> None:
        if client.socket.room < 0:
            return  # it does not read; what is latest goes out when it does
        items = client.audience.take(now_ns)
        if not items:
            return
        client.socket.write(framed(batch(now_ns, [line for line, _ in items])))
        self.sent += len(items)
        self.latency_ns.extend(
            now_ns - e.venue_ns for _, e in items if e.venue_ns is not None and e.origin == "live"
        )
