"""What a lost, repeated, reordered or altered frame does, at every position of recordings of real venues.

At each position a fresh session starts from the venue's book, meets the fault, and has its requests answered
as the venue would. A naive book (``truth.py``) is the judge. Three promises are checked:

1. A book that is given out as verified equals the venue's, as deep as its proof reaches.
2. What changed the proved part is noticed: a gap opens, and no book is given out until a snapshot heals it.
3. What is not noticed has an explanation, and every explanation is counted; ``pytest -s`` prints the counts.
"""

import json
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable

import pytest

from livetape.adapters.binance import Binance
from livetape.adapters.binance_us import BinanceUS
from livetape.adapters.kraken import Kraken
from livetape.core.adapter import Adapter
from livetape.core.events import BookUpdate, Gap, MarketEvent, Trust
from livetape.core.instruments import Channel, unified
from livetape.core.session import Close, Effect, Fetch, Send, Session

from .recordings import crossbook, cryptofeed, cryptofeed_rest, hftbacktest, is_depth, transcoded
from .truth import BinanceTape, KrakenTape, Tape, Truth, speaks_of

WINDOW = 15  #: frames after a fault within which it shows, if it ever does
SECOND = 1_000_000_000

NOTICED = "noticed, healed"
HARMLESS = "no difference"  # nothing of the book was in it, it was there already, or overwritten at once
BELOW = "below level ten"  # where Kraken's checksum does not reach
LAST = "nothing followed"  # the recording ends before anything could show it
SILENT = "cannot be noticed"  # content that a sequence does not prove
OUTCOMES = (NOTICED, HARMLESS, BELOW, LAST, SILENT)


class Trial(ABC):
    """One fault at one position of a tape."""

    def __init__(self, adapter: Adapter, tape: Tape, position: int) -> None:
        self.tape, self.position = tape, position
        self.index = self.known = position - 1  # the frame being looked at, and the last that the venue sent
        self.now_ns = tape.frames[max(self.known, 0)][0]
        self.channel = Channel(adapter.venue, unified(tape.symbol), "book")
        self.session = Session(adapter, publish=self.judge)
        self.broken = False  # a gap is open
        self.asked = False  # for the book, after the beginning
        self.wrong = 0  # verified books that were not the venue's
        self.requests: list[tuple[int, Effect, Truth | None]] = []  # frames to wait, request, book back then
        self.session.want([self.channel], self.now_ns)
        self.session.connected(self.now_ns)
        self.state = self.session.channels[str(self.channel)]

    @abstractmethod
    def begin(self) -> None:
        """Bring the session to where it stood before the fault."""

    @abstractmethod
    def answer(self, request: Effect, then: Truth | None) -> None:
        """Give the session what the venue answers to ``request``; ``then`` was its book when that was sent."""

    @abstractmethod
    def truth_of(self, update: BookUpdate) -> Truth | None:
        """The venue's book that ``update`` claims to be."""

    def run(self, faulty: Iterable[int], frames: dict[int, bytes], resume: int) -> None:
        """Feed the ``faulty`` frames, some with other bytes, and then the recording from ``resume`` on."""
        self.begin()
        for index in faulty:
            self.feed(index, frames.get(index, self.tape.frames[index][1]))
        self.known = max(self.known, resume - 1)
        for index in range(resume, len(self.tape.frames)):
            if index >= resume + WINDOW and self.state.trust is Trust.VERIFIED:
                break
            self.feed(index, self.tape.frames[index][1])
        for _ in range(5):  # for answers that are still on their way
            self.turn(SECOND // 10)

    def feed(self, index: int, frame: bytes) -> None:
        self.index, self.known = index, max(self.known, index)
        self.now_ns = max(self.now_ns, self.tape.frames[index][0])
        self.session.receive(frame, self.now_ns)
        self.turn(0)

    def turn(self, ns: int) -> None:
        """Let ``ns`` pass, and the answers that are due arrive."""
        self.now_ns += ns
        self.session.tick(self.now_ns)
        self.look_at_effects()
        waiting, self.requests = self.requests, []
        for frames, request, then in waiting:
            if frames > 0:
                self.requests.append((frames - 1, request, then))
            else:
                self.index = self.known
                self.answer(request, then)
        self.look_at_effects()
        state, held = self.state, 0 if self.state.book else len(self.state.pending or ())
        assert state.received == state.delivered + state.superseded + state.discarded + held

    def look_at_effects(self) -> None:
        for effect in self.session.effects():
            assert not isinstance(effect, Close)
            self.asked = self.asked or (
                b'"ping"' not in effect.frame and b"LIST" not in effect.frame
                if isinstance(effect, Send)
                else True
            )
            self.requests.append((self.position % 3, effect, self.tape.truth(self.known)))

    def judge(self, event: MarketEvent) -> None:
        match event:
            case Gap(end_ns=None):
                assert not self.broken
                self.broken = True
            case Gap(healed=healed):
                assert healed == "snapshot"
                self.broken = False
            case BookUpdate():
                assert not self.broken, "a book was given out that was known to be broken"
                if event.trust is Trust.VERIFIED:
                    assert event.proof is not None
                    self.wrong += not self.agrees(self.truth_of(event), event.proof.depth)

    def agrees(self, truth: Truth | None, depth: int | None) -> bool:
        """Whether the session's book is ``truth``, in its best ``depth`` levels or all of them."""
        if (book := self.state.book) is None or truth is None:
            return book is truth
        n = len(book.bids) + len(book.asks) if depth is None else depth
        return (book.bids.top(n), book.asks.top(n)) == truth.top(depth)

    def outcome(self) -> str:
        truth, book = self.tape.truth(self.known), self.state.book
        if self.asked:
            assert self.state.trust is Trust.VERIFIED, "it was not healed"
            assert not self.broken
            return SILENT if self.wrong else NOTICED
        if self.agrees(truth, book.told if book else None) and not self.wrong:
            return HARMLESS
        if self.agrees(truth, 10) and not self.wrong:
            return BELOW
        end = len(self.tape.frames) - 1
        if self.position > end - WINDOW and self.tape.truth(end) is self.tape.truth(self.position):
            return LAST
        return SILENT


class KrakenTrial(Trial):
    """Kraken answers a subscription with an acknowledgement and the whole book."""

    tape: KrakenTape

    def begin(self) -> None:
        self.session.effects()
        if (truth := self.tape.truth(self.known)) is not None:
            self.session.receive(self.tape.snapshot(truth), self.now_ns)

    def answer(self, request: Effect, then: Truth | None) -> None:
        assert isinstance(request, Send)
        method = json.loads(request.frame)["method"]
        result = {"channel": "book", "symbol": self.tape.symbol, "depth": self.tape.depth}
        reply = {"method": "pong"} if method == "ping" else {"method": method, "result": result}
        self.session.receive(json.dumps(reply).encode(), self.now_ns)
        now = self.tape.truth(self.known)
        if method == "subscribe" and now is not None:
            self.session.receive(self.tape.snapshot(now), self.now_ns)

    def truth_of(self, update: BookUpdate) -> Truth | None:
        return self.tape.truth(self.index)


class BinanceTrial(Trial):
    """Binance answers a fetch with its book at the time of the question, and now and then an older one."""

    tape: BinanceTape

    def begin(self) -> None:
        while effects := self.session.effects():
            for effect in effects:
                self.answer(effect, self.tape.truth(self.known))

    def answer(self, request: Effect, then: Truth | None) -> None:
        if isinstance(request, Send):
            reply = {"result": None, "id": json.loads(request.frame)["id"]}
            self.session.receive(json.dumps(reply).encode(), self.now_ns)
            return
        assert isinstance(request, Fetch)
        assert then is not None
        if self.asked and request.attempt == 0 and self.position % 4 == 3:
            then = self.tape.truth(self.position - 2) or then
        self.session.fetched(request.symbol, self.tape.body(then), self.now_ns)

    def truth_of(self, update: BookUpdate) -> Truth | None:
        seq = update.book.seq
        return (self.tape.numbered(seq) if seq else None) or self.tape.truth(self.index)


def faults(tape: Tape, position: int) -> Iterable[tuple[str, list[int], dict[int, bytes], int]]:
    """Each fault's name, the frames to feed with their altered bytes, and where the recording goes on."""
    frame = tape.frames[position][1]
    yield "lost", [], {}, position + 1
    yield "repeated", [position, position], {}, position + 1
    if position + 1 < len(tape.frames):
        yield "swapped", [position + 1, position], {}, position + 2
    digits = [match.start() for match in re.finditer(rb"\d", frame)]
    if digits:
        chance = random.Random(frame)
        at = chance.choice(digits)
        other = chance.choice([digit for digit in b"0123456789" if digit != frame[at]])
        keys = re.findall(rb'"(\w+)":', frame[:at])
        yield (
            f"altered {keys[-1].decode()}",
            [position],
            {position: b"%b%c%b" % (frame[:at], other, frame[at + 1 :])},
            position + 1,
        )


def judged(make, tape, positions):
    counts = Counter()
    for position in positions:
        tape.forget(position - 8)
        for fault, faulty, frames, resume in faults(tape, position):
            trial = make(tape, position)
            trial.run(faulty, frames, resume)
            if trial.session.undecodable:
                fault = "altered, undecodable"
            outcome = trial.outcome()
            counts[fault, outcome] += 1
            counts[fault, "wrong"] += trial.wrong
    return counts


def table(counts):
    for row in sorted({r for r, _ in counts}):
        print(f"{row:24}", {o: counts[row, o] for o in (*OUTCOMES, "wrong") if counts[row, o]})


@pytest.mark.parametrize(
    "name,depth",
    [
        ("crossbook_kraken_btcusd_l2.cbcap.gz", 10),
        ("crossbook_kraken_ethusd_sample.cbcap.gz", 25),
        ("TRANSCODED_v1_20210417_book1000.tsv.gz", 1000),
    ],
)
def test_k(recordings, name, depth):
    read = crossbook if name.endswith("cbcap.gz") else transcoded
    frames = read(recordings / "kraken" / name)
    total = Counter()
    for symbol in sorted({speaks_of(f) for _, f in frames} - {None}):
        tape = KrakenTape(frames, symbol, depth)
        total += judged(
            lambda t, p: KrakenTrial(Kraken({"depth": depth}), t, p), tape, range(len(tape.frames))
        )
    print(name)
    table(total)


@pytest.mark.parametrize(("adapter", "folder"), [(Binance, "BINANCE"), (BinanceUS, "BINANCE_US")])
def test_b(recordings, adapter, folder):
    place = recordings / folder.lower()
    frames = cryptofeed(place / f"cryptofeed_20211011_{folder}.ws.1.0.txt.gz")
    total = Counter()
    for _, symbol, body in cryptofeed_rest(place / f"cryptofeed_20211011_{folder}.http.0.0.txt.gz"):
        tape = BinanceTape(frames, symbol, body)
        total += judged(lambda t, p: BinanceTrial(adapter(), t, p), tape, range(len(tape.frames)))
    print(folder)
    table(total)


def test_bh(recordings):
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240808.gz")
    frames = [(ns, frame) for ns, frame in lines if b'"depthUpdate"' in frame]
    body = next(frame for ns, frame in lines if is_depth(frame))
    tape = BinanceTape(frames, "BTCUSDT", body)
    total = judged(lambda t, p: BinanceTrial(Binance(), t, p), tape, range(0, len(tape.frames), 12))
    table(total)
