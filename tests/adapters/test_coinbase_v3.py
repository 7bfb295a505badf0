"""Coinbase Advanced Trade: each kind of message, and the number that every frame of a connection has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters import find
from livetape.adapters.coinbase_v3 import TRADES, CoinbaseV3
from livetape.core.adapter import Span
from livetape.core.effects import Close
from livetape.core.errors import DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Counter,
    Denied,
    Gap,
    Heartbeat,
    Message,
    Origin,
    Summary,
    Trade,
    Trust,
)
from livetape.core.instruments import Channel, Instrument
from livetape.core.times import SECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

AT_NS = 1_675_974_770_714_964_855
TRADE_NS = 1_565_815_347_265_000_000
CANDLE = (
    b'{"start":"%d","high":"1867.72","low":"1865.63","open":"1867.38","close":"1866.81","volume":"0.20"%b}'
)


def frame(channel: bytes, n: int, *events: bytes) -> bytes:
    return (
        b'{"channel":"%b","client_id":"","timestamp":"2023-02-09T20:32:50.714964855Z","sequence_num":%d,"events":[%b]}'
        % (channel, n, b",".join(events))
    )


def book(kind: bytes, *levels: tuple[bytes, bytes, bytes]) -> bytes:
    updates = [
        b'{"side":"%b","event_time":"1970-01-01T00:00:00Z","price_level":"%b","new_quantity":"%b"}' % level
        for level in levels
    ]
    return b'{"type":"%b","product_id":"BTC-USD","updates":[%b]}' % (kind, b",".join(updates))


def trades(kind: bytes, *numbers: int) -> bytes:
    each = (
        b'{"trade_id":"%d","product_id":"BTC-USD","price":"1260.01","size":"0.30","side":"BUY",'
        b'"time":"2019-08-14T20:42:27.265Z"}'
    )
    return b'{"type":"%b","trades":[%b]}' % (kind, b",".join(each % number for number in numbers))


def trade(number: int, origin: Origin = Origin.LIVE) -> Trade:
    name = "coinbase:BTC-USD/trade"
    return Trade(name, TRADE_NS, "1260.01", "0.30", "sell", str(number), number, origin=origin)


SNAPSHOT = book(b"snapshot", (b"bid", b"21921.73", b"0.06"), (b"offer", b"21921.80", b"1.0"))
UPDATE = book(b"update", (b"offer", b"21921.80", b"0"), (b"offer", b"21922.3", b"2"))
TICKER = (
    b'{"type":"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"21932.98",'
    b'"volume_24_h":"16038.28770938","low_24_h":"21835.29","high_24_h":"23011.18","low_52_w":"15460",'
    b'"high_52_w":"48240","price_percent_chg_24_h":"-4.15","best_bid":"21931.98","best_ask":"21933.98",'
    b'"best_bid_quantity":"8000.21","best_ask_quantity":"8038.07770938"}]}'
)
CANDLES = b'{"type":"snapshot","candles":[%b,%b]}' % (
    CANDLE % (1688998500, b',"product_id":"BTC-USD"'),
    CANDLE % (1688998200, b',"product_id":"BTC-USD"'),
)
SUBSCRIPTIONS = b'{"subscriptions":{"level2":["BTC-USD"],"candles":["ETH-USD"],"heartbeats":["heartbeats"]}}'
BEAT = (
    b'{"current_time":"2023-06-23 20:31:56.121961769 +0000 UTC m=+91717.525857105","heartbeat_counter":3049}'
)


@pytest.mark.parametrize(
    ("sent", "messages"),
    [
        (
            frame(b"l2_data", 0, SNAPSHOT, UPDATE),
            [
                Counter(0),
                BookUpdate(
                    "coinbase:BTC-USD/book", AT_NS, True, [("21921.73", "0.06")], [("21921.80", "1.0")]
                ),
                BookUpdate("coinbase:BTC-USD/book", AT_NS, False, [], [("21921.80", "0"), ("21922.3", "2")]),
            ],
        ),
        (
            frame(b"l2_data", 1, book(b"update")),
            [Counter(1), BookUpdate("coinbase:BTC-USD/book", AT_NS, False, [], [])],
        ),
        (
            frame(b"market_trades", 2, trades(b"snapshot", 8, 7)),
            [Counter(2), trade(7, Origin.BACKFILLED), trade(8, Origin.BACKFILLED)],
        ),
        (frame(b"market_trades", 3, trades(b"update", 10, 9)), [Counter(3), trade(9), trade(10)]),
        (
            frame(b"ticker", 4, TICKER),
            [
                Counter(4),
                Summary(
                    "coinbase:BTC-USD/summary",
                    AT_NS,
                    None,
                    "23011.18",
                    "21835.29",
                    "21932.98",
                    volume_text="16038.28770938",
                ),
            ],
        ),
        (
            frame(b"candles", 5, CANDLES),
            [
                Counter(5),
                *[
                    Bar(
                        "coinbase:BTC-USD/bar.5m",
                        start_s * SECOND,
                        "1867.38",
                        "1867.72",
                        "1865.63",
                        "1866.81",
                        "0.20",
                        venue_ns=AT_NS,
                    )
                    for start_s in (1688998200, 1688998500)
                ],
            ],
        ),
        (
            frame(b"subscriptions", 6, SUBSCRIPTIONS),
            [Counter(6), Ack("coinbase:BTC-USD/book"), Ack("coinbase:ETH-USD/bar.5m")],
        ),
        (frame(b"heartbeats", 7, BEAT), [Counter(7), Heartbeat()]),
        (frame(b"status", 8, b"{}"), [Counter(8), Heartbeat()]),
        (b'{"type":"error","message":"failure to subscribe"}', [Denied("failure to subscribe")]),
    ],
)
def test_each_frame_is_told_as_it_was_sent(sent: bytes, messages: list[Message]) -> None:
    assert CoinbaseV3().decode(sent) == messages


ALL = [
    frame(b"l2_data", 0, SNAPSHOT),
    frame(b"market_trades", 1, trades(b"update", 7)),
    frame(b"ticker", 2, TICKER),
    frame(b"candles", 3, CANDLES),
    frame(b"subscriptions", 4, SUBSCRIPTIONS),
]


@given(sent=st.binary(max_size=200) | damaged(st.sampled_from(ALL)))
def test_any_damage_decodes_or_is_refused(sent: bytes) -> None:
    decodes_or_refuses(CoinbaseV3(), sent)


@pytest.mark.parametrize(
    "sent",
    [
        ALL[0].replace(b',"sequence_num":0', b""),
        ALL[0].replace(b'"offer"', b'"ask"'),
        ALL[0].replace(b'"snapshot"', b'"partial"'),
        ALL[1].replace(b'"BUY"', b'"UNKNOWN"'),
        ALL[1].replace(b"1260.01", b"-1"),
    ],
)
def test_what_makes_no_sense_is_refused(sent: bytes) -> None:
    with pytest.raises(DecodeError):
        CoinbaseV3().decode(sent)


def test_there_is_one_request_for_each_channel_of_the_venue_and_the_heartbeats_always() -> None:
    adapter = CoinbaseV3()
    assert adapter.login() == [b'{"type":"subscribe","channel":"heartbeats"}']
    wanted = [
        Channel("coinbase", symbol, kind) for symbol in ("BTC-USD", "ETH-USD") for kind in ("book", "trade")
    ]
    assert [json.loads(each) for each in adapter.subscribe(wanted)] == [
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "level2"},
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "market_trades"},
    ]
    [gone] = adapter.unsubscribe(wanted[:1])
    assert json.loads(gone) == {"type": "unsubscribe", "product_ids": ["BTC-USD"], "channel": "level2"}


def test_books_and_trades_are_verified_until_a_number_is_left_out() -> None:
    channels = [Channel("coinbase", "BTC-USD", kind) for kind in ("book", "trade")]
    session = opened(CoinbaseV3(), channels)
    session.effects()
    sent = [
        frame(b"l2_data", 0, SNAPSHOT),
        frame(b"subscriptions", 1, SUBSCRIPTIONS),
        frame(b"heartbeats", 2, BEAT),
        frame(b"market_trades", 3, trades(b"update", 7)),
        frame(b"l2_data", 4, UPDATE),
    ]
    events = [event for each in sent for event in session.receive(each, 2)]
    data = [event for event in events if isinstance(event, BookUpdate | Trade)]
    assert len(data) == 3
    assert {event.trust for event in data} == {Trust.VERIFIED}
    events = session.receive(frame(b"heartbeats", 6, BEAT), 3)
    assert {e.channel for e in events if isinstance(e, Gap)} == set(map(str, channels))
    assert session.effects() == [Close("frame 4 was followed by 6")]
    assert session.receive(frame(b"l2_data", 7, UPDATE), 4) == []
    assert conserved(session)


def test_a_first_frame_that_was_lost_is_noticed() -> None:
    session = opened(CoinbaseV3(), [Channel("coinbase", "BTC-USD", "book")])
    session.effects()
    session.receive(frame(b"l2_data", 1, SNAPSHOT), 2)
    assert session.effects() == [Close("frame -1 was followed by 1")]


def test_history_is_read_page_by_page() -> None:
    adapter, channel = CoinbaseV3(), Channel("coinbase", "BTC-USD", "trade")
    span = Span(100 * SECOND, 200 * SECOND + 1)
    ticker = "/api/v3/brokerage/market/products/BTC-USD/ticker"
    assert adapter.history_path(channel, span) == f"{ticker}?limit={TRADES}&start=100&end=201"
    page = json.loads(trades(b"update", *range(TRADES)))
    history = adapter.decode_history(channel, json.dumps(page | {"best_bid": "1"}).encode())
    assert history.events[7] == trade(7)
    assert history.page == str(TRADE_NS // SECOND + 1)
    assert adapter.history_path(channel, span, "150") == f"{ticker}?limit={TRADES}&start=100&end=150"
    assert adapter.decode_history(channel, trades(b"update", 7)).page == ""


def test_candles_are_read_over_rest_where_one_page_holds_them() -> None:
    adapter, channel = CoinbaseV3(), Channel("coinbase", "BTC-USD", "bar.5m")
    path = adapter.history_path(channel, Span(0, 300 * SECOND))
    candles = "/api/v3/brokerage/market/products/BTC-USD/candles"
    assert path == f"{candles}?granularity=FIVE_MINUTE&limit=350&start=0&end=300"
    assert adapter.history_path(channel, Span(0, 350 * 300 * SECOND)) is None
    [bar] = adapter.decode_history(channel, b'{"candles":[%b]}' % (CANDLE % (1688998200, b""))).events
    assert isinstance(bar, Bar)
    assert (bar.channel, bar.start_ns, bar.low_text) == (str(channel), 1688998200 * SECOND, "1865.63")


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        ("BTC-USD", "BTC-USD"),
        ("btcusd", "BTC-USD"),
        ("BTC-USDC", "BTC-USD"),  # the venue tells it of BTC-USD
        ("USDT-USDC", "USDT-USDC"),
        ("EURC-USDC", "EURC-USDC"),
    ],
)
def test_symbols_are_spelt_as_the_venue_tells_them(written: str, symbol: str) -> None:
    assert CoinbaseV3.canonical(written) == symbol
    assert find("coinbase", "v3") is CoinbaseV3


def test_products_that_are_told_of_another_are_not_listed() -> None:
    product = b'{"product_id":"%b","base_increment":"0.00000001","quote_increment":"0.01","status":"%b"}'
    products = [(b"BTC-USD", b"online"), (b"BTC-USDC", b"online"), (b"ETH-USD", b"delisted")]
    body = b'{"products":[%b],"num_products":3}' % b",".join(product % each for each in products)
    [path] = CoinbaseV3().symbols_paths()
    listed = CoinbaseV3().decode_symbols(path, body)
    assert listed == [Instrument("BTC-USD", "BTC-USD", "0.01", "0.00000001")]
