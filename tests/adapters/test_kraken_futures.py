"""What Kraken Futures says and is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.kraken_futures import KrakenFutures
from livetape.core.events import Ack, BookUpdate, Denied, Gap, Heartbeat, Message, Origin, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import opened
from .damage import damaged, decodes_or_refuses

MS = 1_000_000
DELTA = (
    b'{"feed":"book","product_id":"PI_ETHUSD","side":"sell","seq":%d,"price":2004.85,"qty":4787.0,'
    b'"timestamp":1626994927744}'
)
SNAPSHOT = (
    b'{"feed":"book_snapshot","product_id":"PI_ETHUSD","timestamp":1626994925378,"seq":%d,"tickSize":null,'
    b'"bids":[{"price":2004.80,"qty":20108.0}],"asks":[]}'
)
PRINT = (
    b'{"feed":"trade","product_id":"FI_XBTUSD_210924","uid":"e2429e31","side":"buy","type":"%b","seq":%d,'
    b'"time":1626994929946,"qty":320.0,"price":32176.5}'
)


def trade(number: int, **more: object) -> Trade:
    name = "kraken_futures:FI-BTC-USD-210924/trade"
    fields = (name, 1626994929946 * MS, "32176.5", "320.0", "buy", "e2429e31", number)
    return Trade(*fields, **more)  # type: ignore[arg-type]


SAID: list[tuple[bytes, list[Message]]] = [
    (
        DELTA % 26660860,
        [
            BookUpdate(
                *("kraken_futures:PI-ETH-USD/book", 1626994927744 * MS, False, [], [("2004.85", "4787.0")]),
                *(26660860, 26660860),
            )
        ],
    ),
    (
        SNAPSHOT % 91192,
        [
            BookUpdate(
                *("kraken_futures:PI-ETH-USD/book", 1626994925378 * MS, True, [("2004.80", "20108.0")], []),
                *(91192, 91192),
            )
        ],
    ),
    (PRINT % (b"fill", 5956), [trade(5956)]),
    (PRINT % (b"liquidation", 5957), [trade(5957, conditions=("liquidation",))]),
    (
        b'{"feed":"trade_snapshot","product_id":"FI_XBTUSD_210924","trades":[%b,%b]}'
        % (PRINT % (b"fill", 8), PRINT % (b"fill", 7)),
        [trade(7, origin=Origin.BACKFILLED), trade(8, origin=Origin.BACKFILLED)],
    ),
    (
        b'{"feed":"ticker_lite","product_id":"PI_XRPUSD","bid":0.5881,"ask":0.5888,"premium":-0.0}',
        [Heartbeat()],
    ),
    (b'{"feed":"heartbeat","time":1534262350627}', [Heartbeat()]),
    (b'{"event":"info","version":1}', [Heartbeat()]),
    (
        b'{"event":"subscribed","feed":"book","product_ids":["FI_ETHUSD_211231"]}',
        [Ack("kraken_futures:FI-ETH-USD-211231/book")],
    ),
    (b'{"event":"subscribed","feed":"heartbeat"}', [Heartbeat()]),
    (b'{"event":"unsubscribed","feed":"book","product_ids":["FI_ETHUSD_211231"]}', [Heartbeat()]),
    (
        b'{"event":"subscribed_failed","feed":"trade","product_ids":["PI_NOUSD"]}',
        [Denied("subscription refused", ("kraken_futures:PI-NOUSD/trade",))],
    ),
    (b'{"event":"error","message":"Json Error"}', [Denied("Json Error")]),
]


@pytest.mark.parametrize(("frame", "messages"), SAID)
def test_what_a_frame_says(frame: bytes, messages: list[Message]) -> None:
    assert KrakenFutures().decode(frame) == messages


@given(st.binary(max_size=200) | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(KrakenFutures(), frame)


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("PI_XBTUSD", "PI-BTC-USD"),
        ("PF_DOGEUSD", "PF-DOGE-USD"),
        ("FI_XBTUSD_210924", "FI-BTC-USD-210924"),
    ],
)
def test_both_spellings_of_a_product_are_one(native: str, symbol: str) -> None:
    spellings = (native, native.lower(), symbol, symbol.lower())
    assert {KrakenFutures.canonical(each) for each in spellings} == {symbol}
    asked = KrakenFutures().subscribe([Channel("kraken_futures", symbol, "book")])
    assert asked == [
        b'{"event":"subscribe","feed":"book","product_ids":["%b"],"message":""}' % native.encode()
    ]


def test_a_lost_update_is_noticed_and_the_next_snapshot_heals_it() -> None:
    session = opened(KrakenFutures(), [Channel("kraken_futures", "PI-ETH-USD", "book")])
    frames = [SNAPSHOT % 5, DELTA % 6, DELTA % 8, DELTA % 9, SNAPSHOT % 9, DELTA % 9, DELTA % 10]
    events = [event for n, frame in enumerate(frames, 2) for event in session.receive(frame, n)]
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert [(update.last, update.trust) for update in updates] == [
        (5, Trust.VERIFIED),
        (6, Trust.VERIFIED),
        (9, Trust.VERIFIED),
        (10, Trust.VERIFIED),
    ]
    told = [(gap.cause, gap.healed) for gap in events if isinstance(gap, Gap)]
    assert told == [("update 6 was followed by 8", None), ("update 6 was followed by 8", "snapshot")]
