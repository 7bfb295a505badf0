"""How long a channel may be quiet, learned from itself (floor 3).

A channel that has been quiet for longer than it ever is at this phase of its market's session is ``stale``
and is subscribed anew; the connection stays. Heartbeats are not data and do not count. Nothing is judged
while the market is closed or the instrument halted, nor before a pace is known.
"""

from collections.abc import Callable
from math import log2, sqrt

from .channel import Channels, ChannelState
from .events import Trust
from .instruments import Channel, interval_ns
from .keeper import Keeper
from .outlet import Outlet
from .times import SECOND

#: The phase of a channel's market at a time in ns, any name; None while nothing is to be expected of it.
Phase = Callable[[Channel, int], str | None]

FACTOR = 3  #: a channel may be quiet for so many times its usual longest interval
LEAST_NS = 4_700_000_000  #: but for no less; a tick later it is marked, within 5 s
FIRST = 5  #: intervals after which a pace is guessed, with five times the patience,
KNOWN = 20  #: known a little, and
WELL_KNOWN = 1_000  #: well enough for the interval that only one in a thousand exceeds
MEMORY = 20_000  #: intervals after which older ones count half
LONGEST_BAR_NS = 3_600 * SECOND  #: longer ones come too rarely to learn from
_STEPS = 4  #: buckets to each doubling
_JUDGED = ("trade", "quote", "book", "summary", "mark")


class Pace:
    """The intervals between the events of a channel in one phase."""

    __slots__ = ("_buckets", "_n", "_squares", "_sum", "doubted")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._n, self._sum, self._squares = 0, 0.0, 0.0
        self.doubted = False  #: whether the last silence was marked: a second one is learned

    def add(self, interval_ns: int) -> None:
        """Learn one more interval."""
        bucket = int(_STEPS * log2(max(interval_ns, 1)))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._n += 1
        if self._n <= WELL_KNOWN:
            self._sum, self._squares = self._sum + interval_ns, self._squares + interval_ns**2
        elif self._n > MEMORY:
            self._buckets = {each: n // 2 for each, n in self._buckets.items() if n > 1}
            self._n = sum(self._buckets.values())

    @property
    def usual_ns(self) -> int | None:
        """The interval that one in a thousand exceeds; None while nobody can say.

        At first it is guessed: of random arrivals it is six standard deviations above the mean.
        """
        if self._n < FIRST:
            return None
        if self._n <= WELL_KNOWN:
            mean = self._sum / self._n
            deviation = sqrt(max(self._squares / self._n - mean**2, 0.0))
            return max(_edge_ns(max(self._buckets)), int(mean + 6 * deviation))
        beyond = self._n // 1_000
        for bucket in sorted(self._buckets, reverse=True):
            beyond -= self._buckets[bucket]
            if beyond < 0:
                return _edge_ns(bucket)
        return None

    @property
    def patience_ns(self) -> int | None:
        """How long a silence is no news; None while nobody can say."""
        if (usual_ns := self.usual_ns) is None:
            return None
        factor = FACTOR if self._n >= KNOWN else 5 * FACTOR
        return max(factor * usual_ns, _edge_ns(max(self._buckets)), LEAST_NS)


def _edge_ns(bucket: int) -> int:
    return int(2 ** ((bucket + 1) / _STEPS))


class Watch:
    """Looks at all channels of a session a few times a second."""

    def __init__(self, channels: Channels, outlet: Outlet, books: Keeper, phase: Phase | None) -> None:
        self._channels, self._outlet, self._books, self._phase = channels, outlet, books, phase
        self._paces: dict[str, dict[str, Pace]] = {}
        # When a channel was heard last, and in which phase.
        self._seen: dict[ChannelState, tuple[int, str | None]] = {}
        self._halted: set[str] = set()
        self._quiet: set[str] = set()

    def connected(self) -> None:
        """A new connection: what was quiet meanwhile is no news."""
        self._seen.clear()
        self._quiet.clear()

    def is_quiet(self, name: str) -> bool:
        """Whether a channel is marked, and has not spoken since."""
        return name in self._quiet

    def halt(self, symbol: str, state: str) -> None:
        """The venue says of an instrument that it is halted, or anything else."""
        (self._halted.add if state == "halted" else self._halted.discard)(symbol)

    def tick(self, now_ns: int) -> None:
        """Learn from what was heard, and mark what has been quiet for too long."""
        if self._phase is None:
            return
        for state in self._seen.keys() - self._channels.values():
            del self._seen[state]
            self._quiet.discard(str(state.channel))
        for name, state in list(self._channels.items()):
            if state.heard_ns and not state.derived and _is_judged(state.channel):
                halted = state.channel.symbol in self._halted
                self._look(name, state, None if halted else self._phase(state.channel, now_ns), now_ns)

    def _look(self, name: str, state: ChannelState, phase: str | None, now_ns: int) -> None:
        before_ns, before = self._seen.get(state, (0, None))
        if phase != before:  # a silence is judged from the change of phase on
            self._seen[state] = now_ns, phase
            return
        if phase is None:
            return
        paces = self._paces.setdefault(name, {})
        if state.heard_ns > before_ns:
            self._learn(name, paces.setdefault(phase, Pace()), state.heard_ns - before_ns)
            self._seen[state] = state.heard_ns, phase
        elif state.trust not in (Trust.STALE, Trust.RESYNCING):
            patience_ns, quiet_ns = _patience_ns(paces, phase, state.channel), now_ns - before_ns
            if patience_ns is not None and quiet_ns >= patience_ns:
                quiet_s, patience_s = quiet_ns / SECOND, patience_ns / SECOND
                cause = f"nothing for {quiet_s:.1f} s, and more than {patience_s:.1f} s is unusual"
                self._mark(state, cause, now_ns)

    def _learn(self, name: str, pace: Pace, interval_ns: int) -> None:
        """Learn an interval; one that was marked only if it is the second in a row."""
        was_marked = name in self._quiet
        if not was_marked or pace.doubted:
            pace.add(interval_ns)
        pace.doubted = was_marked and not pace.doubted
        self._quiet.discard(name)

    def _mark(self, state: ChannelState, cause: str, now_ns: int) -> None:
        self._quiet.add(str(state.channel))
        for carried in self._channels.made_from(state):
            self._outlet.mark(carried, Trust.STALE, cause, now_ns)
            self._outlet.open_gap(carried, cause, now_ns)
        if state.guarantee is None:
            state.forget()  # what comes next may not follow what came last
        self._books.subscribe_anew(state, now_ns)


def _is_judged(channel: Channel) -> bool:
    if channel.kind.startswith("bar."):
        return interval_ns(channel.kind) < LONGEST_BAR_NS
    return channel.kind in _JUDGED


def _patience_ns(paces: dict[str, Pace], phase: str, channel: Channel) -> int | None:
    """That of the phase; while it is not known, twice the longest of the others'."""
    patience_ns = paces[phase].patience_ns if phase in paces else None
    if patience_ns is None:
        others = [ns for pace in paces.values() if (ns := pace.patience_ns) is not None]
        patience_ns = 2 * max(others) if others else None
    if patience_ns is not None and channel.kind.startswith("bar."):
        return max(patience_ns, 2 * interval_ns(channel.kind))
    return patience_ns
