"""Holes are filled from the venue's history: each event once, marked, and the ledger knows how it ended."""

from typing import Any

import pytest
from msgspec import json

from livetape.core.channel import RECENT
from livetape.core.effects import Fetch
from livetape.core.events import Bar, Gap, MarketEvent, Origin, Trade, Why
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened
from .toy import SECOND, Toy, says

TRADES = "toy:A/trade"


class World:
    """A session with one channel, and its clock in seconds."""

    def __init__(self, kind: str = "trade") -> None:
        self.channel = Channel("toy", "A", kind)
        self.told: list[MarketEvent] = []
        self.session: Session = opened(Toy(), [self.channel], 100 * SECOND, self.told.append)
        self.fetches: list[Fetch] = []

    def hear(self, at: float, *items: list[Any]) -> None:
        self.session.receive(says(*items), int(at * SECOND))
        self.pass_to(at)

    def pass_to(self, at: float) -> None:
        self.session.tick(int(at * SECOND))
        self.fetches += [effect for effect in self.session.effects() if isinstance(effect, Fetch)]

    def answer(self, at: float, *items: list[Any], page: str = "") -> None:
        fetch = self.fetches.pop(0)
        self.session.fetched(fetch.name, json.encode([items, page]), int(at * SECOND))
        self.pass_to(at)

    def outage(self, start: float, end: float) -> None:
        self.session.disconnected("reset", int(start * SECOND))
        self.session.connected(int(end * SECOND))
        self.session.receive(says(["ack", str(self.channel)]), int(end * SECOND))

    @property
    def trades(self) -> list[tuple[str | None, Origin]]:
        return [(event.id, event.origin) for event in self.told if isinstance(event, Trade)]

    @property
    def last_gap(self) -> tuple[str | None, int | None]:
        gap = [event for event in self.told if isinstance(event, Gap)][-1]
        return gap.healed, gap.missing


def at(seconds: float) -> int:
    return int(seconds * SECOND)


def test_missing_numbers_are_fetched_and_told_once() -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)])
    world.hear(102, ["trade", "A", 10, at(102)])
    assert world.last_gap == (None, 2)
    world.pass_to(105)
    assert [fetch.name.split()[1] for fetch in world.fetches] == [TRADES]
    world.answer(106, *(["trade", "A", n, at(101)] for n in (6, 7, 8, 9, 10, 11)))
    backfilled = [("8", Origin.BACKFILLED), ("9", Origin.BACKFILLED)]
    assert world.trades == [("7", Origin.LIVE), ("10", Origin.LIVE), *backfilled]
    assert world.last_gap == ("history", 0)
    assert conserved(world.session)


def test_what_the_history_lacks_is_asked_for_again_and_stays_in_the_ledger() -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)], ["trade", "A", 10, at(101)])
    asked = 0
    for second in range(104, 400, 2):
        world.pass_to(second)
        if world.fetches:
            asked += 1
            world.answer(second, ["trade", "A", 8, at(101)])
    assert asked == 4
    assert world.last_gap == (None, 1)
    assert [id_ for id_, _ in world.trades] == ["7", "10", "8"]


def test_an_outage_is_healed_by_id_over_as_many_pages_as_there_are() -> None:
    world = World()
    world.hear(101, ["trade", "A", "a", at(100.5)])
    world.outage(103, 110)
    world.hear(111, ["trade", "A", "z", at(110.5)])
    world.pass_to(114)
    assert "98500000000-112000000000&" in world.fetches[0].path  # half a second behind us at first, two wider
    world.answer(115, ["trade", "A", "a", at(100.5)], ["trade", "A", "b", at(104)], page="next")
    assert world.fetches[0].path.endswith("&next")
    world.answer(
        116, ["trade", "A", "c", at(105)], ["trade", "A", "z", at(110.5)], ["trade", "A", "y", at(130)]
    )
    assert [id_ for id_, _ in world.trades] == ["a", "z", "b", "c"]
    assert world.last_gap == ("history", 0)
    world.hear(117, ["trade", "A", "c", at(105)])  # the stream is late with it
    assert len(world.trades) == 4
    assert conserved(world.session)


def test_a_refused_history_leaves_the_gap_as_it_was() -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)], ["trade", "A", 9, at(101)])
    world.pass_to(104)
    world.session.refused(world.fetches[0].name, "403", Why.PLAN, at(105))
    world.pass_to(900)
    assert len(world.fetches) == 1
    assert world.last_gap == (None, 1)
    assert world.session.channels[TRADES].denied is None


def test_an_answer_that_makes_no_sense_or_never_comes_is_asked_for_again() -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)], ["trade", "A", 9, at(101)])
    world.pass_to(104)
    world.session.fetched(world.fetches.pop().name, b"<html>", at(104))
    world.pass_to(109)
    assert len(world.fetches) == 1
    world.pass_to(140)
    assert len(world.fetches) == 2
    world.answer(141, ["trade", "A", 8, at(101)])
    assert world.last_gap == ("history", 0)


def test_a_connection_that_ends_meanwhile_asks_again_at_once() -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)], ["trade", "A", 9, at(101)])
    world.pass_to(104)
    world.fetches.clear()
    world.outage(105, 106)
    world.pass_to(107)
    assert len(world.fetches) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_a_channel_that_is_given_up_is_not_asked_for(wanted: bool) -> None:
    world = World()
    world.hear(101, ["trade", "A", 7, at(101)], ["trade", "A", 9, at(101)])
    if not wanted:
        world.session.drop([world.channel], at(102))
    world.pass_to(104)
    assert bool(world.fetches) is wanted


def test_bars_that_closed_in_an_outage_are_fetched() -> None:
    world = World("bar.1m")
    world.hear(120, ["bar", "A", at(60), "5"])
    world.outage(125, 310)
    world.hear(361, ["bar", "A", at(300), "9"])
    world.pass_to(364)
    world.answer(365, *(["bar", "A", at(60 * n), str(n + 4)] for n in range(1, 7)))
    bars = [(event.start_ns // SECOND, event.origin) for event in world.told if isinstance(event, Bar)]
    filled = [(start, Origin.BACKFILLED) for start in (120, 180, 240)]
    assert bars == [(60, Origin.LIVE), (300, Origin.LIVE), *filled]
    assert world.last_gap == ("history", 0)


def test_a_page_that_tells_of_two_holes_fills_each_by_its_own_answer() -> None:
    world = World()
    world.hear(101, *(["trade", "A", n, at(101)] for n in (100, 103, 104, 107)))
    world.pass_to(104)
    page = [["trade", "A", n, at(101)] for n in range(100, 108)]
    world.answer(105, *page)
    world.pass_to(110)
    world.answer(111, *page)
    assert sorted(int(id_ or 0) for id_, _ in world.trades) == [*range(100, 108)]
    healed = [gap.missing for gap in world.told if isinstance(gap, Gap) and gap.healed == "history"]
    assert healed == [0, 0]


def test_a_number_that_leaps_is_not_believed_and_nothing_comes_twice() -> None:
    world = World()
    world.hear(101, *(["trade", "A", n, at(101)] for n in (100, 105, 103, 106)))
    for second in range(104, 200, 4):
        world.pass_to(second)
        if world.fetches:
            world.answer(second, *(["trade", "A", n, at(101)] for n in range(100, 107)))
    assert sorted(int(id_ or 0) for id_, _ in world.trades) == [*range(100, 107)]


def test_what_is_remembered_stays_bounded() -> None:
    world = World()
    for n in range(1, 20):
        world.hear(101 + n, ["trade", "A", 1_000 * n, at(101 + n)])
    world.hear(300, *(["trade", "A", 30_000 + n, at(300)] for n in range(9_000)))
    for second in range(301, 3_000, 3):
        world.pass_to(second)
        if world.fetches:
            world.answer(second)
    world.hear(3_001, *(["trade", "A", 40_000 + n, at(3_001)] for n in range(10)))
    assert len(world.session.channels[TRADES].recent) <= RECENT + 20


def test_two_gaps_in_one_moment_are_two() -> None:
    world = World()
    world.hear(101, *(["trade", "A", n, at(101)] for n in (1, 4, 8)))
    starts = {gap.start_ns for gap in world.told if isinstance(gap, Gap) and gap.end_ns is not None}
    missing = [gap.missing for gap in world.told if isinstance(gap, Gap) and gap.end_ns is not None]
    assert (len(starts), missing) == (len(missing), [2, 3])
