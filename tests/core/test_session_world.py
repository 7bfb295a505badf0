"""A session in an unreliable world: whatever is lost, late or repeated, a verified book is the venue's.

The venue is a dictionary of levels with a number that counts its changes. Frames reach the session late,
twice, damaged, out of order or never, answers are old or damaged, the connection breaks, and time passes.
"""

import json
import random

import pytest

from livetape.adapters.binance import Binance
from livetape.core.decimals import Level
from livetape.core.effects import Close, Fetch
from livetape.core.events import BookUpdate, Gap, MarketEvent, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

SECOND = 1_000_000_000
BOOK = Channel("binance", "BTC-USDT", "book")
QUOTE = BOOK._replace(kind="quote")
STEPS = 400


class QuoteLess(Binance):
    """Binance without its ticker, so that quotes follow from the book."""

    kinds = Binance.kinds - {"quote"}


class World:
    """One venue, one session, and what happens between them by ``chance``."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_ns = SECOND
        self.levels: dict[str, str] = {"100": "1"}
        self.seq = 10
        self.past = {10: self.bids()}  # the book at each number
        self.wire: list[bytes] = []  # frames on their way
        self.fetching = 0  # requests on their way
        self.up = False
        self.gaps: dict[str, Gap] = {}
        self.verified = 0
        self.session = Session(QuoteLess(), publish=self.judge)
        self.session.want([BOOK, QUOTE], self.now_ns)

    def bids(self) -> list[Level]:
        return sorted(self.levels.items(), key=lambda level: -int(level[0]))

    def judge(self, event: MarketEvent) -> None:
        match event:
            case BookUpdate():
                assert event.trust is Trust.VERIFIED
                assert event.channel not in self.gaps, "given out inside a gap"
                assert event.book.bids.top(99) == self.past[event.book.seq or 0]
                self.verified += 1
            case Gap(end_ns=None):
                assert event.channel not in self.gaps
                self.gaps[event.channel] = event
            case Gap(end_ns=end_ns):
                opened = self.gaps.pop(event.channel)
                assert (event.start_ns, event.cause) == (opened.start_ns, opened.cause)
                assert end_ns is not None
                assert end_ns >= event.start_ns

    def obey(self) -> None:
        for effect in self.session.effects():
            if isinstance(effect, Fetch):
                self.fetching += 1
            elif isinstance(effect, Close):
                self.hang_up()

    def dial(self) -> None:
        self.up, self.wire, self.fetching = True, [], 0
        self.session.connected(self.now_ns)

    def hang_up(self) -> None:
        self.up, self.wire = False, []
        self.session.disconnected("reset", self.now_ns)

    def acknowledge(self) -> None:
        self.session.receive(b'{"result":null,"id":1}', self.now_ns)

    def trade(self) -> None:
        first, changes = self.seq + 1, []
        for _ in range(self.chance.randint(1, 3)):
            changes.append((self.chance.choice(["99", "100", "101"]), self.chance.choice("0123")))
            self.levels |= dict(changes[-1:])
            self.seq += 1
        self.levels = {price: size for price, size in self.levels.items() if size != "0"}
        self.past[self.seq] = self.bids()
        data = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": self.seq, "b": changes, "a": []}
        self.wire.append(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode())

    def deliver(self, *, mishaps: bool = True) -> None:
        if mishaps and len(self.wire) > 1 and self.chance.random() < 0.1:
            self.wire[0], self.wire[1] = self.wire[1], self.wire[0]
        while self.wire and self.chance.random() < 0.8:
            frame, fate = self.wire.pop(0), self.chance.random() if mishaps else 1
            if fate < 0.05:
                continue
            self.session.receive(frame[:-3] if fate < 0.1 else frame, self.now_ns)
            if fate > 0.9:
                self.session.receive(frame, self.now_ns)

    def answer(self, *, mishaps: bool = True) -> None:
        self.fetching -= 1
        age = self.chance.choice([0, 0, 1, 2, 5]) if mishaps else 0
        seq = sorted(self.past)[-1 - min(age, len(self.past) - 1)]
        body = json.dumps({"lastUpdateId": seq, "bids": self.past[seq], "asks": []}).encode()
        damaged = mishaps and self.chance.random() < 0.1
        self.session.fetched("BTC-USDT", body[1:] if damaged else body, self.now_ns)

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)
        self.session.tick(self.now_ns)

    def change_mind(self) -> None:
        if str(QUOTE) in self.session.channels:
            self.session.drop([QUOTE], self.now_ns)
            self.gaps.pop(str(QUOTE), None)
        else:
            self.session.want([QUOTE], self.now_ns)

    def step(self) -> None:
        turn = self.chance.random()
        if not self.up:
            self.wait(1)
            self.dial()
        elif turn < 0.35:
            self.trade()
        elif turn < 0.7:
            self.deliver()
        elif turn < 0.85:
            if self.fetching:
                self.answer()
        elif turn < 0.97:
            self.wait(self.chance.choice([0.1, 0.1, 1, 12]))
        elif turn < 0.98:
            self.acknowledge()
        elif turn < 0.995:
            self.change_mind()
        else:
            self.hang_up()
        self.obey()

    def is_consistent(self) -> None:
        for state in self.session.channels.values():
            held = len(state.pending or ()) if state.book is None else 0
            assert state.received == state.delivered + state.superseded + state.discarded + held
        book, quote = self.session.channels[str(BOOK)], self.session.channels.get(str(QUOTE))
        assert (book.trust is Trust.VERIFIED) == (book.book is not None) or book.trust is Trust.STALE
        assert book.gap is None or book.book is None
        if quote is not None and book.book is not None:
            assert (quote.trust, quote.gap) == (book.trust, None)
        elif quote is not None:
            assert quote.trust is not Trust.VERIFIED

    def recovers(self) -> None:
        """Once all goes well, the book comes back within the longest back-off."""
        for _ in range(45):
            if not self.up:
                self.dial()
            self.trade()
            self.deliver(mishaps=False)
            self.obey()
            while self.fetching and self.up:
                self.answer(mishaps=False)
                self.obey()
            self.wait(1)
            self.obey()
            self.is_consistent()
        assert self.session.channels[str(BOOK)].trust is Trust.VERIFIED
        assert self.gaps == {}


@pytest.mark.parametrize("seed", range(40))
def test_a_verified_book_is_the_venues_in_any_world(seed: int) -> None:
    world = World(seed)
    for _ in range(STEPS):
        world.step()
        world.is_consistent()
    assert world.verified > 0
    world.recovers()
