"""Plays a tape: at a speed, from and until a time, with pause and seek (floor 4).

Rule 1: nothing is skipped. What falls due while its reader is busy comes late, and how late is measured.
Rule 2: each event has a deadline, ``t0 + (recv - recv0) / speed``, so no lateness adds up. What is due within
        a millisecond goes out together.
Rule 3: an engine gives events from a time on. It may begin before it, where it has to: what was received
        earlier is only looked at, for the books.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from . import clock
from .calendars import phase_of
from .core.books import Books
from .core.digest import Digest
from .core.errors import ConfigError
from .core.events import BookUpdate, MarketEvent
from .core.instruments import parse_source
from .core.times import MILLISECOND, SECOND
from .feeds.replay import Replay
from .store import merge, query
from .store.merge import Selection
from .store.scan import visible

#: Gives all events from a time on, in their order, in pieces that may be empty; None for from the beginning.
Engine = Callable[[int | None], Iterator[list[MarketEvent]]]
SOURCES = ("typed", "raw")

SLOWEST, FASTEST = 0.1, 1000.0
POLL_S = 0.05  #: how soon a pause, a seek or another speed is noticed
TURN = merge.PIECE  #: events and pieces after which others have a turn
OVERRUN_NS = SECOND  #: how much later a session may tell what time has brought before


class Lateness(Struct):
    """How late events came, in ns."""

    events: int = 0
    sum_ns: int = 0
    most_ns: int = 0

    def add(self, late_ns: int) -> None:
        """Count one more event."""
        self.events += 1
        self.sum_ns += late_ns
        self.most_ns = max(self.most_ns, late_ns)

    @property
    def mean_ns(self) -> int:
        """The mean of all events."""
        return self.sum_ns // max(self.events, 1)


class Player:
    """Iterate over it, with ``for`` or ``async for``, once.

    ``speed`` None is as fast as events are taken. ``pause``, ``resume``, ``seek`` and another ``speed`` are
    for while it plays; ``stop`` ends it. With ``books`` each book update has its ``book``, to be read before
    the next event. ``digest`` becomes that of what is played; it takes as long as making the events does.
    Raises ConfigError for a speed that cannot be.
    """

    def __init__(
        self,
        engine: Engine,
        selection: Selection,
        *,
        speed: float | None = None,
        books: bool = False,
        digest: Digest | None = None,
    ) -> None:
        self.digest = digest or Digest()
        self.lateness = Lateness()
        self.paused = self.stopped = False
        self._engine, self._selection = engine, selection
        self._with_books, self._with_digest = books, digest is not None
        self._speed = _checked(speed)
        self._anchor: tuple[int, int] | None = None  # a time of our clock, and on the tape at that time
        self._at_ns = selection.start_ns or 0  # on the tape, when nothing moves
        self._sought_ns: int | None = None
        self._runs_free = False  # nothing is to be done for an event but to hand it out

    # Control

    @property
    def position_ns(self) -> int:
        """The time on the tape now."""
        if self._speed is None or self._anchor is None or self.paused:
            return self._at_ns
        begun_ns, from_ns = self._anchor
        return from_ns + int((clock.now_ns() - begun_ns) * self._speed)

    @property
    def speed(self) -> float | None:
        """How many times faster than it was; None for as fast as possible."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        _checked(speed)
        self._go_on_from(self.position_ns)
        self._speed = speed
        self._look()

    def pause(self) -> None:
        """Stop before the next event."""
        self._at_ns = self.position_ns
        self.paused = True
        self._look()

    def resume(self) -> None:
        """Go on where it was paused."""
        if self.paused:
            self._go_on_from(self._at_ns)
            self.paused = False
            self._look()

    def seek(self, ns: int) -> None:
        """Go on from another time on the tape, earlier or later; what lies between is not played."""
        self._sought_ns = ns
        self._look()

    def stop(self) -> None:
        """Play nothing more."""
        self.stopped = True
        self._look()

    def _look(self) -> None:
        held = self.paused or self._leaves or self._with_digest
        self._runs_free = self._speed is None and not held

    def _go_on_from(self, ns: int) -> None:
        self._at_ns = ns
        if self._anchor is not None:
            self._anchor = clock.now_ns(), ns

    # Playing

    def __iter__(self) -> Iterator[MarketEvent]:
        for pieces in self._parts():
            for events in pieces:
                for item in self._due(events):
                    if isinstance(item, float):
                        time.sleep(item)
                    else:
                        yield item
                if self._leaves:
                    break

    async def __aiter__(self) -> AsyncIterator[MarketEvent]:
        loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "livetape-player")
        for pieces in self._parts():
            try:
                while (events := await loop.run_in_executor(thread, next, pieces, None)) is not None:
                    for item in self._due(events):
                        if isinstance(item, float):
                            await asyncio.sleep(item)
                        else:
                            yield item
                    if self._leaves:
                        break
            finally:  # the thread may still make a piece that nobody waits for any more
                await loop.run_in_executor(thread, pieces.close)

    def _parts(self) -> Iterator[Generator[Iterable[MarketEvent]]]:
        """The pieces from the beginning on, then, as often as a time is sought, those from there on."""
        start_ns = self._selection.start_ns
        while True:
            self._sought_ns = self._anchor = None
            self._look()
            yield self._pieces(start_ns)
            if self.stopped or self._sought_ns is None:
                return
            self._at_ns = start_ns = self._sought_ns

    def _pieces(self, start_ns: int | None) -> Generator[Iterable[MarketEvent]]:
        """What is asked for from a time on, in pieces that others get a turn after."""
        books = Books() if self._with_books else None
        for events in _evenly(self._engine(start_ns)):
            yield self._wanted(events, start_ns, books)

    def _due(self, events: Iterable[MarketEvent]) -> Iterator[float | MarketEvent]:
        """Each event when it is due; until then how many seconds to wait, again and again."""
        for event in events:
            if self._runs_free:
                self._at_ns = event.recv_ns
                yield event
                continue
            while not self._leaves and (wait_s := self._wait_s(event.recv_ns)):
                yield wait_s
            if self._leaves:
                return
            if self._with_digest:
                self.digest.add(event)
            yield event

    @property
    def _leaves(self) -> bool:
        """Whether not to go on from here."""
        return self.stopped or self._sought_ns is not None

    def _wanted(
        self, events: Iterable[MarketEvent], start_ns: int | None, books: Books | None
    ) -> Iterable[MarketEvent]:
        """What is asked for of ``events``; a book is as it is only until the next event is taken."""
        end_ns, channels = self._selection.end_ns, self._selection.channels
        if channels is not None:
            events = (event for event in events if event.channel in channels)
        if books is not None:
            events = (books.take(event) if isinstance(event, BookUpdate) else event for event in events)
        if start_ns is not None:
            events = (event for event in events if event.recv_ns >= start_ns)
        if end_ns is not None:
            events = (event for event in events if event.recv_ns < end_ns)
        return events if books is not None else list(events)

    def _wait_s(self, recv_ns: int) -> float:
        """How many seconds to wait at most for what was received then; 0.0 when it is due."""
        if self.paused:
            return POLL_S
        if self._speed is None:
            self._at_ns = recv_ns
            return 0.0
        now_ns = clock.now_ns()
        begun_ns, from_ns = self._anchor = self._anchor or (now_ns, recv_ns)
        # What was received before the one before it is due with that one.
        self._at_ns = max(self._at_ns, recv_ns)
        late_ns = now_ns - begun_ns - int((self._at_ns - from_ns) / self._speed)
        if late_ns < -MILLISECOND:
            return min(-late_ns / SECOND, POLL_S)
        self.lateness.add(max(late_ns, 0))
        return 0.0


def _evenly(pieces: Iterable[list[MarketEvent]]) -> Iterator[list[MarketEvent]]:
    """The same events in pieces of at most ``TURN``, and no longer than so many pieces without one."""
    events: list[MarketEvent] = []
    taken = 0
    for piece in pieces:
        events += piece
        taken += 1 + len(piece)
        if taken >= TURN:
            yield from (events[at : at + TURN] for at in range(0, max(len(events), 1), TURN))
            events, taken = [], 0
    yield from (events[at : at + TURN] for at in range(0, len(events), TURN))


def _checked(speed: float | None) -> float | None:
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise ConfigError(f"speed must be from {SLOWEST} to {FASTEST:.0f}, or max, not {speed}")
    return speed


def selected(directory: Path, names: Iterable[str]) -> frozenset[str] | None:
    """The channels that sources such as ``kraken:BTC-USD`` name; None for all, where there is no source.

    Raises ConfigError for what is not on the tape.
    """
    found: set[str] = set()
    with visible(directory) as tape:
        for name in names:
            channels = parse_source(name)
            there = [channel for channel in channels if query.is_known(tape, channel)]
            if not there:
                query.check(tape, channels[0])
            found.update(map(str, there))
    return frozenset(found) or None


def play(
    directory: Path,
    selection: Selection,
    source: str = "typed",
    *,
    speed: float | None = None,
    books: bool = False,
    digest: bool = False,
) -> Player:
    """The tape in ``directory``: its events as they were recorded, or made again from its raw frames.

    Raises ConfigError for a source or a speed that cannot be.
    """
    if source not in SOURCES:
        raise ConfigError(f"{source!r} is no source of a replay", allowed=[*SOURCES])

    def typed(start_ns: int | None) -> Iterator[list[MarketEvent]]:
        part = replace(selection, start_ns=start_ns)
        if books:
            yield from merge.openings(directory, part)
        yield from merge.events(directory, part)

    def raw(start_ns: int | None) -> Iterator[list[MarketEvent]]:
        end_ns = selection.end_ns
        for recv_ns, events in Replay(merge.records(directory), None, phase_of).steps():
            if end_ns is not None and recv_ns >= end_ns + OVERRUN_NS:
                return
            yield events

    told = Digest(merge.sessions(directory) or None) if digest else None
    return Player(typed if source == "typed" else raw, selection, speed=speed, books=books, digest=told)
