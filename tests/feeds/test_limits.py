"""A vendor's limits as a plan: packing, queues, several keys, pacing."""

import asyncio
from collections.abc import Callable, Iterable

import pytest

from livetape.core.credentials import Credentials
from livetape.core.errors import LimitReached
from livetape.core.events import MarketEvent, Status, Why
from livetape.core.instruments import Channel
from livetape.core.raw import RawRecord
from livetape.feeds.endpoint import Endpoint
from livetape.feeds.feed import Feed
from livetape.feeds.pace import Paced
from livetape.feeds.rest import Rest

HERE = Endpoint("ws://127.0.0.1:9/", "http://127.0.0.1:9", own=False)
ONE, TWO = Credentials("one"), Credentials("two")


def trades(*symbols: str) -> list[Channel]:
    return [Channel("finnhub", symbol, "trade") for symbol in symbols]


def feed(
    venue: str = "finnhub",
    publish: Callable[[MarketEvent], None] = lambda event: None,
    tap: Callable[[RawRecord], None] = lambda raw: None,
    keys: Iterable[Credentials] = (ONE,),
    **options: object,
) -> Feed:
    """Nobody is at its address."""
    return Feed(venue, HERE, Rest(), publish=publish, tap=tap, options=options, keys=list(keys))


class Plan:
    """A feed of a vendor that allows ``most`` symbols on one connection a key; nothing is dialled."""

    def __init__(self, most: int = 3, keys: Iterable[Credentials] = (ONE,)) -> None:
        self.told: list[MarketEvent] = []
        self.feed = feed(publish=self.told.append, keys=keys, max_symbols=most)

    @property
    def carried(self) -> list[set[str]]:
        return [line.symbols for line in self.feed.lines]

    @property
    def queued(self) -> list[str]:
        return [e.symbol for e in self.told if isinstance(e, Status) and e.state == "queued"]


def test_what_does_not_fit_waits_and_is_told_with_what_would_help() -> None:
    plan = Plan()
    plan.feed.want(trades("A", "B", "C", "D", "E"))
    assert plan.carried == [{"A", "B", "C"}]
    assert plan.queued == ["D", "E"]
    [first, _] = [e for e in plan.told if isinstance(e, Status) and e.state == "queued"]
    assert first.why is Why.LIMIT
    assert (
        first.detail == "all 3 symbols are in use; give something up, or add another key to FINNHUB_API_KEY"
    )


def test_a_slot_that_is_given_up_goes_to_the_first_who_waits() -> None:
    plan = Plan()
    plan.feed.want(trades("A", "B", "C", "D", "E"))
    plan.feed.drop(trades("B"))
    assert plan.carried == [{"A", "C", "D"}]
    plan.feed.drop(trades("E"))
    plan.feed.drop(trades("A"))
    assert plan.carried == [{"C", "D"}]


def test_two_users_of_a_channel_cost_one_slot() -> None:
    plan = Plan(most=1)
    plan.feed.want(trades("A"))
    plan.feed.want(trades("A"))
    plan.feed.drop(trades("A"))
    assert plan.carried == [{"A"}]
    assert plan.feed.drop(trades("A")) != []
    assert plan.carried == []


def test_without_a_queue_the_limit_is_an_error_and_nothing_is_subscribed() -> None:
    plan = Plan()
    plan.feed.want(trades("A", "B"))
    with pytest.raises(LimitReached) as reached:
        plan.feed.want(trades("C", "D"), queue=False)
    assert (reached.value.limit, reached.value.wanted) == (3, 4)
    assert "FINNHUB_API_KEY" in str(reached.value)
    assert plan.carried == [{"A", "B"}]
    plan.feed.want(trades("B", "C"), queue=False)
    assert plan.carried == [{"A", "B", "C"}]


def test_several_keys_are_one_pool_of_slots() -> None:
    plan = Plan(keys=(ONE, TWO))
    plan.feed.want(trades("A", "B", "C", "D", "E", "F", "G"))
    assert plan.carried == [{"A", "B", "C"}, {"D", "E", "F"}]
    assert [line.session.adapter.credentials for line in plan.feed.lines] == [ONE, TWO]
    assert plan.queued == ["G"]
    with pytest.raises(LimitReached, match="8 symbols wanted, 6 allowed"):
        plan.feed.want(trades("H", "I"), queue=False)


def test_the_slot_of_a_dead_line_is_free_again() -> None:
    plan = Plan(most=2)
    plan.feed.want(trades("A", "B"))
    plan.feed.drop(trades("A", "B"))
    plan.feed.want(trades("C", "D"), queue=False)
    assert plan.carried == [{"C", "D"}]


async def test_frames_leave_in_order_and_no_faster_than_allowed() -> None:
    sent: list[tuple[bytes, float]] = []
    loop = asyncio.get_running_loop()
    paced = Paced(50, lambda frame: sent.append((frame, loop.time())))
    for n in range(5):
        paced.put(b"%d" % n)
    async with asyncio.timeout(10):
        while len(sent) < 5:
            await asyncio.sleep(0.005)
    assert [frame for frame, _ in sent] == [b"0", b"1", b"2", b"3", b"4"]
    assert sent[-1][1] - sent[0][1] >= 4 / 50 * 0.99


async def test_what_waits_is_forgotten_with_its_connection() -> None:
    sent: list[bytes] = []
    paced = Paced(100, sent.append)
    for n in range(5):
        paced.put(b"%d" % n)
    paced.clear()
    await asyncio.sleep(0.1)
    paced.put(b"new")
    assert sent == [b"0", b"new"]


async def test_without_a_bound_frames_leave_at_once() -> None:
    sent: list[bytes] = []
    Paced(None, sent.append).put(b"now")
    assert sent == [b"now"]


def test_a_line_never_changes_its_route() -> None:
    plan = feed("alpaca", max_symbols=1)
    crypto, one, two = (Channel("alpaca", symbol, "trade") for symbol in ("BTC-USD", "AAPL", "MSFT"))
    plan.want([crypto, one, two])
    assert [(line.route, line.symbols) for line in plan.lines] == [
        ("/v1beta3/crypto/us", {"BTC-USD"}),
        ("/v2/iex", {"AAPL"}),
    ]
    plan.drop([crypto])
    assert [(line.route, line.symbols) for line in plan.lines] == [("/v2/iex", {"AAPL"})]
    plan.drop([one])
    assert [(line.route, line.symbols) for line in plan.lines] == [("/v2/iex", {"MSFT"})]


def test_many_symbols_are_asked_for_at_once() -> None:
    asked: list[str] = []
    plan = feed(tap=lambda raw: asked.append(raw.note) if raw.direction == "want" else None)
    plan.want(trades(*(f"S{n}" for n in range(40))))
    assert len(asked) == 1


def test_dropping_twice_what_was_wanted_once_is_dropping_it() -> None:
    plan = Plan(most=1)
    plan.feed.want(trades("A"))
    plan.feed.drop(trades("A", "A"))
    plan.feed.want(trades("B"))
    assert plan.carried == [{"B"}]
