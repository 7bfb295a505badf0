"""What one downstream subscription is promised (floor 2).

``every``: each event in order; what does not fit into the outbox is told as a gap.
``latest``: the newest event of the channel, at most ``max_hz`` times a second.
``sampled``: the newest event at each tick of a clock of ``max_hz``.
"""

from collections import deque

from .events import Gap, MarketEvent, Status
from .times import SECOND
from .wire import event_json

MAX_HZ, DEFAULT_HZ = 100.0, 10.0
DELIVERIES = ("every", "latest", "sampled")


class Shared:
    """One event on its way to many clients: its JSON is made once for each depth that somebody wants."""

    __slots__ = ("_json", "event")

    def __init__(self, event: MarketEvent) -> None:
        self.event = event
        self._json: dict[int, bytes] = {}

    def json(self, depth: int, conflated: int = 0) -> bytes:
        """The event as JSON; a book with its best ``depth`` levels as they are now."""
        if conflated:
            return event_json(self.event, depth, conflated)
        if depth not in self._json:
            self._json[depth] = event_json(self.event, depth)
        return self._json[depth]


Item = tuple[bytes, MarketEvent]  #: what is sent, and of which event


class Subscription:
    """One channel of one client. ``bytes`` is what waits for it."""

    def __init__(self, channel: str, delivery: str, max_hz: float, depth: int) -> None:
        self.channel, self.depth = channel, depth
        self.bytes = 0
        self.lost = 0  #: events of ``every`` that did not fit, in all
        self._delivery = delivery
        self._interval_ns = int(SECOND / min(max_hz, MAX_HZ))
        self._due_ns = 0
        self._queue: deque[Item] = deque()
        self._newest: Shared | None = None
        self._skipped = 0
        self._held = self._held_ns = 0

    def offer(self, shared: Shared, room: int) -> None:
        """Take one event; ``room`` is how many bytes more the client's outbox may hold."""
        event = shared.event
        if self._delivery != "every" and not isinstance(event, Status | Gap):
            self._skipped += self._newest is not None
            self._newest = shared
            return
        if self._newest is not None:  # what came before a change of state must not be told after it
            self._queue.append((self._newest.json(self.depth, self._skipped), self._newest.event))
            self._newest, self._skipped = None, 0
        line = shared.json(self.depth)
        if len(line) > room:
            self._overflow(event)
            return
        self.bytes += len(line)
        self._queue.append((line, event))

    def hold(self, event: MarketEvent) -> None:
        """Pass an event over, because the client has paused."""
        if self._delivery == "every" and not isinstance(event, Status | Gap):
            self._held_ns = self._held_ns or event.recv_ns
            self._held += 1

    def resume(self, now_ns: int) -> None:
        """Say what was passed over."""
        if self._held:
            gap = Gap(self.channel, self._held_ns, now_ns, "paused", missing=self._held, recv_ns=now_ns)
            self._queue.append((event_json(gap), gap))
            self._held = self._held_ns = 0

    def take(self, now_ns: int) -> list[Item]:
        """What may be sent now."""
        taken = list(self._queue)
        self._queue.clear()
        self.bytes = 0
        if self._newest is not None and now_ns >= self._due_ns:
            taken.append((self._newest.json(self.depth, self._skipped), self._newest.event))
            self._newest, self._skipped = None, 0
            grid = now_ns - now_ns % self._interval_ns if self._delivery == "sampled" else now_ns
            self._due_ns = grid + self._interval_ns
        return taken

    @property
    def due_ns(self) -> int | None:
        """When there will be something to take: 0 for now, None for nothing."""
        if self._queue:
            return 0
        return self._due_ns if self._newest is not None else None

    def _overflow(self, event: MarketEvent) -> None:
        """Throw away what waits and say so: better a known hole than a client that lives in the past."""
        lost = len(self._queue) + 1
        self.lost += lost
        start_ns = self._queue[0][1].recv_ns if self._queue else event.recv_ns
        gap = Gap(self.channel, start_ns, event.recv_ns, "slow consumer", missing=lost, recv_ns=event.recv_ns)
        self._queue.clear()
        line = event_json(gap)
        self._queue.append((line, gap))
        self.bytes = len(line)
