"""What REST tells of the past is what the stream told of it: a trade or a bar that came is not told again."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from livetape.adapters import find
from livetape.core.adapter import Adapter, History, Span
from livetape.core.channel import ChannelState
from livetape.core.errors import DecodeError
from livetape.core.events import Bar, MarketEvent, Quote, Trade
from livetape.core.instruments import KINDS, Channel

from .damage import damaged

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START_NS = 1_700_000_000 * SECOND
SPAN = Span(START_NS, START_NS + 90 * SECOND, range(7, 9))

KRAKEN_TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":30243.4,"qty":0.34507674,'
    b'"ord_type":"market","trade_id":61044952,"timestamp":"2023-07-06T18:53:17.827736Z"}]}',
    b'{"error":[],"result":{"XXBTZUSD":[["30243.4","0.34507674",1688669597.8277369,"b","m","",61044952]],'
    b'"last":"1688671969993150842"}}',
)
KRAKEN_BAR = (
    b'{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD","open":30306.1,"high":30306.2,"low":30305.7,'
    b'"close":30305.7,"trades":23,"volume":3.39243896,"vwap":30306.1,'
    b'"interval_begin":"2023-07-06T19:20:00.000000000Z","interval":1}]}',
    b'{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23]],'
    b'"last":1688672160}}',
)
BINANCE_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}',
    b'[{"id":3735683259,"price":"61837.63000000","qty":"0.02000000","quoteQty":"1236.75260000",'
    b'"time":1723161255342,"isBuyerMaker":true,"isBestMatch":true}]',
)
BINANCE_BAR = (
    b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1499644800010,"s":"BTCUSDT","k":{"t":1499040000000,'
    b'"T":1499644799999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"0.01634790","c":"0.01577100","h":"0.80000000",'
    b'"l":"0.01575800","v":"148976.11427815","n":308,"x":true,"q":"2434.19055334"}}}',
    b'[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,'
    b'"2434.19055334",308,"1756.87402397","28.46694368","0"]]',
)
FUTURES_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSDT","t":849714402,'
    b'"p":"61804.8","q":"4","X":"MARKET","m":false}}',
    b'[{"id":849714402,"price":"61804.8","qty":"4","quoteQty":"247219.2","time":1723161257679,"isBuyerMaker":false}]',
)
_GEMINI_PAST = (
    b'[{"timestamp":1547760288,"timestampms":1547760288001,"tid":5375547515,"price":"3632.54",'
    b'"amount":"0.1362819142","exchange":"gemini","type":"%b"}]'
)
GEMINI_TRADE = (
    b'{"type":"trade","symbol":"BTCUSD","event_id":5375547515,"timestamp":1547760288001,"price":"3632.54",'
    b'"quantity":"0.1362819142","side":"buy"}',
    _GEMINI_PAST % b"buy",
)
GEMINI_BLOCK = (GEMINI_TRADE[0].replace(b'"buy"', b'"block"'), _GEMINI_PAST % b"block")
GEMINI_BAR = (
    b'{"type":"candles_1m_updates","symbol":"BTCUSD","changes":[[1561054500000,9350.18,9358.35,9350.10,9355.51,2.07]]}',
    b"[[1561054500000,9350.18,9358.35,9350.10,9355.51,2.07]]",
)
GEMINI_V1_TRADE = (
    b'{"type":"update","eventId":5375547515,"timestamp":1547760288,"timestampms":1547760288001,"socket_sequence":15,'
    b'"events":[{"type":"trade","symbol":"BTCUSD","tid":5375547515,"price":"3632.54","amount":"0.1362819142",'
    b'"makerSide":"ask"}]}',
    _GEMINI_PAST % b"buy",
)
GEMINI_V1_AUCTION = (GEMINI_V1_TRADE[0].replace(b'"ask"', b'"auction"'), _GEMINI_PAST % b"auction")
ALPACA_TRADE = (
    b'[{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.50,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}]',
    b'{"trades":{"AAPL":[{"t":"2021-02-22T15:51:44.208Z","x":"D","p":126.50,"s":1,"c":["@","I"],"i":96921,"z":"C"}]},'
    b'"next_page_token":null}',
)
ALPACA_CRYPTO = (
    b'[{"T":"t","S":"AVAX/USD","p":47.299,"s":29.205707815,"t":"2024-03-12T10:27:48.858228144Z",'
    b'"i":3447222699101865076,"tks":"S"}]',
    b'{"trades":{"AVAX/USD":[{"t":"2024-03-12T10:27:48.858228144Z","p":47.299,"s":29.205707815,"tks":"S",'
    b'"i":3447222699101865076}]},"next_page_token":null}',
)
ALPACA_QUOTE = (
    b'[{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,'
    b'"t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}]',
    b'{"quotes":{"AMD":[{"t":"2021-02-22T15:51:45.335689322Z","ax":"Q","ap":87.68,"as":4,"bx":"U","bp":87.66,"bs":1,'
    b'"c":["R"],"z":"C"}]},"next_page_token":null}',
)
_ALPACA_BAR = b'"o":132.65,"h":136,"l":132.12,"c":134.60,"v":205,"t":"2024-07-24T07:56:00Z","n":16,"vw":133}'
ALPACA_BAR = (b'[{"T":"b","S":"AAPL",' + _ALPACA_BAR + b"]", b'{"bars":{"AAPL":[{' + _ALPACA_BAR + b"]}}")
ALPACA_DAY = (b'[{"T":"d","S":"AAPL",' + _ALPACA_BAR + b"]", ALPACA_BAR[1])
ITICK_BAR = (
    b'{"code":1,"data":{"s":"EURUSD","r":"GB","type":"kline@1","t":1731660060000,"o":3055.36,"h":3061.41,"l":3055.24,'
    b'"c":3059.30,"v":28,"tu":157513}}',
    b'{"code":0,"msg":null,"data":[{"tu":157513,"c":3059.30,"t":1731660060000,"v":28,"h":3061.41,"l":3055.24,'
    b'"o":3055.36}]}',
)
CASES = {
    ("kraken:BTC-USD/trade", ""): KRAKEN_TRADE,
    ("kraken:BTC-USD/bar.1m", ""): KRAKEN_BAR,
    ("binance:BTC-USDT/trade", ""): BINANCE_TRADE,
    ("binance:BTC-USDT/bar.1m", ""): BINANCE_BAR,
    ("binance_us:BTC-USDT/trade", ""): BINANCE_TRADE,
    ("binance_futures:BTC-USDT/trade", ""): FUTURES_TRADE,
    ("gemini:BTC-USD/trade", ""): GEMINI_TRADE,
    ("gemini:BTC-USD/trade", " block"): GEMINI_BLOCK,
    ("gemini:BTC-USD/bar.1m", ""): GEMINI_BAR,
    ("gemini:BTC-USD/trade", "v1"): GEMINI_V1_TRADE,
    ("gemini:BTC-USD/trade", "v1 auction"): GEMINI_V1_AUCTION,
    ("alpaca:AAPL/trade", ""): ALPACA_TRADE,
    ("alpaca:AVAX-USD/trade", ""): ALPACA_CRYPTO,
    ("alpaca:AMD/quote", ""): ALPACA_QUOTE,
    ("alpaca:AAPL/bar.1m", ""): ALPACA_BAR,
    ("alpaca:AAPL/bar.1d", ""): ALPACA_DAY,
    ("itick:EUR-USD/bar.1m", ""): ITICK_BAR,
    ("itick:EUR-USD/bar.1m", "v1"): ITICK_BAR,
}
BODIES = [(name, which, body) for (name, which), (_, body) in CASES.items()]
#: Channels without a history, and why.
NONE = {
    "alpaca:AAPL261218C00275000/trade": "no ids",
    "alpaca:FAKEPACA/trade": "not kept",
    "alpaca:BTC-USD/book": "no history",
    "itick:EUR-USD/trade": "no ids",
    "kraken:BTC-USD/quote": "no history",
    "binance:BTC-USDT/quote": "no history",
    "gemini:BTC-USD/book": "no history",
    "finnhub:AAPL/trade": "on paid plans only",
}


def adapter_of(channel: Channel, which: str = "", **options: object) -> Adapter:
    api = which.partition(" ")[0]
    adapter = find(channel.venue, api)(options)
    if (channel.venue, api) != ("gemini", "v1"):  # that has a symbol in its frames here
        adapter.subscribe([channel])
    return adapter


def past(name: str, body: bytes, which: str = "") -> History:
    channel = Channel.parse(name)
    return adapter_of(channel, which).decode_history(channel, body)


@pytest.mark.parametrize(("name", "which"), CASES)
def test_what_came_is_not_told_again(name: str, which: str) -> None:
    channel = Channel.parse(name)
    adapter = adapter_of(channel, which)
    frame, body = CASES[name, which]
    [told] = [m for m in adapter.decode(frame) if isinstance(m, Trade | Quote | Bar)]
    [again] = adapter.decode_history(channel, body).events
    if isinstance(told, Bar):
        told = replace(told, venue_ns=None)  # when a bar was told, history does not say
    assert again == told
    state = ChannelState(channel, adapter)
    assert [state.repeated(told), state.repeated(again)] == [False, True]


def test_krakens_trades_have_other_zeros_over_rest_but_the_same_number() -> None:
    frame, body = KRAKEN_TRADE
    channel = Channel.parse("kraken:BTC-USD/trade")
    [told] = adapter_of(channel).decode(frame)
    [again] = past(str(channel), body.replace(b'"30243.4"', b'"30243.40000"')).events
    assert isinstance(told, Trade)
    assert isinstance(again, Trade)
    assert again.price_text == "30243.40000"
    assert Decimal(again.price_text) == Decimal(told.price_text)
    assert replace(again, price_text=told.price_text) == told


def test_trades_that_alpaca_took_back_are_not_told() -> None:
    _, body = ALPACA_TRADE
    for update, told in ((b"canceled", 0), (b"incorrect", 0), (b"corrected", 1)):
        marked = body.replace(b'"z":"C"', b'"z":"C","u":"%b"' % update)
        assert len(past("alpaca:AAPL/trade", marked).events) == told


@pytest.mark.parametrize("name", NONE)
def test_where_nothing_could_be_told_apart_nothing_is_asked_for(name: str) -> None:
    channel = Channel.parse(name)
    assert adapter_of(channel).history_path(channel, SPAN) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gemini:BTC-USD/trade", {"api": "v3"}),
        ("kraken:BTC-USD/trade", {"api": "v1"}),
        ("alpaca:AAPL/trade", {"api": "v1"}),
        ("alpaca:AAPL/quote", {"encoding": "msgpack"}),
        ("alpaca:AAPL/trade", {"feed": "test"}),
    ],
)
def test_nor_where_another_api_or_an_option_makes_it_so(name: str, options: dict[str, str]) -> None:
    channel = Channel.parse(name)
    adapter = adapter_of(channel, options.pop("api", ""), **options)
    assert adapter.history_path(channel, SPAN) is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("kraken:BTC-USD/trade", "/0/public/Trades?pair=XBTUSD&since=1700000000000000000"),
        ("kraken:ETH-USD/bar.5m", "/0/public/OHLC?pair=ETHUSD&interval=5&since=1699999700"),
        ("binance:BTC-USDT/trade", "/api/v3/trades?symbol=BTCUSDT&limit=1000"),
        (
            "binance:BTC-USDT/bar.1m",
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1699999940000&endTime=1700000030000&limit=1000",
        ),
        ("binance_futures:BTC-USDT/trade", "/fapi/v1/trades?symbol=BTCUSDT&limit=1000"),
        ("gemini:BTC-USD/trade", "/v1/trades/btcusd?timestamp=1700000000000&limit_trades=500"),
        ("gemini:BTC-USD/bar.1h", "/v2/candles/btcusd/1hr"),
        (
            "alpaca:AAPL/trade",
            "/v2/stocks/trades?symbols=AAPL&start=2023-11-14T22%3A13%3A20Z&end=2023-11-14T22%3A14%3A50Z"
            "&feed=iex&limit=10000",
        ),
        (
            "alpaca:BTC-USD/bar.1m",
            "/v1beta3/crypto/us/bars?symbols=BTC%2FUSD&timeframe=1Min&start=2023-11-14T22%3A12%3A20Z"
            "&end=2023-11-14T22%3A13%3A50Z&limit=10000",
        ),
        ("itick:EUR-USD/bar.1m", "/forex/kline?region=GB&code=EURUSD&kType=1&limit=3&et=1700000090000"),
        ("itick:AAPL/bar.1d", "/stock/kline?region=US&code=AAPL&kType=8&limit=2&et=1700000090000"),
    ],
)
def test_the_path_names_what_is_missing(name: str, path: str) -> None:
    channel = Channel.parse(name)
    assert adapter_of(channel).history_path(channel, SPAN) == path


def test_a_delayed_feed_is_read_again_where_it_comes_from() -> None:
    channel = Channel.parse("alpaca:AAPL/quote")
    path = adapter_of(channel, feed="delayed_sip").history_path(channel, SPAN)
    assert path is not None
    assert "&feed=sip&" in path


@pytest.mark.parametrize("name", ["kraken:BTC-USD/bar.1m", "gemini:BTC-USD/bar.1m", "itick:EUR-USD/bar.1m"])
def test_a_hole_that_is_longer_than_the_history_is_not_asked_for(name: str) -> None:
    channel = Channel.parse(name)
    span = Span(START_NS, START_NS + 1440 * MINUTE)
    assert adapter_of(channel).history_path(channel, span) is None


@pytest.mark.parametrize("name", ["kraken:BTC-USD/trade", "binance:BTC-USDT/trade"])
def test_numbered_trades_are_asked_for_by_their_numbers_alone(name: str) -> None:
    channel = Channel.parse(name)
    assert adapter_of(channel).history_path(channel, replace(SPAN, numbers=range(0))) is None


# Pages


def pages(name: str, body: bytes, end_ns: int = 2**62) -> list[str]:
    """What asks for the page after ``body``; nothing where that is the last, or ends after ``end_ns``."""
    channel = Channel.parse(name)
    adapter = adapter_of(channel)
    if not (page := adapter.decode_history(channel, body).page):
        return []
    path = adapter.history_path(channel, replace(SPAN, end_ns=end_ns), page) or ""
    return path.partition("?")[2].split("&") if path else []


def rows(body: bytes, row: bytes, n: int) -> bytes:
    """``body`` with its one ``row`` ``n`` times."""
    assert body.count(row) == 1
    return body.replace(row, b",".join([row] * n))


def test_a_full_page_of_kraken_is_followed_by_the_next() -> None:
    _, body = KRAKEN_TRADE
    row = json.encode(["30243.4", "0.34507674", 1688669597.8277369, "b", "m", "", 61044952])
    name, full = "kraken:BTC-USD/trade", rows(body, row, 1000)
    assert "since=1688671969993150842" in pages(name, full)
    assert pages(name, full, end_ns=1688671969993150841) == []
    assert pages(name, rows(body, row, 999)) == []


def test_a_full_page_of_gemini_is_followed_by_what_came_after_its_last_trade() -> None:
    row = GEMINI_TRADE[1][1:-1]
    earlier = row.replace(b"5375547515", b"5375547514")
    body = b"[%b]" % b",".join([row, *[earlier] * 499])  # the newest comes first
    name = "gemini:BTC-USD/trade"
    assert "since_tid=5375547515" in pages(name, body)
    assert pages(name, body, end_ns=1547760288000999999) == []
    assert pages(name, b"[%b]" % b",".join([row] * 499)) == []


def test_a_full_page_of_binances_bars_is_followed_by_the_next() -> None:
    row = BINANCE_BAR[1][1:-1]
    asked = pages("binance:BTC-USDT/bar.1m", b"[%b]" % b",".join([row] * 1000))
    assert {"startTime=1499040000001", f"endTime={(2**62 - MINUTE) // 10**6}"} <= set(asked)
    assert pages("binance:BTC-USDT/bar.1m", BINANCE_BAR[1]) == []


def test_alpacas_token_is_handed_back_with_the_same_question() -> None:
    channel = Channel.parse("alpaca:AAPL/trade")
    first = adapter_of(channel).history_path(channel, replace(SPAN, end_ns=2**62)) or ""
    asked = pages(str(channel), ALPACA_TRADE[1].replace(b"null", b'"QUFQTHxQfD="'))
    assert asked == [*first.partition("?")[2].split("&"), "page_token=QUFQTHxQfD%3D"]


def test_rows_come_oldest_first_and_none_are_no_page() -> None:
    row, body = GEMINI_BAR[1][1:-1], b"[]"
    later = row.replace(b"1561054500000", b"1561054560000")
    bars = [e for e in past("gemini:BTC-USD/bar.1m", b"[%b,%b]" % (later, row)).events if isinstance(e, Bar)]
    assert [bar.start_ns // MINUTE for bar in bars] == [26017575, 26017576]
    assert past("gemini:BTC-USD/trade", body) == History([])
    assert past("alpaca:AAPL/trade", b'{"trades":null,"next_page_token":null}') == History([])


# Whatever comes


@pytest.mark.parametrize("body", [b'{"error":["EQuery:Unknown asset pair"]}', b'{"error":[],"result":{}}'])
def test_what_kraken_refuses_is_no_history(body: bytes) -> None:
    with pytest.raises(DecodeError):
        past("kraken:BTC-USD/trade", body)


def test_what_itick_refuses_is_no_history() -> None:
    with pytest.raises(DecodeError):
        past("itick:EUR-USD/bar.1m", b'{"code":"E002","msg":"auth failed","data":null}')


@pytest.mark.parametrize(("name", "which", "body"), BODIES)
@given(data=st.data())
def test_any_body_is_read_or_refused(name: str, which: str, body: bytes, data: st.DataObject) -> None:
    hurt = data.draw(st.binary(max_size=200) | damaged(st.just(body)))
    try:
        history = past(name, hurt, which)
    except DecodeError as error:
        assert error.frame == hurt
    else:
        assert all(isinstance(event, MarketEvent) and event.kind in KINDS for event in history.events)
        json.encode(history.events)
