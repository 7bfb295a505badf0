"""As on the spot market: bookTicker at the same update id must show the book's best levels."""

from collections import Counter
from pathlib import Path

from msgspec import json

from livetape.adapters.binance import Snapshot
from livetape.adapters.binance_coinm import BinanceCoinm
from livetape.adapters.binance_futures import BinanceFutures
from livetape.core.effects import Fetch
from livetape.core.events import BookUpdate, Gap, Heartbeat, Mark, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened
from .recordings import Frames, hftbacktest, is_depth, samples
from .test_binance import Replay

RECORDED = Path("binance_futures", "hftbacktest_btcusd_perp_20240808.gz")


def test_a_busy_book_agrees_with_its_tickers_and_loses_no_trade(recordings: Path) -> None:
    lines = hftbacktest(recordings / RECORDED)
    frames = [(ns, frame) for ns, frame in lines if not is_depth(frame)]
    answers = [(ns, "BTCUSD_PERP", frame) for ns, frame in lines if is_depth(frame)]
    replay = Replay(BinanceCoinm(), frames, answers)
    assert replay.compared() == (1124, 0)
    assert replay.gaps == []
    assert Counter((update.snapshot, update.trust) for update in replay.updates) == {
        (True, Trust.VERIFIED): 1,
        (False, Trust.VERIFIED): 26824,
    }
    assert (len(replay.trades), len(replay.quotes)) == (2286, 19136)
    assert replay.asked == [(0, "BTC-USD-PERP")]
    assert replay.session.undecodable == 0
    assert conserved(replay.session)


def test_each_update_left_out_in_turn_is_a_gap_and_heals(recordings: Path) -> None:
    """The answer to the second fetch is the book of a session that missed nothing."""
    lines = hftbacktest(recordings / RECORDED)
    [at] = [n for n, (_, frame) in enumerate(lines) if is_depth(frame)]
    updates = [line for line in lines[:3000] if b'"depthUpdate"' in line[1]]
    start = next(n for n, (_, frame) in enumerate(updates) if _last(frame) > _last_of(lines[at][1]))
    whole, _ = _begun(updates, lines[at])
    healthy = whole.channels["binance_coinm:BTC-USD-PERP/book"].book
    assert healthy is not None
    body = json.encode(Snapshot(_last(updates[-1][1]), healthy.bids.top(2000), healthy.asks.top(2000)))
    for left_out in range(start + 1, start + 30):
        session, events = _begun(updates[:left_out] + updates[left_out + 1 :], lines[at])
        [gap] = [event for event in events if isinstance(event, Gap)]
        applied = _last(updates[left_out - 1][1])
        assert gap.cause == f"update {applied} was followed by {_last(updates[left_out][1]) + 1}"
        assert max(e.last or 0 for e in events if isinstance(e, BookUpdate)) == applied
        [fetch] = [effect for effect in session.effects() if isinstance(effect, Fetch)]
        healed = session.fetched(fetch.name, body, updates[-1][0])
        assert [event.healed for event in healed if isinstance(event, Gap)] == ["snapshot"]
        [update] = [event for event in healed if isinstance(event, BookUpdate)]
        assert (update.trust, update.last) == (Trust.VERIFIED, healthy.seq)
        assert update.book.bids.top(2000) == healthy.bids.top(2000)


def _begun(updates: Frames, answer: tuple[int, bytes]) -> tuple[Session, list[MarketEvent]]:
    """A session that was sent ``updates``, and the answer to its fetch at the time of that."""
    session = opened(BinanceCoinm(), [Channel("binance_coinm", "BTC-USD-PERP", "book")])
    events: list[MarketEvent] = []
    for ns, frame in sorted([*updates, answer]):
        if is_depth(frame):
            session.effects()
            events += session.fetched("BTC-USD-PERP", frame, ns)
        else:
            events += session.receive(frame, ns)
    return session, events


def _last_of(answer: bytes) -> int:
    return json.decode(answer, type=Snapshot).lastUpdateId


def _last(frame: bytes) -> int:
    [update] = BinanceCoinm().decode(frame)
    assert isinstance(update, BookUpdate)
    assert update.last is not None
    return update.last


def test_every_sample_is_understood(recordings: Path) -> None:
    frames = samples(recordings / "format_samples" / "tardis_binance_futures.jsonl")
    said = [message for frame in frames for message in BinanceFutures().decode(frame)]
    assert Counter(map(type, said)) == {BookUpdate: 3, Trade: 3, Quote: 1, Mark: 3, Heartbeat: 4}
    assert [t.conditions for t in said if isinstance(t, Trade)] == [(), ("INSURANCE_FUND",), ()]
    assert {m.symbol for m in said if isinstance(m, Mark)} == {"BTC-USDT", "BTC-BUSD-210129"}


def test_the_update_that_continues_a_fetched_book_is_applied(recordings: Path) -> None:
    """Its range begins beyond the book, but ``pu`` names the book's own number."""
    of = "directly continues the snapshot"
    [frame] = samples(recordings / "format_samples" / "tardis_binance_futures.jsonl", of)
    session = opened(BinanceFutures(), [Channel("binance_futures", "BTC-USDT", "book")])
    session.receive(frame, 2)
    body = b'{"lastUpdateId":100,"bids":[["99","1"]],"asks":[["101","1"]]}'
    updates = [e for e in session.fetched("BTC-USDT", body, 3) if isinstance(e, BookUpdate)]
    assert [(update.last, update.trust) for update in updates] == [
        (100, Trust.VERIFIED),
        (160, Trust.VERIFIED),
    ]
