"""OKX's own CRC32 judges every book message of 2021 and 2022, its chain of numbers those of 2026."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from livetape.adapters.okx import OKX
from livetape.core.book import Book
from livetape.core.events import BookUpdate, Gap, MarketEvent, Message, Summary, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import Frames, cryptofeed, samples

RECORDED = [
    ("cryptofeed_20210722_OKEX.ws.1.0.txt.gz", 10, 1504, 36, 46),
    ("cryptofeed_20220513_OKX.ws.1.0.txt.gz", 3, 290, 74, 28),
]
CHAIN = "tickvault_20260824_BTC-USDT_books_reduced.jsonl"
KINDS = ("book", "trade", "summary")


class Counting(OKX):
    """Counts the checksums that were compared."""

    compared = 0

    def checksum(self, book: Book) -> int:
        self.compared += 1
        return super().checksum(book)


def channels(frames: Frames) -> list[Channel]:
    named = {json.loads(frame)["arg"]["instId"] for _, frame in frames}
    return [Channel("okx", symbol, kind) for symbol in sorted(named) for kind in KINDS]


@pytest.mark.parametrize(("name", "books", "messages", "trades", "summaries"), RECORDED)
def test_every_checksum_of_a_recording_holds(
    recordings: Path, name: str, books: int, messages: int, trades: int, summaries: int
) -> None:
    frames = cryptofeed(recordings / "okx" / name)
    adapter = Counting()
    session = opened(adapter, channels(frames), frames[0][0])
    session.effects()
    events: list[MarketEvent] = []
    crossed = 0
    for ns, frame in frames:
        for event in session.receive(frame, ns):
            events.append(event)
            crossed += isinstance(event, BookUpdate) and event.book.crossed
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert len(updates) == adapter.compared == messages
    assert len([update for update in updates if update.snapshot]) == books
    assert {update.trust for update in updates} == {Trust.VERIFIED}
    assert {(u.proof.method, u.proof.depth) for u in updates if u.proof} == {("crc32", 25)}
    assert len([event for event in events if isinstance(event, Trade)]) == trades
    assert len([event for event in events if isinstance(event, Summary)]) == summaries
    assert [event for event in events if isinstance(event, Gap)] == []
    assert session.effects() == []
    assert (crossed, session.undecodable) == (0, 0)
    assert conserved(session)


def test_the_recordings_have_1794_checksums() -> None:
    assert sum(messages for _, _, messages, _, _ in RECORDED) == 1794


@pytest.mark.parametrize("name", [name for name, *_ in RECORDED])
def test_one_digit_that_is_wrong_breaks_a_checksum(recordings: Path, name: str) -> None:
    frames = cryptofeed(recordings / "okx" / name)
    session = opened(OKX(), channels(frames), frames[0][0])
    altered = next(n for n, (_, frame) in enumerate(frames) if b'"update"' in frame)
    events: list[MarketEvent] = []
    for n, (ns, frame) in enumerate(frames[: altered + 1]):
        if n == altered:
            text = json.loads(frame)
            side = text["data"][0]["bids"] or text["data"][0]["asks"]
            side[0][1] = "987654321"
            frame = json.dumps(text).encode()
        events += session.receive(frame, ns)
    assert [gap.cause for gap in events if isinstance(gap, Gap)] == ["checksum"]


def test_trades_are_numbered_one_by_one(recordings: Path) -> None:
    steps = []
    for name, *_ in RECORDED:
        for numbers in numbers_of(said(cryptofeed(recordings / "okx" / name))):
            steps += [later - earlier for earlier, later in pairwise(numbers)]
    assert len(steps) == 98
    assert set(steps) == {1}


def said(frames: Frames) -> Iterable[Message]:
    adapter = OKX()
    return [message for _, frame in frames for message in adapter.decode(frame)]


def numbers_of(messages: Iterable[Message]) -> Iterable[list[int]]:
    numbers: dict[str, list[int]] = {}
    for message in messages:
        if isinstance(message, Trade) and message.number is not None:
            numbers.setdefault(message.channel, []).append(message.number)
    return numbers.values()


def test_a_chain_of_numbers_is_a_proof_without_a_checksum(recordings: Path) -> None:
    lines = (recordings / "okx" / CHAIN).read_bytes().splitlines()
    adapter = Counting()
    session = opened(adapter, [Channel("okx", "BTC-USDT", "book")])
    updates = [e for line in lines for e in session.receive(line, 2) if isinstance(e, BookUpdate)]
    assert len(updates) == 7
    assert {update.trust for update in updates} == {Trust.VERIFIED}
    assert {update.proof.method for update in updates if update.proof} == {"sequence seqId"}
    assert adapter.compared == 0  # the venue sends 0 now


@pytest.mark.parametrize("left_out", range(2, 7))
def test_a_link_that_is_missing_is_noticed(recordings: Path, left_out: int) -> None:
    lines = (recordings / "okx" / CHAIN).read_bytes().splitlines()
    del lines[left_out]
    session = opened(OKX(), [Channel("okx", "BTC-USDT", "book")])
    events = [event for line in lines for event in session.receive(line, 2)]
    assert len([event for event in events if isinstance(event, Gap)]) == 1
    assert len([event for event in events if isinstance(event, BookUpdate)]) == left_out - 1


SAMPLES = {
    "spot": {"Heartbeat": 7, "Ack": 1, "Trade": 2, "BookUpdate": 2, "Summary": 1},
    "swap": {"Heartbeat": 16, "BookUpdate": 1, "Trade": 1, "Summary": 2, "Quote": 2},
    "futures": {"Heartbeat": 24, "Ack": 1, "BookUpdate": 2, "Trade": 1, "Summary": 1},
}


@pytest.mark.parametrize("product", SAMPLES)
def test_every_sample_decodes(recordings: Path, product: str) -> None:
    """What the API before this one said is none of our business, like channels that we do not ask for."""
    frames = samples(recordings / "format_samples" / f"tardis_okx_{product}.jsonl")
    adapter = OKX()
    said = Counter(type(message).__name__ for frame in frames for message in adapter.decode(frame))
    assert said == SAMPLES[product]
