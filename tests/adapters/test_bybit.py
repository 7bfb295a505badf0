"""Bybit: each kind of message, and books generated as the venue would count and cut them."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.bybit import PAGE, Bybit
from livetape.core.adapter import Span
from livetape.core.effects import Fetch, Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Denied,
    Gap,
    Heartbeat,
    Mark,
    MarketEvent,
    Message,
    Summary,
    Trade,
    Trust,
)
from livetape.core.instruments import Channel, Instrument
from livetape.core.times import MILLISECOND, SECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

MS = MILLISECOND
BOOK = Channel("bybit", "BTC-USDT", "book")
MINUTES = Channel("bybit", "BTC-USDT", "bar.1m")
Levels = list[tuple[str, str]]


def depth(kind: str, u: int, bids: Levels, asks: Levels, at_ms: int = 1680652808085) -> bytes:
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 4281282229 + 3 * u}
    return json.dumps({"topic": "orderbook.50.BTCUSDT", "ts": at_ms, "type": kind, "data": data}).encode()


# What it says

SNAPSHOT = depth("snapshot", 59438060, [("28162.57", "0.07562")], [("28162.58", "0.506829")])
DELTA = depth("delta", 59438061, [("28161.04", "0.177474"), ("28145.71", "0")], [("28184.33", "0")])
ENGINE = (
    b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT","b":[],'
    b'"a":[["30248.70","0"]],"u":177400507,"seq":66544703342},"cts":1687940967464}'
)
TRADE = (
    b'{"topic":"publicTrade.BTCUSDC","ts":1680688980000,"type":"snapshot","data":[{"i":"2240000000041223438",'
    b'"T":1680688979998,"p":"28528.980","v":"0.00433","S":"Buy","s":"BTCUSDC","BT":%b,"RPI":false}]}'
)
SPOT = (
    b'{"topic":"tickers.BTCUSDT","ts":1672305380595,"type":"snapshot","cs":496622841,"data":{"symbol":"BTCUSDT",'
    b'"lastPrice":"16363.78","highPrice24h":"16566.64","lowPrice24h":"16009.19","prevPrice24h":"16443.66",'
    b'"volume24h":"5865.470182","turnover24h":"95949815.680875","price24hPcnt":"-0.0049"}}'
)
KLINE = (
    b'{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":'
    b'"16649.5","close":"16677","high":"16677.0","low":"16608","volume":"2.081","turnover":"34666.4005",'
    b'"confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}'
)
SAID: list[tuple[bytes, list[Message]]] = [
    (
        SNAPSHOT,
        [
            BookUpdate(
                str(BOOK),
                1680652808085 * MS,
                True,
                [("28162.57", "0.07562")],
                [("28162.58", "0.506829")],
                59438060,
                59438060,
            )
        ],
    ),
    (
        DELTA,
        [
            BookUpdate(
                str(BOOK),
                1680652808085 * MS,
                False,
                [("28161.04", "0.177474"), ("28145.71", "0")],
                [("28184.33", "0")],
                59438061,
                59438061,
            )
        ],
    ),
    (  # the time of the matching engine, where it is told
        ENGINE,
        [BookUpdate(str(BOOK), 1687940967464 * MS, False, [], [("30248.70", "0")], 177400507, 177400507)],
    ),
    (  # a restart of the service
        depth("delta", 1, [("1", "1")], []),
        [BookUpdate(str(BOOK), 1680652808085 * MS, True, [("1", "1")], [], 1, 1)],
    ),
    (ENGINE.replace(b"orderbook.200", b"orderbook.1"), [Heartbeat()]),
    (
        TRADE % b"false",
        [
            Trade(
                "bybit:BTC-USDC/trade",
                1680688979998 * MS,
                "28528.980",
                "0.00433",
                "buy",
                "2240000000041223438",
            )
        ],
    ),
    (
        TRADE % b"true",
        [
            Trade(
                "bybit:BTC-USDC/trade",
                1680688979998 * MS,
                "28528.980",
                "0.00433",
                "buy",
                "2240000000041223438",
                None,
                ("BT",),
            )
        ],
    ),
    (
        SPOT,
        [
            Summary(
                "bybit:BTC-USDT/summary",
                1672305380595 * MS,
                "16443.66",
                "16566.64",
                "16009.19",
                "16363.78",
                None,
                "5865.470182",
                "95949815.680875",
            )
        ],
    ),
    (
        KLINE,
        [
            Bar(
                "bybit:BTC-USDT/bar.5m",
                1672324800000 * MS,
                "16649.5",
                "16677.0",
                "16608",
                "16677",
                "2.081",
                closed=False,
                venue_ns=1672324988882 * MS,
            )
        ],
    ),
    (b'{"success":true,"ret_msg":"pong","conn_id":"0970e817","op":"ping"}', [Heartbeat()]),
    (b'{"op":"pong","args":["1675418560633"],"conn_id":"cfcb4ocsvfriu23r3er0-1b"}', [Heartbeat()]),
    (
        b'{"success":true,"ret_msg":"subscribe","conn_id":"23","req_id":"1","op":"subscribe"}',
        [Ack(str(BOOK))],
    ),
    (b'{"success":true,"ret_msg":"subscribe","conn_id":"23","op":"subscribe"}', [Heartbeat()]),
    (
        b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.BTCUSDT","conn_id":"23",'
        b'"req_id":"1","op":"subscribe"}',
        [Denied("error:handler not found,topic:orderbook.50.BTCUSDT", (str(BOOK),))],
    ),
    (
        b'{"success":false,"ret_msg":"Params Error","conn_id":"23","op":""}',
        [Denied("Params Error")],
    ),
    (b'{"topic":"liquidation.XRPUSD","type":"snapshot","ts":1,"data":{"price":"0.5"}}', [Heartbeat()]),
]


@pytest.mark.parametrize(("frame", "said"), SAID)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, said: list[Message]) -> None:
    adapter = Bybit()
    adapter.subscribe([BOOK])
    assert adapter.decode(frame) == said


@given(st.binary() | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(Bybit(), frame)


@pytest.mark.parametrize(
    ("frame", "old", "new"),
    [
        (DELTA, b'"0.177474"', b'"-1"'),
        (DELTA, b'"delta"', b'"change"'),
        (TRADE % b"false", b'"Buy"', b'"buy"'),
        (TRADE % b"false", b'"28528.980"', b'"NaN"'),
        (SPOT, b'"16566.64"', b'"1e99"'),
        (KLINE, b"kline.5.", b"kline.7."),
        (KLINE, b'"16608"', b"16608"),
    ],
)
def test_what_is_no_number_or_not_known_is_refused(frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    with pytest.raises(DecodeError):
        Bybit().decode(frame.replace(old, new))


def ticker(kind: str, at_ms: int, **data: str) -> bytes:
    told = {"topic": "tickers.BTCUSDT", "type": kind, "data": {"symbol": "BTCUSDT", **data}, "ts": at_ms}
    return json.dumps(told).encode()


def test_a_ticker_of_a_perpetual_is_put_together_from_what_has_changed() -> None:
    adapter = Bybit()
    adapter.subscribe([Channel("bybit", "BTC-USDT-PERP", kind) for kind in ("summary", "mark")])
    name = "bybit:BTC-USDT-PERP"
    whole = {
        "lastPrice": "17216.00",
        "markPrice": "17217.33",
        "indexPrice": "17227.36",
        "fundingRate": "-0.0002",
    }
    assert adapter.decode(ticker("snapshot", 1, **whole, volume24h="91705.276")) == [
        Summary(f"{name}/summary", MS, last_text="17216.00", volume_text="91705.276"),
        Mark(f"{name}/mark", MS, "17217.33", "17227.36", "-0.0002"),
    ]
    assert adapter.decode(ticker("delta", 2, bid1Price="17215.50", openInterest="3")) == []
    assert adapter.decode(ticker("delta", 3, lastPrice="17216.50")) == [
        Summary(f"{name}/summary", 3 * MS, last_text="17216.50", volume_text="91705.276"),
        Mark(f"{name}/mark", 3 * MS, "17217.33", "17227.36", "-0.0002"),
    ]
    with pytest.raises(DecodeError):
        adapter.decode(ticker("delta", 4, lastPrice="-1"))
    adapter.login()  # a new connection tells everything anew
    assert adapter.decode(ticker("delta", 5, lastPrice="1")) == [
        Summary(f"{name}/summary", 5 * MS, last_text="1")
    ]


# What is asked


@pytest.mark.parametrize(
    ("spelt", "symbol", "native", "category"),
    [
        ("BTC-USDT", "BTC-USDT", "BTCUSDT", "spot"),
        ("btcusdt", "BTC-USDT", "BTCUSDT", "spot"),
        ("PERPUSDT", "PERP-USDT", "PERPUSDT", "spot"),
        ("BTC/USDT-PERP", "BTC-USDT-PERP", "BTCUSDT", "linear"),
        ("btcusdt_perp", "BTC-USDT-PERP", "BTCUSDT", "linear"),
        ("BTCPERP", "BTC-USDC-PERP", "BTCPERP", "linear"),
        ("BTC-USDC-PERP", "BTC-USDC-PERP", "BTCPERP", "linear"),
        ("BTCUSD-PERP", "BTC-USD-PERP", "BTCUSD", "inverse"),
        ("1000PEPE-USDT-PERP", "1000PEPE-USDT-PERP", "1000PEPEUSDT", "linear"),
    ],
)
def test_perpetuals_are_told_from_spot_by_their_ending(
    spelt: str, symbol: str, native: str, category: str
) -> None:
    bybit = Bybit()
    assert bybit.canonical(spelt) == bybit.canonical(symbol) == symbol
    channel = Channel("bybit", symbol, "trade")
    assert bybit.endpoint(bybit.ws_url, [channel]) == f"wss://stream.bybit.com/v5/public/{category}"
    assert bybit.route(channel) == category
    [request] = bybit.subscribe([channel])
    assert json.loads(request) == {"req_id": "1", "op": "subscribe", "args": [f"publicTrade.{native}"]}
    [trade] = bybit.decode((TRADE % b"false").replace(b"BTCUSDC", native.encode()))
    assert isinstance(trade, Trade)
    assert trade.symbol == symbol
    assert ("mark" in bybit.streams(symbol)) == symbol.endswith("-PERP")
    assert bybit.price_path(symbol) == f"/v5/market/tickers?category={category}&symbol={native}"


def test_there_is_one_request_a_topic() -> None:
    perpetual = [Channel("bybit", "BTC-USDT-PERP", kind) for kind in ("summary", "mark", "book", "bar.1d")]
    bybit = Bybit({"depth": 100})
    topics = [json.loads(frame)["args"] for frame in bybit.subscribe(perpetual)]
    assert topics == [["tickers.BTCUSDT"], ["orderbook.200.BTCUSDT"], ["kline.D.BTCUSDT"]]
    acks = bybit.decode(b'{"success":true,"ret_msg":"subscribe","conn_id":"2","req_id":"1","op":"subscribe"}')
    assert acks == [Ack(str(channel)) for channel in perpetual[:2]]
    assert [json.loads(frame)["op"] for frame in bybit.unsubscribe(perpetual)] == ["unsubscribe"] * 3
    assert bybit.heartbeat(0) == b'{"op":"ping"}'


@pytest.mark.parametrize("wanted", [0, 1001, "50", None])
def test_a_depth_that_is_not_offered_is_refused(wanted: object) -> None:
    with pytest.raises(ConfigError, match="is not offered"):
        Bybit({"depth": wanted})


# Generated books


def cut(levels: dict[Decimal, str], sign: int, most: int = 50) -> dict[Decimal, str]:
    return {price: levels[price] for price in sorted(levels, key=lambda each: each * sign)[:most]}


@st.composite
def markets(draw: st.DrawFn) -> list[tuple[bytes, Levels, Levels]]:
    """Frames of a book of 50 levels a side as the venue sends them, each with the book as it is then.

    Far more orders rest than the depth shows, and what leaves it is deleted.
    """
    sizes = st.integers(0, 3).map(lambda n: f"{n}.50" if n else "0")
    bids = {Decimal(1000 - n): "1.00" for n in range(60)}
    asks = {Decimal(1001 + n): "2.0" for n in range(60)}
    shown: tuple[dict[Decimal, str], dict[Decimal, str]] = ({}, {})
    frames = []
    u = draw(st.integers(2, 10**9))
    kinds = [
        "snapshot",
        *draw(st.lists(st.sampled_from(["delta"] * 5 + ["snapshot"]), min_size=3, max_size=12)),
    ]
    for kind in kinds:
        for side, low in ((bids, 930), (asks, 1001)):
            for price, size in draw(st.dictionaries(st.integers(low, low + 70), sizes, max_size=6)).items():
                side[Decimal(price)] = size
        now = tuple(
            cut({price: size for price, size in side.items() if size != "0"}, sign)
            for side, sign in ((bids, -1), (asks, 1))
        )
        told = [
            [(str(p), s) for p, s in new.items() if kind == "snapshot" or old.get(p) != s]
            + [(str(p), "0") for p in old if kind == "delta" and p not in new]
            for old, new in zip(shown, now, strict=True)
        ]
        frames.append(
            (depth(kind, u, told[0], told[1], u), *([(str(p), s) for p, s in n.items()] for n in now))
        )
        shown, u = (now[0], now[1]), u + 1
    return frames


def played(frames: list[bytes]) -> Iterator[tuple[MarketEvent, Levels, Levels]]:
    """The events and, with an update, the book after it."""
    now: list[tuple[MarketEvent, Levels, Levels]] = []

    def keep(event: MarketEvent) -> None:
        book = event.book if isinstance(event, BookUpdate) else None
        now.append((event, *((side.top(99) for side in (book.bids, book.asks)) if book else ([], []))))

    session = opened(Bybit(), [BOOK], publish=keep)
    for n, frame in enumerate(frames):
        session.receive(frame, n + 2)
    assert conserved(session)
    return iter(now)


@given(markets())
def test_a_generated_book_is_told_whole(market: list[tuple[bytes, Levels, Levels]]) -> None:
    told = [each for each in played([frame for frame, _, _ in market]) if isinstance(each[0], BookUpdate)]
    assert [(bids, asks) for _, bids, asks in told] == [(bids, asks) for _, bids, asks in market]
    assert {event.trust for event, _, _ in told} == {Trust.VERIFIED}


@given(markets(), st.data())
def test_no_book_is_verified_that_lacks_a_message(
    market: list[tuple[bytes, Levels, Levels]], data: st.DataObject
) -> None:
    """Messages are lost, repeated and swapped; what is told nevertheless is the book of that number."""
    truth = {json.loads(frame)["data"]["u"]: (bids, asks) for frame, bids, asks in market}
    order = data.draw(st.lists(st.integers(0, len(market) - 1), min_size=1, max_size=15))
    events = list(played([market[n][0] for n in order]))
    for event, bids, asks in events:
        if isinstance(event, BookUpdate):
            assert event.last is not None
            assert (bids, asks) == truth[event.last]


def test_a_lost_message_is_noticed_and_a_snapshot_heals_it() -> None:
    session = opened(Bybit(), [BOOK])
    session.effects()
    jump = depth("delta", 59438063, [], [])
    events = [event for frame in (SNAPSHOT, DELTA, jump) for event in session.receive(frame, 2)]
    causes = [event.cause for event in events if isinstance(event, Gap)]
    assert causes == ["update 59438061 was followed by 59438063"]
    verbs = [json.loads(effect.frame)["op"] for effect in session.effects() if isinstance(effect, Send)]
    assert verbs == ["unsubscribe", "subscribe"]
    events = session.receive(depth("snapshot", 4, [], []), 3)
    assert [event.healed for event in events if isinstance(event, Gap)] == ["snapshot"]


# Bars, and what is listed


def test_bars_that_were_missed_are_read_again() -> None:
    session = opened(Bybit(), [MINUTES])
    minute = KLINE.replace(b"kline.5", b"kline.1")
    at_ns = 1672324988882 * MS
    session.receive(minute, at_ns)
    session.disconnected("lost", at_ns + 60 * SECOND)
    session.connected(at_ns + 200 * SECOND)
    later = minute.replace(b"1672324800000", b"1672325160000").replace(b"1672324988882", b"1672325188882")
    session.receive(later, at_ns + 201 * SECOND)
    session.effects()
    session.tick(at_ns + 210 * SECOND)
    [effect] = session.effects()
    assert isinstance(effect, Fetch)
    assert "&interval=1&start=1672324926882&end=1672325191882&" in effect.path
    starts = (1672325160000, 1672325100000, 1672325040000, 1672324980000)
    rows = [[str(start), "1", "3", "0.5", "2.0", "7", "14"] for start in starts]
    answer = {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": 1672325190000}
    events = session.fetched(effect.name, json.dumps(answer).encode(), at_ns + 211 * SECOND)
    bars = [event for event in events if isinstance(event, Bar)]
    assert sorted(bar.start_ns // MS for bar in bars) == sorted(starts[1:])
    assert {bar.closed for bar in bars} == {True}
    assert [event.healed for event in events if isinstance(event, Gap)] == ["history"]


def test_bars_are_read_backwards_page_by_page() -> None:
    bybit, span = Bybit(), Span(600_000 * MS, 900_000 * MS)
    assert bybit.history_path(MINUTES, span) == (
        "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start=540000&end=900000&limit=1000"
    )
    rows = [[str(60_000 * n), "1", "1", "1", "1", "1", "1"] for n in range(2 * PAGE, PAGE, -1)]
    answer = {"result": {"list": rows}, "time": 60_000 * 2 * PAGE}
    history = bybit.decode_history(MINUTES, json.dumps(answer).encode())
    assert [bar.closed for bar in history.events[:2] if isinstance(bar, Bar)] == [False, True]
    path = bybit.history_path(MINUTES, span, history.page)
    assert path is not None
    assert f"&end={60_000 * (PAGE + 1) - 1}&" in path
    for kind in ("trade", "book", "summary"):
        assert bybit.history_path(Channel("bybit", "BTC-USDT", kind), span) is None
    with pytest.raises(DecodeError):
        bybit.decode_history(
            MINUTES, b'{"retCode":10001,"retMsg":"Not supported symbols","result":{},"time":1}'
        )


def test_the_instruments_are_listed() -> None:
    spot = (
        b'{"retCode":0,"result":{"category":"spot","list":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":'
        b'"USDT","status":"Trading","lotSizeFilter":{"basePrecision":"0.000001","quotePrecision":"0.0000001"},'
        b'"priceFilter":{"tickSize":"0.01"}}]}}'
    )
    linear = (
        b'{"retCode":0,"result":{"category":"linear","list":[{"symbol":"BTCPERP","contractType":'
        b'"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDC","priceFilter":{"tickSize":'
        b'"0.10"},"lotSizeFilter":{"qtyStep":"0.001"}},{"symbol":"BTC-26DEC25","contractType":"LinearFutures",'
        b'"status":"Trading","baseCoin":"BTC","quoteCoin":"USDC","priceFilter":{"tickSize":"0.5"},'
        b'"lotSizeFilter":{"qtyStep":"0.001"}}]}}'
    )
    paths = Bybit().symbols_paths()
    assert [path.partition("category=")[2].partition("&")[0] for path in paths] == [
        "spot",
        "linear",
        "inverse",
    ]
    assert Bybit().parse_symbols(paths[0], spot) == [
        Instrument("BTC-USDT", "BTCUSDT", "0.01", "0.000001", asset="crypto")
    ]
    assert Bybit().parse_symbols(paths[1], linear) == [
        Instrument("BTC-USDC-PERP", "BTCPERP", "0.10", "0.001", asset="crypto")
    ]
