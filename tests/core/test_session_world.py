"""A session in an unreliable world: whatever is lost, late or repeated, a verified book is the venue's.

The venue is a dictionary of levels with a number that counts its changes. Frames reach the session late,
twice or never, answers are stale or damaged, the connection breaks, and time passes, in any order.
"""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from livetape.adapters.binance import Binance
from livetape.core.decimals import Level
from livetape.core.events import BookUpdate, Gap, MarketEvent, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Close, Fetch, Session

SECOND = 1_000_000_000
BOOK = Channel("binance", "BTC-USDT", "book")
QUOTE = BOOK._replace(kind="quote")


class QuoteLess(Binance):
    """Binance without its ticker, so that quotes follow from the book."""

    kinds = Binance.kinds - {"quote"}


class World(RuleBasedStateMachine):
    """One venue, one book, one session."""

    @initialize()
    def begin(self) -> None:
        self.now_ns = SECOND
        self.levels: dict[str, str] = {"100": "1"}
        self.seq = 10
        self.past = {10: self.bids()}  # the book at each number
        self.wire: list[bytes] = []  # frames on their way
        self.fetching = 0
        self.up = False
        self.gaps: dict[str, Gap] = {}
        self.session = Session(QuoteLess(), publish=self.judge)
        self.session.want([BOOK, QUOTE], self.now_ns)
        self.dial()
        self.acknowledge()
        self.answer(age=0, damage=1)

    def bids(self) -> list[Level]:
        return sorted(self.levels.items(), key=lambda level: -int(level[0]))

    def judge(self, event: MarketEvent) -> None:
        match event:
            case BookUpdate(trust=Trust.VERIFIED):
                assert event.channel not in self.gaps, "given out inside a gap"
                assert event.book.seq is not None
                assert event.book.bids.top(99) == self.past[event.book.seq]
                assert event.proof is not None
            case BookUpdate():
                raise AssertionError("a book that is not verified was given out")
            case Gap(end_ns=None):
                assert event.channel not in self.gaps
                self.gaps[event.channel] = event
            case Gap():
                opened = self.gaps.pop(event.channel)
                assert (event.start_ns, event.cause) == (opened.start_ns, opened.cause)
                assert event.end_ns is not None
                assert event.end_ns >= event.start_ns

    def obey(self) -> None:
        for effect in self.session.effects():
            if isinstance(effect, Fetch):
                self.fetching += 1
            elif isinstance(effect, Close):
                self.hang_up()

    @precondition(lambda self: not self.up)
    @rule()
    def dial(self) -> None:
        self.up, self.wire, self.fetching = True, [], 0
        self.session.connected(self.now_ns)
        self.obey()

    @precondition(lambda self: self.up)
    @rule(chance=st.integers(0, 9))
    def break_down(self, chance: int) -> None:
        if chance == 9:
            self.hang_up()

    def hang_up(self) -> None:
        self.up, self.wire = False, []
        self.session.disconnected("reset", self.now_ns)
        self.obey()

    @rule(
        changes=st.lists(
            st.tuples(st.sampled_from(["99", "100", "101"]), st.sampled_from("0123")), min_size=1
        )
    )
    def trade(self, changes: list[Level]) -> None:
        first = self.seq + 1
        for price, size in changes:
            self.levels |= {price: size}
            self.seq += 1
            self.levels = {p: s for p, s in self.levels.items() if s != "0"}
        self.past[self.seq] = self.bids()
        data = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": self.seq, "b": changes, "a": []}
        self.wire.append(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode())

    @precondition(lambda self: self.up and self.wire)
    @rule(n=st.integers(1, 4), fate=st.sampled_from(["well"] * 6 + ["lost", "twice", "damaged"]))
    def deliver(self, n: int, fate: str) -> None:
        for frame in self.wire[:n]:
            for _ in range({"lost": 0, "twice": 2}.get(fate, 1)):
                self.session.receive(frame[:-3] if fate == "damaged" else frame, self.now_ns)
        self.wire = self.wire[n:]
        self.obey()

    @precondition(lambda self: self.up and len(self.wire) > 1)
    @rule()
    def overtake(self) -> None:
        self.wire[0], self.wire[1] = self.wire[1], self.wire[0]

    @precondition(lambda self: self.fetching)
    @rule(age=st.integers(0, 3), damage=st.integers(0, 9))
    def answer(self, age: int, damage: int) -> None:
        self.fetching -= 1
        seq = sorted(self.past)[-1 - min(age, len(self.past) - 1)]
        body = json.dumps({"lastUpdateId": seq, "bids": self.past[seq], "asks": []}).encode()
        self.session.fetched("BTC-USDT", body if damage else body[1:], self.now_ns)
        self.obey()

    @precondition(lambda self: self.up)
    @rule()
    def acknowledge(self) -> None:
        self.session.receive(b'{"result":null,"id":1}', self.now_ns)
        self.obey()

    @rule(seconds=st.sampled_from([0.1, 0.1, 1, 1, 12, 31]))
    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)
        self.session.tick(self.now_ns)
        self.obey()

    @rule(wanted=st.booleans())
    def change_mind(self, wanted: bool) -> None:
        (self.session.want if wanted else self.session.drop)([QUOTE], self.now_ns)
        if not wanted:
            self.gaps.pop(str(QUOTE), None)
        self.obey()

    @invariant()
    def nothing_is_unaccounted_for(self) -> None:
        for state in self.session.channels.values():
            held = len(state.pending or ()) if state.book is None else 0
            assert state.received == state.delivered + state.superseded + state.discarded + held
            assert state.received >= 0

    @invariant()
    def the_quote_shares_the_fate_of_its_book(self) -> None:
        book, quote = self.session.channels[str(BOOK)], self.session.channels.get(str(QUOTE))
        if quote is not None and book.book is not None:
            assert quote.trust is book.trust
            assert (quote.gap is None) or (book.gap is not None)

    @invariant()
    def a_verified_book_exists_and_a_broken_one_does_not(self) -> None:
        state = self.session.channels[str(BOOK)]
        if state.trust is Trust.VERIFIED:
            assert state.book is not None
            assert state.gap is None
        if state.trust is Trust.RESYNCING:
            assert state.book is None

    def teardown(self) -> None:
        """In a world that behaves at last, the book comes back."""
        if not hasattr(self, "session"):
            return
        if not self.up:
            self.dial()
        for _ in range(60):
            self.wire = []
            self.trade([("100", "1")])
            self.session.receive(self.wire.pop(), self.now_ns)
            self.obey()
            while self.fetching and self.up:
                self.answer(age=0, damage=1)
            self.wait(1)
            if not self.up:
                self.dial()
        state = self.session.channels[str(BOOK)]
        assert state.trust is Trust.VERIFIED
        assert state.gap is None
        assert not self.gaps


World.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_world = World.TestCase
