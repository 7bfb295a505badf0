"""Logging in, signs of life and refusals, with an adapter of the test's own."""

from collections.abc import Iterable, Sequence

import pytest

from livetape.core.adapter import Adapter, Limits
from livetape.core.effects import Close, Effect, Send
from livetape.core.events import Denied, LoggedIn, MarketEvent, Message, Status, Trade, Why
from livetape.core.instruments import Channel
from livetape.core.refusals import FORBIDDEN_S
from livetape.core.session import Session

from ..sessions import opened

SECOND = 1_000_000_000
TRADES = Channel("door", "A", "trade")


class Door(Adapter):
    """Frames: ``in`` lets us in, ``no WHY [symbol]`` refuses, anything else is a trade of that symbol."""

    venue, title, ws_url, rest_url = "door", "Door", "wss://door", "https://door"
    kinds = frozenset({"trade", "book"})
    limits = Limits()
    awaits_login = True
    heartbeat_s = 20.0

    def login(self) -> list[bytes]:
        return [b"knock"]

    def heartbeat(self, now_ns: int) -> bytes:
        return b"alive %d" % (now_ns // SECOND)

    @property
    def dials_to_drop(self) -> bool:
        return True

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [b"+" + b",".join(sorted(str(channel).encode() for channel in channels))]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    def parse(self, frame: bytes) -> Iterable[Message]:
        word, *rest = frame.decode().split()
        if word == "in":
            return [LoggedIn()]
        if word == "no":
            return [Denied("said no", tuple(f"door:{s}/trade" for s in rest[1:]), Why(rest[0]))]
        return [Trade(f"door:{word}/trade", None, "1", "1", None, None)]


def knocking(*channels: Channel) -> Session:
    return opened(Door(), channels or (TRADES,), SECOND)


def inside(*channels: Channel) -> Session:
    """A session that was let in; all that it wanted done until then waits to be taken."""
    session = knocking(*channels)
    session.receive(b"in", SECOND)
    return session


def sent(effects: list[Effect]) -> list[bytes]:
    return [effect.frame for effect in effects if isinstance(effect, Send)]


def statuses(events: list[MarketEvent]) -> list[tuple[str, str, Why]]:
    return [(e.channel, e.state, e.why) for e in events if isinstance(e, Status)]


def test_nothing_is_subscribed_before_the_login_is_accepted() -> None:
    session = knocking()
    assert sent(session.effects()) == [b"knock"]
    session.want([TRADES._replace(symbol="B")], SECOND)
    assert session.effects() == []
    session.receive(b"in", 2 * SECOND)
    assert sent(session.effects()) == [b"+door:A/trade,door:B/trade"]
    session.want([TRADES._replace(symbol="C")], 3 * SECOND)
    assert sent(session.effects()) == [b"+door:C/trade"]


def test_a_second_acceptance_changes_nothing() -> None:
    session = inside()
    session.effects()
    session.receive(b"in", SECOND)
    assert session.effects() == []


def test_a_login_that_nobody_answers_ends() -> None:
    session = knocking()
    session.effects()
    session.tick(10 * SECOND)
    assert session.effects() == []
    session.tick(11 * SECOND)
    assert session.effects() == [Close("no answer to the login")]


@pytest.mark.parametrize(
    ("why", "wait_s"), [(Why.LOGIN, FORBIDDEN_S), (Why.PLAN, FORBIDDEN_S), (Why.CONNECTIONS, 0)]
)
def test_a_refused_login_ends_the_connection_and_is_told_to_every_channel(why: Why, wait_s: float) -> None:
    session = knocking(TRADES, TRADES._replace(symbol="B"))
    session.effects()
    told = session.receive(f"no {why}".encode(), SECOND)
    assert statuses(told) == [("door:A/trade", "denied", why), ("door:B/trade", "denied", why)]
    assert session.effects() == [Close("said no", wait_s=wait_s)]


def test_a_key_still_in_use_after_a_break_is_no_refusal() -> None:
    session = inside()
    session.receive(b"A", SECOND)
    session.disconnected("reset", 2 * SECOND)
    session.connected(3 * SECOND)
    assert statuses(session.receive(b"no connections", 3 * SECOND)) == []
    assert Close("said no") in session.effects()


def test_a_refused_symbol_leaves_the_others_alone_and_is_asked_for_again() -> None:
    session = inside(TRADES, TRADES._replace(symbol="B"))
    session.effects()
    assert statuses(session.receive(b"no symbol B", SECOND)) == [("door:B/trade", "denied", Why.SYMBOL)]
    session.receive(b"A", 61 * SECOND)
    session.tick(61 * SECOND)
    assert b"+door:B/trade" in sent(session.effects())
    [status, trade] = session.receive(b"B", 62 * SECOND)
    assert isinstance(status, Status) and status.state == "live"
    assert isinstance(trade, Trade)


def test_room_that_is_made_goes_to_what_was_refused_for_lack_of_it() -> None:
    session = inside(TRADES, TRADES._replace(symbol="B"))
    session.receive(b"no limit B", SECOND)
    session.effects()
    session.drop([TRADES], 2 * SECOND)
    assert session.effects() == [Close("subscription changed", at_once=True), Send(b"+door:B/trade")]


def test_the_sign_of_life_comes_as_often_as_the_vendor_wants() -> None:
    session = knocking()
    session.effects()
    session.receive(b"in", SECOND)
    session.effects()
    beats = []
    for second in range(2, 63):
        session.receive(b"A", second * SECOND)
        session.tick(second * SECOND)
        beats += sent(session.effects())
    assert beats == [b"alive 21", b"alive 41", b"alive 61"]


def test_a_refusal_of_nobody_in_particular_is_not_of_what_is_made_from_others() -> None:
    session = inside(TRADES._replace(kind="summary"))
    session.effects()
    session.receive(b"no limit", SECOND)
    session.receive(b"A", 61 * SECOND)
    session.tick(200 * SECOND)
    assert [frame for frame in sent(session.effects()) if b"summary" in frame] == []


def test_nothing_is_asked_for_again_before_the_login_after_a_break() -> None:
    session = inside(TRADES._replace(kind="book"))
    session.disconnected("reset", 2 * SECOND)
    session.connected(60 * SECOND)
    session.effects()
    session.tick(60 * SECOND)
    assert session.effects() == []


def test_a_refusal_is_forgotten_with_the_connection() -> None:
    session = inside()
    session.receive(b"no symbol A", SECOND)
    session.disconnected("reset", 2 * SECOND)
    session.connected(60 * SECOND)
    session.receive(b"in", 60 * SECOND)
    session.effects()
    session.tick(70 * SECOND)
    assert session.effects() == []
