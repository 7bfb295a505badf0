"""Both ends' books of one line: what the vendor told, and what became of it."""

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from livetape.core.events import Bar, BookUpdate, Gap, MarketEvent, Origin, Quote, Summary, Trade
from livetape.core.instruments import interval_ns
from livetape.simulator.faults import ALTERED, DOUBLED, WITHHELD

Key = Hashable
_FACTS: dict[type, Callable[[Any], Hashable]] = {
    Trade: attrgetter("price_text", "size_text", "side", "id"),
    Quote: attrgetter("bid_text", "bid_size_text", "ask_text", "ask_size_text"),
    Summary: attrgetter("open_text", "high_text", "low_text", "last_text", "volume_text", "turnover_text"),
    BookUpdate: lambda update: (update.snapshot, *update.bids, None, *update.asks),
}
_FIGURES = attrgetter("open_text", "high_text", "low_text", "close_text", "volume_text")
FROM_HISTORY = ("history", "complete")  #: how a gap is healed in which nothing is missing any more


class Moment(NamedTuple):
    """When something happened in the market, and when it came to us or would have come."""

    happened_ns: int
    told_ns: int


class Result(NamedTuple):
    """A channel's row of the table."""

    sent: int = 0  #: events that the vendor told
    live: int = 0
    backfilled: int = 0
    inside: int = 0  #: missing inside of gaps that tell so
    outside: int = 0  #: missing elsewhere, though the protocol could show it
    unknowable: int = 0  #: missing elsewhere, which the protocol cannot show
    altered: int = 0  #: delivered, and not as the vendor told it
    copies: int = 0  #: delivered twice, which the protocol cannot show
    twice: int = 0  #: delivered twice, though it can
    gaps: int = 0
    healed: int = 0

    def __add__(self, other: object) -> "Result":
        assert isinstance(other, Result)
        return Result(*(a + b for a, b in zip(self, other, strict=True)))


class Account:
    """One channel. ``numbered``: a client can tell that an event was lost or came twice."""

    def __init__(self, name: str, *, numbered: bool, has_history: bool) -> None:
        self.name, self.numbered, self.has_history = name, numbered, has_history
        self.gaps: dict[tuple[int, int], Gap] = {}  # those that have ended, by when, as they were told last
        self.opened: Gap | None = None
        self.first_ns: int | None = None  # when we heard of the channel first
        self.late_ns = 0  # until when what is told is held up
        self.spoilt = False  # by what was altered, until the next snapshot
        self.fates: dict[Key, str] = {}  # of what was struck on its way
        self.sent = self.live = self.backfilled = self.copies = self.altered = 0
        self._due: dict[Key, deque[Moment]] = {}  # told by the vendor, and not delivered yet
        self._ahead: Counter[Key] = Counter()  # delivered, and not told by the vendor yet
        self.problems: list[str] = []

    def tell(self, event: MarketEvent, now_ns: int) -> None:
        """The vendor tells ``event`` to whom nothing is ever lost."""
        self.sent += 1
        key = _key(event, now_ns)
        if self._ahead[key]:
            self._ahead[key] -= 1
            self.live += 1
            return
        happened_ns = min(now_ns, now_ns if event.venue_ns is None else event.venue_ns)
        self._due.setdefault(key, deque()).append(Moment(happened_ns, max(now_ns, self.late_ns)))

    def strike(self, event: MarketEvent, now_ns: int, fate: str) -> None:
        """``event`` is lost or altered on its way to us."""
        self.fates[_key(event, now_ns)] = fate

    def hear(self, event: MarketEvent, sent_ns: int, now_ns: int, fate: str) -> None:
        """``event`` is delivered."""
        self.first_ns = now_ns if self.first_ns is None else self.first_ns
        key = _key(event, sent_ns)
        if isinstance(event, BookUpdate) and (fate == ALTERED or event.snapshot):
            self.spoilt = fate == ALTERED
        if self._settle(key):
            if event.origin is Origin.BACKFILLED:
                self.backfilled += 1
            else:
                self.live += 1
        elif fate == ALTERED:
            self.altered += 1
        elif fate == DOUBLED and not self.numbered and getattr(event, "id", None) is None:
            self.copies += 1
        elif isinstance(event, Trade) or event.origin is Origin.BACKFILLED:
            self._ahead[key] += 1

    def _settle(self, key: Key) -> bool:
        """Whether ``key`` was due."""
        if (moments := self._due.get(key)) is None:
            return False
        moments.popleft()
        if not moments:
            del self._due[key]
        return True

    def put(self, gap: Gap) -> None:
        """A gap is told."""
        if gap.end_ns is None:
            self.opened = gap
        else:
            self.opened = None
            self.gaps[gap.start_ns, gap.end_ns] = gap

    def _missing(self) -> Iterator[tuple[Key, Moment]]:
        return ((key, moment) for key, moments in self._due.items() for moment in moments)

    def settle(self) -> Result:
        """The account at the end of the day; what must not be is in ``problems``."""
        early = inside = outside = unknowable = 0
        for key, moment in self._missing():
            if self.first_ns is None or moment.told_ns < self.first_ns:
                early += 1
                continue
            gaps = [gap for gap in self.gaps.values() if _meet(gap, moment)]
            fate = self.fates.get(key, "")
            if any(gap.healed not in FROM_HISTORY for gap in gaps):
                inside += 1
                if self.has_history:
                    self.problems.append(f"not healed: {self.name} {key} at {moment} in {gaps}")
            elif fate == ALTERED or (fate == WITHHELD and not self.numbered):
                unknowable += 1
            else:
                outside += 1
                self.problems.append(
                    f"missing: {self.name} {key} at {moment}, {fate or 'not struck'}: {gaps}"
                )
        twice = self._ahead.total()
        self.problems += [f"twice: {self.name} {key}" for key in self._ahead.elements()]
        if self.opened is not None:
            self.problems.append(f"still open: {self.opened}")
        healed = sum(gap.healed is not None for gap in self.gaps.values())
        told = self.live + self.backfilled
        assert self.sent == told + early + inside + outside + unknowable, self.name
        missing = (inside, outside, unknowable)
        wrong = (self.altered, self.copies, twice)
        return Result(self.sent, self.live, self.backfilled, *missing, *wrong, len(self.gaps), healed)


class Bars(Account):
    """A channel of bars: what counts of each is what it was at last."""

    def __init__(self, name: str, *, numbered: bool, has_history: bool) -> None:
        super().__init__(name, numbered=numbered, has_history=has_history)
        self._told: dict[int, tuple[Hashable, Moment]] = {}
        self._known: dict[int, tuple[Hashable, bool]] = {}

    def tell(self, event: MarketEvent, now_ns: int) -> None:
        assert isinstance(event, Bar)
        ended_ns = event.start_ns + interval_ns(event.kind)
        self._told[event.start_ns] = _FIGURES(event), Moment(min(ended_ns, now_ns), max(now_ns, self.late_ns))

    def hear(self, event: MarketEvent, sent_ns: int, now_ns: int, fate: str) -> None:
        assert isinstance(event, Bar)
        self.first_ns = now_ns if self.first_ns is None else self.first_ns
        self._known[event.start_ns] = _FIGURES(event), event.origin is Origin.BACKFILLED

    def settle(self) -> Result:
        for start_ns, (figures, moment) in self._told.items():
            known, backfilled = self._known.get(start_ns, (None, False))
            self.sent += 1
            self.live += known == figures and not backfilled
            self.backfilled += known == figures and backfilled
            if known != figures:
                self._due[start_ns] = deque([moment])
        return super().settle()


def _key(event: MarketEvent, sent_ns: int) -> Key:
    """What tells ``event`` from all others of its channel: when it was, and what it says."""
    if isinstance(event, Bar):
        return event.start_ns
    return sent_ns if event.venue_ns is None else event.venue_ns, _FACTS[type(event)](event)


def _meet(gap: Gap, moment: Moment) -> bool:
    assert gap.end_ns is not None
    return gap.start_ns <= moment.told_ns and moment.happened_ns <= gap.end_ns


class Troubles:
    """When something was done to a line, in order of time."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def note(self, ns: int) -> None:
        self._times.append(ns)

    def within(self, start_ns: int, end_ns: int) -> bool:
        """Whether there was any."""
        return bisect_left(self._times, start_ns) < bisect_right(self._times, end_ns)
