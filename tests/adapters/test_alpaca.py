"""Alpaca in the client role: frames of the documentation, each error, and what we send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, msgpack

from livetape.adapters import channels_of, find
from livetape.core.adapter import Adapter
from livetape.core.credentials import Credentials
from livetape.core.effects import Close, Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Ack,
    Amendment,
    Auction,
    Bar,
    BookUpdate,
    Closing,
    Denied,
    Heartbeat,
    LoggedIn,
    Luld,
    Message,
    News,
    Quote,
    Status,
    Trade,
    Why,
)
from livetape.core.instruments import Channel, Instrument
from livetape.core.session import Session
from livetape.core.stamps import extension, ns_of_stamp

from ..sessions import opened
from .damage import damaged, decodes_or_refuses

KEY = Credentials("K", "S")
SECOND = 10**9


def alpaca(**options: object) -> Adapter:
    return find("alpaca")(options, KEY)


def channels(*names: str) -> list[Channel]:
    return [Channel.parse(f"alpaca:{name}") for name in names]


def at(text: str) -> int:
    return ns_of_stamp(text)


# Every data frame that the documentation prints, and what it means.
DOCUMENTED: list[tuple[bytes, list[Message]]] = [
    (
        b'[{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z",'
        b'"c":["@","I"],"z":"C"}]',
        [
            Trade(
                "alpaca:AAPL/trade",
                at("2021-02-22T15:51:44.208Z"),
                *("126.55", "1", None, "D-96921"),
                conditions=("@", "I"),
                excluded=("last", "range"),
            )
        ],
    ),
    (
        b'[{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,'
        b'"t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}]',
        [Quote("alpaca:AMD/quote", 1_614_009_105_335_689_322, "87.66", "1", "87.68", "4")],
    ),
    (
        b'[{"T":"q","S":"FAKEPACA","bx":"O","bp":133.85,"bs":4,"ax":"R","ap":135.77,"as":5,"c":["R"],"z":"A",'
        b'"t":"2024-07-24T07:56:53.639713735Z"}]',
        [
            Quote(
                *("alpaca:FAKEPACA/quote", at("2024-07-24T07:56:53.639713735Z")),
                *("133.85", "4", "135.77", "5"),
            )
        ],
    ),
    (
        b'[{"T":"b","S":"FAKEPACA","o":132.65,"h":136,"l":132.12,"c":134.65,"v":205,"t":"2024-07-24T07:56:00Z",'
        b'"n":16,"vw":133.7}]',
        [
            Bar(
                *(
                    "alpaca:FAKEPACA/bar.1m",
                    1_721_807_760 * SECOND,
                    "132.65",
                    "136",
                    "132.12",
                    "134.65",
                    "205",
                ),
                *(16, "133.7", True),
            )
        ],
    ),
    (
        b'[{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],'
        b'"ci":52983525034326,"cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B",'
        b'"t":"2023-04-06T14:25:06.542305024Z"}]',
        [
            Amendment(
                *("alpaca:EEM/trade", at("2023-04-06T14:25:06.542305024Z"), "M-52983525033527", "39.1582"),
                *("440000", "39.1809", "440000", "M-52983525034326"),
            )
        ],
    ),
    (
        b'[{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C",'
        b'"t":"2023-04-06T13:15:42.83540958Z"}]',
        [Amendment("alpaca:GOOGL/trade", at("2023-04-06T13:15:42.83540958Z"), "D-465", "105.31", "300")],
    ),
    (
        b'[{"T":"l","S":"IONM","u":3.24,"d":2.65,"i":"B","t":"2023-04-06T13:34:45.565004401Z","z":"C"}]',
        [Luld("alpaca:IONM/luld", at("2023-04-06T13:34:45.565004401Z"), "3.24", "2.65", "B")],
    ),
    (
        b'[{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Trading Halted; For information '
        b'requested by NASDAQ","t":"2021-02-22T19:15:00Z","z":"C"}]',
        [
            Status(
                *("alpaca:AAPL/status", "halted"),
                "Trading Halt: Trading Halted; For information requested by NASDAQ (T12)",
                1_614_021_300 * SECOND,
            )
        ],
    ),
    (
        b'[{"T":"i","S":"INAQU","p":9.12,"z":"C","t":"2024-12-13T19:58:09.242138635Z"}]',
        [
            Auction(
                *("alpaca:INAQU/auction", at("2024-12-13T19:58:09.242138635Z"), "imbalance"),
                price_text="9.12",
            )
        ],
    ),
    (
        b'[{"T":"t","S":"AVAX/USD","p":47.299,"s":29.205707815,"t":"2024-03-12T10:27:48.858228144Z",'
        b'"i":3447222699101865076,"tks":"S"}]',
        [
            Trade(
                *("alpaca:AVAX-USD/trade", at("2024-03-12T10:27:48.858228144Z")),
                *("47.299", "29.205707815", "sell", "3447222699101865076"),
            )
        ],
    ),
    (
        b'[{"T":"b","S":"BTC/USD","o":47993.71,"c":47982.6,"h":48000,"l":47976.69,"v":1.66283276,'
        b'"t":"2021-09-17T02:02:00Z","n":162,"vw":47984.1688165374}]',
        [
            Bar(
                *("alpaca:BTC-USD/bar.1m", at("2021-09-17T02:02:00Z"), "47993.71", "48000", "47976.69"),
                *("47982.6", "1.66283276", 162, "47984.1688165374", True),
            )
        ],
    ),
    (
        b'[{"T":"o","S":"BTC/USD","t":"2024-03-12T10:38:50.79613221Z","b":[{"p":71859.53,"s":0.27994}],'
        b'"a":[{"p":71939.7,"s":0}],"r":true}]',
        [
            BookUpdate(
                *("alpaca:BTC-USD/book", at("2024-03-12T10:38:50.79613221Z"), True),
                *([("71859.53", "0.27994")], [("71939.7", "0")]),
            )
        ],
    ),
    (
        b'[{"T":"n","id":24918784,"headline":"Corsair Reports","summary":"","author":"Benzinga Newsdesk",'
        b'"created_at":"2022-01-05T22:00:37Z","updated_at":"2022-01-05T22:00:38Z","url":"https://x.example/1",'
        b'"content":"\\u003cp\\u003e","symbols":["CRSR","BTCUSD"],"source":"benzinga"}]',
        [
            News(
                *(f"alpaca:{symbol}/news", at("2022-01-05T22:00:37Z"), "24918784", "Corsair Reports"),
                source="benzinga",
                url="https://x.example/1",
                symbols=("CRSR", "BTC-USD"),
                updated_ns=at("2022-01-05T22:00:38Z"),
            )
            for symbol in ("CRSR", "BTC-USD")
        ],
    ),
    (b'[{"T":"success","msg":"connected"}]', [Heartbeat()]),
    (b'[{"T":"success","msg":"authenticated"}]', [LoggedIn()]),
]


@pytest.mark.parametrize(("frame", "messages"), DOCUMENTED)
def test_documented_frames(frame: bytes, messages: list[Message]) -> None:
    assert alpaca().decode(frame) == messages


def packed(frame: bytes) -> bytes:
    """The same in msgpack, times as extensions."""
    items = json.decode(frame)
    for item in items:
        for name in {"t", "created_at", "updated_at"} & item.keys():
            item[name] = extension(ns_of_stamp(item[name]))
    return msgpack.encode(items)


@pytest.mark.parametrize(("frame", "messages"), DOCUMENTED)
def test_documented_frames_in_msgpack(frame: bytes, messages: list[Message]) -> None:
    assert alpaca(encoding="msgpack").decode(packed(frame)) == messages


def test_the_other_kinds_of_bars() -> None:
    [(frame, [minute])] = [each for each in DOCUMENTED if b'"T":"b","S":"F' in each[0]]
    assert isinstance(minute, Bar)
    [updated] = alpaca().decode(frame.replace(b'"b"', b'"u"'))
    assert updated == minute  # the same start: it replaces the first one
    [day] = alpaca().decode(frame.replace(b'"b"', b'"d"'))
    assert isinstance(day, Bar)
    assert (day.kind, day.closed) == ("bar.1d", False)


def test_a_frame_of_several_kinds_and_symbols() -> None:
    data = [each for each in DOCUMENTED if b'"success"' not in each[0] and b'"T":"n"' not in each[0]]
    assert len(data) > 10
    frame = b"[%b]" % b",".join(frame[1:-1] for frame, _ in data)
    assert alpaca().decode(frame) == [message for _, messages in data for message in messages]


def test_numbers_keep_their_text() -> None:
    frame = DOCUMENTED[0][0]
    for text in ("126.550", "1e-8", "0.1000", "12345678901234567890.12345"):
        [trade] = alpaca().decode(frame.replace(b"126.55", text.encode()))
        assert isinstance(trade, Trade)
        assert trade.price_text == text


def test_keys_that_came_later_are_ignored() -> None:
    frame = DOCUMENTED[0][0].replace(b'"z":', b'"r":"2021-02-22T15:51:44.3Z","new":{"a":[1]},"z":')
    assert alpaca().decode(frame) == DOCUMENTED[0][1]


def test_a_side_without_a_price_is_empty() -> None:
    [quote] = alpaca().decode(DOCUMENTED[1][0].replace(b"87.66", b"0").replace(b'"bs":1', b'"bs":0'))
    assert isinstance(quote, Quote)
    assert (quote.bid_text, quote.bid_size_text, quote.ask_text) == (None, None, "87.68")


def test_option_trades_have_one_condition() -> None:
    said = {"T": "t", "S": "AAPL240315C00172500", "t": extension(5), "p": 2.84, "s": 1, "x": "N", "c": "I"}
    [trade] = alpaca().decode(msgpack.encode([said]))
    expected = Trade("alpaca:AAPL240315C00172500/trade", 5, "2.84", "1", None, None, conditions=("I",))
    assert trade == expected


@pytest.mark.parametrize(
    ("code", "state"),
    [("2", "halted"), ("3", "resumed"), ("T", "resumed"), ("Q", "quoting"), ("5", "notice")],
)
def test_trading_states(code: str, state: str) -> None:
    frame = b'[{"T":"s","S":"F","sc":"%b","t":"2021-02-22T19:15:00Z"}]' % code.encode()
    assert alpaca().decode(frame) == [Status("alpaca:F/status", state, "", 1_614_021_300 * SECOND)]


# Subscriptions

LIST = (
    b'[{"T":"subscription","trades":["AAPL"],"quotes":["AMD","CLDR"],"bars":["*"],"updatedBars":[],"dailyBars":[],'
    b'"statuses":[],"lulds":[],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]'
)


def test_the_request_is_as_documented() -> None:
    [frame] = alpaca().subscribe(channels("AAPL/trade", "AMD/quote", "F/quote", "F/bar.1m", "F/bar.1d"))
    assert json.decode(frame) == {
        **{"action": "subscribe", "trades": ["AAPL"], "quotes": ["AMD", "F"]},
        **{"bars": ["F"], "updatedBars": ["F"], "dailyBars": ["F"]},
    }
    [frame] = alpaca().unsubscribe(channels("AAPL/status", "AAPL/luld", "AAPL/auction"))
    assert json.decode(frame) == {
        **{"action": "unsubscribe", "statuses": ["AAPL"], "lulds": ["AAPL"], "imbalances": ["AAPL"]},
    }
    assert alpaca().login() == [b'{"action":"auth","key":"K","secret":"S"}']
    assert alpaca().probe() == b'{"action":"subscribe"}'


def test_the_list_confirms_what_is_in_it_and_denies_the_rest() -> None:
    adapter = alpaca()
    adapter.subscribe(channels("AAPL/trade", "CLDR/quote", "AAPL/quote"))
    assert adapter.decode(LIST) == [
        Heartbeat(),
        *(Ack("alpaca:AAPL/trade"), Ack("alpaca:CLDR/quote")),
        Denied("not in the vendor's list", ("alpaca:AAPL/quote",), Why.SYMBOL),
    ]
    assert adapter.decode(LIST) == [Heartbeat()]  # nobody had asked


def test_a_list_may_leave_out_what_is_empty() -> None:
    adapter = alpaca()
    adapter.subscribe(channels("BTC-USD/book"))
    said = b'[{"T":"subscription","orderbooks":["BTC/USD"],"trades":null}]'
    assert Ack("alpaca:BTC-USD/book") in adapter.decode(said)


def test_what_the_vendor_may_refuse_is_asked_for_alone() -> None:
    adapter = alpaca()
    frames = adapter.subscribe(channels("AAPL/trade", "AAPL/book", "BRK$A/trade", "AMD/trade"))
    asked = [json.decode(frame) for frame in frames]
    assert asked == [
        {"action": "subscribe", "trades": ["AAPL", "AMD"]},
        {"action": "subscribe", "orderbooks": ["AAPL"]},
        {"action": "subscribe", "trades": ["BRK$A"]},
    ]
    adapter.decode(b'[{"T":"subscription","trades":["AAPL","AMD"]}]')
    refusals = b'[{"T":"error","code":410,"msg":"invalid subscribe action for this feed"}]'
    [refusal] = adapter.decode(refusals)
    assert refusal == Denied("410 invalid subscribe action for this feed", ("alpaca:AAPL/book",), Why.PLAN)
    [refusal] = adapter.decode(b'[{"T":"error","code":400,"msg":"invalid syntax"}]')
    assert refusal == Denied("400 invalid syntax", ("alpaca:BRK$A/trade",), Why.SYMBOL)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        *[(400, Why.SYMBOL), (405, Why.LIMIT), (409, Why.PLAN), (410, Why.PLAN), (411, Why.PLAN)],
        *[(412, Why.PLAN), (413, Why.PLAN), (499, Why.OTHER)],
    ],
)
def test_an_error_answers_the_oldest_request(code: int, why: Why) -> None:
    adapter = alpaca()
    adapter.subscribe(channels("AAPL/trade"))
    adapter.subscribe(channels("AMD/trade"))
    frame = b'[{"T":"error","code":%d,"msg":"no"}]' % code
    assert adapter.decode(frame) == [Denied(f"{code} no", ("alpaca:AAPL/trade",), why)]
    assert adapter.decode(frame) == [Denied(f"{code} no", ("alpaca:AMD/trade",), why)]
    adapter.probe()
    assert adapter.decode(frame) == [Heartbeat()]  # a sign of life like any other


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, Closing("401 no")),
        (402, Denied("402 no", why=Why.LOGIN)),
        (403, Heartbeat()),
        (404, Closing("404 no")),
        (406, Denied("406 no", why=Why.CONNECTIONS)),
        (407, Closing("407 no")),
        (408, Denied("408 no", why=Why.PLAN)),
        (409, Denied("409 no", why=Why.PLAN)),  # as the answer to the login
        (500, Closing("500 no")),
    ],
)
def test_errors_of_the_connection(code: int, message: Message) -> None:
    assert alpaca().decode(b'[{"T":"error","code":%d,"msg":"no"}]' % code) == [message]


def test_nothing_is_subscribed_before_the_login() -> None:
    session = opened(alpaca(), channels("AAPL/trade"))
    assert session.effects() == [Send(b'{"action":"auth","key":"K","secret":"S"}')]
    session.receive(b'[{"T":"success","msg":"connected"}]', 2)
    assert session.effects() == []
    session.receive(b'[{"T":"success","msg":"authenticated"}]', 3)
    assert session.effects() == [Send(b'{"action":"subscribe","trades":["AAPL"]}')]


def test_a_new_connection_forgets_the_requests_of_the_old_one() -> None:
    session = Session(alpaca())
    session.want(channels("AAPL/trade"), 1)
    for now_ns in (1, 2):
        session.connected(now_ns)
        session.receive(b'[{"T":"success","msg":"authenticated"}]', now_ns)
        session.disconnected("lost", now_ns)
    session.connected(3)
    session.receive(b'[{"T":"success","msg":"authenticated"}]', 3)
    session.want(channels("AMD/trade"), 4)
    session.receive(b'[{"T":"subscription","trades":["AAPL"]}]', 5)
    [status] = [
        event
        for event in session.receive(b'[{"T":"error","code":405,"msg":"symbol limit exceeded"}]', 6)
        if isinstance(event, Status)
    ]
    assert (status.channel, status.state, status.why) == ("alpaca:AMD/trade", "denied", Why.LIMIT)


def test_a_wrong_key_ends_the_connection() -> None:
    session = opened(alpaca(), channels("AAPL/trade"))
    [denied] = session.receive(b'[{"T":"error","code":402,"msg":"auth failed"}]', 2)
    assert isinstance(denied, Status)
    assert (denied.state, denied.why) == ("denied", Why.LOGIN)
    assert any(isinstance(effect, Close) for effect in session.effects())


def test_an_amendment_changes_the_day() -> None:
    session = opened(alpaca(), channels("AAPL/trade", "AAPL/summary"))
    session.receive(b'[{"T":"success","msg":"authenticated"}]', 1)
    said = (
        b'[{"T":"t","i":%d,"S":"AAPL","x":"V","p":%b,"s":100,"t":"2021-02-22T15:51:44Z","c":["@"],"z":"C"}]'
    )
    session.receive(said % (1, b"10.5"), 2)
    session.receive(said % (2, b"99"), 3)
    cancel = b'[{"T":"x","S":"AAPL","i":2,"x":"V","p":99,"s":100,"a":"E","z":"C","t":"2021-02-22T15:51:46Z"}]'
    *_, amendment, summary = session.receive(cancel, 4)
    assert (amendment.channel, amendment.kind) == ("alpaca:AAPL/trade", "trade")
    assert (summary.last_text, summary.high_text, summary.volume_text) == ("10.5", "10.5", "100")  # type: ignore[union-attr]


# Endpoints, limits, options


@pytest.mark.parametrize(
    ("name", "options", "path"),
    [
        ("AAPL/trade", {}, "/v2/iex"),
        ("AAPL/bar.1m", {"feed": "sip"}, "/v2/sip"),
        ("AAPL/quote", {"feed": "delayed_sip"}, "/v2/delayed_sip"),
        ("FAKEPACA/quote", {"feed": "sip"}, "/v2/test"),
        ("BTC-USD/book", {"feed": "sip"}, "/v1beta3/crypto/us"),
        ("AAPL/news", {}, "/v1beta1/news"),
        ("BTC-USD/news", {}, "/v1beta1/news"),
        ("AAPL240315C00172500/quote", {}, "/v1beta1/indicative"),
        ("AAPL240315C00172500/trade", {"options_feed": "opra"}, "/v1beta1/opra"),
    ],
)
def test_each_channel_has_its_endpoint(name: str, options: dict[str, object], path: str) -> None:
    adapter, wanted = alpaca(**options), channels(name)
    assert adapter.route(wanted[0]) == path
    assert adapter.endpoint(adapter.ws_url, wanted) == f"wss://stream.data.alpaca.markets{path}"
    assert adapter.endpoint("ws://127.0.0.1:9/as/alpaca/", wanted) == f"ws://127.0.0.1:9/as/alpaca{path}"


def test_options_speak_msgpack_and_the_rest_what_is_chosen() -> None:
    adapter = alpaca()
    adapter.endpoint("", channels("AAPL240315C00172500/quote"))
    assert adapter.binary
    assert adapter.ws_headers() == {"Content-Type": "application/msgpack"}
    [frame] = adapter.subscribe(channels("AAPL240315C00172500/quote"))
    assert msgpack.decode(frame) == {"action": "subscribe", "quotes": ["AAPL240315C00172500"]}
    adapter.endpoint("", channels("AAPL/quote"))
    assert (adapter.binary, adapter.ws_headers()) == (False, {})
    packing = alpaca(encoding="msgpack")
    packing.endpoint("", channels("AAPL/quote"))
    assert packing.binary


def test_news_of_a_pair_have_no_slash() -> None:
    [frame] = alpaca().subscribe(channels("BTC-USD/news", "AAPL/news"))
    assert json.decode(frame) == {"action": "subscribe", "news": ["BTCUSD", "AAPL"]}


def test_limits_follow_the_plan() -> None:
    basic, paid, fewer = alpaca(), alpaca(plan="paid"), alpaca(max_symbols=5)
    assert (basic.limits.symbols_per_socket, basic.limits.sockets_per_key) == (30, 1)
    assert paid.limits.symbols_per_socket >= 10_000
    assert fewer.limits.symbols_per_socket == 5
    taken = [
        basic.slot(each) for each in channels("F/trade", "F/quote", "F/bar.1m", "F/status", "BTC-USD/book")
    ]
    assert taken == ["trade F", "quote F", None, None, None]


@pytest.mark.parametrize(
    "options", [{"feed": "nasdaq"}, {"encoding": "xml"}, {"plan": 3}, {"options_feed": ""}, {"fed": "iex"}]
)
def test_options_that_do_not_exist(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        alpaca(**options)


def test_events_of_an_account_are_not_here() -> None:
    with pytest.raises(ConfigError, match="not market data"):
        channels_of(["alpaca:trade_updates"])
    assert channels_of(["alpaca:btc/usd/trade"]) == channels("BTC-USD/trade")


# REST


def test_assets() -> None:
    body = json.encode(
        [
            {"id": "1", "class": "us_equity", "symbol": "AAPL", "name": "Apple Inc.", "tradable": True},
            {
                **{"class": "crypto", "symbol": "BTC/USD", "name": "Bitcoin"},
                **{"price_increment": "0.1", "min_trade_increment": "0.000000001"},
            },
            {"class": "us_option", "symbol": "X"},
        ]
    )
    adapter = alpaca()
    assert all(
        path.startswith("https://paper-api.alpaca.markets/v2/assets?") for path in adapter.symbols_paths()
    )
    assert adapter.decode_symbols("", body) == [
        Instrument("AAPL", "AAPL", "0.01", "1", "Apple Inc.", "stock"),
        Instrument("BTC-USD", "BTC/USD", "0.1", "0.000000001", "Bitcoin", "crypto"),
    ]
    with pytest.raises(DecodeError):
        adapter.decode_symbols("", b'{"message":"forbidden."}')


def test_rest_carries_the_key() -> None:
    assert alpaca().rest_headers() == {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}
    assert find("alpaca")().rest_headers() == {}
    assert alpaca().price_path("AAPL") == "/v2/stocks/trades/latest?symbols=AAPL&feed=iex"
    assert alpaca().price_path("BTC-USD") == "/v1beta3/crypto/us/latest/trades?symbols=BTC%2FUSD"
    assert alpaca().price_path("FAKEPACA") is None


# Bad bytes

FRAMES = [frame for frame, _ in DOCUMENTED] + [packed(frame) for frame, _ in DOCUMENTED] + [LIST]


def asking() -> Adapter:
    adapter = alpaca()
    adapter.subscribe(channels("AAPL/trade", "AMD/quote"))
    return adapter


@given(st.binary(max_size=200))
def test_any_bytes(frame: bytes) -> None:
    decodes_or_refuses(asking(), frame)


@given(damaged(st.sampled_from(FRAMES), b"true"))
def test_any_damage(frame: bytes) -> None:
    decodes_or_refuses(asking(), frame)


@pytest.mark.parametrize("price", ["true", "null", "-1", "1e999", '"x"', "[1]", "{}"])
def test_a_price_that_is_none(price: str) -> None:
    with pytest.raises(DecodeError):
        alpaca().decode(DOCUMENTED[0][0].replace(b"126.55", price.encode()))


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0, 1e300, "1_0", None])
def test_a_price_that_is_none_in_msgpack(price: object) -> None:
    said = {"T": "t", "S": "F", "t": extension(5), "p": price, "s": 1}
    with pytest.raises(DecodeError):
        alpaca().decode(msgpack.encode([said]))


@pytest.mark.parametrize(
    "frame", [b"{}", b"[]", b"[]]", b'[{"T":"z"}]', b'{"T":"success","msg":"connected"}', b""]
)
def test_what_is_no_frame(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        alpaca().decode(frame)
