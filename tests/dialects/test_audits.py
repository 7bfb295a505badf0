"""A dialect's own REST book against its stream, with delays: right books agree, lost updates are found.

In virtual time: frames and answers travel for random times, frames in order, as over a socket.
"""

import heapq
from collections.abc import Callable
from random import Random
from urllib.parse import parse_qsl, urlsplit

import pytest

from livetape import dialects
from livetape.adapters import find
from livetape.core.channel import ChannelState
from livetape.core.credentials import Credentials
from livetape.core.dialect import Action, Call, House, Pushed
from livetape.core.effects import Effect, Fetch, Send
from livetape.core.events import Gap, MarketEvent, Trust
from livetape.core.instruments import Channel
from livetape.core.session import TICK_NS, Session
from livetape.core.times import MILLISECOND, SECOND
from livetape.simulator.listings import listed
from livetape.simulator.market import Market

from .pair import START_NS

KEY = Credentials("simulated", "simulated")


class World:
    """One client of a fast market, over wires that take their time."""

    def __init__(self, venue: str, seed: int, options: dict[str, object], rate: float = 8.0) -> None:
        self.adapter = find(venue)(options, KEY)
        listings = [each for each in listed(venue) if each.symbol in ("BTC-USD", "BTC-USDT")]
        self.symbol = listings[0].symbol
        self.market = Market(listings, seed, START_NS, venue, rate=rate)
        self.events: list[MarketEvent] = []
        self.session = Session(self.adapter, publish=self.events.append)
        self.lose: Callable[[Action], bool] = lambda action: False
        self._dialect = next(d for d in dialects.of(venue))(self.market, House())
        self._chance = Random(seed)
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._said_ns = self._heard_ns = self._n = 0

    def run(self, seconds: float) -> None:
        """Connect, and let the market go on for so long."""
        channels = [Channel(self.adapter.venue, self.symbol, kind) for kind in ("trade", "book")]
        url = urlsplit(self.adapter.endpoint(self.adapter.ws_url, channels))
        headers = {name.lower(): value for name, value in self.adapter.ws_headers().items()}
        self.session.want(channels, START_NS)
        self._say(self._dialect.open(Call(url.path, {}, headers), START_NS), START_NS)
        self.session.connected(START_NS)
        self._carry_out(START_NS)
        self._at(START_NS, self._tick)
        self._at(START_NS, self._beat)
        end_ns = START_NS + int(seconds * SECOND)
        steps = self.market.advance(end_ns)
        while self.market.next_ns <= end_ns:
            self._pass(self.market.next_ns - 1)
            action = next(steps)
            pushed = self._dialect.push(action, {})
            self._say([] if self.lose(action) else pushed, action.ns)
        while self._heard_ns > self.market.now_ns:
            self.market.now_ns = self._heard_ns
            self._pass(self._heard_ns)

    @property
    def state(self) -> ChannelState:
        return self.session.channels[f"{self.adapter.venue}:{self.symbol}/book"]

    def _pass(self, ns: int) -> None:
        while self._agenda and self._agenda[0][0] <= ns:
            at_ns, _, thing = heapq.heappop(self._agenda)
            thing(at_ns)

    def _at(self, ns: int, thing: Callable[[int], None]) -> None:
        self._n += 1
        heapq.heappush(self._agenda, (ns, self._n, thing))

    def _way_ns(self) -> int:
        return int(self._chance.choice((10, 50, 400)) * self._chance.random() * MILLISECOND)

    def _tick(self, ns: int) -> None:
        self.session.tick(ns)
        self._carry_out(ns)
        self._at(ns + TICK_NS, self._tick)

    def _beat(self, ns: int) -> None:
        self._say(self._dialect.beat(ns), ns)
        self._at(ns + int(self._dialect.beat_s * SECOND), self._beat)

    def _say(self, pushed: list[Pushed], ns: int) -> None:
        for each in pushed:
            self._heard_ns = max(self._heard_ns, ns + self._way_ns())
            self._at(self._heard_ns, lambda at_ns, frame=each.frame: self._hear(frame, at_ns))

    def _hear(self, frame: bytes, ns: int) -> None:
        self.session.receive(frame, ns)
        self._carry_out(ns)

    def _carry_out(self, ns: int) -> None:
        for effect in self.session.effects():
            self._said_ns = max(self._said_ns, ns + self._way_ns())
            self._at(self._said_ns, lambda at_ns, effect=effect: self._reach(effect, at_ns))

    def _reach(self, effect: Effect, ns: int) -> None:
        match effect:
            case Send(frame=frame):
                self._say(self._dialect.receive(frame, ns), ns)
            case Fetch(name=name, path=path):
                url = urlsplit(path)
                headers = {name.lower(): value for name, value in self.adapter.rest_headers().items()}
                call = Call(url.path, dict(parse_qsl(url.query)), headers)
                answer = type(self._dialect).answer(self.market, self._dialect.house, call, ns)
                assert answer is not None
                assert answer.status == 200
                self._at(ns + self._way_ns(), lambda at_ns: self._fetched(name, answer.body, at_ns))
            case _:
                raise AssertionError(effect)

    def _fetched(self, name: str, body: bytes, ns: int) -> None:
        self.session.fetched(name, body, ns)
        self._carry_out(ns)


@pytest.mark.parametrize(("venue", "rate"), [("gemini", 8.0), ("alpaca", 8.0), ("itick", 1.0)])
def test_a_book_that_lost_nothing_agrees_entirely(venue: str, rate: float) -> None:
    world = World(venue, 7, {"audit_s": 10}, rate)
    world.run(240)
    agreement = world.state.agreement
    assert agreement is not None
    assert agreement.audits == agreement.agreed > 10
    assert agreement.levels == agreement.levels_agreed > 3 * agreement.audits
    assert world.state.trust is Trust.UNVERIFIABLE
    assert not [event for event in world.events if isinstance(event, Gap)]


def test_a_lost_update_that_nobody_can_see_is_found_and_mended() -> None:
    """It took a level away that was not the best one. Later updates of the level may mend it as well."""
    found = 0
    for seed in range(8):
        world = World("gemini", seed, {"audit_s": 10}, rate=0.1)
        lose = LoseOne(world.market, world.symbol)
        world.lose = lose
        world.run(200)
        assert lose.lost
        gaps = [event for event in world.events if isinstance(event, Gap) and event.end_ns is not None]
        mended = [gap.healed for gap in gaps if gap.cause.startswith("audit: ")]
        assert mended in ([], ["snapshot"])
        found += len(mended)
        book, truth = world.state.book, world.market.book(world.symbol)
        assert book is not None
        assert truth is not None
        assert (book.bids.top(10), book.asks.top(10)) == (truth.bids.top(10), truth.asks.top(10))
    assert found >= 3


class LoseOne:
    """Loses the first cancellation after 20 seconds that takes a level away, from the fourth to the ninth."""

    def __init__(self, market: Market, symbol: str) -> None:
        self.lost = False
        self._market, self._symbol = market, symbol

    def __call__(self, action: Action) -> bool:
        book = self._market.book(self._symbol)
        if book is None or self.lost or action.trades or action.ns < START_NS + 20 * SECOND:
            return False
        for change in action.changes:
            side, sign = (book.bids, 1) if change.side == "bid" else (book.asks, -1)
            better = [p for p, _ in side.top(10) if (float(p) - float(change.price)) * sign > 0]
            self.lost |= change.remaining == "0" and 3 <= len(better) < 9
        return self.lost
