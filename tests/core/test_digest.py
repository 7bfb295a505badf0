"""A digest is the same for the same events, and for no others."""

from itertools import pairwise

from msgspec.structs import replace

from livetape.core.digest import Digest
from livetape.core.events import BookUpdate, MarketEvent, Origin, Quote, Status, Trade

TRADE = Trade("kraken:BTC-USD/trade", 1, "63004.10", "0.5", "buy", "7", recv_ns=5, session=9, seq=1)
QUOTE = Quote("kraken:BTC-USD/quote", None, "1", "2", None, None, recv_ns=5, session=9, seq=2)
BOOK = BookUpdate("kraken:BTC-USD/book", 1, True, [("1", "2")], [], recv_ns=6, session=8, seq=1)


def digest(*events: MarketEvent, sessions: set[int] | None = None) -> str:
    made = Digest(sessions)
    for event in events:
        made.add(event)
    return str(made)


def test_neither_the_order_nor_the_origin_counts() -> None:
    assert digest(TRADE, QUOTE, BOOK) == digest(BOOK, replace(QUOTE, origin=Origin.REPLAYED), TRADE)


def test_everything_else_counts() -> None:
    others = [
        *(digest(), digest(TRADE), digest(TRADE, TRADE), digest(TRADE, QUOTE), digest(TRADE, QUOTE, BOOK)),
        digest(replace(TRADE, price_text="63004.1")),
        digest(replace(TRADE, id=None)),
        digest(replace(TRADE, seq=2)),
        digest(replace(TRADE, session=8)),
        digest(replace(BOOK, bids=[], asks=[("1", "2")])),
        digest(replace(BOOK, snapshot=False)),
    ]
    assert len({*others}) == len(others)
    assert all(one != other for one, other in pairwise(others))


def test_what_no_connection_told_does_not_count() -> None:
    made = Digest({9})
    for event in (TRADE, replace(QUOTE, session=-9), BOOK, Status("kraken", "queued")):
        made.add(event)
    assert (made.events, made.sessions) == (2, 2)
    assert str(made) == digest(TRADE, replace(QUOTE, session=-9))
