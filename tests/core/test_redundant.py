"""Two sessions of one stream, cut and restarted at random: each event once, books true, holes told."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from livetape.core.adapter import Guarantee
from livetape.core.book import Book
from livetape.core.events import (
    Ack,
    BookUpdate,
    Gap,
    MarketEvent,
    Message,
    News,
    Origin,
    Quote,
    Status,
    Trade,
    Trust,
)
from livetape.core.instruments import Channel
from livetape.core.redundant import LAG_NS, Redundant
from livetape.core.session import Session

from ..sessions import conserved
from .toy import Toy

START_NS = 1_000_000_000_000
STEP_NS = 50_000_000
LATE_NS = 800_000_000  #: no line is further behind the world
KINDS = ("trade", "book", "quote")
#: How events can be told apart.
NUMBERS, IDS, TIMES, NOTHING = range(4)


class Wire(Toy):
    """Frames are ``[kind, n, …]``: event ``n`` of each kind. ``by`` says how events can be told apart."""

    kinds = frozenset({"trade", "book", "quote"})
    guarantees: Mapping[str, Guarantee] = {}
    sequence = None
    by = NUMBERS

    def parse(self, frame: bytes) -> Iterable[Message]:
        kind, n, *more = json.decode(frame)
        ns = None if self.by == NOTHING else n * STEP_NS
        name = f"toy:X/{kind}"
        match kind:
            case "beat":
                return []
            case "ack":
                return [Ack(f"toy:X/{more[0]}")]
            case "trade":  # two of them, which are alike but for a number or an id
                numbers = [2 * n, 2 * n + 1] if self.by == NUMBERS else [None, None]
                ids = [None if self.by in (TIMES, NOTHING) else str(i) for i in (2 * n, 2 * n + 1)]
                return [Trade(name, ns, "1", "1", None, *both) for both in zip(ids, numbers, strict=True)]
            case "quote":
                return [Quote(name, ns, str(n), "1", None, None)]
        snapshot, bids, asks = more
        first, last = (n, n) if self.by == NUMBERS else (None, None)
        levels = ([(p, s) for p, s in side] for side in (bids, asks))
        return [BookUpdate(name, ns, snapshot, *levels, first, last)]

    def history_path(self, *_: Any) -> None:
        return None


def price(n: int) -> str:
    return str(1 + n % 5)


class World:
    """What happens at the venue. Each event changes one of five bids, and an ask that says which it was."""

    def __init__(self, now_ns: int) -> None:
        self.n = 0
        self.born_ns = [now_ns]
        self.books: list[dict[str, str]] = [{}]
        self.go_on(now_ns)

    def go_on(self, now_ns: int) -> None:
        self.n += 1
        self.born_ns.append(now_ns)
        book = {**self.books[-1], price(self.n): str(self.n * (self.n % 3))}
        self.books.append({p: size for p, size in book.items() if size != "0"})

    def frames(self, n: int) -> list[bytes]:
        bids, asks = [(price(n), str(n * (n % 3)))], [("9", str(n))]
        return [
            json.encode(["trade", n]),
            json.encode(["book", n, False, bids, asks]),
            json.encode(["quote", n]),
        ]

    def snapshot(self) -> bytes:
        return json.encode(["book", self.n, True, [*self.books[self.n].items()], [("9", str(self.n))]])


class Life:
    """Two lines of the ``world``, and what came of them."""

    def __init__(self, by: int, up: Sequence[int] = (0, 1)) -> None:
        self.now_ns = START_NS
        self.world = World(self.now_ns)
        self.told: list[MarketEvent] = []
        self.view = Book()
        self.redundant = Redundant(self.publish)
        wire = type("Wire", (Wire,), {"by": by})
        self.sessions = [
            Session(wire(), number + 1, publish=partial(self.redundant.take, number)) for number in range(2)
        ]
        self.heard = [0, 0]
        self.alive = [False, False]
        for session in self.sessions:
            session.want([Channel("toy", "X", kind) for kind in KINDS], self.now_ns)
        for n in up:
            self.toggle(n)

    def publish(self, event: MarketEvent) -> None:
        self.told.append(event)
        if isinstance(event, BookUpdate):
            if event.snapshot:
                self.view = Book()
            self.view.apply(event.bids, event.asks)
            self.check_view(event)

    def check_view(self, event: BookUpdate) -> None:
        """What a client has is what the venue had, and what the line had."""
        best = self.view.asks.best()
        assert best is not None
        assert dict(self.view.bids.top(9)) == self.world.books[int(best[1])]
        assert self.view.bids.top(9) == event.book.bids.top(9)

    def go_on(self) -> None:
        self.world.go_on(self.now_ns)

    def hear(self, n: int) -> None:
        if self.alive[n] and self.heard[n] < self.world.n:
            self.heard[n] += 1
            for frame in self.world.frames(self.heard[n]):
                self.sessions[n].receive(frame, self.now_ns)

    def hear_all(self, n: int) -> None:
        while self.alive[n] and self.heard[n] < self.world.n:
            self.hear(n)

    def toggle(self, n: int) -> None:
        self.alive[n] = not self.alive[n]
        if not self.alive[n]:
            self.sessions[n].disconnected("cut", self.now_ns)
            return
        self.sessions[n].connected(self.now_ns)
        self.heard[n] = self.world.n
        for kind in ("trade", "quote"):
            self.sessions[n].receive(json.encode(["ack", 0, kind]), self.now_ns)
        self.sessions[n].receive(self.world.snapshot(), self.now_ns)

    def kill_safely(self, n: int) -> None:
        """Cut line ``n`` and let it come back, when the other one is sure to miss nothing."""
        for line in (n, 1 - n):
            self.hear_all(line)
        self.now_ns += LAG_NS
        self.step("beat")
        self.toggle(n)

    def step(self, action: str) -> None:
        self.now_ns += STEP_NS
        for n in (0, 1):
            if self.alive[n]:
                self.sessions[n].receive(b'["beat",0]', self.now_ns)
            while self.heard[n] < self.world.n and self.alive[n]:
                if self.now_ns - self.world.born_ns[self.heard[n] + 1] < LATE_NS:
                    break
                self.hear(n)
        match action:
            case "go on":
                self.go_on()
            case "hear 0" | "hear 1":
                self.hear(int(action[-1]))
            case "cut 0" | "cut 1":
                self.toggle(int(action[-1]))

    def end(self) -> None:
        """Both lines are up again and hear all, and more happens."""
        for n in (0, 1):
            if not self.alive[n]:
                self.toggle(n)
        for _ in range(3):
            self.now_ns += STEP_NS
            self.go_on()
            for n in (0, 1):
                self.hear_all(n)
        assert all(map(conserved, self.sessions))
        for merge in self.redundant.channels.values():
            assert merge.received == merge.delivered + merge.superseded + merge.held
            assert merge.diverged == 0

    def of(self, kind: str) -> list[Any]:
        return [e for e in self.told if e.kind == kind and not isinstance(e, Status | Gap)]

    def gaps(self, kind: str) -> list[Gap]:
        return [e for e in self.told if isinstance(e, Gap) and e.kind == kind]

    def missing(self) -> dict[str, set[int]]:
        """The numbers of the events that were not handed out, of each kind."""
        wanted = Counter(dict.fromkeys(range(2, self.world.n + 1), 2))
        trades = Counter(e.venue_ns // STEP_NS for e in self.of("trade"))
        assert all(trades[n] <= 2 for n in trades), "twice"
        quotes = [e.venue_ns // STEP_NS for e in self.of("quote")]
        assert len(set(quotes)) == len(quotes), "twice"
        assert quotes == sorted(quotes)
        books = self._numbers_of_books()
        return {
            "trade": set(wanted - trades),
            "quote": set(wanted) - set(quotes),
            "book": set(wanted) - books,
        }

    def _numbers_of_books(self) -> set[int]:
        """Those that were told one by one, or lie in a snapshot that followed."""
        told = self.of("book")
        single = [int(e.asks[0][1]) for e in told if not e.snapshot]
        assert len(set(single)) == len(single), "twice"
        found: set[int] = set(single)
        at = 0
        for event in told:
            now = int(event.asks[0][1])
            if event.snapshot:
                found |= set(range(at + 1, now + 1))
            at = max(at, now)
        return found


ACTIONS = ("go on", "go on", "hear 0", "hear 1", "hear 0", "hear 1", "cut 0", "cut 1")
lives = st.lists(st.sampled_from(ACTIONS), max_size=250)


@pytest.mark.parametrize("by", [NUMBERS, IDS, TIMES])
@given(actions=lives)
def test_whatever_is_missing_lies_in_a_gap_and_nothing_comes_twice(by: int, actions: list[str]) -> None:
    life = Life(by)
    for action in actions:
        life.step(action)
    life.end()
    for kind, missing in life.missing().items():
        closed = [gap for gap in life.gaps(kind) if gap.end_ns is not None]
        for n in missing:
            born_ns = life.world.born_ns[n]
            assert any(gap.start_ns - LAG_NS <= born_ns <= (gap.end_ns or 0) + LAG_NS for gap in closed), (
                kind,
                n,
            )


@pytest.mark.parametrize("by", [NUMBERS, IDS, TIMES])
@given(actions=lives)
def test_nothing_is_missing_while_one_line_is_well(by: int, actions: list[str]) -> None:
    life = Life(by)
    for action in actions:
        if action.startswith("cut"):
            n = int(action[-1])
            life.step("beat")
            if life.alive[1 - n]:
                life.kill_safely(n)
        else:
            life.step(action)
    life.end()
    assert life.missing() == {"trade": set(), "quote": set(), "book": set()}
    assert not [event for event in life.told if isinstance(event, Gap)]
    states = [e.state for e in life.told if isinstance(e, Status) and e.symbol]
    assert sorted(states) == ["live", "live", "resyncing", "resyncing", "resyncing", "unverifiable"]


@given(actions=lives)
def test_where_nothing_tells_events_apart_one_line_leads_and_books_stay_true(actions: list[str]) -> None:
    life = Life(NOTHING)
    for action in actions:
        life.step(action)
    life.end()


def test_a_line_that_never_came_up_hides_no_gap() -> None:
    life = Life(IDS, up=[0])
    life.step("cut 0")
    opened = life.gaps("trade")
    assert [(gap.cause, gap.end_ns) for gap in opened] == [("cut", None)]
    life.step("cut 0")
    assert [gap.end_ns for gap in life.gaps("trade")] == [None, life.now_ns]


def test_the_trust_told_is_that_of_the_best_line() -> None:
    life = Life(NUMBERS)

    def states() -> list[str]:
        return [e.state for e in life.told if isinstance(e, Status) and e.channel == "toy:X/book"]

    life.step("cut 0")
    assert states() == ["resyncing", "unverifiable"]
    life.step("cut 1")
    assert states()[2:] == ["stale"]
    life.step("cut 1")
    life.step("cut 0")
    assert states()[3:] == ["resyncing", "unverifiable"]


@pytest.mark.parametrize("by", [NUMBERS, TIMES, NOTHING])
def test_a_line_that_is_mute_is_not_waited_for(by: int) -> None:
    life = Life(by)
    for n in (0, 0, 1):
        life.step("go on")
        life.hear(n)
    life.step("cut 1")
    life.step("cut 1")  # now it is out of step
    for _ in range(3 * LAG_NS // STEP_NS):
        life.now_ns += STEP_NS
        life.go_on()
        life.hear(1)  # line 0 is connected and says nothing
    assert life.of("book")[-1].asks == [("9", str(life.world.n))]
    assert [e.snapshot for e in life.of("book")].count(True) == 2
    assert life.of("quote")[-1].bid_text == str(life.world.n)


def trade(number: int, price_text: str = "1") -> Trade:
    return Trade("toy:X/trade", number, price_text, "1", None, str(number), number, recv_ns=number)


def test_lines_that_contradict_each_other_raise_an_alarm_once() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    for line, event in [
        *((0, trade(n)) for n in range(1, 7)),
        *((1, trade(1)), (1, trade(2, "2")), (1, trade(3, "2")), (1, trade(4)), (1, trade(5, "2"))),
    ]:
        redundant.take(line, event)
    alarms = [event for event in told if isinstance(event, Status)]
    assert [(alarm.state, alarm.detail) for alarm in alarms] == [
        ("diverged", "two lines tell different things under trade number 2"),
        ("diverged", "two lines tell different things under trade number 5"),
    ]
    merge = redundant.channels["toy:X/trade"]
    assert (merge.diverged, merge.delivered, merge.superseded) == (2, 6, 5)
    assert [event for event in told if isinstance(event, Trade)] == [trade(n) for n in range(1, 7)]


def test_what_one_line_skips_comes_late_from_the_other_and_is_no_gap() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    well = Status("toy:X/trade", Trust.LIVE)
    for line, event in [
        *((0, well), (1, well)),
        *((0, trade(1)), (1, trade(1)), (0, trade(4)), (1, trade(2)), (1, trade(3)), (1, trade(4))),
    ]:
        redundant.take(line, event)
    assert [event.number for event in told if isinstance(event, Trade)] == [1, 4, 2, 3]
    assert not [event for event in told if isinstance(event, Gap)]


def test_what_both_lines_skip_is_a_gap_with_its_number() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    well = Status("toy:X/trade", Trust.LIVE)
    for line, event in [
        *((0, well), (1, well)),
        *((0, trade(1)), (1, trade(1)), (0, trade(4)), (1, trade(2)), (1, trade(4))),
    ]:
        redundant.take(line, event)
    gaps = [event for event in told if isinstance(event, Gap)]
    assert [(gap.start_ns, gap.end_ns, gap.missing) for gap in gaps] == [(1, None, None), (1, 4, 1)]


def test_what_history_gives_is_handed_out_once_and_only_where_it_was_missed() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    for n in (1, 2, 5):
        redundant.take(0, trade(n))
    for n in (1, 2, 3, 4, 5):
        redundant.take(1, replace(trade(n), origin=Origin.BACKFILLED))
    assert [event.number for event in told if isinstance(event, Trade)] == [1, 2, 5, 3, 4]


def test_news_of_both_lines_comes_once() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    for line in (0, 1, 0):
        redundant.take(line, News("toy:X/news", 5, "7", "headline"))
    assert len(told) == 1


def test_a_channel_that_was_dropped_begins_anew() -> None:
    told: list[MarketEvent] = []
    redundant = Redundant(told.append)
    redundant.take(0, trade(1))
    redundant.drop([Channel("toy", "X", "trade")])
    redundant.take(1, trade(9))
    assert len(told) == 2
