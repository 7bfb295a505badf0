"""What Kraken's frozen API says and is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.kraken_v1 import KrakenV1
from livetape.core.adapter import Span
from livetape.core.errors import DecodeError
from livetape.core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Lost, Message, Quote, Summary, Trade
from livetape.core.instruments import Channel

from .damage import damaged, decodes_or_refuses

US = 1_000
SPREAD = b'[325,["%b","43770.30000","1633053779.916349","%b","0.31670440"],"spread","XBT/USD"]'
SAID: list[tuple[bytes, Message]] = [
    (
        b'[1360,{"as":[["0.000022900","13355.87450757","1618678123.481570"]],"bs":[]},"book-1000","ADA/XBT"]',
        BookUpdate("kraken:ADA-BTC/book", None, True, [], [("0.000022900", "13355.87450757")]),
    ),
    (
        b'[992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]',
        BookUpdate(
            *("kraken:XMR-USD/book", 1618678133365913 * US, False, [("354.15000000", "5.00000000")], []),
            checksum=2583817756,
        ),
    ),
    (
        b'[992,{"a":[["355.00","1.0","1618678133.365914","r"]]},{"b":[["354.15","0.0","1618678133.365913"]],'
        b'"c":"7"},"book-10","XDG/USD"]',
        BookUpdate(
            *("kraken:DOGE-USD/book", 1618678133365914 * US, False, [("354.15", "0.0")], [("355.00", "1.0")]),
            checksum=7,
        ),
    ),
    (
        b'[468,{"b":[["87.60000000","35.02658459","1561939258.527900"]]},"book-1000","XMR/USD"]',
        Lost("kraken:XMR-USD/book", "an update without its checksum"),
    ),
    (
        b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]',
        Trade("kraken:XMR-USD/trade", 1618678142557535 * US, "354.11000000", "0.89594024", "sell", None),
    ),
    (
        SPREAD % (b"43770.20000", b"0.00917717"),
        Quote(
            *("kraken:BTC-USD/quote", 1633053779916349 * US),
            *("43770.20000", "0.00917717", "43770.30000", "0.31670440"),
        ),
    ),
    (
        SPREAD % (b"0.000", b"0.000"),
        Quote("kraken:BTC-USD/quote", 1633053779916349 * US, None, None, "43770.30000", "0.31670440"),
    ),
    (
        b'[996,{"a":["355.24000000",27,"27.19106411"],"b":["354.32000000",6,"6.87748868"],'
        b'"c":["355.23000000","1.20454360"],"v":["17858.85261084","33470.74135600"],'
        b'"p":["355.33503706","349.16721624"],"t":[6481,10283],"l":["340.88000000","333.87000000"],'
        b'"h":["368.00000000","368.10000000"],"o":["340.88000000","335.21000000"]},"ticker","XMR/USD"]',
        Summary(
            *("kraken:XMR-USD/summary", None, "335.21000000", "368.10000000", "333.87000000", "355.23000000"),
            volume_text="33470.74135600",
        ),
    ),
    (
        b'[42,["1542057314.748456","1542057600.000000","3586.70000","3586.80000","3586.60000","3586.65000",'
        b'"3586.68894","0.03373000",2],"ohlc-5","XBT/USD"]',
        Bar(
            *("kraken:BTC-USD/bar.5m", 1542057300 * 1_000_000 * US),
            *("3586.70000", "3586.80000", "3586.60000", "3586.65000", "0.03373000"),
            trades=2,
            vwap_text="3586.68894",
            venue_ns=1542057314748456 * US,
        ),
    ),
    (
        b'{"channelID":992,"channelName":"book-1000","event":"subscriptionStatus","pair":"XMR/USD",'
        b'"status":"subscribed","subscription":{"depth":1000,"name":"book"}}',
        Ack("kraken:XMR-USD/book"),
    ),
    (
        b'{"channelName":"ohlc-5","event":"subscriptionStatus","pair":"XBT/EUR","status":"subscribed",'
        b'"subscription":{"interval":5,"name":"ohlc"}}',
        Ack("kraken:BTC-EUR/bar.5m"),
    ),
    (
        b'{"errorMessage":"Subscription depth not supported","event":"subscriptionStatus","pair":"XBT/USD",'
        b'"status":"error","subscription":{"depth":42,"name":"book"}}',
        Denied("Subscription depth not supported", ("kraken:BTC-USD/book",)),
    ),
    (
        b'{"channelName":"trade","event":"subscriptionStatus","pair":"XBT/EUR","status":"unsubscribed",'
        b'"subscription":{"name":"trade"}}',
        Heartbeat(),
    ),
    (b'{"errorMessage":"Malformed request","event":"error"}', Denied("Malformed request")),
    (b'{"event":"heartbeat"}', Heartbeat()),
    (
        b'{"connectionID":18239578009413566319,"event":"systemStatus","status":"online","version":"1.8.3"}',
        Heartbeat(),
    ),
]


@pytest.mark.parametrize(("frame", "message"), SAID)
def test_what_a_frame_says(frame: bytes, message: Message) -> None:
    assert KrakenV1().decode(frame) == [message]


@given(st.binary(max_size=200) | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(KrakenV1(), frame)


@pytest.mark.parametrize("time", ["99999999999", "1e18", "NaN", "-1", ""])
def test_a_time_beyond_64_bits_is_refused(time: str) -> None:
    with pytest.raises(DecodeError):
        KrakenV1().decode(SPREAD.replace(b"1633053779.916349", time.encode()) % (b"1", b"1"))


def test_what_is_asked_of_the_venue() -> None:
    adapter = KrakenV1({"depth": 20})
    symbols = [("BTC-USD", "book"), ("DOGE-EUR", "book"), ("ETH-USD", "quote"), ("ETH-USD", "bar.1h")]
    requests = adapter.subscribe([Channel("kraken", *each) for each in symbols])
    assert [json.decode(request) for request in requests] == [
        {
            "event": "subscribe",
            "pair": ["XBT/USD", "XDG/EUR"],
            "subscription": {"name": "book", "depth": 25},
        },
        {"event": "subscribe", "pair": ["ETH/USD"], "subscription": {"name": "spread"}},
        {"event": "subscribe", "pair": ["ETH/USD"], "subscription": {"name": "ohlc", "interval": 60}},
    ]


def test_trades_cannot_be_read_again_for_nothing_tells_them_apart() -> None:
    assert KrakenV1().history_path(Channel("kraken", "BTC-USD", "trade"), Span(1, 2)) is None
