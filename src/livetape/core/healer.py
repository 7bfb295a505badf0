"""Fills the holes of channels from the venue's history (floor 3).

A gap that has ended without being healed leaves a hole. Where the venue can be asked again, what was missed
is fetched, handed out as ``backfilled``, each event once, and the gap is told anew as healed by ``history``.
What the venue does not give stays in the ledger.
"""

from collections import deque
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from .adapter import Adapter, Span
from .channel import MOST_RECENT, Channels, ChannelState
from .effects import Effect, Fetch
from .errors import DecodeError
from .events import Bar, Gap, MarketEvent, Origin, Trade
from .instruments import interval_ns
from .outlet import Hole, Outlet
from .times import SECOND

PREFIX = "history "  #: of the names of what is fetched
SLACK_NS = 2 * SECOND  #: how far the venue's times may lie outside what we believe of its clock
LATE_NS = 60 * SECOND  #: how late an event of which nothing else is known may be
LAG_NS = 2 * SECOND  #: a history may be a little behind the stream
OVERDUE_NS = 30 * SECOND  #: after which an answer is no longer waited for
TRIES = 4  #: answers that lack something, each asked for after twice the wait of the one before
MOST = 100  #: holes that wait for their turn; what there is beyond them stays a gap


class _Work(Struct):
    """A hole that is being filled. ``missing`` are the numbers that a numbered channel still lacks."""

    gap: Gap
    span: Span
    missing: set[int]
    due_ns: int
    answers: int = 0
    unanswered: int = 0
    page: str = ""

    @property
    def name(self) -> str:
        """What its Fetch is called: the channel, and when the gap began."""
        return f"{PREFIX}{self.gap.channel} {self.gap.start_ns}"


class Healer:
    """Asks by ``effects``, for one hole at a time; trades go out by ``deliver``."""

    def __init__(
        self,
        adapter: Adapter,
        channels: Channels,
        outlet: Outlet,
        effects: list[Effect],
        deliver: Callable[[ChannelState, Trade, int], None],
    ) -> None:
        self._adapter, self._channels = adapter, channels
        self._outlet, self._effects, self._deliver = outlet, effects, deliver
        self._queue: deque[_Work] = deque()
        self._made: deque[tuple[str, Gap]] = deque(
            maxlen=MOST
        )  # of derived channels, and what they come from

    def tick(self, now_ns: int) -> None:
        """Take up new holes, and ask for the one that is due."""
        self._take_up(now_ns)
        while self._queue and now_ns >= self._queue[0].due_ns and not self._ask(self._queue[0], now_ns):
            pass

    def connected(self) -> None:
        """What was asked for on the connection before will not come."""
        if self._queue:
            self._queue[0].due_ns = 0

    def fetched(self, name: str, body: bytes, now_ns: int) -> None:
        """Hand out what a page of history has and the channel has not."""
        self._take_up(now_ns)
        work = self._named(name)
        state = self._channels.get(work.gap.channel) if work else None
        if state is None or work is None:
            return
        work.unanswered = 0
        try:
            history = self._adapter.decode_history(state.channel, body)
        except DecodeError:
            self._put_off(work, now_ns)
            return
        for event in sorted(history.events, key=lambda event: event.venue_ns or 0):
            if self._is_missing(state, work, event):
                self._fill(state, event, now_ns)
        if history.page and history.page != work.page:
            work.page = history.page
            self._ask(work, now_ns)
        elif work.missing:
            self._put_off(work, now_ns)
        else:
            self._finish(work, now_ns, healed="history")

    def refused(self, name: str, now_ns: int) -> None:
        """The venue does not give this history: the gap stays."""
        if (work := self._named(name)) is not None:
            self._finish(work, now_ns)

    def _take_up(self, now_ns: int) -> None:
        for hole in self._outlet.take_holes():
            state = self._channels.get(hole.gap.channel)
            if state is None:
                continue
            if state.derived:
                self._made.append((str(state.source), hole.gap))
                continue
            span = _span(hole)
            n = hole.numbers.stop - hole.numbers.start
            fits = n <= MOST_RECENT and len(self._queue) < MOST
            if fits and self._adapter.history_path(state.channel, span) is not None:
                self._queue.append(_Work(hole.gap, span, set(hole.numbers), now_ns + LAG_NS))
            else:
                state.remembers = self._is_filling(state)

    def _named(self, name: str) -> _Work | None:
        return next((work for work in self._queue if work.name == name), None)

    def _is_filling(self, state: ChannelState) -> bool:
        return any(work.gap.channel == str(state.channel) for work in self._queue)

    def _ask(self, work: _Work, now_ns: int) -> bool:
        """Ask for the next page of ``work``; False when it is over instead."""
        state = self._channels.get(work.gap.channel)
        path = state and self._adapter.history_path(state.channel, work.span, work.page)
        if not path:
            read = bool(work.page and not work.missing)  # the span ends with the page before
            self._finish(work, now_ns, healed="history" if read else None)
            return False
        work.due_ns = now_ns + (OVERDUE_NS << min(work.unanswered, TRIES))
        work.unanswered += 1
        self._effects.append(Fetch(work.name, path, 0, insist=False))
        return True

    def _put_off(self, work: _Work, now_ns: int) -> None:
        work.answers += 1
        if work.answers >= TRIES:
            self._finish(work, now_ns)
            return
        work.page, work.due_ns = "", now_ns + (LAG_NS << work.answers)
        self._queue.remove(work)
        self._queue.append(work)

    def _is_missing(self, state: ChannelState, work: _Work, event: MarketEvent) -> bool:
        """Whether ``event`` lies in the hole and was not handed out."""
        span = work.span
        match event:
            case Trade(number=int(number)):
                if number not in work.missing:
                    return False
                work.missing.remove(number)
                came_late = state.had(number, Origin.BACKFILLED)
                state.fill(number)
                return not came_late
            case Bar(start_ns=start_ns):
                end_ns = start_ns + interval_ns(state.channel.kind)
                return span.start_ns < end_ns <= span.end_ns and not state.repeated(event)
            case _:
                ns, begin_ns = event.venue_ns, max(span.start_ns, state.first_ns)
                return ns is not None and begin_ns <= ns <= span.end_ns and not state.repeated(event)

    def _fill(self, state: ChannelState, event: MarketEvent, now_ns: int) -> None:
        state.received += 1
        event = replace(event, origin=Origin.BACKFILLED)
        if isinstance(event, Trade):
            self._deliver(state, event, now_ns)
        else:
            self._outlet.deliver(state, event, now_ns)

    def _finish(self, work: _Work, now_ns: int, healed: str | None = None) -> None:
        """Tell how the gap stands now, and those of what is made from the channel."""
        self._queue.remove(work)
        state = self._channels.get(work.gap.channel)
        if state is None:
            return
        state.remembers = self._is_filling(state)
        left = len(work.missing) if work.gap.missing or healed else None
        made = [gap for source, gap in self._made if source == work.gap.channel and _overlap(gap, work.gap)]
        self._made = deque((each for each in self._made if each[1] not in made), MOST)
        if healed or left != work.gap.missing:
            for gap in (work.gap, *made):
                self._outlet.emit(replace(gap, healed=healed, missing=left), now_ns)


def _overlap(one: Gap, other: Gap) -> bool:
    return one.start_ns <= (other.end_ns or 0) and other.start_ns <= (one.end_ns or 0)


def _span(hole: Hole) -> Span:
    """The hole by the venue's clock: wide enough for the usual delay, and for one that was late itself.

    The one in the middle is usual: a single wrong time does not count.
    """
    delays_ns = sorted(hole.delays_ns) or [0]
    usual_ns, most_ns = delays_ns[(len(delays_ns) - 1) // 2], delays_ns[-1]
    start_ns = hole.gap.start_ns - max(usual_ns, min(most_ns, LATE_NS), 0)
    return Span(start_ns - SLACK_NS, (hole.gap.end_ns or 0) - min(usual_ns, 0) + SLACK_NS, hole.numbers)
