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
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from livetape.adapters.binance import Binance
from livetape.adapters.binance_us import BinanceUS
from livetape.adapters.kraken import Kraken
from livetape.core.adapter import Adapter
from livetape.core.effects import Close, Effect, Fetch, Send
from livetape.core.events import BookUpdate, Gap, MarketEvent, Message, Trust
from livetape.core.instruments import Channel, unified
from livetape.core.session import Session

from .recordings import Frames, crossbook, cryptofeed, cryptofeed_rest, hftbacktest, is_depth, transcoded
from .truth import BinanceTape, KrakenTape, Tape, Truth

WINDOW = 10  #: frames after a fault within which it shows, if it ever does
AFTERWARDS = 3  #: frames that are still fed when all is well again
SECOND = 1_000_000_000

NOTICED = "noticed, healed"
IDLE = "not about the book"
SAME = "no difference"  # it was in the book already, or is not of the part that makes the book
BELOW = "below level ten"  # where Kraken's checksum does not reach; it may be overwritten later
LAST = "nothing followed"  # the recording ends before anything could show it
#: A sequence proves order, not content. And an id that was raised makes what follows look like repetitions.
SILENT = "cannot be noticed"
OUTCOMES = (NOTICED, IDLE, SAME, BELOW, LAST, SILENT)

T = TypeVar("T", bound=Tape)
Counts = dict[str, tuple[int, ...]]  #: fault to how often it had each of OUTCOMES


class Fault(NamedTuple):
    """What happens at a position, and where the recording goes on."""

    name: str
    frames: list[tuple[int, bytes]]  # to be fed, each with its place in the recording
    resume: int


def faults(tape: Tape, position: int) -> Iterator[Fault]:
    frame = tape.frames[position][1]
    yield Fault("lost", [], position + 1)
    yield Fault("repeated", [(position, frame), (position, frame)], position + 1)
    if position + 1 < len(tape.frames):
        following = tape.frames[position + 1][1]
        yield Fault("swapped", [(position + 1, following), (position, frame)], position + 2)
    if digits := [match.start() for match in re.finditer(rb"\d", frame)]:
        chance = random.Random(frame)
        at = chance.choice(digits)
        other = chance.choice([digit for digit in b"0123456789" if digit != frame[at]])
        altered = b"%b%c%b" % (frame[:at], other, frame[at + 1 :])
        yield Fault(f"altered {tape.field(frame, at)}", [(position, altered)], position + 1)


class Trial(ABC):
    """A session that meets one fault at one position of a tape."""

    def __init__(self, adapter: Adapter, tape: Tape, position: int) -> None:
        self.tape, self.position = tape, position
        self.index = self.known = position - 1  # the frame that is looked at, the last that the venue sent
        self.now_ns = tape.frames[max(self.known, 0)][0]
        self.broken = False  # a gap is open
        self.gaps = 0
        self.asked = False  # for the book again
        self.wrong = 0  # verified books that were not the venue's as deep as proved
        self.books = 0
        self.differed = False
        self.requests: list[tuple[int, Effect, Truth | None]] = []  # frames to wait, request, book back then
        self.session = Session(adapter, publish=self.judge)
        self.channel = Channel(adapter.venue, unified(tape.symbol), "book")
        self.session.want([self.channel], self.now_ns)
        self.session.connected(self.now_ns)
        self.state = self.session.channels[str(self.channel)]

    @abstractmethod
    def begin(self) -> None:
        """Bring the session to where it stood before the fault."""

    @abstractmethod
    def answer(self, request: Effect, then: Truth | None) -> None:
        """Give the session what the venue answers; ``then`` was the venue's book when it was asked."""

    @abstractmethod
    def truth_of(self, update: BookUpdate) -> Truth | None:
        """The venue's book that ``update`` claims to be."""

    def run(self, fault: Fault) -> None:
        """Meet ``fault``, then go on with the recording until it is healed or the window has passed."""
        self.begin()
        self.books = 0
        for index, frame in fault.frames:
            self.feed(index, frame)
        self.known = max(self.known, fault.resume - 1)
        left = WINDOW
        for index in range(fault.resume, len(self.tape.frames)):
            if left == 0 and self.well:
                break
            self.feed(index, self.tape.frames[index][1])
            left = min(left - 1, AFTERWARDS) if self.asked and self.well else max(left - 1, 0)
        for _ in range(5):  # for answers that are still on their way
            self.turn(SECOND // 10)

    @property
    def well(self) -> bool:
        return self.state.trust is Trust.VERIFIED and not self.requests

    def feed(self, index: int, frame: bytes) -> None:
        self.index, self.known = index, max(self.known, index)
        self.now_ns = max(self.now_ns, self.tape.frames[index][0])
        self.session.receive(frame, self.now_ns)
        self.turn(0)

    def turn(self, ns: int) -> None:
        """Let ``ns`` pass, and the answers that are due arrive."""
        self.now_ns += ns
        self.session.tick(self.now_ns)
        self.note_requests()
        waiting, self.requests = self.requests, []
        for frames, request, then in waiting:
            if frames > 0:
                self.requests.append((frames - 1, request, then))
            else:
                self.index = self.known
                self.answer(request, then)
        self.note_requests()
        state, held = self.state, 0 if self.state.book else len(self.state.pending or ())
        assert state.received == state.delivered + state.superseded + state.discarded + held

    def note_requests(self) -> None:
        for effect in self.session.effects():
            assert not isinstance(effect, Close)
            self.asked = self.asked or not is_probe(effect)
            self.requests.append((self.position % 3, effect, self.tape.truth(self.known)))

    def judge(self, event: MarketEvent) -> None:
        match event:
            case Gap(end_ns=None):
                assert not self.broken
                self.broken, self.gaps = True, self.gaps + 1
            case Gap(healed=healed):
                assert healed == "snapshot"
                self.broken = False
            case BookUpdate(trust=Trust.VERIFIED, proof=proof):
                assert not self.broken, "a book was given out that was known to be broken"
                assert proof is not None
                truth = self.truth_of(event)
                self.wrong += not self.agrees(truth, proof.depth)
                self.books += 1
                if self.books <= 3 and proof.depth != event.book.told:
                    self.differed = self.differed or not self.agrees(truth, event.book.told)

    def agrees(self, truth: Truth | None, depth: int | None) -> bool:
        """Whether the session's book is ``truth``, in its best ``depth`` levels or all of them."""
        if (book := self.state.book) is None or truth is None:
            return book is None and truth is None
        n = len(book.bids) + len(book.asks) if depth is None else depth
        return (book.bids.top(n), book.asks.top(n)) == truth.top(depth)

    def outcome(self, fault: Fault) -> str:
        truth, book = self.tape.truth(self.known), self.state.book
        if self.asked:
            assert self.well, "it was not healed"
            assert not self.broken
            assert self.gaps or self.tape.truth(self.position - 1) is None, "no gap was told"
            return SILENT if self.wrong else NOTICED
        touched = [self.tape.truth(index) for index in range(self.position - 1, fault.resume)]
        same = self.agrees(truth, book.told if book else None) and not self.wrong and not self.differed
        if same and any(before is after for before, after in pairwise(touched)):
            return IDLE
        if same:
            return SAME
        end = len(self.tape.frames) - 1
        if self.position > end - WINDOW and self.tape.truth(end) is self.tape.truth(self.position):
            return LAST
        return BELOW if self.agrees(truth, 10) and not self.wrong else SILENT


def is_probe(effect: Effect) -> bool:
    return isinstance(effect, Send) and (b'"ping"' in effect.frame or b'"LIST_SUBSCRIPTIONS"' in effect.frame)


class SwiftKraken(Kraken):
    """Remembers the books that were decoded: the same ones come thousands of times."""

    def decode(self, frame: bytes) -> list[Message]:
        return decoded_book(frame) if frame.startswith(b'{"channel":"book"') else super().decode(frame)


@lru_cache(256)
def decoded_book(frame: bytes) -> list[Message]:
    return Kraken().decode(frame)


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
        if self.asked and request.attempt == 0 and self.position % 4 == 3:
            then = self.tape.truth(self.position - 2)
        assert then is not None
        self.session.fetched(request.name, self.tape.body(then), self.now_ns)

    def truth_of(self, update: BookUpdate) -> Truth | None:
        return self.tape.numbered(update.book.seq, self.index)


def outcomes(trial: Callable[[T, int], Trial], tape: T, positions: Iterable[int]) -> Counter[tuple[str, str]]:
    """How often each fault had each outcome."""
    counts: Counter[tuple[str, str]] = Counter()
    for position in positions:
        tape.forget(position - 4)
        for fault in faults(tape, position):
            tried = trial(tape, position)
            tried.run(fault)
            name = "altered to nonsense" if tried.session.undecodable else fault.name
            counts[name, tried.outcome(fault)] += 1
    return counts


def table(title: str, counts: Counter[tuple[str, str]]) -> Counts:
    """``counts`` as rows, printed too."""
    rows = {name: tuple(counts[name, outcome] for outcome in OUTCOMES) for name, _ in sorted(counts)}
    print(f"\n{title:26}", *(f"{outcome:>18}" for outcome in OUTCOMES))
    for name, row in rows.items():
        print(f"  {name:24}", *(f"{n or '':>18}" for n in row))
    return rows


#: The outcomes of each fault, in the order of OUTCOMES. They change when a rule of the session does.
BTC_USD: Counts = {
    "altered checksum": (69, 0, 0, 0, 0, 0),
    "altered other text": (31, 16, 51, 0, 0, 0),
    "altered price or size": (115, 0, 2, 0, 0, 0),
    "altered to nonsense": (28, 0, 4, 0, 1, 0),
    "lost": (229, 76, 71, 0, 1, 0),
    "repeated": (0, 76, 301, 0, 0, 0),
    "swapped": (247, 129, 0, 0, 0, 0),
}
ETH_USD: Counts = {
    "altered checksum": (201, 0, 0, 0, 0, 0),
    "altered other text": (129, 2, 170, 0, 0, 0),
    "altered price or size": (305, 0, 42, 177, 1, 0),
    "altered to nonsense": (55, 0, 16, 33, 0, 0),
    "lost": (715, 41, 98, 315, 1, 0),
    "repeated": (0, 41, 1129, 0, 0, 0),
    "swapped": (1090, 79, 0, 0, 0, 0),
}
FIRST_SEVEN_COUNTS: Counts = {
    "altered checksum": (399, 0, 0, 0, 0, 0),
    "altered other text": (200, 14, 442, 0, 0, 0),
    "altered price or size": (622, 0, 0, 136, 0, 0),
    "altered to nonsense": (191, 0, 14, 32, 0, 0),
    "lost": (1565, 231, 110, 354, 7, 0),
    "repeated": (0, 231, 2036, 0, 0, 0),
    "swapped": (1851, 405, 0, 4, 0, 0),
}
LAST_THREE_COUNTS: Counts = {
    "altered checksum": (471, 0, 0, 0, 0, 0),
    "altered other text": (244, 6, 390, 0, 0, 0),
    "altered price or size": (672, 0, 0, 186, 0, 0),
    "altered to nonsense": (210, 0, 7, 63, 0, 0),
    "lost": (1683, 99, 64, 493, 3, 0),
    "repeated": (0, 99, 2243, 0, 0, 0),
    "swapped": (2150, 188, 0, 1, 0, 0),
}
BINANCE: Counts = {
    "altered other text": (0, 44, 42, 0, 0, 0),
    "altered price or size": (0, 29, 1, 0, 1, 82),
    "altered to nonsense": (1, 0, 0, 0, 0, 0),
    "altered update id": (24, 20, 14, 0, 1, 6),
    "lost": (168, 93, 0, 0, 4, 0),
    "repeated": (0, 93, 172, 0, 0, 0),
    "swapped": (118, 143, 0, 0, 0, 0),
}
BINANCE_US: Counts = {
    "altered other text": (0, 72, 78, 0, 0, 0),
    "altered price or size": (0, 51, 1, 0, 1, 166),
    "altered to nonsense": (4, 3, 0, 0, 0, 0),
    "altered update id": (49, 21, 28, 0, 1, 5),
    "lost": (328, 148, 0, 0, 4, 0),
    "repeated": (0, 148, 332, 0, 0, 0),
    "swapped": (230, 246, 0, 0, 0, 0),
}
BUSY_EVEN: Counts = {
    "altered other text": (0, 0, 79, 0, 0, 0),
    "altered price or size": (0, 1, 199, 0, 1, 1322),
    "altered to nonsense": (13, 0, 0, 0, 0, 0),
    "altered update id": (83, 0, 25, 0, 0, 3),
    "lost": (1724, 1, 0, 0, 1, 0),
    "repeated": (0, 1, 1725, 0, 0, 0),
    "swapped": (1724, 1, 0, 0, 0, 0),
}
BUSY_ODD: Counts = {
    "altered other text": (0, 0, 102, 0, 0, 0),
    "altered price or size": (0, 1, 193, 0, 0, 1286),
    "altered to nonsense": (6, 0, 0, 0, 0, 0),
    "altered update id": (108, 0, 26, 0, 0, 3),
    "lost": (1724, 1, 0, 0, 0, 0),
    "repeated": (0, 1, 1724, 0, 0, 0),
    "swapped": (1724, 1, 0, 0, 0, 0),
}

FIRST_SEVEN = ("ADA/BTC", "BTC/CHF", "ETH/CHF", "GRT/ETH", "KSM/BTC", "OCEAN/BTC", "OMG/USD")
LAST_THREE = ("SC/EUR", "WAVES/EUR", "XMR/USD")


@pytest.mark.parametrize(
    ("name", "read", "depth", "symbols", "expected"),
    [
        ("crossbook_kraken_btcusd_l2.cbcap.gz", crossbook, 10, ("BTC/USD",), BTC_USD),
        ("crossbook_kraken_ethusd_sample.cbcap.gz", crossbook, 25, ("ETH/USD",), ETH_USD),
        ("TRANSCODED_v1_20210417_book1000.tsv.gz", transcoded, 1000, FIRST_SEVEN, FIRST_SEVEN_COUNTS),
        ("TRANSCODED_v1_20210417_book1000.tsv.gz", transcoded, 1000, LAST_THREE, LAST_THREE_COUNTS),
    ],
)
def test_krakens_checksum_shows_whatever_changes_its_ten_levels(
    recordings: Path,
    name: str,
    read: Callable[[Path], Frames],
    depth: int,
    symbols: tuple[str, ...],
    expected: Counts,
) -> None:
    frames, make = read(recordings / "kraken" / name), partial(SwiftKraken, {"depth": depth})
    counts: Counter[tuple[str, str]] = Counter()
    for symbol in symbols:
        tape = KrakenTape(frames, symbol, depth)
        counts += outcomes(lambda t, at: KrakenTrial(make(), t, at), tape, range(len(tape.frames)))
    rows = table(f"kraken {', '.join(symbols)}", counts)
    assert not any(row[OUTCOMES.index(SILENT)] for row in rows.values())
    assert sum(rows["altered checksum"]) == rows["altered checksum"][OUTCOMES.index(NOTICED)]
    assert rows == expected


@pytest.mark.parametrize(
    ("adapter", "folder", "expected"), [(Binance, "BINANCE", BINANCE), (BinanceUS, "BINANCE_US", BINANCE_US)]
)
def test_binances_sequence_shows_every_loss_and_reordering(
    recordings: Path, adapter: type[Adapter], folder: str, expected: Counts
) -> None:
    place = recordings / folder.lower()
    frames = cryptofeed(place / f"cryptofeed_20211011_{folder}.ws.1.0.txt.gz")
    counts: Counter[tuple[str, str]] = Counter()
    for _, symbol, body in cryptofeed_rest(place / f"cryptofeed_20211011_{folder}.http.0.0.txt.gz"):
        tape = BinanceTape(frames, symbol, body)
        counts += outcomes(lambda t, at: BinanceTrial(adapter(), t, at), tape, range(len(tape.frames)))
    rows = table(folder.lower(), counts)
    assert_only_content_can_change_silently(rows)
    assert rows == expected


@pytest.mark.parametrize(("first", "counts"), [(0, BUSY_EVEN), (1, BUSY_ODD)], ids=["even", "odd"])
def test_binances_sequence_shows_every_loss_in_a_busy_market(
    recordings: Path, first: int, counts: Counts
) -> None:
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240808.gz")
    [body] = [frame for _, frame in lines if is_depth(frame)]
    updates = [(ns, frame) for ns, frame in lines if b'"depthUpdate"' in frame]
    tape = BinanceTape(updates, "BTCUSDT", body)
    positions = range(first, len(updates), 2)
    rows = table("binance BTCUSDT", outcomes(lambda t, at: BinanceTrial(Binance(), t, at), tape, positions))
    assert_only_content_can_change_silently(rows)
    assert rows == counts


def assert_only_content_can_change_silently(rows: Counts) -> None:
    silent = {name for name, row in rows.items() if row[OUTCOMES.index(SILENT)]}
    assert silent <= {"altered price or size", "altered update id"}
