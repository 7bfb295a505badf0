"""Hyperliquid: each kind of message, books sent whole, the trades that come first."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.hyperliquid import Hyperliquid
from livetape.core.errors import DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Denied,
    Heartbeat,
    Message,
    Origin,
    Quote,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel
from livetape.core.times import MILLISECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

MS = MILLISECOND
AT = 1_730_160_007_687
NAME = "hyperliquid:BTC-USD-PERP"
BOOK, TRADES = (Channel("hyperliquid", "BTC-USD-PERP", kind) for kind in ("book", "trade"))


def depth(at_ms: int, bid: bytes = b"59.80") -> bytes:
    return (
        b'{"channel":"l2Book","data":{"coin":"BTC","time":%d,"levels":[[{"px":"%b","sz":"3.4","n":1}],'
        b'[{"px":"59.811","sz":"2.9","n":1},{"px":"59.832","sz":"17.6","n":1}]]}}' % (at_ms, bid)
    )


def printed(tid: int, side: bytes = b"B", coin: bytes = b"BTC") -> bytes:
    return (
        b'{"channel":"trades","data":[{"coin":"%b","side":"%b","px":"69998.0","sz":"0.00714","time":%d,'
        b'"hash":"0xb2","tid":%d,"users":["0x59","0x68"]}]}' % (coin, side, AT, tid)
    )


def book(at_ms: int) -> BookUpdate:
    return BookUpdate(
        str(BOOK), at_ms * MS, True, [("59.80", "3.4")], [("59.811", "2.9"), ("59.832", "17.6")]
    )


BBO = (
    b'{"channel":"bbo","data":{"coin":"BTC","time":1730160007687,"bbo":[{"px":"0.97925","sz":"4144.60","n":1},'
    b'{"px":"0.97934","sz":"50.0","n":1}]}}'
)
NO_BID = (
    b'{"channel":"bbo","data":{"coin":"BTC","time":1730160007687,"bbo":[null,{"px":"2","sz":"50.0","n":1}]}}'
)
CANDLE = (
    b'{"channel":"candle","data":{"t":1730160000000,"T":1730160059999,"s":"BTC","i":"1m","o":"69997.0",'
    b'"c":"69998.0","h":"69999.0","l":"69990.0","v":"1.250","n":17}}'
)
CONFIRMED = b'{"channel":"subscriptionResponse","data":{"method":"%b","subscription":%b}}'
SAID: list[tuple[bytes, Message]] = [
    (depth(AT), book(AT)),
    (
        b'{"channel":"l2Book","data":{"coin":"SHIA","time":1730160007687,"levels":[[],[]]}}',
        BookUpdate("hyperliquid:SHIA-USD-PERP/book", AT * MS, True, [], []),
    ),
    (printed(7), Trade(str(TRADES), AT * MS, "69998.0", "0.00714", "buy", "7")),
    (printed(8, b"A"), Trade(str(TRADES), AT * MS, "69998.0", "0.00714", "sell", "8")),
    (BBO, Quote(f"{NAME}/quote", AT * MS, "0.97925", "4144.60", "0.97934", "50.0")),
    (NO_BID, Quote(f"{NAME}/quote", AT * MS, None, None, "2", "50.0")),
    (
        CANDLE,
        Bar(
            f"{NAME}/bar.1m",
            1730160000000 * MS,
            "69997.0",
            "69999.0",
            "69990.0",
            "69998.0",
            "1.250",
            trades=17,
        ),
    ),
    (
        CONFIRMED % (b"subscribe", b'{"type":"l2Book","coin":"BTC","nSigFigs":5,"mantissa":null}'),
        Ack(str(BOOK)),
    ),
    (
        CONFIRMED % (b"subscribe", b'{"type":"candle","coin":"kPEPE","interval":"1m"}'),
        Ack("hyperliquid:kPEPE-USD-PERP/bar.1m"),
    ),
    (CONFIRMED % (b"unsubscribe", b'{"type":"l2Book","coin":"BTC"}'), Heartbeat()),
    (
        b'{"channel":"error","data":"Invalid subscription {\\"type\\":\\"trades\\",\\"coin\\":\\"XYZ\\"}"}',
        Denied("Invalid subscription", ("hyperliquid:XYZ-USD-PERP/trade",), Why.SYMBOL),
    ),
    (
        b'{"channel":"error","data":"Already subscribed: {\\"type\\":\\"trades\\",\\"coin\\":\\"BTC\\"}"}',
        Heartbeat(),
    ),
    (b'{"channel":"error","data":"Too many requests"}', Denied("Too many requests", why=Why.OTHER)),
    (b'{"channel":"pong"}', Heartbeat()),
    (b'{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{}}}', Heartbeat()),
    (b'{"channel":"allMids","data":{"mids":{"BTC":"1"}}}', Heartbeat()),
]


@pytest.mark.parametrize(("frame", "message"), SAID)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, message: Message) -> None:
    assert Hyperliquid().decode(frame) == [message]


@given(st.binary() | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(Hyperliquid(), frame)


@pytest.mark.parametrize(
    ("frame", "old", "new"),
    [
        (depth(AT), b'"59.811"', b'"-59.811"'),
        (depth(AT), b'"3.4"', b"3.4"),
        (printed(7), b'"B"', b'"buy"'),
        (printed(7), b'"0.00714"', b'"Infinity"'),
        (BBO, b'"50.0"', b'""'),
        (CANDLE, b'"1.250"', b'"-1"'),
        (SAID[7][0], b"l2Book", b"l3Book"),
    ],
)
def test_what_is_no_number_or_not_known_is_refused(frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    with pytest.raises(DecodeError):
        Hyperliquid().decode(frame.replace(old, new))


@pytest.mark.parametrize(
    ("spelt", "symbol", "coin"),
    [
        ("BTC", "BTC-USD-PERP", "BTC"),
        ("BTC-USD-PERP", "BTC-USD-PERP", "BTC"),
        ("kPEPE", "kPEPE-USD-PERP", "kPEPE"),
        ("PURR/USDC", "PURR-USDC", "PURR/USDC"),
    ],
)
def test_a_coin_alone_is_its_perpetual(spelt: str, symbol: str, coin: str) -> None:
    assert Hyperliquid.canonical(spelt) == symbol
    channels = [Channel("hyperliquid", symbol, kind) for kind in ("book", "bar.5m")]
    frames = Hyperliquid().subscribe(channels)
    assert [json.loads(frame) for frame in frames] == [
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": coin}},
        {"method": "subscribe", "subscription": {"type": "candle", "coin": coin, "interval": "5m"}},
    ]
    assert [json.loads(frame)["method"] for frame in Hyperliquid().unsubscribe(channels)] == [
        "unsubscribe"
    ] * 2
    assert Hyperliquid().heartbeat(0) == b'{"method":"ping"}'


def test_a_book_that_was_overtaken_is_not_told() -> None:
    session = opened(Hyperliquid(), [BOOK])
    events = [event for at in (AT, AT + 2, AT + 1, AT + 2) for event in session.receive(depth(at), 2)]
    books = [event for event in events if isinstance(event, BookUpdate)]
    assert [each.venue_ns for each in books] == [AT * MS, (AT + 2) * MS, (AT + 2) * MS]
    assert {each.trust for each in books} == {Trust.UNVERIFIABLE}
    assert conserved(session)


def test_a_bad_book_leaves_no_trace() -> None:
    adapter = Hyperliquid()
    with pytest.raises(DecodeError):
        adapter.decode(depth(AT + 9, b"-1"))
    assert adapter.decode(depth(AT)) == [book(AT)]


def test_the_trades_that_come_first_are_older_than_the_subscription() -> None:
    adapter = Hyperliquid()
    adapter.subscribe([TRADES, Channel("hyperliquid", "ETH-USD-PERP", "trade")])
    frames = printed(1), printed(2), printed(3, coin=b"ETH"), printed(4, coin=b"ETH")
    said = [message for frame in frames for message in adapter.decode(frame)]
    origins = [message.origin for message in said if isinstance(message, Trade)]
    assert origins == [Origin.BACKFILLED, Origin.LIVE] * 2


def test_a_trade_that_comes_twice_is_told_once() -> None:
    session = opened(Hyperliquid(), [TRADES])
    events = [event for tid in (1, 2, 2, 3) for event in session.receive(printed(tid), 2)]
    assert [event.id for event in events if isinstance(event, Trade)] == ["2", "3"]
    assert conserved(session)
