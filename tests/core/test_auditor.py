"""A book without a proof is compared with the venue's own: what agrees is counted, what is wrong mended."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from msgspec import json

from livetape.core.effects import Fetch
from livetape.core.errors import ConfigError
from livetape.core.events import BookUpdate, Denied, Gap, MarketEvent, Message, Status, Trade, Trust, Why
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened
from .toy import SECOND, Nameless

BOOK, TRADES = Channel("toy", "A", "book"), Channel("toy", "A", "trade")
Levels = list[tuple[str, str]]
BIDS: Levels = [("10", "1"), ("9", "2"), ("8", "3")]
ASKS: Levels = [("11", "4"), ("12", "5"), ("13", "6")]


class Shown(Nameless):
    """Its books have any levels, and REST shows them too."""

    option_names = frozenset({"time"})

    def parse(self, frame: bytes) -> Iterable[Message]:
        told = json.decode(frame)
        if isinstance(told, str):
            return [Trade("toy:A/trade", None, told, "1", "buy", None)]
        snapshot, bids, asks = told
        return [BookUpdate("toy:A/book", self._time, snapshot, levels(bids), levels(asks))]

    def audit_path(self, symbol: str) -> str | None:
        return f"/book/{symbol}"

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        bids, asks = json.decode(body)
        return BookUpdate("toy:A/book", self._time, True, levels(bids), levels(asks))

    def refusal(self, body: bytes) -> Denied | None:
        return Denied("too often") if body == b'"no"' else None

    @property
    def _time(self) -> int | None:
        time = self.options.get("time")
        return time.pop(0) if isinstance(time, list) else None


def at(seconds: float) -> int:
    return int(seconds * SECOND)


def levels(told: Any) -> Levels:
    return [(price, size) for price, size in told]


class World:
    """A session with a book, and its clock in seconds: the first audit begins after 160, asks 2 s later."""

    def __init__(self, options: Mapping[str, object] | None = None, trades: bool = False) -> None:
        self.told: list[MarketEvent] = []
        channels = [BOOK, TRADES] if trades else [BOOK]
        self.session: Session = opened(Shown(options), channels, 99 * SECOND, self.told.append)
        self.fetches: list[Fetch] = []
        self.hear(99.9, BIDS, ASKS, snapshot=True)

    def hear(self, now: float, bids: Levels, asks: Levels, *, snapshot: bool = False) -> None:
        self.pass_to(now)
        self.session.receive(json.encode((snapshot, bids, asks)), at(now))

    def trade(self, now: float, price: str) -> None:
        self.pass_to(now)
        self.session.receive(json.encode(price), at(now))

    def pass_to(self, now: float) -> None:
        self.now = now
        self.session.tick(at(now))
        self.fetches += [effect for effect in self.session.effects() if isinstance(effect, Fetch)]

    def answer(self, bids: Levels, asks: Levels) -> None:
        """The venue's book as soon as it is asked for, judged a little later."""
        for _ in range(100):
            if not self.fetches:
                self.pass_to(self.now + 1)
        self.session.fetched(self.fetches.pop(0).name, json.encode((bids, asks)), at(self.now))
        self.pass_to(self.now + 2.2)

    @property
    def score(self) -> tuple[int, int, int, int] | None:
        agreement = self.session.channels[str(BOOK)].agreement
        if agreement is None:
            return None
        return agreement.audits, agreement.agreed, agreement.levels, agreement.levels_agreed

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(e.state, e.detail) for e in self.told if isinstance(e, Status) and e.channel == str(BOOK)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_book_that_is_the_venues_agrees_and_says_so_once(world: World) -> None:
    world.pass_to(161)
    assert not world.fetches
    world.pass_to(164)
    assert [(fetch.name, fetch.path) for fetch in world.fetches] == [("audit A", "/book/A")]
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)
    assert world.states[-1] == ("unverifiable", "100 % agreement with the venue's REST book")
    before = len(world.states)
    world.answer(BIDS, ASKS)
    assert world.score == (2, 2, 12, 12)
    assert len(world.states) == before
    assert world.session.channels[str(BOOK)].trust is Trust.UNVERIFIABLE
    assert conserved(world.session)


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        (BIDS[1:], ASKS),  # a delete was lost
        (BIDS, [("11", "4"), ("11.5", "9"), *ASKS[1:]]),  # a new level was lost
        (BIDS, [("11", "4"), ("12", "5.5"), ASKS[2]]),  # a size was lost
    ],
)
def test_what_differs_twice_in_a_row_is_mended(world: World, bids: Levels, asks: Levels) -> None:
    world.answer(bids, asks)
    assert world.score is not None
    audits, agreed, compared, right = world.score
    assert (audits, agreed, compared - right) == (1, 0, 1)
    assert not [event for event in world.told if isinstance(event, Gap)]
    world.answer(bids, asks)
    [gap] = [event for event in world.told if isinstance(event, Gap)]
    assert gap.cause.startswith("audit: the venue has ")
    assert world.states[-1][0] == "resyncing"
    world.hear(243, bids, asks, snapshot=True)
    assert [e.healed for e in world.told if isinstance(e, Gap)] == [None, "snapshot"]
    world.answer(bids, asks)
    assert world.score[:2] == (3, 1)
    assert world.states[-1][0] == "unverifiable"


def test_levels_that_differ_once_are_no_ghosts(world: World) -> None:
    world.answer(BIDS[1:], ASKS)
    world.answer(BIDS, ASKS[1:])
    world.answer(BIDS[1:], ASKS)
    assert not [event for event in world.told if isinstance(event, Gap)]
    assert world.score == (3, 0, 18, 15)


def test_a_venue_whose_rest_is_wrong_costs_one_new_beginning(world: World) -> None:
    for _ in range(6):
        world.answer(BIDS[1:], ASKS)
        if world.states[-1][0] == "resyncing":
            world.hear(world.now, BIDS, ASKS, snapshot=True)
    assert len([event for event in world.told if isinstance(event, Gap)]) == 2
    world.answer(BIDS, ASKS)
    world.answer(BIDS[1:], ASKS)
    world.answer(BIDS[1:], ASKS)
    assert world.states[-1][0] == "resyncing"


def test_an_answer_may_be_of_any_moment_around_the_question(world: World) -> None:
    world.hear(161, [("10", "1.5")], [])
    world.pass_to(162)
    world.hear(163, [("10", "0"), ("9", "2.5"), ("7", "1")], [("12", "0")])
    world.answer([("10", "1.5"), *BIDS[1:]], ASKS)
    assert world.score == (1, 1, 6, 6)


def test_an_answer_may_be_ahead_of_the_stream(world: World) -> None:
    world.pass_to(163)
    world.session.fetched("audit A", json.encode(([("9", "7"), ("8", "3"), ("7", "1")], ASKS)), at(163))
    world.hear(164, [("10", "0"), ("9", "7"), ("7", "1")], [])
    world.pass_to(166)
    assert world.score == (1, 1, 5, 5)  # 7 was not in sight at first


def test_a_market_that_runs_away_is_followed(world: World) -> None:
    world.pass_to(158)
    for n in range(600):
        gone = [(str(1000 + n - 1), "0")] if n else [(price, "0") for price, _ in ASKS]
        world.hear(158 + n / 100, [(str(n + 11), "1")], [*gone, (str(1000 + n), "1")])
    world.answer([(str(n + 11), "1") for n in range(520, 500, -1)], [("1520", "1")])
    assert world.score == (1, 1, 10, 10)  # a side of one level is never in sight for long


def test_only_levels_within_the_reach_of_both_are_compared(world: World) -> None:
    """The stream may have fewer levels than REST, or more."""
    world.answer([*BIDS, ("7", "9"), ("6", "9")], ASKS[:2])
    assert world.score == (1, 1, 5, 5)


def test_ten_levels_of_each_side_are_compared_in_whatever_order_they_come(world: World) -> None:
    bids, asks = ([(str(base + n), "1") for n in range(30)] for base in (1000, 2000))
    world.hear(101, bids, asks, snapshot=True)
    world.answer(bids, asks)
    assert world.score == (1, 1, 20, 20)


def test_other_spellings_of_a_number_agree(world: World) -> None:
    world.answer([("10.00", "1.0"), ("9.0", "2"), ("8", "3e0")], ASKS)
    assert world.score == (1, 1, 6, 6)


def test_an_answer_older_than_the_book_is_none() -> None:
    world = World({"time": [5, 7, 9, 8, 9]})
    world.hear(110, [("8", "4")], [])
    world.hear(111, [("8", "3")], [])
    world.answer(BIDS[1:], ASKS)
    assert world.score is None
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


@pytest.mark.parametrize("answered", [True, False])
def test_a_refused_audit_says_nothing_and_is_not_asked_for_again_soon(world: World, answered: bool) -> None:
    world.pass_to(163)
    name = world.fetches.pop().name
    if answered:
        world.session.fetched(name, b'"no"', 163 * SECOND)
    else:
        world.session.refused(name, "403", Why.PLAN, 163 * SECOND)
    world.pass_to(3_700)
    assert not world.fetches
    assert world.score is None
    assert world.session.channels[str(BOOK)].denied is None
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


def test_an_audit_that_is_not_answered_waits_for_its_answer(world: World) -> None:
    world.pass_to(400)
    assert len(world.fetches) == 1
    world.answer(BIDS[1:], ASKS)  # nobody knows any more what the book was then
    assert world.score is None
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


def test_an_answer_that_makes_no_sense_is_told(world: World) -> None:
    world.pass_to(163)
    world.session.fetched(world.fetches.pop().name, b"<html>", 163 * SECOND)
    assert [e.state for e in world.told if isinstance(e, Status) and e.channel == "toy"][-1] == "undecodable"
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


@pytest.mark.parametrize("when", [161, 162.5, 164])
def test_a_book_that_was_not_whole_meanwhile_is_not_judged(world: World, when: float) -> None:
    world.pass_to(when)
    world.session.disconnected("reset", at(when))
    world.session.connected(at(when + 0.1))
    world.hear(when + 0.2, BIDS, ASKS, snapshot=True)
    while world.fetches:
        world.session.fetched(world.fetches.pop().name, json.encode((BIDS[1:], ASKS)), at(when + 0.3))
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


def test_a_book_that_is_given_up_is_forgotten(world: World) -> None:
    world.pass_to(163)
    gone = world.session.channels[str(BOOK)]
    world.session.drop([BOOK], 163 * SECOND)
    world.session.fetched(world.fetches.pop().name, json.encode((BIDS, ASKS)), 164 * SECOND)
    world.pass_to(400)
    assert not world.fetches
    assert gone.agreement is None
    world.session.want([BOOK], 400 * SECOND)
    world.hear(401, BIDS, ASKS, snapshot=True)
    world.answer(BIDS, ASKS)
    assert world.score == (1, 1, 6, 6)


def test_one_book_at_a_time_and_each_in_its_turn() -> None:
    channels = [BOOK, Channel("toy", "B", "book"), Channel("toy", "C", "book")]
    session = opened(Shown(), channels, 99 * SECOND)
    for state in session.channels.values():
        session._books.start(state, BookUpdate(str(state.channel), None, True, BIDS, ASKS), 100 * SECOND)
    asked: list[tuple[str, int]] = []
    for second in range(100, 400):
        session.tick(second * SECOND)
        for effect in session.effects():
            if isinstance(effect, Fetch):
                asked.append((effect.name, second))
                session.fetched(effect.name, json.encode((BIDS, ASKS)), second * SECOND)
    assert {name for name, _ in asked} == {"audit A", "audit B", "audit C"}
    times = [second for _, second in asked]
    assert min(b - a for a, b in pairwise(times)) >= 5
    for name in ("audit A", "audit B", "audit C"):
        assert len([second for each, second in asked if each == name]) in (4, 5)


def test_a_venue_that_shows_no_book_is_not_audited() -> None:
    session = opened(Nameless(), [BOOK], 99 * SECOND)
    session.receive(b'[["book","A",0]]', 100 * SECOND)
    session.effects()
    session.tick(1_000 * SECOND)
    assert not session.effects()


def test_audits_can_be_switched_off_and_be_as_frequent_as_wanted() -> None:
    never, often = World({"audit_s": 0}), World({"audit_s": 10})
    never.pass_to(1_000)
    often.pass_to(113)
    assert (len(never.fetches), len(often.fetches)) == (0, 1)
    with pytest.raises(ConfigError):
        Shown({"audit_s": -1})


def test_trades_outside_the_book_count_against_it() -> None:
    world = World(trades=True)
    world.answer(BIDS, ASKS)
    world.pass_to(170)
    for price in ("10", "11", "10.5", "11.5", "9"):
        world.trade(171, price)
    world.pass_to(180)
    assert world.score == (1, 1, 7, 6)
    assert world.states[-1] == ("unverifiable", "85.7 % agreement with the venue's REST book")
    assert not [event for event in world.told if isinstance(event, Gap)]


def test_trades_may_be_anywhere_where_the_book_was_shortly_before_or_after() -> None:
    world = World(trades=True)
    world.answer(BIDS, ASKS)
    world.pass_to(170)
    world.hear(171, [("10", "0"), ("9", "0")], [("11", "0")])
    world.trade(172, "10")
    world.trade(172, "13")
    world.hear(173, [], [("12", "0")])
    world.pass_to(180)
    assert world.score == (1, 1, 6, 6)
