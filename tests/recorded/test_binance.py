"""Binance's bookTicker, where it carries the update id of a book, must show that book's best levels."""

from pathlib import Path

import pytest

from livetape.adapters.binance import Binance
from livetape.adapters.binance_us import BinanceUS
from livetape.core.adapter import Adapter
from livetape.core.effects import Fetch
from livetape.core.events import BookUpdate, Gap, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import opened
from .recordings import Frames, cryptofeed, cryptofeed_rest, hftbacktest, is_depth

Best = tuple[str | None, str | None, str | None, str | None]


class Replay:
    """A session driven by a recording; REST answers come at their recorded time, if they were asked for."""

    def __init__(self, adapter: Adapter, frames: Frames, answers: list[tuple[int, str, bytes]]) -> None:
        self.updates: list[BookUpdate] = []
        self.quotes: list[Quote] = []
        self.trades: list[Trade] = []
        self.gaps: list[Gap] = []
        self.best: dict[tuple[str, int], Best] = {}  # symbol and update id to the book's best levels
        symbols = [adapter.canonical(symbol) for _, symbol, _ in answers]
        kinds = ("book", "quote", "trade")
        channels = [Channel(adapter.venue, symbol, kind) for symbol in symbols for kind in kinds]
        self.session = opened(adapter, channels, frames[0][0])
        self.asked: list[tuple[int, str]] = []  # after how many updates which snapshot was asked for
        for ns, symbol, frame in sorted([(ns, "", frame) for ns, frame in frames] + answers):
            if not symbol:
                self._keep(self.session.receive(frame, ns))
            else:
                assert adapter.canonical(symbol) in [s for _, s in self.asked], "answered before it was asked"
                self._keep(self.session.fetched(adapter.canonical(symbol), frame, ns))
            for effect in self.session.effects():
                if isinstance(effect, Fetch):
                    self.asked.append((len(self.updates), effect.name))

    def _keep(self, events: list[MarketEvent]) -> None:
        for event in events:
            match event:
                case BookUpdate():
                    self.updates.append(event)
                    book = event.book
                    assert book.seq is not None
                    bid, ask = book.bids.best() or (None, None), book.asks.best() or (None, None)
                    self.best[event.symbol, book.seq] = (*bid, *ask)
                    assert not book.crossed
                case Quote():
                    self.quotes.append(event)
                case Trade():
                    self.trades.append(event)
                case Gap():
                    self.gaps.append(event)

    def compared(self) -> tuple[int, int]:
        """How many quotes equal the book at their update id, and how many differ."""
        equal = differ = 0
        for quote in self.quotes:
            assert quote.venue_seq is not None
            best = self.best.get((quote.symbol, quote.venue_seq))
            if best is not None:
                seen = (quote.bid_text, quote.bid_size_text, quote.ask_text, quote.ask_size_text)
                equal, differ = (equal + 1, differ) if seen == best else (equal, differ + 1)
        return equal, differ


@pytest.mark.parametrize(
    ("adapter", "folder", "equal", "updates"),
    [(Binance, "BINANCE", 26, 172), (BinanceUS, "BINANCE_US", 57, 332)],
)
def test_four_quiet_books_agree_with_their_tickers(
    recordings: Path, adapter: type[Adapter], folder: str, equal: int, updates: int
) -> None:
    place = recordings / folder.lower()
    frames = cryptofeed(place / f"cryptofeed_20211011_{folder}.ws.1.0.txt.gz")
    answers = cryptofeed_rest(place / f"cryptofeed_20211011_{folder}.http.0.0.txt.gz")
    replay = Replay(adapter(), frames, answers)
    assert replay.compared() == (equal, 0)
    assert replay.gaps == []
    assert {update.trust for update in replay.updates} == {Trust.VERIFIED}
    assert len([update for update in replay.updates if not update.snapshot]) == updates
    assert len([update for update in replay.updates if update.snapshot]) == len(answers) == 4
    assert replay.session.undecodable == 0  # nor were the streams that we do not subscribe an offence


def test_a_busy_book_agrees_with_its_tickers_and_loses_no_trade(recordings: Path) -> None:
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240808.gz")
    frames = [(ns, frame) for ns, frame in lines if not is_depth(frame)]
    answers = [(ns, "BTCUSDT", frame) for ns, frame in lines if is_depth(frame)]
    replay = Replay(Binance(), frames, answers)
    assert replay.compared() == (564, 0)
    assert replay.gaps == []
    assert len([update for update in replay.updates if not update.snapshot]) == 3449
    assert len(replay.trades) == 9757
    assert len(replay.quotes) == 28040
    assert replay.session.undecodable == 0


def test_a_market_that_walks_off_its_snapshot_is_no_longer_called_verified(recordings: Path) -> None:
    """The snapshot told 1000 levels a side; we ask for a second in time, but the recording holds none."""
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240808.gz")
    frames = [(ns, frame) for ns, frame in lines if b'"depthUpdate"' in frame]
    answers = [(ns, "BTCUSDT", frame) for ns, frame in lines if is_depth(frame)]
    replay = Replay(Binance(), frames, answers)
    trusts = [update.trust for update in replay.updates]
    left = trusts.index(Trust.UNVERIFIABLE)
    assert replay.asked == [(0, "BTC-USDT"), (2465, "BTC-USDT")]
    assert left == 2594
    assert trusts == [Trust.VERIFIED] * left + [Trust.UNVERIFIABLE] * (len(trusts) - left)
    depths = [update.proof.depth for update in replay.updates if update.proof]
    assert len(depths) == left
    assert None not in depths
    assert 0 not in depths


def test_a_stream_whose_snapshot_never_comes_gives_out_no_book(recordings: Path) -> None:
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240809.gz")[:20_000]
    session = opened(Binance(), [Channel("binance", "BTC-USDT", "book")], lines[0][0])
    events = [event for ns, frame in lines for event in session.receive(frame, ns)]
    state = session.channels["binance:BTC-USDT/book"]
    assert events == []
    assert state.trust is Trust.RESYNCING
    assert state.pending is not None
    assert state.received == len(state.pending) == sum(b'"depthUpdate"' in frame for _, frame in lines)
