"""What any fault on the wire does, for every venue that proves its books or its trades.

A session talks with a venue in memory (``venues.py``). When all is well one message meets a fault: it is
lost, repeated, altered, or the connection ends beside it. The venue goes on, and answers whatever it is
asked. It is promised that

1. nothing that is handed out as verified is wrong, as deep as the proof reaches;
2. what the proof covers is noticed: a gap in the ledger holds the moment of the fault;
3. the channel is whole again without help, and so says the ledger;
4. what cannot be noticed has one of a few reasons, and each is counted.

``LIVETAPE_MUTATIONS`` is how often each fault is tried at each venue; ``pytest -s`` prints what became of it.
"""

import os
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import pytest

from livetape.core.channel import ChannelState
from livetape.core.effects import Close, Effect, Fetch, Send
from livetape.core.events import BookUpdate, Gap, MarketEvent, Trade
from livetape.core.instruments import Channel
from livetape.core.session import TICK_NS, Session
from livetape.core.times import SECOND

from .truth import Truth
from .venues import PROVING, STRAYING, BookVenue, TradeVenue, Venue

EACH = int(os.environ.get("LIVETAPE_MUTATIONS", "8"))
BEFORE = 10  #: messages before a fault
WINDOW = 12  #: messages after it in which it shows, if it ever does
AFTERWARDS = 3  #: messages after all is well again
BEAT_S = 5
QUIET_S = 25  #: how long nothing but the venue's own heartbeat follows, where that is the fault
PATIENCE_S = 120  #: after which a channel must be whole

NOTICED = "noticed, healed"
HARMLESS = "no difference"  # it was known already, or is not of what counts
BELOW = "below the proof"  # deeper than a checksum reaches, at first at least
QUIET = "nothing followed"
CONTENT = "content"  # a digit, where the proof is of order alone
PAST = "from the past"  # where a checksum does not tell when a book was right
REASONS = (HARMLESS, BELOW, QUIET, CONTENT, PAST)
Counts = Counter[tuple[str, str, str]]  #: how often a fault of a kind of message came to an outcome


class Item(NamedTuple):
    """A message on the wire: what it is, and up to which frame of the recording it knows the market."""

    frame: bytes
    what: str  #: "update", "whole" or "words"
    moment: int
    name: str = ""  #: of the Fetch that it answers


HANG_UP = Item(b"", "hang up", 0)


def cut(item: Item, chance: random.Random) -> Item:
    return item._replace(frame=item.frame[: chance.randrange(len(item.frame))])


def altered(item: Item, chance: random.Random) -> Item:
    """With one digit changed."""
    at = chance.choice([match.start() for match in re.finditer(rb"\d", item.frame)])
    digit = chance.choice([digit for digit in b"0123456789" if digit != item.frame[at]])
    return item._replace(frame=b"%b%c%b" % (item.frame[:at], digit, item.frame[at + 1 :]))


def lost(item: Item, chance: random.Random) -> tuple[list[Item], list[Item]]:
    """What was fetched is fetched again, so it is but late."""
    return [], [item] if item.name else []


#: What arrives instead of a message, and what arrives after the next one.
FAULTS: dict[str, Callable[[Item, random.Random], tuple[list[Item], list[Item]]]] = {
    "lost": lost,
    "lost, then quiet": lost,
    "repeated": lambda item, chance: ([item, item], []),
    "repeated later": lambda item, chance: ([item], [item]),
    "swapped": lambda item, chance: ([], [item]),
    "cut": lambda item, chance: ([cut(item, chance)], []),
    "digit": lambda item, chance: ([altered(item, chance)], []),
    "hang-up before": lambda item, chance: ([HANG_UP], []),
    "hang-up after": lambda item, chance: ([item, HANG_UP], []),
}

V = TypeVar("V", bound=Venue)


class Trial(ABC, Generic[V]):
    """A session that meets one fault."""

    def __init__(self, venue: V, position: int, what: str, fault: str) -> None:
        self.venue, self.position, self.what, self.fault = venue, position, what, fault
        self.chance = random.Random(f"{type(venue).__name__} {position} {what} {fault}")
        self.known = position - BEFORE  # the last frame that the venue has pushed
        self.heard = -1  # the one that the message speaks of which the session is just reading
        self.now_ns = venue.times[self.known]
        self.connection = self.sent = 0
        self.subscribed = self.armed = False
        self.struck_ns = self.late_ns = 0  # when the fault happened, and when what it held back came
        self.held: list[Item] = []
        self.requests: list[tuple[int, int, Effect]] = []  # messages to wait, frame it was asked at, request
        self.ledger: dict[int, Gap] = {}  # by their start
        self.wrong = 0
        adapter = venue.adapter()
        self.session = Session(adapter, publish=self.judge)
        self.channel = Channel(adapter.venue, venue.symbol, venue.kind)
        self.session.want([self.channel], self.now_ns)

    @property
    def state(self) -> ChannelState:
        return self.session.channels[str(self.channel)]

    @property
    def well(self) -> bool:
        """Whether all is as it should be, by the session's own account."""
        healed = all(gap.healed for gap in self.ledger.values())
        return healed and self.state.trust is self.state.usual and not self.requests

    @abstractmethod
    def judge(self, event: MarketEvent) -> None:
        """Look at what is handed out."""

    @abstractmethod
    def agrees(self, *, proved: bool) -> bool:
        """Whether the session knows now what the venue has told, as far as ``proved`` or all of it."""

    def run(self) -> str:
        """Let it happen; what became of it."""
        self.dial()
        while self.known < self.position - 1:
            self.push()
        assert self.well and not self.ledger and self.agrees(proved=False), "it did not begin well"
        self.armed = True
        if self.what == "whole":
            self.hang_up("the connection is lost")
        quiet = "quiet" in self.fault
        for _ in range(WINDOW):
            if not (quiet and self.struck_ns):
                self.push()
        self.idle(QUIET_S if quiet else 0)
        self.idle(PATIENCE_S, until_well=True)
        assert not self.armed, "the fault found no message"
        if quiet and not self.agrees(proved=True) and not self.wrong:
            return QUIET
        for _ in range(AFTERWARDS):
            self.push()
        return self.outcome()

    def outcome(self) -> str:
        if self.wrong or not self.agrees(proved=True):
            return CONTENT if self.fault == "digit" else PAST
        assert self.well, "it was not healed"
        times = (self.struck_ns, self.late_ns)
        if any(gap.start_ns <= ns <= (gap.end_ns or 0) for gap in self.ledger.values() for ns in times):
            return NOTICED
        return HARMLESS if self.agrees(proved=False) and not self.ledger else BELOW

    # The venue

    def push(self) -> None:
        """The venue tells the next frame of its recording."""
        self.known += 1
        self.now_ns = max(self.now_ns, self.venue.times[self.known])
        if self.subscribed:
            self.emit(Item(self.venue.frame(self.known), "update", self.known))
        self.turn()

    def idle(self, seconds: float, *, until_well: bool = False) -> None:
        """Nothing happens but that time passes."""
        for n in range(int(seconds * SECOND) // TICK_NS):
            if until_well and self.well:
                return
            self.now_ns += TICK_NS
            if self.venue.beat and n % (BEAT_S * SECOND // TICK_NS) == 0:
                self.emit(Item(self.venue.beat, "words", self.known))
            self.turn()

    def turn(self) -> None:
        """What is due is done, on both sides."""
        self.session.tick(self.now_ns)
        self.carry_out()
        waiting, self.requests = self.requests, []
        connection = self.connection
        for messages, asked_at, request in waiting:
            if connection != self.connection:
                break
            if messages:
                self.requests.append((messages - 1, asked_at, request))
            elif isinstance(request, Send):
                self.emit(Item(self.venue.answer(request.frame), "words", self.known))
                self.subscribed = self.subscribed or not self.venue.asking
                if self.venue.asks(request.frame):
                    self.begin()
            elif isinstance(request, Fetch):
                self.emit(Item(self.venue.body(request.path, asked_at), "whole", asked_at, request.name))

    def emit(self, item: Item) -> None:
        """Put a message on the wire, with its number, where it may meet the fault."""
        if b"%d" in item.frame:
            item = item._replace(frame=item.frame % (self.venue.first + self.sent))
            self.sent += 1
        arriving, later = [item], self.held
        self.held = []
        if later:
            self.late_ns = self.now_ns
        if self.armed and item.what == self.what:
            self.armed, self.struck_ns = False, self.now_ns
            arriving, self.held = FAULTS[self.fault](item, self.chance)
        connection = self.connection
        for each in arriving + later:
            if connection == self.connection:
                self.deliver(each)

    # The client

    def deliver(self, item: Item) -> None:
        if item is HANG_UP:
            self.hang_up("the connection is lost")
            return
        self.heard = item.moment
        if item.name:
            self.session.fetched(item.name, item.frame, self.now_ns)
        else:
            self.session.receive(item.frame, self.now_ns)
        self.carry_out()

    def carry_out(self) -> None:
        for effect in self.session.effects():
            if isinstance(effect, Close):
                self.hang_up(effect.cause)
                return
            asked_at = self.known
            if isinstance(effect, Fetch) and effect.attempt == 0 and self.position % 4 == 3:
                asked_at -= 2  # now and then a venue answers with what it has kept
            self.requests.append((self.position % 3, asked_at, effect))

    def hang_up(self, cause: str) -> None:
        self.session.disconnected(cause, self.now_ns)
        self.dial()

    def dial(self) -> None:
        self.connection += 1
        self.sent, self.held, self.requests, self.subscribed = 0, [], [], False
        self.session.connected(self.now_ns)
        self.carry_out()
        if self.venue.greets:
            self.begin()

    def begin(self) -> None:
        """The venue tells all, and from now on what changes."""
        self.subscribed = True
        self.emit(Item(self.venue.whole(self.known), "whole", self.known))


class BookTrial(Trial[BookVenue]):
    """A book must be the venue's as of the message that brought it, and of none before the last one."""

    at = -1  # the frame after which the last book was the venue's

    def judge(self, event: MarketEvent) -> None:
        match event:
            case Gap():
                self.ledger[event.start_ns] = event
                self.at = -1
            case BookUpdate(proof=proof, book=book):
                assert self.state.gap is None, "a book was given out that was known to be broken"
                self.at = max(self.at, self.venue.index(book.seq, self.heard))
                self.wrong += not self._is(self.venue.truth(self.at), proof.depth if proof else None)

    def agrees(self, *, proved: bool) -> bool:
        book, proof = self.state.book, self.state.proof
        depth = proof.depth if proved and proof else book.told if book else None
        return self._is(self.venue.truth(self.known), depth)

    def _is(self, truth: Truth, depth: int | None) -> bool:
        if (book := self.state.book) is None:
            return False
        n = len(book.bids) + len(book.asks) if depth is None else depth
        return (book.bids.top(n), book.asks.top(n)) == truth.top(depth)


class TradeTrial(Trial[TradeVenue]):
    """Each trade is to be handed out once, as it was."""

    def __init__(self, venue: TradeVenue, position: int, what: str, fault: str) -> None:
        self.got: dict[int, Trade] = {}
        super().__init__(venue, position, what, fault)

    def judge(self, event: MarketEvent) -> None:
        match event:
            case Gap():
                self.ledger[event.start_ns] = event
            case Trade(number=int(number)):
                self.wrong += number in self.got or not self._is(event)
                self.got[number] = event

    def _is(self, trade: Trade) -> bool:
        at = (trade.number or 0) - self.venue.prints[0].number
        if not 0 <= at < len(self.venue.prints):
            return False
        told = self.venue.prints[at]
        return (trade.price_text, trade.size_text) == (told.price, told.size)

    def agrees(self, *, proved: bool) -> bool:
        first = min(self.got, default=0)
        return self.got.keys() >= {p.number for p in self.venue.prints[: self.known + 1] if p.number >= first}


def trial(venue: Venue, position: int, what: str, fault: str) -> Trial[BookVenue] | Trial[TradeVenue]:
    if isinstance(venue, BookVenue):
        return BookTrial(venue, position, what, fault)
    assert isinstance(venue, TradeVenue)
    return TradeTrial(venue, position, what, fault)


def tried(venue: Venue) -> Counts:
    """Each fault at each kind of message, at positions taken at random."""
    counts: Counts = Counter()
    room = range(2 * BEFORE, len(venue.times) - 3 * WINDOW)
    for position in sorted(random.Random(type(venue).__name__).sample(room, min(EACH, len(room)))):
        if isinstance(venue, BookVenue):
            venue.forget(position - BEFORE - 3)
        for what in venue.tells:
            for fault in FAULTS:
                counts[what, fault, trial(venue, position, what, fault).run()] += 1
    return counts


def is_excused(venue: Venue, what: str, fault: str, outcome: str) -> bool:
    """Whether the venue proves no more than that."""
    by_order = venue.proves == "order"
    match outcome:
        case "no difference":
            return not by_order or fault in ("repeated", "repeated later", "digit")
        case "below the proof":
            return not by_order
        case "nothing followed":
            return fault == "lost, then quiet" and b"%d" not in venue.beat
        case "content":
            return fault == "digit" and (by_order or (what == "whole" and not venue.proves_whole))
        case "from the past":
            return (what, fault) == ("whole", "repeated later") and not by_order
    return outcome == NOTICED


def show(name: str, counts: Counts) -> None:
    outcomes = [each for each in (NOTICED, *REASONS) if any(each == outcome for _, _, outcome in counts)]
    print(f"\n{name:26}", *(f"{outcome:>16}" for outcome in outcomes))
    for what, fault in dict.fromkeys((what, fault) for what, fault, _ in counts):
        row = (counts[what, fault, outcome] for outcome in outcomes)
        print(f"  {what:6}  {fault:16}", *(f"{n or '':>16}" for n in row))


@pytest.mark.parametrize("name", PROVING)
def test_what_is_proved_is_right_or_known_to_be_broken_until_it_is_healed(
    recordings: Path, name: str
) -> None:
    venue = PROVING[name](recordings)
    counts = tried(venue)
    show(name, counts)
    assert counts.total() == EACH * len(venue.tells) * len(FAULTS)
    assert not [each for each in counts if not is_excused(venue, *each)]


@pytest.mark.parametrize("name", STRAYING)
def test_a_delete_of_what_is_not_there_is_no_alarm(recordings: Path, name: str) -> None:
    venue = STRAYING[name](recordings)
    healthy = BookTrial(venue, BEFORE, "update", "lost")
    healthy.dial()
    for _ in range(len(venue.times) - 1):
        healthy.push()
    assert healthy.well
    assert healthy.agrees(proved=False)
    assert (healthy.ledger, healthy.wrong, healthy.connection) == ({}, 0, 1)
