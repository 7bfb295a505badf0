"""What the venues' frames say, and what we send them, to the letter; all are recorded or documented."""

from collections.abc import Sequence
from zlib import crc32

import pytest

from livetape.adapters import find
from livetape.core.adapter import Adapter
from livetape.core.book import Book
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Closing,
    Counter,
    Denied,
    Heartbeat,
    Message,
    Origin,
    Quote,
    Trade,
    Why,
)
from livetape.core.instruments import Channel, Instrument

MS = 1_000_000


def channels(*names: str) -> list[Channel]:
    return [Channel.parse(name) for name in names]


def subscribed(venue: str, *names: str, api: str = "", **options: object) -> Adapter:
    adapter = find(venue, api)(options)
    adapter.subscribe(channels(*names))
    return adapter


# Kraken


def kraken_book(kind: str) -> bytes:
    return (
        b'{"channel":"book","type":"%b","data":[{"symbol":"ETH/USD","bids":[{"price":0.50930100,"qty":0.00000500}],'
        b'"asks":[{"price":1877.64,"qty":0.79488026}],"checksum":114690792,"timestamp":"2026-08-02T04:23:43.220187Z"}]}'
    ) % kind.encode()


KRAKEN_TRADE = (
    b'{"channel":"trade","type":"%b","data":['
    b'{"symbol":"BTC/USD","side":"sell","price":63004.90,"qty":0.5,"ord_type":"limit","trade_id":8,'
    b'"timestamp":"2026-08-02T04:23:43.220187Z"},'
    b'{"symbol":"BTC/USD","side":"buy","price":63005.0,"qty":1e-8,"ord_type":"market","trade_id":7,'
    b'"timestamp":"2026-08-02T04:23:43.220187Z"}]}'
)
MOMENT = 1785644623_220187_000

KRAKEN: list[tuple[bytes, list[Message]]] = [
    (
        kraken_book("update"),
        [
            BookUpdate(
                "kraken:ETH-USD/book",
                MOMENT,
                False,
                [("0.50930100", "0.00000500")],
                [("1877.64", "0.79488026")],
                checksum=114690792,
            )
        ],
    ),
    (
        b'{"channel":"book","type":"snapshot","data":[{"symbol":"A/B","bids":[],"asks":[],"checksum":0}]}',
        [BookUpdate("kraken:A-B/book", None, True, [], [], checksum=0)],  # older snapshots have no time
    ),
    (
        KRAKEN_TRADE % b"update",
        [
            Trade("kraken:BTC-USD/trade", MOMENT, "63004.90", "0.5", "sell", "8", 8),
            Trade("kraken:BTC-USD/trade", MOMENT, "63005.0", "1e-8", "buy", "7", 7),
        ],
    ),
    (
        KRAKEN_TRADE % b"snapshot",  # history, put in order
        [
            Trade("kraken:BTC-USD/trade", MOMENT, "63005.0", "1e-8", "buy", "7", 7, origin=Origin.BACKFILLED),
            Trade(
                "kraken:BTC-USD/trade", MOMENT, "63004.90", "0.5", "sell", "8", 8, origin=Origin.BACKFILLED
            ),
        ],
    ),
    (
        b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1.10,"bid_qty":2,"ask":1.2,'
        b'"ask_qty":3.0,"last":1.1}]}',
        [Quote("kraken:BTC-USD/quote", None, "1.10", "2", "1.2", "3.0")],
    ),
    (
        b'{"channel":"ohlc","type":"update","timestamp":"2026-08-02T04:23:43.220187Z","data":[{"symbol":"BTC/USD",'
        b'"open":1,"high":2.0,"low":0.5,"close":1.5,"trades":3,"volume":9.50,"vwap":1.2,'
        b'"interval_begin":"2026-08-02T04:20:00.000000000Z","interval":5}]}',
        [
            Bar(
                "kraken:BTC-USD/bar.5m",
                1785644400_000_000_000,
                "1",
                "2.0",
                "0.5",
                "1.5",
                "9.50",
                trades=3,
                vwap_text="1.2",
            )
        ],
    ),
    (
        b'{"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,"symbol":"BTC/USD"},'
        b'"success":true,"time_in":"2026-08-02T04:23:42.847625Z","time_out":"2026-08-02T04:23:42.847670Z"}',
        [Ack("kraken:BTC-USD/book")],
    ),
    (
        b'{"method":"subscribe","result":{"channel":"ticker","snapshot":true,"symbol":"BTC/USD"},"success":true}',
        [Ack("kraken:BTC-USD/quote")],
    ),
    (
        b'{"method":"subscribe","result":{"channel":"ohlc","interval":60,"symbol":"BTC/USD"},"success":true}',
        [Ack("kraken:BTC-USD/bar.1h")],
    ),
    (
        b'{"method":"unsubscribe","result":{"channel":"book","depth":10,"symbol":"BTC/USD"},"success":true}',
        [Heartbeat()],
    ),
    (b'{"error":"Subscription depth not supported","method":"unsubscribe","success":false}', [Heartbeat()]),
    (
        b'{"error":"Subscription depth not supported","method":"subscribe","success":false}',
        [Denied("Subscription depth not supported")],
    ),
    (
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        b'"connection_id":7204881492680171915}]}',
        [Heartbeat()],
    ),
    (b'{"channel":"heartbeat"}', [Heartbeat()]),
    (b'{"method":"pong","req_id":1}', [Heartbeat()]),
]


@pytest.mark.parametrize(("frame", "said"), KRAKEN)
def test_kraken_says(frame: bytes, said: list[Message]) -> None:
    assert find("kraken")().decode(frame) == said


def test_kraken_is_asked_in_one_frame_for_each_kind() -> None:
    kraken = find("kraken")({"depth": 11})
    wanted = channels(
        "kraken:BTC-USD/book", "kraken:ETH-USD/book", "kraken:BTC-USD/trade", "kraken:BTC-USD/quote"
    )
    assert kraken.subscribe([*wanted, *channels("kraken:BTC-USD/bar.1h")]) == [
        b'{"method":"subscribe","params":{"channel":"book","depth":25,"snapshot":true,'
        b'"symbol":["BTC/USD","ETH/USD"]},"req_id":1}',
        b'{"method":"subscribe","params":{"channel":"trade","snapshot":true,"symbol":["BTC/USD"]},"req_id":2}',
        b'{"method":"subscribe","params":{"channel":"ticker","event_trigger":"bbo","snapshot":true,'
        b'"symbol":["BTC/USD"]},"req_id":3}',
        b'{"method":"subscribe","params":{"channel":"ohlc","interval":60,"snapshot":true,'
        b'"symbol":["BTC/USD"]},"req_id":4}',
    ]
    assert kraken.unsubscribe(wanted[:1]) == [
        b'{"method":"unsubscribe","params":{"channel":"book","depth":25,"symbol":["BTC/USD"]},"req_id":5}'
    ]
    assert kraken.subscribe([]) == []
    assert kraken.probe() == b'{"method":"ping"}'


def test_kraken_names_the_channels_that_it_refuses() -> None:
    kraken = subscribed("kraken", "kraken:ABC-USD/book", "kraken:BTC-USD/book", "kraken:ABC-USD/trade")
    refusal = b'{"error":"Currency pair not supported ABC/USD","method":"subscribe","success":false%b}'
    reason = "Currency pair not supported ABC/USD"
    assert kraken.decode(refusal % b',"symbol":"ABC/USD","req_id":1') == [
        Denied(reason, ("kraken:ABC-USD/book",))
    ]
    [denied] = kraken.decode(refusal % b',"symbol":"ABC/USD"')
    assert isinstance(denied, Denied)
    assert denied.channels[:2] == ("kraken:ABC-USD/trade", "kraken:ABC-USD/book")
    assert kraken.decode(refusal % b',"req_id":2') == [Denied(reason, ("kraken:ABC-USD/trade",))]


@pytest.mark.parametrize("depth", [0, -1, 1001, "ten", 2.5])
def test_a_depth_that_kraken_does_not_offer_is_the_users_error(depth: object) -> None:
    with pytest.raises(ConfigError, match="did you mean 10 or 25 or 100 or 500 or 1000"):
        find("kraken")({"depth": depth})


def test_krakens_checksum_runs_over_the_text_of_the_ten_best_levels() -> None:
    """The example of the documentation: prices lose their point, and both numbers their leading zeros."""
    asks = [(f"0.050{n}", "0.00000500") for n in range(10)] + [("0.0600", "1"), ("0.0601", "1")]
    bids = [(f"0.049{n}", "0.00000500") for n in range(9, -1, -1)]
    book = Book()
    book.apply(bids, asks)
    text = "".join(f"50{n}500" for n in range(10)) + "".join(f"49{n}500" for n in range(9, -1, -1))
    assert find("kraken")().checksum(book) == crc32(text.encode())


# Binance

BINANCE: list[tuple[bytes, list[Message]]] = [
    (
        b'{"stream":"nknusdt@depth@100ms","data":{"e":"depthUpdate","E":1633998512068,"s":"NKNUSDT","U":499869750,'
        b'"u":499869752,"b":[["0.35130000","6195.00000000"],["0.34750000","0.00000000"]],"a":[]}}',
        [
            BookUpdate(
                "binance:NKN-USDT/book",
                1633998512068 * MS,
                False,
                [("0.35130000", "6195.00000000"), ("0.34750000", "0.00000000")],
                [],
                499869750,
                499869752,
            )
        ],
    ),
    (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
        b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}',
        [
            Trade(
                "binance:BTC-USDT/trade",
                1723161255342 * MS,
                "61837.63000000",
                "0.02000000",
                "sell",
                "3735683259",
                3735683259,
            )
        ],
    ),
    (
        b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
        b'"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}',
        [
            Quote(
                "binance:BTC-USDT/quote",
                None,
                "61837.63000000",
                "3.78826000",
                "61837.64000000",
                "1.54698000",
                50093239212,
            )
        ],
    ),
    (
        b'{"stream":"lrcbtc@kline_1m","data":{"e":"kline","E":1633998512068,"s":"LRCBTC","k":{"t":1633998480000,'
        b'"T":1633998539999,"s":"LRCBTC","i":"1m","f":1,"L":2,"o":"1","c":"4","h":"2","l":"3","v":"5","n":6,'
        b'"x":true,"q":"7","V":"8","Q":"9","B":"0"}}}',
        [
            Bar(
                "binance:LRC-BTC/bar.1m",
                1633998480000 * MS,
                "1",
                "2",
                "3",
                "4",
                "5",
                trades=6,
                closed=True,
                venue_ns=1633998512068 * MS,
            )
        ],
    ),
    (b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT","a":1}}', [Heartbeat()]),
    (
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
        [Closing("the server announced its restart")],
    ),
    (b'{"result":null,"id":1}', [Ack("binance:BTC-USDT/book"), Ack("binance:NKN-USDT/trade")]),
    (b'{"result":null,"id":99}', [Heartbeat()]),
    (
        b'{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
        [Denied("Invalid request: request ID must be an unsigned integer")],
    ),
    (
        b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
        [Denied('{"code":2,"msg":"Invalid request"}', ("binance:BTC-USDT/book", "binance:NKN-USDT/trade"))],
    ),
]


@pytest.mark.parametrize(("frame", "said"), BINANCE)
def test_binance_says(frame: bytes, said: list[Message]) -> None:
    assert subscribed("binance", "binance:BTC-USDT/book", "binance:NKN-USDT/trade").decode(frame) == said


def test_binance_is_asked_in_one_frame_for_everything() -> None:
    binance = find("binance")()
    wanted = [f"binance:BTC-USDT/{kind}" for kind in ("book", "trade", "quote", "bar.1m")]
    assert binance.subscribe(channels(*wanted)) == [
        b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade","btcusdt@bookTicker",'
        b'"btcusdt@kline_1m"],"id":1}'
    ]
    assert binance.unsubscribe(channels(wanted[0])) == [
        b'{"method":"UNSUBSCRIBE","params":["btcusdt@depth@100ms"],"id":2}'
    ]
    assert binance.probe() == b'{"method":"LIST_SUBSCRIPTIONS","id":3}'
    assert binance.snapshot_path("BTC-USDT") == "/api/v3/depth?symbol=BTCUSDT&limit=1000"


def test_binance_spells_a_symbol_as_it_was_asked_for() -> None:
    """Without a separator nobody can tell where the base ends, except from the wish."""
    binance = subscribed("binance", "binance:ABC-DEFG/quote")
    frame = b'{"stream":"abcdefg@bookTicker","data":{"u":1,"s":"ABCDEFG","b":"1","B":"1","a":"2","A":"1"}}'
    [quote] = binance.decode(frame)
    assert isinstance(quote, Quote)
    assert quote.channel == "binance:ABC-DEFG/quote"


def test_binance_us_is_binance_by_another_name() -> None:
    us = subscribed("binance_us", "binance_us:BTC-USD/book")
    [update] = us.decode(BINANCE[0][0])
    assert isinstance(update, BookUpdate)
    assert update.channel == "binance_us:NKN-USDT/book"
    assert us.decode_snapshot("BTC-USD", b'{"lastUpdateId":5,"bids":[["1.0","2"]],"asks":[]}') == BookUpdate(
        "binance_us:BTC-USD/book", None, True, [("1.0", "2")], [], 5, 5
    )


# Gemini

GEMINI: list[tuple[bytes, list[Message]]] = [
    (
        b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9122.04","0.00121425"],'
        b'["sell","9122.07","0.98942292"]],"trades":[{"type":"trade","symbol":"BTCUSD","event_id":169841458,'
        b'"timestamp":1560976400428,"price":"9122.04","quantity":"0.0073173","side":"sell"}]}',
        [
            Ack("gemini:BTC-USD/trade"),
            Ack("gemini:BTC-USD/auction"),
            BookUpdate(
                "gemini:BTC-USD/book", None, True, [("9122.04", "0.00121425")], [("9122.07", "0.98942292")]
            ),
        ],
    ),
    (
        b'{"type":"l2_updates","symbol":"ZECLTC","changes":[],"auction_events":[]}',  # a quiet pair
        [
            Ack("gemini:ZEC-LTC/trade"),
            Ack("gemini:ZEC-LTC/auction"),
            BookUpdate("gemini:ZEC-LTC/book", None, True, [], []),
        ],
    ),
    (
        b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9121.9","0"]]}',
        [BookUpdate("gemini:BTC-USD/book", None, False, [("9121.9", "0")], [])],
    ),
    (
        b'{"type":"trade","symbol":"BTCUSD","event_id":3575573053,"timestamp":1560976400428,"price":"9004.21",'
        b'"quantity":"0.09110000","side":"buy"}',
        [Trade("gemini:BTC-USD/trade", 1560976400428 * MS, "9004.21", "0.09110000", "buy", "3575573053")],
    ),
    (
        b'{"type":"trade","symbol":"ETHUSD","event_id":9608228023,"timestamp":1580919901276,"price":"200.19",'
        b'"quantity":"100","side":"block"}',
        [
            Trade(
                "gemini:ETH-USD/trade",
                1580919901276 * MS,
                "200.19",
                "100",
                None,
                "9608228023",
                None,
                ("block",),
            )
        ],
    ),
    (
        b'{"type":"candles_15m_updates","symbol":"BTCUSD","changes":[[1561055400000,2,2,2,2,2],'
        b"[1561054500000,9350.18,9358.35,9350.18,9355.51,2.07]]}",
        [
            Bar(
                "gemini:BTC-USD/bar.15m",
                1561054500000 * MS,
                "9350.18",
                "9358.35",
                "9350.18",
                "9355.51",
                "2.07",
            ),
            Bar("gemini:BTC-USD/bar.15m", 1561055400000 * MS, "2", "2", "2", "2", "2"),
        ],
    ),
    (b'{"type":"heartbeat","timestamp":1624493666869}', [Heartbeat()]),
    (
        b'{"result":"error","reason":"NoValidTradingPairs"}',
        [Denied("NoValidTradingPairs", why=Why.SYMBOL)],
    ),
]


@pytest.mark.parametrize(("frame", "said"), GEMINI)
def test_gemini_says(frame: bytes, said: list[Message]) -> None:
    assert find("gemini")().decode(frame) == said


def test_gemini_is_asked_in_upper_case_for_each_stream_of_a_symbol() -> None:
    gemini = find("gemini")()
    ask = b'{"type":"subscribe","subscriptions":[{"name":"%b","symbols":["%b"]}]}'
    wanted = [
        f"gemini:{each}" for each in ("BTC-USD/trade", "BTC-USD/book", "ETH-USD/book", "BTC-USD/bar.1m")
    ]
    assert gemini.subscribe(channels(*wanted)) == [
        ask % (b"l2", b"BTCUSD"),
        ask % (b"l2", b"ETHUSD"),
        ask % (b"candles_1m", b"BTCUSD"),
    ]
    assert gemini.unsubscribe(channels(wanted[0])) == [
        b'{"type":"unsubscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}'
    ]
    assert gemini.subscribe([]) == []


def test_gemini_refuses_in_the_order_in_which_it_was_asked() -> None:
    gemini = subscribed("gemini", "gemini:BTC-USD/book", "gemini:XYZ-USD/trade", "gemini:ETH-USD/book")
    gemini.decode(GEMINI[0][0])  # the first is answered
    [refusal] = gemini.decode(b'{"result":"error","reason":"NoValidTradingPairs"}')
    assert isinstance(refusal, Denied)
    assert set(refusal.channels) == {f"gemini:XYZ-USD/{kind}" for kind in ("trade", "book", "auction")}


# Gemini v1

GEMINI_V1: list[tuple[bytes, list[Message]]] = [
    (
        b'{"type":"update","eventId":148384309133,"socket_sequence":0,"events":[{"type":"change",'
        b'"reason":"initial","price":"20345.47","delta":"0.02943161","remaining":"0.02943161","side":"bid"},'
        b'{"type":"change","reason":"initial","price":"20345.54","delta":"0.24","remaining":"0.24","side":"ask"}]}',
        [
            Counter(0),
            Ack("gemini:BTC-USD/trade"),
            BookUpdate(
                "gemini:BTC-USD/book", None, True, [("20345.47", "0.02943161")], [("20345.54", "0.24")]
            ),
        ],
    ),
    (
        b'{"type":"update","eventId":5375547515,"timestamp":1547760288,"timestampms":1547760288001,'
        b'"socket_sequence":15,"events":[{"type":"trade","tid":5375547515,"price":"3632.54",'
        b'"amount":"0.1362819142","makerSide":"ask"}]}',
        [
            Counter(15),
            Trade("gemini:BTC-USD/trade", 1547760288001 * MS, "3632.54", "0.1362819142", "buy", "5375547515"),
        ],
    ),
    (
        b'{"type":"update","eventId":5375503736,"timestamp":1547759964,"timestampms":1547759964051,'
        b'"socket_sequence":2,"events":[{"type":"change","side":"bid","price":"3628.01","remaining":"0",'
        b'"delta":"-2","reason":"cancel"}]}',
        [Counter(2), BookUpdate("gemini:BTC-USD/book", 1547759964051 * MS, False, [("3628.01", "0")], [])],
    ),
    (
        b'{"type":"update","eventId":7,"timestampms":1547759964051,"socket_sequence":3,"events":['
        b'{"type":"trade","tid":8,"price":"1","amount":"2","makerSide":"auction"}]}',
        [
            Counter(3),
            Trade("gemini:BTC-USD/trade", 1547759964051 * MS, "1", "2", None, "8", None, ("auction",)),
        ],
    ),
    (b'{"type":"update","eventId":7,"socket_sequence":4,"events":[]}', [Counter(4)]),
    (b'{"type":"heartbeat","socket_sequence":5}', [Counter(5), Heartbeat()]),
    (
        b'{"result":"error","reason":"InvalidSymbol","message":"no such thing"}',
        [Denied("InvalidSymbol no such thing", why=Why.SYMBOL)],
    ),
]


@pytest.mark.parametrize(("frame", "said"), GEMINI_V1)
def test_gemini_v1_says(frame: bytes, said: list[Message]) -> None:
    adapter = subscribed("gemini", "gemini:BTC-USD/book", "gemini:BTC-USD/trade", api="v1")
    assert adapter.decode(frame) == said


@pytest.mark.parametrize(
    ("options", "kinds", "query"),
    [
        ({}, ("book",), "heartbeat=true&bids=true&offers=true"),
        ({}, ("trade",), "heartbeat=true&trades=true"),
        ({}, ("book", "trade"), "heartbeat=true&bids=true&offers=true&trades=true"),
        ({"top_of_book": True}, ("book",), "heartbeat=true&top_of_book=true&bids=true&offers=true"),
        ({"bids": False, "heartbeat": False}, ("book",), "heartbeat=false&bids=false&offers=true"),
    ],
)
def test_gemini_v1_is_asked_by_its_address(
    options: dict[str, object], kinds: Sequence[str], query: str
) -> None:
    adapter = find("gemini", "v1")(options)
    wanted = [Channel("gemini", "BTC-USD", kind) for kind in kinds]
    assert adapter.endpoint("wss://api.gemini.com/v1/marketdata", wanted) == (
        f"wss://api.gemini.com/v1/marketdata/btcusd?{query}"
    )
    assert adapter.subscribe(wanted) == adapter.unsubscribe(wanted) == []


def test_under_top_of_book_a_new_best_level_drops_the_old_one() -> None:
    adapter = subscribed("gemini", "gemini:BTC-USD/book", api="v1", top_of_book=True)
    book = Book()
    said = [message for frame, _ in GEMINI_V1[:1] for message in adapter.decode(frame)]
    frame = (
        b'{"type":"update","eventId":148384310757,"timestampms":1666771876031,"socket_sequence":%d,"events":'
        b'[{"type":"change","side":"ask","price":"%b","remaining":"%b","reason":"top-of-book"}]}'
    )
    for n, (price, size) in enumerate([("20346.56", "0.48"), ("20346.56", "0.24"), ("20340", "1")], 1):
        said += adapter.decode(frame % (n, price.encode(), size.encode()))
    for update in said:
        if isinstance(update, BookUpdate):
            book.apply(update.bids, update.asks)
    assert (book.bids.top(9), book.asks.top(9)) == ([("20345.47", "0.02943161")], [("20340", "1")])
    assert adapter.guarantees["book"].depth == 1


# Instruments


@pytest.mark.parametrize(
    ("venue", "body", "listed"),
    [
        (
            "kraken",
            b'{"error":[],"result":{"XXBTZUSD":{"wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8}}}',
            [Instrument("BTC-USD", "XBT/USD", "0.1", "0.00000001")],
        ),
        (
            "binance",
            b'{"symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC","filters":['
            b'{"filterType":"PRICE_FILTER","tickSize":"0.00001000"},{"filterType":"LOT_SIZE","stepSize":"0.0001"}]},'
            b'{"symbol":"OLDBTC","status":"BREAK","baseAsset":"OLD","quoteAsset":"BTC"}]}',
            [Instrument("ETH-BTC", "ETHBTC", "0.00001000", "0.0001")],
        ),
        (
            "gemini",
            b'["btcusd","ethbtc"]',
            [Instrument("BTC-USD", "btcusd"), Instrument("ETH-BTC", "ethbtc")],
        ),
    ],
)
def test_a_venue_lists_its_instruments(venue: str, body: bytes, listed: list[Instrument]) -> None:
    adapter = find(venue)()
    [path] = adapter.symbols_paths()
    assert adapter.parse_symbols(path, body) == listed


# What must be refused

UNUSABLE = [
    b'"NaN"',
    b"NaN",
    b"Infinity",
    b"-1.5",
    b'"-1.5"',
    b"1e999",
    b"1e19",
    b"9" * 40,
    b"null",
    b'"1.0"x',
    b"01",
]


@pytest.mark.parametrize("number", [*UNUSABLE, b'"1.5"', b"[1.5]", b"true"])
def test_kraken_sizes_that_are_no_plain_numbers_are_refused(number: bytes) -> None:
    with pytest.raises(DecodeError) as refused:
        find("kraken")().decode(kraken_book("update").replace(b"0.79488026", number))
    assert number in refused.value.frame


@pytest.mark.parametrize("number", [*UNUSABLE, b"1.5", b'"1,5"', b'" 1.5"', b'""', b'"1.5\\n"'])
@pytest.mark.parametrize(
    ("venue", "frame", "text"),
    [
        ("binance", BINANCE[0][0], b'"6195.00000000"'),
        ("binance", BINANCE[1][0], b'"61837.63000000"'),
        ("binance", BINANCE[2][0], b'"3.78826000"'),
        ("binance", BINANCE[3][0], b'"4"'),
        ("gemini", GEMINI[2][0], b'"9121.9"'),
        ("gemini", GEMINI[3][0], b'"0.09110000"'),
    ],
)
def test_texts_that_are_no_plain_numbers_are_refused(
    venue: str, frame: bytes, text: bytes, number: bytes
) -> None:
    assert text in frame
    with pytest.raises(DecodeError):
        find(venue)().decode(frame.replace(text, number))


@pytest.mark.parametrize(
    ("venue", "frame", "old", "new"),
    [
        ("kraken", kraken_book("update"), b'"update"', b'"rebuild"'),
        ("kraken", KRAKEN_TRADE % b"update", b'"sell"', b'"short"'),
        ("kraken", kraken_book("update"), b'"book"', b'"booking"'),
        ("kraken", kraken_book("update"), b"43.220187Z", b"43.220187"),  # a time without its zone
        ("kraken", KRAKEN[5][0], b'"interval":5', b'"interval":7'),
        ("gemini", GEMINI[2][0], b'"buy"', b'"bid"'),
        ("gemini", GEMINI[3][0], b'"trade"', b'"trader"'),
        ("gemini", GEMINI[5][0], b"candles_15m_updates", b"candles_7m_updates"),
        ("binance", BINANCE[1][0], b"1723161255342", b"-1"),
    ],
)
def test_unknown_kinds_of_anything_are_refused(venue: str, frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    with pytest.raises(DecodeError):
        find(venue)().decode(frame.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"bid"', b'"buy"'), (b'"3628.01"', b'"-1"'), (b'"change"', b'"changes"'), (b"51,", b"51e9,")],
)
def test_gemini_v1_refuses_what_it_does_not_know(old: bytes, new: bytes) -> None:
    adapter, frame = subscribed("gemini", "gemini:BTC-USD/book", api="v1"), GEMINI_V1[2][0]
    assert old in frame
    with pytest.raises(DecodeError):
        adapter.decode(frame.replace(old, new))


def test_what_is_decoded_is_all_or_nothing() -> None:
    """A frame with one good trade and a bad one gives neither."""
    frame = (KRAKEN_TRADE % b"update").replace(b"63005.0", b"-1")
    with pytest.raises(DecodeError):
        find("kraken")().decode(frame)
