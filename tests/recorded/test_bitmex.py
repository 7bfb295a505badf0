"""BitMEX names levels by their id: every update and delete must name one that was told."""

from collections import Counter
from pathlib import Path

from livetape.adapters.bitmex import Bitmex
from livetape.core.events import BookUpdate, Gap, Heartbeat, Lost, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel, unified

from ..sessions import conserved, opened
from .recordings import cryptofeed, samples

RECORDED = Path("bitmex", "cryptofeed_20210722_BITMEX.ws.1.0.txt.gz")
SYMBOLS = "XRPU21 UNIUSDT XBTUSD ADAUSDT SOLUSDT TRXU21 EOSUSDT TRXUSDT BCHUSD MATICUSDT"


def test_ten_books_miss_no_level_and_never_cross(recordings: Path) -> None:
    frames = cryptofeed(recordings / RECORDED)
    channels = [
        Channel("bitmex", unified(s), kind) for s in SYMBOLS.split() for kind in ("book", "quote", "trade")
    ]
    session = opened(Bitmex(), channels, frames[0][0])
    session.effects()
    events: list[MarketEvent] = []
    for ns, frame in frames:
        for event in session.receive(frame, ns):
            events.append(event)
            assert not isinstance(event, BookUpdate) or not event.book.crossed
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert Counter((update.snapshot, update.trust) for update in updates) == {
        (True, Trust.UNVERIFIABLE): 10,
        (False, Trust.UNVERIFIABLE): 1969,
    }
    counts = Counter(map(type, events))
    assert (counts[Quote], counts[Trade], counts[Gap]) == (436, 17, 0)
    assert session.effects() == []  # no book was asked for again
    assert session.undecodable == 0
    assert conserved(session)


def test_an_insert_left_out_shows_as_soon_as_its_level_is_named(recordings: Path) -> None:
    frames = [frame for _, frame in cryptofeed(recordings / RECORDED)]
    inserts = [
        n for n, frame in enumerate(frames) if frame.startswith(b'{"table":"orderBookL2","action":"ins')
    ]
    noticed = 0
    for left_out in inserts[::40]:
        adapter = Bitmex()
        said = [
            message
            for frame in frames[:left_out] + frames[left_out + 1 :]
            for message in adapter.decode(frame)
        ]
        named = frames[left_out][frames[left_out].index(b'"id":') :].split(b",")[0]
        again = any(named in frame for frame in frames[left_out + 1 :])
        lost = [message for message in said if isinstance(message, Lost)]
        assert len(lost) == again
        noticed += len(lost)
    assert noticed > 0


def test_every_sample_is_understood(recordings: Path) -> None:
    """Only what follows on the whole table of its symbol changes a book."""
    adapter = Bitmex()
    frames = samples(recordings / "format_samples" / "tardis_bitmex.jsonl")
    said = [message for frame in frames for message in adapter.decode(frame)]
    books = [message for message in said if isinstance(message, BookUpdate)]
    assert [(b.symbol, b.snapshot, len(b.bids), len(b.asks)) for b in books] == [
        ("BTC-USD", True, 0, 3),
        ("EOSM19", True, 1, 0),
        ("BTC-USD", False, 0, 1),
        ("BTC-USD", False, 0, 1),
        ("EOSM19", False, 1, 0),
        ("XBTZ21", True, 0, 0),
        ("BTC-USD", True, 0, 3),
        ("BTC-USD", False, 1, 0),
    ]
    assert Counter(map(type, said)) == {BookUpdate: 8, Quote: 3, Trade: 1, Lost: 1, Heartbeat: 6}
