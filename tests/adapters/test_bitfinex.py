"""Bitfinex: arrays by the number of their channel, the count of frames, the checksum of books."""

import json
from decimal import Decimal
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.bitfinex import PAGE, Bitfinex, fingerprint, javascript
from livetape.core.adapter import Span
from livetape.core.book import Book
from livetape.core.effects import Close, Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Checksum,
    Closing,
    Counter,
    Denied,
    Gap,
    Heartbeat,
    Message,
    Origin,
    Summary,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel
from livetape.core.times import SECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

NUMBERS = {"book": 1, "trade": 2, "summary": 3, "bar.1m": 4}
SUBSCRIBED = [
    b'{"event":"subscribed","channel":"book","chanId":1,"symbol":"tBTCUSD","prec":"P0","freq":"F0","len":"25","pair":"BTCUSD"}',
    b'{"event":"subscribed","channel":"trades","chanId":2,"symbol":"tBTCUSD","pair":"BTCUSD"}',
    b'{"event":"subscribed","channel":"ticker","chanId":3,"symbol":"tBTCUSD","pair":"BTCUSD"}',
    b'{"event":"subscribed","channel":"candles","chanId":4,"key":"trade:1m:tBTCUSD"}',
]
MS = 1_564_617_600_784
NS = MS * 1_000_000
BOOK = b"[1,[[6000,1,1],[5900.0,1,2],[6100,1,-3],[6200,1,-4]],1]"
TICKER = (
    b"[3,[2.271e-05,657877.46,2.274e-05,197418.99,-1.77e-06,-0.0177,2.276e-05,81802.36,2.453e-05,2.276e-05,null],"
    b"5,1564617600784]"
)
CANDLE = b"[4,[1564617600000,1.0,2,3,0.5,4.9e-7],6,1564617600784]"


def subscribed() -> Bitfinex:
    adapter = Bitfinex()
    for frame in SUBSCRIBED:
        adapter.decode(frame)
    return adapter


def trade(number: int, side: str, size: str, origin: Origin = Origin.LIVE) -> Trade:
    return Trade("bitfinex:BTC-USD/trade", NS, "10087.98", size, side, str(number), origin=origin)


def bar(start_ms: int, volume: str = "4.9e-7", venue_ns: int | None = NS) -> Bar:
    name = "bitfinex:BTC-USD/bar.1m"
    return Bar(name, start_ms * 1_000_000, "1.0", "3", "0.5", "2", volume, venue_ns=venue_ns)


@pytest.mark.parametrize(
    ("frame", "messages"),
    [
        (
            BOOK,
            [
                Counter(0),
                BookUpdate(
                    "bitfinex:BTC-USD/book",
                    None,
                    True,
                    [("6000", "1"), ("5900.0", "2")],
                    [("6100", "3"), ("6200", "4")],
                ),
            ],
        ),
        (
            b"[1,[218.99,0,-1],61,1564617600784]",
            [Counter(60), BookUpdate("bitfinex:BTC-USD/book", NS, False, [], [("218.99", "0")])],
        ),
        (
            b"[1,[218.03,0,1],62]",
            [Counter(61), BookUpdate("bitfinex:BTC-USD/book", None, False, [("218.03", "0")], [])],
        ),
        (b"[1,[],1]", [Counter(0), BookUpdate("bitfinex:BTC-USD/book", None, True, [], [])]),
        (
            b'[1,"cs",-1234567,7,1564617600784]',
            [Counter(6), Checksum("bitfinex:BTC-USD/book", -1234567)],
        ),
        (b'[1,"hb",3603,1569715249702]', [Counter(3602), Heartbeat()]),
        (
            b"[2,[[9,1564617600784,-0.50,10087.98],[8,1564617600784,0.25,10087.98]],2]",
            [
                Counter(1),
                trade(8, "buy", "0.25", Origin.BACKFILLED),
                trade(9, "sell", "0.50", Origin.BACKFILLED),
            ],
        ),
        (b'[2,"te",[10,1564617600784,-0.5,10087.98],3]', [Counter(2), trade(10, "sell", "0.5")]),
        (b'[2,"tu",[10,1564617600784,-0.5,10087.98],4]', [Counter(3), trade(10, "sell", "0.5")]),
        (
            TICKER,
            [
                Counter(4),
                Summary(
                    "bitfinex:BTC-USD/summary",
                    NS,
                    None,
                    "2.453e-05",
                    "2.276e-05",
                    "2.276e-05",
                    volume_text="81802.36",
                ),
            ],
        ),
        (CANDLE, [Counter(5), bar(1564617600000)]),
        (
            b"[4,[[1564617600000,1.0,2,3,0.5,1],[1564617540000,1.0,2,3,0.5,2]],7]",
            [Counter(6), bar(1564617540000, "2", None), bar(1564617600000, "1", None)],
        ),
        (b"[99,[1,2,3],8]", [Counter(7), Heartbeat()]),
        (b'{"event":"info","version":2,"serverId":"","platform":{"status":1}}', [Heartbeat()]),
        (b'{"event":"info","code":20060}', [Heartbeat()]),
        (b'{"event":"info","code":20051}', [Closing("the venue wants to be dialled anew")]),
        (b'{"event":"info","code":20061}', [Closing("the venue wants to be dialled anew")]),
        (b'{"event":"conf","status":"OK","flags":229376}', [Heartbeat()]),
        (b'{"event":"conf","status":"FAILED"}', [Closing("the venue refuses our flags: FAILED")]),
        (b'{"event":"pong","ts":1511545528111,"cid":1234}', [Heartbeat()]),
        (SUBSCRIBED[3], [Ack("bitfinex:BTC-USD/bar.1m")]),
        (b'{"event":"unsubscribed","status":"OK","chanId":1}', [Heartbeat()]),
        (
            b'{"event":"error","msg":"symbol: invalid","code":10300,"channel":"book","symbol":"tFOOBAR"}',
            [Denied("symbol: invalid (10300)", ("bitfinex:FOO-BAR/book",), Why.SYMBOL)],
        ),
        (
            b'{"event":"error","msg":"limit","code":10305,"channel":"candles","key":"trade:1D:tAAVE:USD"}',
            [Denied("limit (10305)", ("bitfinex:AAVE-USD/bar.1d",), Why.LIMIT)],
        ),
        (b'{"event":"error","msg":"unknown","code":10302}', [Denied("unknown (10302)")]),
        (b'{"event":"error","msg":"subscribe: dup","code":10301,"symbol":"tBTCUSD"}', [Heartbeat()]),
    ],
)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, messages: list[Message]) -> None:
    assert subscribed().decode(frame) == messages


@given(frame=st.binary(max_size=200) | damaged(st.sampled_from([*SUBSCRIBED, BOOK, TICKER, CANDLE])))
def test_any_damage_decodes_or_is_refused(frame: bytes) -> None:
    decodes_or_refuses(subscribed(), frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"[1,[6000,1,1]]",  # without its number
        b"[1,[6000,1,1],null]",
        b"[1,[-6000,1,1],1]",
        b'[1,["6000",1,1],1]',
        b'[2,"te",[10,-1,-0.5,10087.98],3]',
        b'[1,"cs",1.5,7]',
    ],
)
def test_what_makes_no_sense_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        subscribed().decode(frame)


def test_requests_name_the_channel_as_the_venue_does() -> None:
    adapter = Bitfinex({"depth": 30})
    assert adapter.login() == [b'{"event":"conf","flags":229376}']
    wanted = [Channel("bitfinex", "AAVE-USDT", kind) for kind in ("book", "trade", "summary", "bar.1w")]
    assert [json.loads(frame) for frame in adapter.subscribe(wanted)] == [
        {
            "event": "subscribe",
            "channel": "book",
            "symbol": "tAAVE:UST",
            "prec": "P0",
            "freq": "F0",
            "len": "100",
        },
        {"event": "subscribe", "channel": "trades", "symbol": "tAAVE:UST"},
        {"event": "subscribe", "channel": "ticker", "symbol": "tAAVE:UST"},
        {"event": "subscribe", "channel": "candles", "key": "trade:1W:tAAVE:UST"},
    ]
    with pytest.raises(ConfigError):
        Bitfinex({"depth": 251})


def test_a_channel_is_given_up_by_its_number_which_a_new_connection_forgets() -> None:
    adapter, book = subscribed(), Channel("bitfinex", "BTC-USD", "book")
    assert adapter.unsubscribe([book]) == [b'{"event":"unsubscribe","chanId":1}']
    adapter.login()
    assert adapter.unsubscribe([book]) == []


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        ("tBTCUSD", "BTC-USD"),
        ("btcusd", "BTC-USD"),
        ("tBTCUST", "BTC-USDT"),
        ("BTC/USDT", "BTC-USDT"),
        ("tTESTBTC:TESTUSD", "TESTBTC-TESTUSD"),
        ("AAVE:USD", "AAVE-USD"),
        ("trxusd", "TRX-USD"),
    ],
)
def test_symbols_may_be_spelt_as_the_venue_does(written: str, symbol: str) -> None:
    assert Bitfinex.canonical(written) == symbol


# The checksum


def test_the_fingerprint_interleaves_both_sides_and_is_signed() -> None:
    book = Book()
    book.apply([("5900.0", "2"), ("6000", "1.0")], [("6200", "4"), ("6100", "3")])
    assert Bitfinex().checksum(book) % (1 << 32) == crc32(b"6000:1:6100:-3:5900:2:6200:-4")
    seen = {fingerprint([(str(price), "1")], []) < 0 for price in range(1, 50)}
    assert seen == {True, False}


def test_a_side_may_be_shorter_and_what_lies_below_the_25th_level_is_not_covered() -> None:
    assert fingerprint([("3", "1"), ("2", "1")], [("4", "5")]) % (1 << 32) == crc32(b"3:1:4:-5:2:1")
    book = Book()
    book.apply([(str(price), "1") for price in range(1, 26)], [])
    before = Bitfinex().checksum(book)
    book.apply([("0.5", "1")], [])
    assert Bitfinex().checksum(book) == before


def test_exponents_of_prices_are_written_out_those_of_amounts_are_not() -> None:
    assert fingerprint([("1.7e-8", "0.0000001")], []) % (1 << 32) == crc32(b"0.000000017:1e-7")


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("6000.0", "6000"),
        ("0.10", "0.1"),
        ("0", "0"),
        ("0.0", "0"),
        ("1e-6", "0.000001"),
        ("0.0000001", "1e-7"),
        ("0.00000017", "1.7e-7"),
        ("1e20", "100000000000000000000"),
        ("2.2626931299999997", "2.2626931299999997"),
        ("0.1000000000000000055511", "0.1"),
    ],
)
def test_numbers_are_written_as_javascript_does(number: str, written: str) -> None:
    assert javascript(number) == written


@given(st.decimals(0, 10**18, allow_nan=False, places=12))
def test_a_written_number_is_the_shortest_text_of_the_same_float(number: Decimal) -> None:
    written = javascript(f"{number:f}")
    assert float(written) == float(number)
    assert javascript(written) == written
    assert len(written.replace(".", "").strip("0")) <= 17 or "e" in written
    assert ("e" in written) == (0 < number < Decimal("0.000001"))
    assert not written.endswith((".", ".0"))


# In a session


def started() -> list[bytes]:
    return [SUBSCRIBED[0], SUBSCRIBED[1], BOOK]


def test_a_book_is_verified_and_its_checksum_holds() -> None:
    session = opened(Bitfinex(), [Channel("bitfinex", "BTC-USD", "book")])
    session.effects()
    book = Book()
    book.apply([("6000", "1"), ("5900", "2")], [("6100", "3"), ("6200", "4")])
    right = b'[1,"cs",%d,2]' % Bitfinex().checksum(book)
    events = [event for frame in [*started(), right] for event in session.receive(frame, 2)]
    assert [(e.trust, e.book.top(1)) for e in events if isinstance(e, BookUpdate)] == [
        (Trust.VERIFIED, ([(6000.0, 1.0)], [(6100.0, 3.0)]))
    ]
    assert session.effects() == []
    events = session.receive(b'[1,"cs",12345,3]', 3)
    assert [e.cause for e in events if isinstance(e, Gap)] == ["checksum"]
    sent = [json.loads(effect.frame) for effect in session.effects() if isinstance(effect, Send)]
    assert [(each["event"], each.get("chanId")) for each in sent] == [("unsubscribe", 1), ("subscribe", None)]
    assert conserved(session)


def test_a_number_that_is_left_out_ends_the_connection() -> None:
    session = opened(Bitfinex(), [Channel("bitfinex", "BTC-USD", kind) for kind in ("book", "trade")])
    session.effects()
    for frame in started():
        session.receive(frame, 2)
    events = session.receive(b'[2,"hb",3]', 3)
    assert {e.channel for e in events if isinstance(e, Gap)} == {
        f"bitfinex:BTC-USD/{k}" for k in ("book", "trade")
    }
    assert session.effects() == [Close("frame 0 was followed by 2")]


def test_a_trade_that_is_told_twice_is_handed_out_once() -> None:
    session = opened(Bitfinex(), [Channel("bitfinex", "BTC-USD", "trade")])
    frames = [
        SUBSCRIBED[1],
        b"[2,[[8,1564617600784,0.25,10087.98]],1]",
        b'[2,"te",[10,1564617600784,-0.5,10087.98],2]',
        b'[2,"te",[11,1564617600784,-0.5,10087.98],3]',
        b'[2,"tu",[10,1564617600784,-0.5,10087.98],4]',
        b'[2,"tu",[11,1564617600784,-0.5,10087.98],5]',
    ]
    events = [event for frame in frames for event in session.receive(frame, 2)]
    trades = [event for event in events if isinstance(event, Trade)]
    assert [event.id for event in trades] == ["10", "11"]
    assert {event.trust for event in trades} == {Trust.VERIFIED}
    assert conserved(session)


# History


def test_trades_and_candles_are_read_again_page_by_page() -> None:
    adapter, trades = Bitfinex(), Channel("bitfinex", "BTC-USD", "trade")
    span, query = Span(1 * SECOND, 2 * SECOND + 1), f"hist?limit={PAGE}&sort=1"
    assert adapter.history_path(trades, span) == f"/v2/trades/tBTCUSD/{query}&start=1000&end=2001"
    history = adapter.decode_history(trades, b"[[8,1564617600784,0.25,10087.98]]")
    assert (history.events, history.page) == ([trade(8, "buy", "0.25")], "")
    full = json.dumps([[number, MS + number, 1, 2] for number in range(PAGE)]).encode()
    page = adapter.decode_history(trades, full).page
    assert page == str(MS + PAGE - 1)
    assert adapter.history_path(trades, span, page) == f"/v2/trades/tBTCUSD/{query}&start={page}&end=2001"
    bars = Channel("bitfinex", "BTC-USD", "bar.1m")
    assert adapter.history_path(bars, span) == f"/v2/candles/trade:1m:tBTCUSD/{query}&start=1000&end=2001"
    history = adapter.decode_history(bars, b"[[1564617600000,1.0,2,3,0.5,4.9e-7]]")
    assert history.events == [bar(1564617600000, venue_ns=None)]
    assert adapter.history_path(Channel("bitfinex", "BTC-USD", "summary"), span) is None
