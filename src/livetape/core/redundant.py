"""One stream of events made from two lines that carry the same channels (floor 3).

A line is a connection with a Session of its own, which publishes here.

Rule 1: whichever line tells an event first, it is handed out once. Trades are known by number or id, what
        else there is by its content and its place among the others.
Rule 2: what only makes sense in its order (books, quotes, bars) a line hands out while it is in step: its
        last event is the last one handed out. Where nobody can tell one event from another (neither number
        nor time), one line leads. Who takes over begins with a whole book, or with what came since.
Rule 3: a channel has missed what both lines have missed, and no more: that is its gap. Its trust is that of
        its better line.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from .channel import MOST_RECENT, RECENT
from .events import BookUpdate, Gap, MarketEvent, Origin, Status, Trade
from .identity import identity, is_single, label, order
from .instruments import Channel
from .lines import LAG_NS, RANKS, Hole, LineState, common, ended, is_well, rank
from .times import SECOND

SLACK_NS = 2 * SECOND  #: how far the venue's times may lie outside what we believe of its clock
FILLED_NS = 600 * SECOND  #: how long after its end a gap may still be filled
MOST_GAPS = 50  #: of a line that are remembered until it is known to have missed nothing since
MOST_MISSING = 100_000  #: numbers that are remembered of one hole
Publish = Callable[[MarketEvent], None]

_OF_TRUST = frozenset({*RANKS, "denied"})  #: what Session tells of a channel; other states are the venue's


class _Entry(Struct, gc=False):
    """What was handed out: by which line, and how often that line had broken before."""

    key: object
    content: object
    at: int
    when: int | None
    line: int
    breaks: int


class Merge:
    """One channel of both lines.

    At any time ``received == delivered + superseded + held``; none of them counts Status and Gap, and
    ``diverged`` counts the episodes in which lines contradict each other.
    """

    def __init__(self, channel: str, publish: Publish, numbers: Iterator[int]) -> None:
        self.received = self.delivered = self.superseded = self.diverged = 0
        self._publish, self._numbers = publish, numbers
        self._lines = LineState(channel), LineState(channel)
        self._log: deque[_Entry] = deque()
        self._known: dict[object, deque[_Entry]] = {}  # those of the log by key, which may come again
        self._head = -1  # the place of the last entry
        self._latest = self._forgotten = 0  # by the venue's time: of all entries, of those not remembered
        self._heard_ns = self._delay_ns = 0  # when the last event came, and how long after the venue's time
        self._number: int | None = None  # of the last trade
        self._first_number = self._numbered_ns = 0  # the first one, and when it came
        self._turns = self._begun_ns = 0  # how often a line has become well, and when the first one did
        self._state = "", ""  # what was last told of the trust, and with which detail
        self._open: Gap | None = None  # told and not ended; with an end, it waits for a number
        self._told: set[int] = set()  # when gaps began that were told
        self._holes: list[Hole] = []

    @property
    def held(self) -> int:
        """How many events wait for their line to be in step."""
        return sum(len(line.waiting) for line in self._lines)

    @property
    def in_step(self) -> int:
        """How many lines are well and, where that can be known, have told all that the other one has."""
        return sum(line.well and not (line.gaps and self._known) for line in self._lines)

    def take(self, n: int, event: MarketEvent) -> None:
        """Deal with what line ``n`` tells."""
        match event:
            case Gap():
                self._on_gap(self._lines[n], event)
            case Status(state=state) if state in _OF_TRUST:
                self._on_status(n, event)
            case _:
                self._on_data(n, event)

    # Data

    def _on_data(self, n: int, event: MarketEvent) -> None:
        self.received += 1
        line, (key, content) = self._lines[n], identity(event)
        single = is_single(event)
        entry = self._find(line, key, single=single)
        if entry is not None and entry.content != content and (single or line.at is not None):
            self._diverge(line, event)
        elif entry is not None and entry.content == content:
            self._meet(n, entry, event)
        elif single:
            if self._is_missing(line, event):
                self._hand_out(n, event, key, content)
            else:
                self.superseded += 1
        elif line.at == self._head >= 0:
            self._hand_out(n, event, key, content)
        else:
            self._wait(line, event)
            if not self._led(n) or event.recv_ns - line.waits_ns >= LAG_NS:
                self._lead(n, event)
        if self._number is not None and isinstance(event, Trade) and event.number is not None:
            if event.origin is not Origin.BACKFILLED:
                line.number = event.number
            self._tell_lost(event)

    def _find(self, line: LineState, key: object, *, single: bool) -> _Entry | None:
        """Where ``key`` was handed out; what may come again is looked for after the line's last event."""
        after = -1 if single or line.at is None else line.at
        return next((entry for entry in self._known.get(key, ()) if entry.at > after), None)

    def _meet(self, n: int, entry: _Entry, event: MarketEvent) -> None:
        """Line ``n`` tells what was handed out already."""
        line = self._lines[n]
        self._give_up_waiting(line)
        self.superseded += 1
        line.diverged = False
        if event.origin is not Origin.BACKFILLED:
            line.at = entry.at if line.at is None else max(line.at, entry.at)
            self._agree(line, entry)

    def _agree(self, line: LineState, entry: _Entry) -> None:
        """``line`` has told what another one has: neither has missed anything since it came back."""
        first = self._lines[entry.line]
        line.gaps = [gap for gap in line.gaps if gap.end_ns is None]
        if first.breaks == entry.breaks:
            first.gaps = [gap for gap in first.gaps if gap.end_ns is None]

    def _diverge(self, line: LineState, event: MarketEvent) -> None:
        self.superseded += 1
        if not line.diverged:
            line.diverged = True
            self.diverged += 1
            detail = f"two lines tell different things under {label(event)}"
            self._tell(Status(event.channel, "diverged", detail, trust=event.trust), event)

    def _hand_out(self, n: int, event: MarketEvent, key: object, content: object) -> None:
        line = self._lines[n]
        self._head += 1
        when = order(event)
        entry = _Entry(key, content, self._head, when, n, line.breaks)
        self._log.append(entry)
        if key is not None:
            self._known.setdefault(key, deque()).append(entry)
        self._holes = [hole for hole in self._holes if event.recv_ns - (hole.gap.end_ns or 0) < FILLED_NS]
        self._forget(MOST_RECENT if self._holes and is_single(event) else RECENT)
        if event.origin is not Origin.BACKFILLED:
            line.at, self._heard_ns = self._head, event.recv_ns
            self._latest = max(self._latest, when or 0)
            if event.venue_ns is not None:
                self._delay_ns = event.recv_ns - event.venue_ns
        self.delivered += 1
        self._publish(event)
        if self._lines[1 - n].waiting:
            self._catch_up(self._lines[1 - n], entry)
        for m in (n, 1 - n):
            self._go_on(m)

    def _forget(self, most: int) -> None:
        while len(self._log) > most:
            old = self._log.popleft()
            self._forgotten = max(self._forgotten, old.when or 0)
            if old.key is not None:
                self._known[old.key].popleft()
                if not self._known[old.key]:
                    del self._known[old.key]

    # What makes sense by itself: trades, amendments, news

    def _is_missing(self, line: LineState, event: MarketEvent) -> bool:
        """Whether ``event``, which is not remembered, has never been handed out."""
        if isinstance(event, Trade) and event.number is not None:
            return self._is_missing_number(event, event.number)
        ns = event.venue_ns
        behind = line.at is None or line.at < self._head - len(self._log)
        if event.origin is not Origin.BACKFILLED and not (behind and ns and ns <= self._forgotten):
            return True
        return any(ns is None or self._is_inside(hole.gap, ns) for hole in self._holes)

    def _is_inside(self, gap: Gap, venue_ns: int) -> bool:
        ns = venue_ns + self._delay_ns
        return gap.start_ns - SLACK_NS <= ns <= (gap.end_ns or 0) + SLACK_NS

    def _is_missing_number(self, trade: Trade, number: int) -> bool:
        before, missing = self._number, range(0)
        if before is None:
            self._first_number, self._numbered_ns = number, trade.recv_ns
        elif number > before:
            missing = range(before + 1, number)
        elif not self._is_latest(trade):
            return self._is_late(trade, number)
        if self._open is not None and self._open.end_ns is not None:
            if missing:  # nobody knows when
                gap = replace(self._open, end_ns=trade.recv_ns, missing=len(missing), healed=None)
            else:
                gap = replace(self._open, missing=0, healed="complete")
            self._end_gap(gap, trade, missing)
            self._open = None
        else:
            self._miss(missing, f"trade number {before} was followed by {number}", trade)
        self._number = number
        return True

    def _is_late(self, trade: Trade, number: int) -> bool:
        """Whether a trade that is older than the last one was missing until now."""
        for hole in self._holes:
            if number in hole.numbers:
                self._fill(hole, trade, number)
                return True
        if number > self._first_number or trade.origin is Origin.BACKFILLED:
            return False
        self._miss(range(number + 1, self._first_number), f"began after trade number {number}", trade)
        self._first_number = number
        return True

    def _miss(self, missing: range, cause: str, trade: Trade) -> None:
        """Note the numbers that another line may still tell."""
        if missing:
            gap = Gap(trade.channel, self._heard_ns, trade.recv_ns, cause, missing=len(missing))
            self._holes.append(Hole(gap, set(missing[:MOST_MISSING]), told=False))

    def _is_latest(self, event: MarketEvent) -> bool:
        """Whether ``event`` is later than what was handed out last, by the venue's time."""
        return event.venue_ns is not None and event.venue_ns > self._latest

    def _fill(self, hole: Hole, trade: Trade, number: int) -> None:
        hole.numbers.remove(number)
        if not hole.numbers:
            self._holes.remove(hole)
            if hole.told:
                self._tell(replace(hole.gap, missing=0, healed="complete", trust=trade.trust), trade)

    def _tell_lost(self, event: MarketEvent) -> None:
        """Tell the holes that no line is about to fill: all that are well have passed them."""
        at = [line.number or 0 for line in self._lines if line.well]
        for hole in [hole for hole in self._holes if not hole.told]:
            late = event.recv_ns - (hole.gap.end_ns or 0) >= LAG_NS
            if late or not any(number < max(hole.numbers) for number in at):
                hole.told = True
                hole.gap = replace(hole.gap, missing=len(hole.numbers), trust=event.trust)
                self._tell(replace(hole.gap, end_ns=None, missing=None), event)
                self._tell(hole.gap, event)

    # What makes sense in its order

    def _wait(self, line: LineState, event: MarketEvent) -> None:
        """Keep what a line tells out of step; of a book, or where nothing has a time, only the newest."""
        if isinstance(event, BookUpdate) or order(event) is None or len(line.waiting) >= RECENT:
            self._give_up_waiting(line)
        line.waiting.append(event)
        if line.waits_ns <= self._heard_ns + LAG_NS:
            line.waits_ns = event.recv_ns

    def _led(self, n: int) -> bool:
        """Whether the other line than ``n`` is well, and in step or just behind, or began before it."""
        line, other = self._lines[n], self._lines[1 - n]
        return other.well and (other.at is not None or other.turn < line.turn)

    def _give_up_waiting(self, line: LineState) -> None:
        self.superseded += len(line.waiting)
        line.waiting.clear()

    def _catch_up(self, line: LineState, entry: _Entry) -> None:
        """The other line has handed out ``entry``: if ``line`` told it, too, it is in step from there on."""
        told = [identity(event) for event in line.waiting]
        if (entry.key, entry.content) in told and entry.key is not None:
            n_known = 1 + told.index((entry.key, entry.content))
            del line.waiting[:n_known]
            self.superseded += n_known
            line.at = entry.at
            self._agree(line, entry)
        else:
            self._give_up_old(line)

    def _go_on(self, n: int) -> None:
        """Hand out what line ``n`` has told ahead, if it is in step."""
        line = self._lines[n]
        while line.waiting and line.at == self._head:
            event = line.waiting.pop(0)
            self._hand_out(n, event, *identity(event))

    def _lead(self, n: int, now: MarketEvent | None = None) -> None:
        """Line ``n`` takes over with what it has told since it was last in step, ``now`` in any case."""
        line = self._lines[n]
        self._give_up_old(line, now)
        if line.waiting:
            event = line.waiting.pop(0)
            self._hand_out(n, _whole(event), *identity(event))

    def _give_up_old(self, line: LineState, but: MarketEvent | None = None) -> None:
        """Give up what waits from before what was handed out."""
        waiting, latest = line.waiting, self._latest
        line.waiting = [event for event in waiting if event is but or not 0 < (order(event) or 0) < latest]
        self.superseded += len(waiting) - len(line.waiting)

    # Trust and gaps

    def _on_status(self, n: int, status: Status) -> None:
        line = self._lines[n]
        was_well, line.status = line.well, status
        if line.well and not was_well:
            self._turns += 1
            line.turn = self._turns
            self._begun_ns = self._begun_ns or status.recv_ns
        if line.well:
            self._end_early(line, status)
        else:
            self._break(line, status)
        told = [each.status for each in self._lines if each.status is not None]
        best = max(told, key=lambda each: (rank(each), each is status))
        if (state := (best.state, best.detail if is_well(best) else "")) != self._state:
            self._state = state
            self._tell(best, status)
        if self._lines[1 - n].well and not self._led(1 - n):
            self._lead(1 - n)
        self._tell_lost(status)

    def _break(self, line: LineState, status: Status) -> None:
        line.breaks += 1
        line.at = line.number = None
        self._give_up_waiting(line)
        is_open = bool(line.gaps) and line.gaps[-1].end_ns is None
        if line.paused is not None:
            line.gaps[-1:], line.paused = [line.paused], None
            self._compare(status)
        elif status.state == "denied" and not is_open:
            line.refused = True
            line.gaps.append(Gap(status.channel, status.recv_ns, None, status.detail))
            self._compare(status)

    def _end_early(self, line: LineState, status: Status) -> None:
        """A session ends a gap of numbered trades with the next one, but from now on nothing is missed."""
        if line.gaps and line.gaps[-1].end_ns is None and (line.refused or self._number is not None):
            line.paused = None if line.refused else line.gaps[-1]
            line.gaps[-1] = replace(line.gaps[-1], end_ns=status.recv_ns)
            line.refused = False
            self._compare(status)

    def _on_gap(self, line: LineState, gap: Gap) -> None:
        known = next((i for i, each in enumerate(line.gaps) if each.start_ns == gap.start_ns), None)
        if gap.end_ns is None and known is None:
            line.gaps = [*line.gaps[-MOST_GAPS:], gap]
        elif known is not None and line.gaps[known].end_ns is None:
            line.gaps[known] = gap
        elif line.paused is not None:
            line.paused = None
        elif self._number is None and gap.end_ns is not None:
            self._heal(gap, gap.end_ns)
            return
        self._compare(gap)

    def _compare(self, event: Gap | Status) -> None:
        """Tell what both lines have missed, and what they miss no more."""
        one, other = self._lines
        missed = common(one.gaps, other.gaps, self._begun_ns)
        going_on = next((gap for gap in missed if gap.end_ns is None), None)
        if going_on is not None:
            self._begin_gap(going_on, event)
        elif self._open is not None and self._open.end_ns is None:
            self._open = ended(self._open, event)
            if self._number is None:
                self._end_gap(self._open, event)
                self._open = None
        for gap in missed:
            if gap.end_ns is None or gap.start_ns in self._told:
                continue
            if self._number is None or gap.end_ns <= self._numbered_ns:  # else numbers tell what is missing
                self._tell(replace(gap, end_ns=None, healed=None, missing=None), event)
                self._end_gap(gap, event)
        self._told &= {gap.start_ns for gap in missed}

    def _begin_gap(self, gap: Gap, event: MarketEvent) -> None:
        if self._open is None:
            self._open = gap
            self._told.add(gap.start_ns)
            self._tell(gap, event)
        else:  # the one before has not ended yet
            self._open = replace(self._open, end_ns=None)

    def _end_gap(self, gap: Gap, event: MarketEvent, missing: Iterable[int] = ()) -> None:
        self._told.add(gap.start_ns)
        self._tell(gap, event)
        if gap.healed is None:
            self._holes.append(Hole(gap, set(missing), told=True))

    def _heal(self, healed: Gap, end_ns: int) -> None:
        """A line says that a gap of its own, which had ended, was filled: so are ours that lie in it."""
        inside = [
            hole
            for hole in self._holes
            if healed.start_ns <= hole.gap.start_ns and (hole.gap.end_ns or 0) <= end_ns
        ]
        for hole in inside:
            self._tell(replace(hole.gap, healed=healed.healed, missing=healed.missing), healed)
            if healed.healed is not None:
                self._holes.remove(hole)

    def _tell(self, event: Status | Gap, cause: MarketEvent) -> None:
        """Tell ``event`` because of ``cause``; no session has the negative of another one's number."""
        place = {"recv_ns": cause.recv_ns, "session": -abs(cause.session), "seq": next(self._numbers)}
        self._publish(replace(event, **place, origin=cause.origin))


class Redundant:
    """Hands on to ``publish`` what two lines tell, each event once."""

    def __init__(self, publish: Publish) -> None:
        self.channels: dict[str, Merge] = {}
        self._publish, self._numbers = publish, count(1)

    def take(self, line: int, event: MarketEvent) -> None:
        """Deal with what the session of ``line``, 0 or 1, publishes. What concerns a connection goes on."""
        if not event.symbol:
            self._publish(event)
            return
        merge = self.channels.get(event.channel)
        if merge is None:
            merge = self.channels[event.channel] = Merge(event.channel, self._publish, self._numbers)
        merge.take(line, event)

    def drop(self, channels: Iterable[Channel]) -> None:
        """Forget ``channels``, which nobody wants any more."""
        for channel in channels:
            self.channels.pop(str(channel), None)


def _whole(event: MarketEvent) -> MarketEvent:
    """A book update as a snapshot of the book after it; anything else as it is."""
    if not isinstance(event, BookUpdate) or event.snapshot:
        return event
    bids, asks = event.book.bids, event.book.asks
    return replace(event, snapshot=True, bids=bids.top(len(bids)), asks=asks.top(len(asks)), first=event.last)
