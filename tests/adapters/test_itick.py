"""iTick's frames, of both generations, and what we send; all frames are from the vendor's documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import channels_of, find
from livetape.adapters.itick import PLANS, ITick
from livetape.adapters.itick.places import REGIONS, Place, place
from livetape.adapters.itick_v1 import ITickV1
from livetape.core.adapter import Limits
from livetape.core.credentials import Credentials
from livetape.core.effects import Close, Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Bar,
    BookUpdate,
    Denied,
    Gap,
    Heartbeat,
    LoggedIn,
    MarketEvent,
    Message,
    Status,
    Summary,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel, Instrument
from livetape.core.session import Session

from ..sessions import opened
from .damage import damaged, decodes_or_refuses

MS = 1_000_000
SECOND = 1_000_000_000
KEY = Credentials("k-3")
APIS = [ITick, ITickV1]
INTERVALS = ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1w"]

TICK = b'{"code":1,"data":{"s":"EURUSD","r":"GB","ld":225.215,"v":16742235,"t":1731689407000,"type":"tick"}}'
QUOTE = (
    b'{"code":1,"data":{"s":"AAPL.US","ld":225.215,"o":226.27,"h":226.92,"l":224.44,"t":1731689407000,'
    b'"v":16742235,"tu":3774688301.452,"ts":0,"type":"quote"}}'
)
DEPTH = (
    b'{"code":1,"data":{"s":"AAPL.US","a":[{"po":1,"p":3034.01,"v":10.6023,"o":10.6023}],'
    b'"b":[{"po":1,"p":3034,"v":20.9758,"o":20.9758}],"type":"depth"}}'
)
DEPTH_OF_FOREX = (
    b'{"code":1,"data":{"s":"EURUSD$GB","r":"GB","a":[{"po":1,"p":1.05,"v":100000,"o":100000}],"b":[],'
    b'"type":"depth"}}'
)
KLINE = (
    b'{"code":1,"data":{"s":"EURUSD","r":"GB","type":"kline@1","t":1731660060000,"o":3055.36,"h":3061.41,'
    b'"l":3055.24,"c":3059.39,"v":28,"tu":157513}}'
)
NESTED_KLINE = (
    b'{"code":0,"msg":null,"data":{"s":"AAPL.US","t":1,"k":{"t":1731660060000,"o":3055.36,"h":3061.41,'
    b'"l":3055.24,"c":3059.39,"v":28,"tu":157513}}}'
)
MOMENT, MINUTE = 1731689407000 * MS, 1731660060000 * MS
FIGURES = ("3055.36", "3061.41", "3055.24", "3059.39", "28")
DATA: list[tuple[bytes, list[Message]]] = [
    (TICK, [Trade("itick:EUR-USD/trade", MOMENT, "225.215", "16742235", None, None)]),
    (
        QUOTE,
        [
            Summary(
                "itick:AAPL/summary",
                MOMENT,
                open_text="226.27",
                high_text="226.92",
                low_text="224.44",
                last_text="225.215",
                volume_text="16742235",
                turnover_text="3774688301.452",
            ),
            Status("itick:AAPL/status", "trading", "normal", MOMENT),
        ],
    ),
    (
        DEPTH,
        [BookUpdate("itick:AAPL/book", None, True, [("3034", "20.9758")], [("3034.01", "10.6023")])],
    ),
    (DEPTH_OF_FOREX, [BookUpdate("itick:EUR-USD/book", None, True, [], [("1.05", "100000")])]),
    (KLINE, [Bar("itick:EUR-USD/bar.1m", MINUTE, *FIGURES)]),
    (NESTED_KLINE, [Bar("itick:AAPL/bar.1m", MINUTE, *FIGURES)]),
]
GREETING = b'{"code":1,"msg":"Connected Successfully"}'
CONTROL: list[tuple[bytes, list[Message]]] = [
    (GREETING, [Heartbeat()]),
    (b'{"code":1,"resAc":"auth","msg":"authenticated","data":{"params":"k-3"}}', [LoggedIn()]),
    (b'{"code":1,"resAc":"auth","msg":"authenticated"}', [LoggedIn()]),
    (b'{"code":0,"resAc":"auth","msg":"auth failed"}', [Denied("auth failed", (), Why.LOGIN)]),
    (b'{"code":1,"resAc":"subscribe","msg":"subscribe Successfully"}', []),
    (
        b'{"code":0,"resAc":"subscribe","msg":"exceeding the maximum subscription limit"}',
        [Denied("exceeding the maximum subscription limit", (), Why.LIMIT)],
    ),
    (
        b'{"code":0,"resAc":"subscribe","msg":"cannot be resolved action"}',
        [Denied("cannot be resolved action")],
    ),
    (b'{"resAc":"pong","data":{"params":"1731688569840"}}', [Heartbeat()]),
    (b'{"code":1,"resAc":"pong","data":{"params":"1731688569840"}}', [Heartbeat()]),
]


def channels(*names: str) -> list[Channel]:
    return [Channel.parse(name) for name in names]


# What the vendor says


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("frame", "messages"), DATA + CONTROL)
def test_either_generation_reads_the_frames_of_both(
    api: type[ITick], frame: bytes, messages: list[Message]
) -> None:
    assert api({}, KEY).decode(frame) == messages


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_period_has_its_kind(interval: str) -> None:
    n = INTERVALS.index(interval) + 1
    flat = KLINE.replace(b"kline@1", b"kline@%d" % n)
    nested = NESTED_KLINE.replace(b'"t":1,', b'"t":%d,' % n)
    [one], [other] = ITick().decode(flat), ITick().decode(nested)
    assert isinstance(one, Bar)
    assert isinstance(other, Bar)
    assert (one.channel, other.channel) == (f"itick:EUR-USD/bar.{interval}", f"itick:AAPL/bar.{interval}")


@pytest.mark.parametrize(
    "frame",
    [
        KLINE.replace(b"kline@1", b"kline@10"),  # a month: there is no such kind
        NESTED_KLINE.replace(b'"t":1,', b'"t":10,'),
        TICK.replace(b'"tick"', b'"trade"'),
        TICK.replace(b"225.215", b'"225.215"'),
        TICK.replace(b"225.215", b"-1"),
        TICK.replace(b"1731689407000", b"-1"),
        DEPTH.replace(b"3034.01", b"null"),
        b'{"code":0,"data":{"type":"tick"}}' + b"]",
        b'{"code":2,"msg":"what?"}',
        b'{"code":1,"resAc":"unheard-of"}',
        b"{}",
        b"[]",
        b"",
    ],
)
def test_what_is_not_as_documented_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        ITick().decode(frame)


def test_numbers_stay_as_they_were_sent() -> None:
    [trade] = ITick().decode(TICK.replace(b"225.215", b"1.15840").replace(b"16742235", b"1e-8"))
    assert isinstance(trade, Trade)
    assert (trade.price_text, trade.size_text) == ("1.15840", "1e-8")


@pytest.mark.parametrize(
    ("s", "r", "symbol"),
    [
        ("EURUSD", "GB", "EUR-USD"),
        ("EURUSD", "gb", "EUR-USD"),
        ("EURUSD$gb", "", "EUR-USD"),
        ("ETH_USDT", "", "ETH-USDT"),
        ("700.HK", "", "700.HK"),
        ("700", "HK", "700.HK"),
        ("SPX", "GB", "SPX"),
        ("BRK.B", "US", "BRK.B"),
    ],
)
def test_data_are_named_in_our_spelling(s: str, r: str, symbol: str) -> None:
    frame = TICK.replace(b'"EURUSD","r":"GB"', f'"{s}","r":"{r}"'.encode())
    [trade] = ITick().decode(frame)
    assert getattr(trade, "channel", "") == f"itick:{symbol}/trade"


def named(adapter: ITick, s: str, r: str) -> str:
    [trade] = adapter.decode(TICK.replace(b'"EURUSD","r":"GB"', f'"{s}","r":"{r}"'.encode()))
    assert isinstance(trade, Trade)
    return trade.symbol


def test_data_are_named_as_they_were_asked_for() -> None:
    adapter = ITick({"futures": ["GC"], "indices": ["XYZ"]})
    adapter.subscribe(
        [Channel("itick", s, "trade") for s in ("GC", "XYZ", "700.HK", "700.SG", "BTC-USDT.BT")]
    )
    assert named(adapter, "GC", "US") == "GC"
    assert named(adapter, "XYZ", "GB") == named(adapter, "XYZ", "gb") == "XYZ"
    assert named(adapter, "700", "HK") == named(adapter, "700.HK", "") == "700.HK"
    assert named(adapter, "700", "SG") == "700.SG"
    assert named(adapter, "BTC_USDT", "") == "BTC-USDT.BT"


def test_a_trading_state_that_nobody_knows_is_noted() -> None:
    summary, status = ITick().decode(QUOTE.replace(b'"ts":0', b'"ts":9'))
    assert isinstance(summary, Summary)
    assert status == Status("itick:AAPL/status", "notice", "9", MOMENT)


@pytest.mark.parametrize("field", [b'"po":1,', b',"o":10.6023', b',"o":20.9758'])
def test_a_level_needs_no_more_than_price_and_size(field: bytes) -> None:
    name, _, value = field.strip(b",").partition(b":")
    null = field.replace(value, b"null")
    for frame in (DEPTH.replace(field, b""), DEPTH.replace(field, null)):
        assert frame != DEPTH, name
        assert ITick().decode(frame) == ITick().decode(DEPTH)


@pytest.mark.parametrize("api", APIS)
def test_a_volume_of_the_day_becomes_that_of_the_tick(api: type[ITick]) -> None:
    adapter = api({"tick_v": "day"}, KEY)
    volumes = [b"12345678901234567890.00000000000000000001", b"12345678901234567890.00000000000000000003"]
    volumes += [volumes[-1], b"5.5", b"7"]
    frames = [TICK.replace(b"16742235", volume) for volume in volumes]
    trades = [trade for frame in frames for trade in adapter.decode(frame) if isinstance(trade, Trade)]
    assert [(trade.size_text, trade.excluded) for trade in trades] == [
        ("0", ("volume",)),
        ("0.00000000000000000002", ()),
        ("0.00000000000000000000", ()),
        ("0", ("volume",)),  # of another day
        ("1.5", ()),
    ]
    [other] = adapter.decode(TICK.replace(b"EURUSD", b"GBPUSD"))
    assert getattr(other, "excluded", None) == ("volume",)
    adapter.login()
    [first] = adapter.decode(frames[-1])
    assert getattr(first, "size_text", None) == "0"


def test_a_change_of_the_trading_state_is_told_once() -> None:
    adapter = ITick()
    adapter.subscribe(channels("itick:AAPL/status"))
    told = []
    for ts in (b"0", b"0", b"1", b"1", b"0", b"3", b"2"):
        _, *states = adapter.decode(QUOTE.replace(b'"ts":0', b'"ts":' + ts))
        told += [(each.state, each.detail) for each in states if isinstance(each, Status)]
    assert told == [
        ("trading", "normal"),
        ("halted", "suspended"),
        ("resumed", "normal"),
        ("halted", "circuit breaker"),
        ("delisted", "delisted"),
    ]
    adapter.subscribe(channels("itick:AAPL/trade"))
    assert len(adapter.decode(QUOTE.replace(b'"ts":0', b'"ts":2'))) == 1
    adapter.subscribe(channels("itick:AAPL/status"))  # who asks anew is told anew
    assert len(adapter.decode(QUOTE.replace(b'"ts":0', b'"ts":2'))) == 2


# What we say


def test_todays_api_is_asked_with_the_region_and_a_header() -> None:
    adapter = find("itick")({}, KEY)
    assert (adapter.ws_headers(), adapter.login()) == ({"token": "k-3"}, [])
    assert adapter.rest_headers() == {"token": "k-3", "accept": "application/json"}
    wanted = channels(
        "itick:EUR-USD/trade", "itick:GBP-USD/book", "itick:EUR-USD/summary", "itick:EUR-USD/status"
    )
    assert adapter.subscribe([*wanted, *channels("itick:EUR-USD/bar.15m")]) == [
        b'{"ac":"subscribe","params":"EURUSD$GB","types":"tick,quote,kline@3"}',
        b'{"ac":"subscribe","params":"GBPUSD$GB","types":"depth"}',
    ]
    assert adapter.heartbeat(1731688569840_999_999) == b'{"ac":"ping","params":"1731688569840"}'


def test_the_older_api_is_asked_without_region_and_with_a_message() -> None:
    adapter = find("itick", "v1")({}, KEY)
    assert adapter.ws_headers() == {}
    assert adapter.login() == [b'{"ac":"auth","params":"k-3"}']
    symbols = ("EUR-USD", "AAPL", "700.HK", "ETH-USDT", "SPX500")
    asked = adapter.subscribe(channels(*[f"itick:{symbol}/book" for symbol in symbols]))
    assert [json.decode(frame)["params"] for frame in asked] == [
        "EURUSD",
        "AAPL.US",
        "700.HK",
        "ETH_USDT",
        "SPX500",
    ]


@pytest.mark.parametrize(
    ("symbol", "today", "native", "before"),
    [
        ("EUR-USD", "forex", "EURUSD$GB", "fws"),
        ("XAU-USD", "forex", "XAUUSD$GB", "fws"),
        ("SPX", "indices", "SPX$GB", "iws"),
        ("SPX500", "indices", "SPX500$GB", "iws"),
        ("BTC-USDT", "crypto", "BTCUSDT$BA", "cws"),
        ("BTC-EUR", "crypto", "BTCEUR$BA", "cws"),
        ("BTC-USDT.BT", "crypto", "BTCUSDT$BT", "cws"),
        ("AAPL", "stock", "AAPL$US", "sws"),
        ("700.HK", "stock", "700$HK", "sws"),
        ("DAX.US", "stock", "DAX$US", "sws"),
        ("BRK-B", "stock", "BRK-B$US", "sws"),
    ],
)
def test_every_asset_class_has_its_socket(symbol: str, today: str, native: str, before: str) -> None:
    channel = Channel("itick", symbol, "trade")
    for api, path in ((ITick, today), (ITickV1, before)):
        adapter = api({}, KEY)
        assert adapter.route(channel) == today
        assert adapter.endpoint(adapter.ws_url, [channel]) == f"wss://api.itick.org/{path}"
        assert (
            adapter.endpoint("ws://127.0.0.1:9/as/itick/", [channel]) == f"ws://127.0.0.1:9/as/itick/{path}"
        )
    assert json.decode(ITick().subscribe([channel])[0])["params"] == native
    code, region = native.split("$")
    assert ITick().price_path(symbol) == f"/{today}/quote?region={region}&code={code}"


def test_options_name_what_cannot_be_told_from_stocks() -> None:
    adapter = ITick({"futures": ["GC"], "funds": ["QQQ"], "indices": ["XYZ"]})
    routes = {s: adapter.route(Channel("itick", s, "trade")) for s in ("GC", "QQQ", "XYZ", "AAPL")}
    assert routes == {"GC": "future", "QQQ": "fund", "XYZ": "indices", "AAPL": "stock"}


@pytest.mark.parametrize(
    ("option", "code", "symbol", "native", "path"),
    [
        ("crypto", "EURTRY", "EUR-TRY", "EURTRY$BA", "cws"),
        ("crypto", "eurtry$ba", "EUR-TRY", "EURTRY$BA", "cws"),
        ("forex", "USD-CZK", "USD-CZK", "USDCZK$GB", "fws"),
        ("stocks", "dax$us", "DAX", "DAX$US", "sws"),
        ("indices", "iseq", "ISEQ", "ISEQ$GB", "iws"),
    ],
)
def test_codes_are_listed_in_any_spelling(
    option: str, code: str, symbol: str, native: str, path: str
) -> None:
    channel = Channel("itick", symbol, "trade")
    assert json.decode(ITick({option: [code]}).subscribe([channel])[0])["params"] == native
    assert ITickV1({option: [code]}).endpoint("", [channel]) == f"/{path}"


@pytest.mark.parametrize(
    ("plan", "limits"),
    [
        (None, Limits(500, 1)),
        ("free", Limits(3, 1)),
        ("base", Limits(200, 3)),
        ("professional", Limits(500, 6)),
        ("premium", Limits(500, 12)),
    ],
)
def test_the_plan_sets_the_limits(plan: str | None, limits: Limits) -> None:
    for api in APIS:
        assert api({} if plan is None else {"plan": plan}).limits == limits
        assert api().limits == Limits(500, 1)  # the class is as before
    assert ITick({"plan": "base", "max_symbols": 5}).limits == Limits(5, 3)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"plan": "gold"}, f"unknown plan 'gold'; did you mean {' or '.join(PLANS)}"),
        ({"plan": ["free"]}, "unknown plan"),
        ({"tick_v": "week"}, "unknown tick_v 'week'; did you mean tick or day"),
        ({"indices": "SPX"}, "indices must list codes"),
        ({"indices": [1]}, "indices must list codes"),
        ({"crypto": [""]}, "crypto must list codes"),
        ({"region": "GB"}, "unknown option 'region'"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        ITick(options)


def test_the_older_api_has_no_futures() -> None:
    with pytest.raises(ConfigError, match="unknown option 'futures'"):
        ITickV1({"futures": ["GC"]})


# Symbols


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("EURUSD$GB", "EUR-USD"),
        ("eurusd$gb", "EUR-USD"),
        ("EURUSD", "EUR-USD"),
        ("USDHKD", "USD-HKD"),
        ("HKDUSD", "HKD-USD"),
        ("XAUUSD$GB", "XAU-USD"),
        ("AAPL$US", "AAPL"),
        ("AAPL.US", "AAPL"),
        ("aapl", "AAPL"),
        ("700$HK", "700.HK"),
        ("700.HK", "700.HK"),
        ("BTCUSDT$BA", "BTC-USDT"),
        ("BTCUSDT$BT", "BTC-USDT.BT"),
        ("EURTRY$BA", "EUR-TRY.BA"),
        ("EURTRY$GB", "EUR-TRY"),
        ("ETH_USDT", "ETH-USDT"),
        ("SPX$GB", "SPX"),
        ("SPX500", "SPX500"),
        ("ISEQ$GB", "ISEQ.GB"),  # an index whose name is not known here keeps what tells it from a stock
        ("DAX$US", "DAX.US"),
        ("BRK.B", "BRK.B"),
        ("FOO$ZZ", "FOO$ZZ"),
        ("GC$US", "GC"),
    ],
)
def test_their_spelling_becomes_ours(theirs: str, ours: str) -> None:
    assert ITick.canonical(theirs) == ITick.canonical(ours) == ours
    assert channels_of([f"itick:{theirs}/trade"]) == [Channel("itick", ours, "trade")]


@given(
    st.text("ABCDEFGHIJUSDTEURGBP0123456789.", min_size=1, max_size=8)
    | st.sampled_from(["SPX", "EURUSD", "BTCUSDT"]),
    st.sampled_from(["GB", "BA", "US", "HK", "BT", "ZZ"]),
)
def test_our_spelling_leads_to_the_region_it_came_from(code: str, region: str) -> None:
    symbol = ITick.canonical(f"{code}${region}")
    assert place(symbol).region == region
    assert ITick.canonical(symbol) == symbol


def test_the_asset_class_is_that_of_the_region() -> None:
    assert place("ISEQ.GB") == Place("indices", "ISEQ", "GB")
    assert place("ABCTRX.BA") == Place("crypto", "ABCTRX", "BA")
    assert place("EUR-TRY.BA") == Place("crypto", "EUR-TRY", "BA")
    assert place("USD-HKD") == Place("forex", "USD-HKD", "GB")
    assert place("USD-HKD").native == "USDHKD"


def test_the_lists_of_instruments_are_read() -> None:
    paths = ITick().symbols_paths()
    assert paths == [
        f"/symbol/list?type={asset}&region={REGIONS[asset]}"
        for asset in ("forex", "indices", "crypto", "stock")
    ]
    listed = (
        b'{"code":0,"msg":null,"data":[{"c":"EURUSD","n":"Euro","t":"forex","e":"x","s":null},'
        b'{"c":"USDHKD","n":null}]}'
    )
    assert ITick().decode_symbols(paths[0], listed) == [
        Instrument("EUR-USD", "EURUSD$GB", name="Euro", asset="forex"),
        Instrument("USD-HKD", "USDHKD$GB", asset="forex"),
    ]
    [index] = ITick().decode_symbols(paths[1], b'{"code":0,"data":[{"c":"DJI","n":"Dow"}]}')
    assert index == Instrument("DJI", "DJI$GB", name="Dow", asset="index")


def test_a_list_that_is_refused_says_why() -> None:
    refused = b'{"code":"E002","msg":"auth failed","data":null}'
    with pytest.raises(DecodeError, match="E002 auth failed"):
        ITick().decode_symbols(ITick().symbols_paths()[0], refused)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b'"E001"', Why.SYMBOL),
        (b'"E002"', Why.LOGIN),
        (b'"E003"', Why.LIMIT),
        (b'"E999"', Why.OTHER),
        (b"1", Why.OTHER),
    ],
)
def test_the_code_of_a_refusal_says_why(api: type[ITick], code: bytes, why: Why) -> None:
    body = b'{"code":%b,"msg":"no","data":null}' % code
    assert api().refusal(body) == Denied(f"{json.decode(code)} no", why=why)
    assert api().refusal(b'{"code":0,"msg":null,"data":[]}') is None


# Sessions


def session_for(*names: str, api: type[ITick] = ITick) -> Session:
    return opened(api({}, KEY), channels(*names))


LOGGED_IN = b'{"code":1,"resAc":"auth","msg":"authenticated"}'
SUBSCRIBED = b'{"code":1,"resAc":"subscribe","msg":"subscribe Successfully"}'


def sent(session: Session) -> list[bytes]:
    return [effect.frame for effect in session.effects() if isinstance(effect, Send)]


def states(events: list[MarketEvent]) -> list[tuple[str, str, Why]]:
    return [(e.channel, e.state, e.why) for e in events if isinstance(e, Status)]


@pytest.mark.parametrize("api", APIS)
def test_nothing_is_asked_for_before_the_login(api: type[ITick]) -> None:
    session = session_for("itick:EUR-USD/trade", api=api)
    assert sent(session) == api({}, KEY).login()
    session.receive(GREETING, 2)
    assert sent(session) == []
    session.receive(LOGGED_IN, 2)
    assert len(sent(session)) == 1
    assert states(session.receive(SUBSCRIBED, 3)) == [("itick:EUR-USD/trade", "live", Why.OTHER)]


def test_a_heartbeat_is_due_every_twenty_seconds() -> None:
    session = session_for("itick:EUR-USD/trade")
    session.receive(LOGGED_IN, 1)
    session.effects()
    session.tick(15 * SECOND)
    assert sent(session) == []
    session.tick(21 * SECOND)
    assert sent(session) == [b'{"ac":"ping","params":"20200"}']


def test_a_wrong_key_ends_the_connection() -> None:
    session = session_for("itick:EUR-USD/trade")
    denied = session.receive(b'{"code":0,"resAc":"auth","msg":"auth failed"}', 2)
    assert states(denied) == [("itick:EUR-USD/trade", "denied", Why.LOGIN)]
    assert [type(effect) for effect in session.effects()] == [Close]


def test_one_connection_too_many_is_told_as_such() -> None:
    session = session_for("itick:EUR-USD/trade")
    denied = session.receive(b'{"code":0,"resAc":"auth","msg":"exceeding the maximum subscription limit"}', 2)
    assert states(denied) == [("itick:EUR-USD/trade", "denied", Why.CONNECTIONS)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"code":0,"resAc":"subscribe","msg":"exceeding the maximum subscription limit"}', Why.LIMIT),
        (b'{"code":0,"resAc":"subscribe","msg":"cannot be resolved action"}', Why.SYMBOL),
        (b'{"code":0,"msg":"cannot be resolved action"}', Why.SYMBOL),
        (b'{"code":0,"resAc":"subscribe","msg":"something else"}', Why.OTHER),
    ],
)
def test_a_refusal_is_told_of_the_symbol_that_was_refused(answer: bytes, why: Why) -> None:
    session = session_for(
        "itick:EUR-USD/trade", "itick:FOO-USD/trade", "itick:FOO-USD/book", "itick:GBP-USD/trade"
    )
    session.receive(LOGGED_IN, 1)
    session.receive(SUBSCRIBED, 2)
    assert states(session.receive(answer, 3)) == [
        ("itick:FOO-USD/trade", "denied", why),
        ("itick:FOO-USD/book", "denied", why),
    ]
    session.receive(SUBSCRIBED, 4)
    [(name, state, _)] = states(session.receive(answer, 5))
    assert (name, state) == ("itick", "denied")  # nothing is left to answer


def test_a_new_connection_owes_no_answers() -> None:
    session = session_for("itick:FOO-USD/trade", "itick:EUR-USD/trade", "itick:GBP-USD/trade")
    session.receive(LOGGED_IN, 1)
    session.disconnected("gone", 2)
    session.drop(channels("itick:FOO-USD/trade"), 2)
    session.connected(3)
    session.receive(LOGGED_IN, 3)
    denied = session.receive(b'{"code":0,"resAc":"subscribe","msg":"cannot be resolved action"}', 4)
    assert states(denied) == [("itick:EUR-USD/trade", "denied", Why.SYMBOL)]


def test_giving_up_a_symbol_takes_a_new_connection() -> None:
    session = session_for("itick:EUR-USD/trade", "itick:GBP-USD/trade")
    session.receive(LOGGED_IN, 1)
    session.effects()
    session.drop(channels("itick:EUR-USD/trade"), 2)
    assert session.effects() == [Close("subscription changed", at_once=True)]


def test_books_are_not_called_verified_and_mend_themselves() -> None:
    session = session_for("itick:AAPL/book", "itick:AAPL/quote")
    session.receive(LOGGED_IN, 1)
    events = session.receive(DEPTH, 2) + session.receive(DEPTH.replace(b"3034.01", b"3034.02"), 3)
    books = [event for event in events if isinstance(event, BookUpdate)]
    assert [book.asks for book in books] == [[("3034.01", "10.6023")], [("3034.02", "10.6023")]]
    assert {book.trust for book in books} == {Trust.UNVERIFIABLE}
    assert not [event for event in events if isinstance(event, Gap)]
    assert session.channels["itick:AAPL/book"].book is books[-1].book
    assert len(books[-1].book.asks) == 1


# Bad bytes

FRAMES = [frame for frame, _ in DATA + CONTROL]


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    for api in APIS:
        decodes_or_refuses(api(), frame)


@given(damaged(st.sampled_from(FRAMES), b'"$"'))
def test_any_damage_to_a_frame_decodes_or_is_refused(frame: bytes) -> None:
    decodes_or_refuses(ITick(), frame)


@given(st.text(max_size=20), st.sampled_from([b'"EURUSD"', b'"GB"']))
def test_any_symbol_decodes_or_is_refused(text: str, where: bytes) -> None:
    decodes_or_refuses(ITick(), TICK.replace(where, json.encode(text)))
