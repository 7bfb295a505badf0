"""Gemini v2 offers no proof, but its books must never cross; Gemini v1 counts its frames."""

from pathlib import Path

import pytest

from livetape.adapters.gemini import Gemini
from livetape.adapters.gemini_v1 import GeminiV1
from livetape.core.events import BookUpdate, Gap, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Close, Session

from .recordings import cryptofeed

SECOND = 1_000_000_000
SYMBOLS = "BTC-GBP LINK-ETH FIL-USD ZEC-LTC BAT-BTC ETH-EUR LTC-ETH GRT-USD ANKR-USD ALCX-USD"


def test_ten_books_of_v2_never_cross_and_need_no_resync(recordings: Path) -> None:
    frames = cryptofeed(recordings / "gemini" / "cryptofeed_20210623_GEMINI.ws.1.0.txt.gz")
    session = Session(Gemini())
    session.want(
        [Channel("gemini", s, kind) for s in SYMBOLS.split() for kind in ("trade", "book")], frames[0][0]
    )
    session.connected(frames[0][0])
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
    assert (len(updates), sum(update.snapshot for update in updates), len(trades)) == (655, 10, 16)
    assert session.undecodable == 0


def top_of_book_session() -> Session:
    session = Session(GeminiV1({"top_of_book": True, "offers": True}))
    session.want([Channel("gemini", "BTC-USD", kind) for kind in ("book", "quote")], 1)
    session.connected(1)
    return session


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
