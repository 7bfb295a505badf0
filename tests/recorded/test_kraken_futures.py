"""Each update of a book has a number that is one more than the one before it."""

from collections import Counter
from pathlib import Path

from livetape.adapters.kraken_futures import KrakenFutures
from livetape.core.events import BookUpdate, Gap, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import cryptofeed

RECORDED = Path("kraken_futures", "cryptofeed_20210722_KRAKEN_FUTURES.ws.1.0.txt.gz")
PRODUCTS = (
    "FI-ETH-USD-211231 PI-XRP-USD PI-LTC-USD FI-BCH-USD-210730 PI-ETH-USD FI-BTC-USD-210924 "
    "FI-ETH-USD-210730 FI-BCH-USD-210924 FI-XRP-USD-210924 FI-BTC-USD-210730"
)


def test_ten_books_have_no_gap_and_never_cross(recordings: Path) -> None:
    frames = cryptofeed(recordings / RECORDED)
    channels = [
        Channel("kraken_futures", each, kind) for each in PRODUCTS.split() for kind in ("book", "trade")
    ]
    session = opened(KrakenFutures(), channels, frames[0][0])
    session.effects()
    seen: Counter[tuple[bool, Trust]] = Counter()
    trades = 0
    for ns, frame in frames:
        for event in session.receive(frame, ns):
            assert not isinstance(event, Gap)
            trades += isinstance(event, Trade)
            if isinstance(event, BookUpdate):
                seen[event.snapshot, event.trust] += 1
                assert not event.book.crossed
    assert seen == {(True, Trust.VERIFIED): 10, (False, Trust.VERIFIED): 7014}
    assert trades == 3
    assert session.effects() == []
    assert session.undecodable == 0
    assert conserved(session)


def test_the_numbers_of_trades_have_no_holes_either(recordings: Path) -> None:
    told: dict[str, list[int]] = {}
    for _, frame in cryptofeed(recordings / RECORDED):
        for message in KrakenFutures().decode(frame):
            if isinstance(message, Trade) and message.number is not None:
                told.setdefault(message.channel, []).append(message.number)
    assert sum(map(len, told.values())) == 1003
    assert all(numbers == list(range(numbers[0], numbers[-1] + 1)) for numbers in told.values())
