"""Whole books, so each recorded one is judged alone; trades from before the recording are not told."""

from collections import Counter
from pathlib import Path

from livetape.adapters.hyperliquid import Hyperliquid
from livetape.core.events import BookUpdate, Gap, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import hftbacktest, samples

RECORDED = Path("hyperliquid", "hftbacktest_btcusd_20250126_part1.txt.gz")


def test_each_book_is_whole_and_the_next_one_is_newer(recordings: Path) -> None:
    frames = hftbacktest(recordings / RECORDED)
    channels = [Channel("hyperliquid", "BTC-USD-PERP", kind) for kind in ("book", "trade")]
    session = opened(Hyperliquid(), channels, frames[0][0])
    session.effects()
    events = []
    for ns, frame in frames:
        for event in session.receive(frame, ns):
            events.append(event)
            if isinstance(event, BookUpdate):
                assert (len(event.book.bids), len(event.book.asks)) == (20, 20)
                assert not event.book.crossed
    books = [event for event in events if isinstance(event, BookUpdate)]
    trades = [event for event in events if isinstance(event, Trade)]
    assert len(frames) == 28
    assert len(books) == sum(b'"l2Book"' in frame for _, frame in frames)
    assert {book.trust for book in books} == {Trust.UNVERIFIABLE}
    assert [book.venue_ns for book in books] == sorted(book.venue_ns or 0 for book in books)
    old = next(frame for _, frame in frames if b'"trades"' in frame)
    assert len(trades) == sum(frame.count(b'"tid"') for _, frame in frames) - old.count(b'"tid"')
    assert not [event for event in events if isinstance(event, Gap)]
    assert session.undecodable == 0
    assert conserved(session)


def test_every_sample_decodes(recordings: Path) -> None:
    frames = samples(recordings / "format_samples" / "tardis_hyperliquid.jsonl")
    said = Counter(type(message).__name__ for frame in frames for message in Hyperliquid().decode(frame))
    assert len(frames) == 10
    assert said == {"Trade": 6, "BookUpdate": 2, "Quote": 2, "Heartbeat": 2}
