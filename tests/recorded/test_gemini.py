"""Gemini v2 offers no proof, but its books must never cross; v1 counts frames, the new API chains updates."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from livetape.adapters.gemini import Gemini
from livetape.adapters.gemini_v1 import GeminiV1
from livetape.adapters.gemini_v3 import BookTicker, Depth, GeminiV3, Print
from livetape.core.effects import Close
from livetape.core.events import BookUpdate, Gap, Heartbeat, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import opened
from .recordings import cryptofeed

SECOND = 1_000_000_000
SYMBOLS = "BTC-GBP LINK-ETH FIL-USD ZEC-LTC BAT-BTC ETH-EUR LTC-ETH GRT-USD ANKR-USD ALCX-USD"


def test_ten_books_of_v2_never_cross_and_need_no_resync(recordings: Path) -> None:
    frames = cryptofeed(recordings / "gemini" / "cryptofeed_20210623_GEMINI.ws.1.0.txt.gz")
    channels = [Channel("gemini", s, kind) for s in SYMBOLS.split() for kind in ("trade", "book")]
    session = opened(Gemini(), channels, frames[0][0])
    session.effects()
    updates: list[BookUpdate] = []
    trades: list[Trade] = []
    for ns, frame in frames:
        for event in session.receive(frame, ns) + session.tick(ns):
            assert not isinstance(event, Gap)
            if isinstance(event, BookUpdate):
                updates.append(event)
                assert not event.book.crossed
                assert event.trust is Trust.UNVERIFIABLE
            elif isinstance(event, Trade):
                trades.append(event)
                assert event.trust is Trust.LIVE
    assert session.effects() == []  # no book was asked for again
    # of 655 updates one repeats the one before it
    assert (len(updates), sum(update.snapshot for update in updates), len(trades)) == (654, 10, 16)
    assert session.undecodable == 0


def top_of_book_session() -> Session:
    adapter = GeminiV1({"top_of_book": True, "offers": True})
    return opened(adapter, [Channel("gemini", "BTC-USD", kind) for kind in ("book", "quote")])


def test_the_frames_of_the_article_give_the_tops_of_book_that_they_name(article: list[bytes]) -> None:
    session = top_of_book_session()
    events: list[MarketEvent] = []
    for n, frame in enumerate(article):
        got = session.receive(frame, (n + 2) * SECOND)
        [update] = [event for event in got if isinstance(event, BookUpdate)]
        assert (len(update.book.bids), len(update.book.asks)) == (1, 1)
        events += got
    quotes = [event for event in events if isinstance(event, Quote)]
    assert [(q.bid_text, q.bid_size_text, q.ask_text, q.ask_size_text) for q in quotes] == [
        ("20345.47", "0.02943161", "20345.54", "0.24"),
        ("20345.47", "0.02943161", "20346.56", "0.48"),
        ("20345.47", "0.02943161", "20346.56", "0.24"),
        ("20345.47", "0.02943161", "20346.56", "0.48"),
        ("20345.47", "0.02943161", "20346.56", "0.55866491"),
    ]
    assert {quote.trust for quote in quotes} == {Trust.VERIFIED}
    assert quotes[-1].venue_ns == 1666771877966 * 1_000_000


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_frame_of_the_article_opens_a_gap_and_ends_the_connection(
    article: list[bytes], lost: int
) -> None:
    session = top_of_book_session()
    for n, frame in enumerate(article[:lost]):
        session.receive(frame, (n + 2) * SECOND)
    session.effects()
    now_ns = (lost + 3) * SECOND
    events = session.receive(article[lost + 1], now_ns)
    gaps = [event for event in events if isinstance(event, Gap)]
    assert {gap.channel for gap in gaps} == {"gemini:BTC-USD/book", "gemini:BTC-USD/quote"}
    assert all(gap.end_ns is None for gap in gaps)
    assert not [event for event in events if isinstance(event, BookUpdate | Quote)]
    assert session.effects() == [Close(f"frame {lost - 1} was followed by {lost + 1}")]

    session.disconnected("closed", now_ns)
    session.connected(now_ns)
    healed = session.receive(article[0], now_ns + SECOND)
    assert [(gap.healed, gap.end_ns) for gap in healed if isinstance(gap, Gap)] == [
        ("snapshot", now_ns + SECOND),
        ("snapshot", now_ns + SECOND),
    ]
    assert session.channels["gemini:BTC-USD/book"].trust is Trust.VERIFIED


def test_a_repeated_frame_of_the_article_changes_nothing(article: list[bytes]) -> None:
    session = top_of_book_session()
    for frame in (*article[:3], article[0], article[1]):
        session.receive(frame, SECOND)
    [update] = [e for e in session.receive(article[3], SECOND) if isinstance(e, BookUpdate)]
    assert update.book.top(5) == ([(20345.47, 0.02943161)], [(20346.56, 0.48)])
    assert session.channels["gemini:BTC-USD/book"].trust is Trust.VERIFIED


def samples(recordings: Path, of: str) -> list[bytes]:
    """The frames that a collector keeps as samples; ``of`` is in the name it gives them."""
    lines = (recordings / "format_samples" / "tardis_gemini_v2_and_v3.jsonl").read_bytes().splitlines()
    said: list[dict[str, Any]] = [json.decode(line) for line in lines]
    return [json.encode(each["message"]) for each in said if of in each["test"]]


def test_every_sample_of_the_new_api_is_understood(recordings: Path) -> None:
    adapter, kinds = GeminiV3(), Counter[type]()
    for frame in samples(recordings, "v3"):
        [message] = adapter.decode(frame)
        kinds[type(message)] += 1
        if isinstance(message, MarketEvent) and message.venue_ns is not None:
            assert 1_783_000_000 <= message.venue_ns // SECOND < 1_786_000_000  # July 2026
    assert kinds == {BookUpdate: 3, Trade: 1, Quote: 2, Heartbeat: 2}


def test_every_sample_of_the_new_api_is_encoded_as_it_was_received(recordings: Path) -> None:
    wire = {BookUpdate: Depth, Trade: Print, Quote: BookTicker}
    for frame in samples(recordings, "v3"):
        [message] = GeminiV3().decode(frame)
        if kind := wire.get(type(message)):
            assert json.encode(json.decode(frame, type=kind)) == frame


def test_only_the_first_sample_of_a_symbol_is_a_snapshot(recordings: Path) -> None:
    updates = [
        m for f in samples(recordings, "v3") for m in GeminiV3().decode(f) if isinstance(m, BookUpdate)
    ]
    assert [(update.symbol, update.snapshot) for update in updates] == [
        ("WIF-USD", False),
        ("LINK-RLUSD", False),
        ("GUSD-GBP", True),
    ]


def test_every_sample_of_v2_is_understood(recordings: Path) -> None:
    frames = [f for f in samples(recordings, "gemini messages") if b'"type"' in f]
    said = [message for frame in frames for message in Gemini().decode(frame)]
    assert Counter(map(type, said))[Trade] == 2
    assert [m.snapshot for m in said if isinstance(m, BookUpdate)] == [True, False]


#: Consecutive frames of one book as they are printed in a report of September 2026.
CHAIN = (
    b'{"e":"depthUpdate","E":1789456742337187316,"s":"ethgusdperp","U":1764527605192323,"u":1764527605192686,'
    b'"b":[["2482.5500","0.000"]],"a":[["2483.5000","0.000"],["2483.4500","1.047"]]}',
    b'{"e":"depthUpdate","E":1789456742362015387,"s":"ethgusdperp","U":1764527605192686,"u":1764527605192712,'
    b'"b":[["2482.5500","1.047"]],"a":[]}',
)


def test_the_printed_frames_form_a_chain_and_one_that_is_left_out_breaks_it() -> None:
    updates = [m for frame in CHAIN for m in GeminiV3().decode(frame) if isinstance(m, BookUpdate)]
    assert all(later.first == earlier.last for earlier, later in pairwise(updates))
    first = CHAIN[0].replace(b"1764527605192686", b"1764527605192323")
    for frames, gaps in (((first, *CHAIN), 0), ((first, CHAIN[1]), 1)):
        session = opened(GeminiV3(), [Channel("gemini", "ETHGUSDPERP", "book")])
        told = [event for n, frame in enumerate(frames, 2) for event in session.receive(frame, n)]
        assert sum(isinstance(event, Gap) for event in told) == gaps
