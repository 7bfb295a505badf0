"""What Gemini's frames say in all three of its APIs: those that tests/adapters/test_frames.py has not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import find
from livetape.adapters.gemini import Gemini
from livetape.adapters.gemini_v1 import GeminiV1
from livetape.adapters.gemini_v3 import GeminiV3
from livetape.core.adapter import Adapter
from livetape.core.effects import Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import (
    Ack,
    Auction,
    BookUpdate,
    Counter,
    Denied,
    Heartbeat,
    Mark,
    Message,
    Quote,
    Trade,
    Why,
)
from livetape.core.instruments import Channel, Instrument

from .. import sessions
from .damage import damaged, decodes_or_refuses

MS = 1_000_000
OPENED = (
    b'"auction_open_ms":1486591200000,"auction_time_ms":1486674000000,'
    b'"first_indicative_ms":1486673400000,"last_cancel_time_ms":1486673985000}'
)
INDICATED = (
    b'"eid":248140836,"result":"success","time_ms":1486673400000,"highest_bid_price":"1105.10",'
    b'"lowest_ask_price":"1105.90","collar_price":"1105.50","indicative_price":"1105.60",'
    b'"indicative_quantity":"12.5"}'
)
RESULT = INDICATED.replace(b"indicative_", b"auction_")
FAILED = (
    b'"time_ms":1655323200000,"result":"failure","highest_bid_price":"21590.88",'
    b'"lowest_ask_price":"21602.30","collar_price":"21634.73"}'
)
TEXTS = {"price_text": "1105.60", "size_text": "12.5", "bid_text": "1105.10", "ask_text": "1105.90"}


def auction(state: str, ms: int | None, symbol: str = "BTC-USD", **more: object) -> Auction:
    venue_ns = None if ms is None else ms * MS
    return Auction(f"gemini:{symbol}/auction", venue_ns, state, **more)  # type: ignore[arg-type]


def opened(ms: int | None) -> Auction:
    return auction("open", ms, auction_ns=1486674000000 * MS)


def crossed(state: str) -> Auction:
    return auction(state, 1486673400000, id="248140836", success=True, collar_text="1105.50", **TEXTS)


# v1


def v1(*events: bytes) -> bytes:
    frame = (
        b'{"type":"update","eventId":7,"timestamp":1547759964,"timestampms":1547759964051,"socket_sequence":3'
    )
    return frame + b',"events":[' + b",".join(events) + b"]}"


AT = 1547759964051


def _print(price: str, size: str, id: str, *conditions: str) -> Trade:
    return Trade("gemini:BTC-USD/trade", AT * MS, price, size, None, id, conditions=conditions)


V1: list[tuple[bytes, list[Message]]] = [
    (v1(b'{"type":"auction_open",' + OPENED), [opened(AT)]),
    (v1(b'{"type":"auction_indicative",' + INDICATED), [crossed("indicative")]),
    (
        v1(
            b'{"type":"auction_result",' + RESULT,
            b'{"type":"trade","tid":9,"price":"1105.60","amount":"12.5","makerSide":"auction"}',
        ),
        [crossed("result"), _print("1105.60", "12.5", "9", "auction")],
    ),
    (
        v1(b'{"type":"auction_result","eid":8,' + FAILED),
        [
            auction(
                "result",
                1655323200000,
                id="8",
                success=False,
                bid_text="21590.88",
                ask_text="21602.30",
                collar_text="21634.73",
            )
        ],
    ),
    (
        v1(b'{"type":"block_trade","tid":1111597035,"price":"10100.00","amount":"1000"}'),
        [_print("10100.00", "1000", "1111597035", "block")],
    ),
]


@pytest.mark.parametrize(("frame", "said"), V1)
def test_v1_says(frame: bytes, said: list[Message]) -> None:
    adapter = GeminiV1()
    adapter.subscribe([Channel("gemini", "BTC-USD", kind) for kind in ("trade", "auction")])
    assert adapter.decode(frame) == [Counter(3), *said]


@pytest.mark.parametrize(("frame", "said"), V1)
def test_v1_says_the_same_of_one_symbol_among_others(frame: bytes, said: list[Message]) -> None:
    adapter = GeminiV1({"max_symbols": 2})
    adapter.subscribe([Channel("gemini", symbol, "auction") for symbol in ("ETH-USD", "BTC-USD")])
    update = json.decode(frame)
    for event in update["events"]:
        event["symbol"] = "BTCUSD"
    assert adapter.decode(json.encode(update)) == [Counter(3), *said]


@pytest.mark.parametrize("name", ["heartbeat", "top_of_book", "bids", "offers", "trades", "auctions"])
@pytest.mark.parametrize("value", ["false", "true", 1, 0, None])
def test_v1_parameters_are_true_or_false(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be true or false, not {value!r}"):
        GeminiV1({name: value})
    assert GeminiV1({name: False}).endpoint("", [Channel("gemini", "BTC-USD", "book")]).count("false") == 1


@pytest.mark.parametrize("reason", ["InvalidSymbol", "Maintenance"])
def test_v1_may_refuse_instead_of_the_upgrade(reason: str) -> None:
    body = json.encode({"result": "error", "reason": reason, "message": "no"})
    why = Why.SYMBOL if reason == "InvalidSymbol" else Why.OTHER
    assert GeminiV1().refusal(body) == Denied(f"{reason} no", why=why)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'["btcusd"]', b'{"bids":[],"asks":[]}', b'{"result":"ok"}', b"[" * 9000]
)
def test_v1_refuses_nothing_by_other_answers(body: bytes) -> None:
    assert GeminiV1().refusal(body) is None


def test_v1_may_name_the_best_level_that_goes_too() -> None:
    adapter = GeminiV1({"top_of_book": True, "max_symbols": 2})
    adapter.subscribe([Channel("gemini", "BTC-USDT", "book")])
    change = b'{"price":"%b","reason":"%b","remaining":"%b","side":"bid","symbol":"BTCUSDT","type":"change"}'
    frame = b'{"eventId":1,"events":[%b],"socket_sequence":%d,"type":"update"}'
    adapter.decode(frame % (change % (b"50945.37", b"initial", b"1"), 0))
    gone, new = (
        change % (b"50945.37", b"top-of-book", b"0.0"),
        change % (b"50947.75", b"top-of-book", b"0.11725"),
    )
    [_, update] = adapter.decode(frame % (gone + b"," + new, 1))
    assert update == BookUpdate(
        "gemini:BTC-USDT/book", None, False, [("50945.37", "0"), ("50947.75", "0.11725")], []
    )


@pytest.mark.parametrize(
    ("kinds", "query"),
    [
        (("auction",), "heartbeat=true&auctions=true"),
        (("auction", "trade"), "heartbeat=true&trades=true&auctions=true"),
    ],
)
def test_v1_is_asked_for_auctions_by_its_address(kinds: tuple[str, ...], query: str) -> None:
    wanted = [Channel("gemini", "BTC-USD", kind) for kind in kinds]
    assert GeminiV1().endpoint(GeminiV1.ws_url, wanted) == f"{GeminiV1.ws_url}/btcusd?{query}"


# v2

BTC = b'"symbol":"BTCUSD",'
V2: list[tuple[bytes, list[Message]]] = [
    (b'{"type":"auction_open",' + BTC + OPENED, [opened(None)]),
    (b'{"type":"auction_indicative",' + BTC + INDICATED, [crossed("indicative")]),
    (b'{"type":"auction_result",' + BTC + RESULT, [crossed("result")]),
    (
        b'{"type":"auction_result",' + BTC + FAILED,
        [
            auction(
                "result",
                1655323200000,
                success=False,
                bid_text="21590.88",
                ask_text="21602.30",
                collar_text="21634.73",
            )
        ],
    ),
    (
        b'{"changes":[{"mark_price":"77233.302","spot_index":"77188.41867","timestamp":1789456071687541147}]'
        b',"symbol":"BTCGUSDPERP","type":"mark_price_updates"}',
        [Mark("gemini:BTCGUSDPERP/mark", 1789456071687541147, "77233.302", "77188.41867")],
    ),
    (
        b'{"changes":[{"funding_amount":"-9.25568","funding_date_time":1789459200000000000'
        b',"funding_interval_in_minutes":60,"funding_rate":"-0.011","is_realized":false'
        b',"mark_price":"77260.531","timestamp":1789456071687573598}],"symbol":"BTCGUSDPERP"'
        b',"type":"funding_amount_updates"}',
        [Mark("gemini:BTCGUSDPERP/mark", 1789456071687573598, "77260.531", None, "-0.011")],
    ),
    (  # as it is documented: without the mark price
        b'{"type":"funding_amount_updates","symbol":"BTCGUSDPERP","changes":[{"timestamp":1673932380007696874'
        b',"funding_amount":"0","funding_date_time":1673932380007696874,"funding_interval_in_minutes":60'
        b',"is_realized":false}]}',
        [],
    ),
    (b'{"timestamp":1789456747150,"type":"heartbeat"}', [Heartbeat()]),
    (
        b'{"reason":"NoValidTradingPairs","result":"error"}',
        [Denied("NoValidTradingPairs", why=Why.SYMBOL)],
    ),
    (b'{"reason":"InvalidJson","result":"error"}', [Denied("InvalidJson")]),
    (
        b'{"changes":[["buy","9121.9","0"]],"symbol":"BTCUSD","type":"l2_updates"}',
        [BookUpdate("gemini:BTC-USD/book", None, False, [("9121.9", "0")], [])],
    ),
]


@pytest.mark.parametrize(("frame", "said"), V2)
def test_v2_says(frame: bytes, said: list[Message]) -> None:
    assert Gemini().decode(frame) == said


def test_v2_is_asked_for_both_streams_of_a_mark() -> None:
    wanted = [Channel("gemini", "BTCGUSDPERP", "mark"), Channel("gemini", "BTC-USD", "auction")]
    ask = b'{"type":"subscribe","subscriptions":[{"name":"%b","symbols":["%b"]}]}'
    assert Gemini().subscribe(wanted) == [
        ask % (b"mark_price", b"BTCGUSDPERP"),
        ask % (b"funding_amount", b"BTCGUSDPERP"),
        ask % (b"l2", b"BTCUSD"),
    ]


def test_v2_blames_nobody_who_was_granted_in_silence() -> None:
    adapter = Gemini()
    wanted = ("BTCGUSDPERP/mark", "BTC-USD/book", "FOO-BAR/mark")
    adapter.subscribe([Channel.parse(f"gemini:{name}") for name in wanted])
    adapter.decode(b'{"type":"l2_updates","symbol":"BTCUSD","changes":[],"auction_events":[]}')
    assert adapter.decode(b'{"result":"error","reason":"NoValidTradingPairs"}') == [
        Denied("NoValidTradingPairs", ("gemini:FOO-BAR/mark",), Why.SYMBOL)
    ]


def test_v2_blames_nobody_for_what_an_earlier_connection_asked() -> None:
    adapter = Gemini()
    wanted = [Channel.parse(f"gemini:{name}/book") for name in ("FOO-BAR", "BTC-USD")]
    adapter.subscribe(wanted)
    assert adapter.login() == []
    adapter.subscribe(wanted[1:])
    [denied] = adapter.decode(b'{"result":"error","reason":"NoValidTradingPairs"}')
    assert isinstance(denied, Denied)
    assert "gemini:BTC-USD/book" in denied.channels


@pytest.mark.parametrize("side", ["block", "auction"])
def test_v2_trades_without_an_aggressor_say_what_they_are(side: str) -> None:
    frame = b'{"type":"trade","symbol":"ETHUSD","event_id":9,"timestamp":1580919901276,"price":"200.19",'
    [trade] = Gemini().decode(frame + b'"quantity":"100","side":"%b"}' % side.encode())
    name, venue_ns = "gemini:ETH-USD/trade", 1580919901276 * MS
    assert trade == Trade(name, venue_ns, "200.19", "100", None, "9", conditions=(side,))


# v3

V3: list[tuple[bytes, list[Message]]] = [
    (
        b'{"u":1751505576085,"E":1751508438600117000,"s":"btcusd","b":"45000.50","B":"1.25","a":"45001.00",'
        b'"A":"0.75"}',
        [
            Quote(
                *("gemini:BTC-USD/quote", 1751508438600117000, "45000.50", "1.25", "45001.00", "0.75"),
                venue_seq=1751505576085,
            )
        ],
    ),
    (
        b'{"u":2,"E":1783981140076872200,"s":"btcusd","b":"1.0614900","B":"958.69148000","a":"1.0615000",'
        b'"A":"38.39060000","c":"1.0612500","C":"4.71027100"}',
        [
            Quote(
                *("gemini:BTC-USD/quote", 1783981140076872200, "1.0614900", "958.69148000"),
                *("1.0615000", "38.39060000", 2),
            )
        ],
    ),
    (
        b'{"u":3,"E":1784870400000000000,"s":"btcusd"}',
        [Quote("gemini:BTC-USD/quote", 1784870400000000000, None, None, None, None, 3)],
    ),
    (
        b'{"u":3,"E":1784870400000000000,"s":"btcusd","b":"","B":"","a":"1","A":"2"}',
        [Quote("gemini:BTC-USD/quote", 1784870400000000000, None, None, "1", "2", 3)],
    ),
    (
        b'{"E":1783981140085684200,"s":"btcrlusd","t":2840141014190422,"p":"62145.38000","q":"0.0162522200",'
        b'"m":true}',
        [
            Trade(
                *("gemini:BTC-RLUSD/trade", 1783981140085684200, "62145.38000", "0.0162522200"),
                *("sell", "2840141014190422"),
            )
        ],
    ),
    (
        b'{"e":"trade","E":1783981140085684200,"s":"btcusd","t":8,"p":"1","q":"2","m":false}',
        [Trade("gemini:BTC-USD/trade", 1783981140085684200, "1", "2", "buy", "8")],
    ),
    (
        b'{"e":"depthUpdate","E":1789456742337187316,"s":"ethgusdperp","U":1764527605192323,'
        b'"u":1764527605192686,"b":[["2482.5500","0.000"]],"a":[["2483.5000","0.000"],["2483.4500","1.047"]]}',
        [
            BookUpdate(
                "gemini:ETHGUSDPERP/book",
                1789456742337187316,
                False,
                [("2482.5500", "0.000")],
                [("2483.5000", "0.000"), ("2483.4500", "1.047")],
                1764527605192323,
                1764527605192686,
            )
        ],
    ),
    (
        b'{"e":"depthUpdate","E":1,"s":"gusdgbp","U":1764550512767893,"u":1764550512767893,"b":[],"a":[]}',
        [BookUpdate("gemini:GUSD-GBP/book", 1, True, [], [], 1764550512767893, 1764550512767893)],
    ),
    (
        b'{"lastUpdateId":1764527605192164,"symbol":"btcusd","bids":[["2.5","1"]],"asks":[["2.6","1"]]}',
        [
            BookUpdate(
                *("gemini:BTC-USD/book", None, True, [("2.5", "1")], [("2.6", "1")]),
                first=1764527605192164,
                last=1764527605192164,
            )
        ],
    ),
    (
        b'{"lastUpdateId":4,"s":"btcusd","bids":[],"asks":[]}',
        [BookUpdate("gemini:BTC-USD/book", None, True, [], [], 4, 4)],
    ),
    (
        b'{"e":"markPrice","E":1790757351404791988,"s":"btcgusdperp","p":"83060.862","i":"8301506.333"}',
        [Mark("gemini:BTCGUSDPERP/mark", 1790757351404791988, "83060.862")],
    ),
    (
        b'{"e":"fundingAmount","E":1790758800000000000,"s":"btcgusdperp","T":1790758800000000000,"i":60,'
        b'"f":"-5.77329","r":"-0.00600","p":"83067.436","R":false}',
        [Mark("gemini:BTCGUSDPERP/mark", None, "83067.436", None, "-0.00600")],
    ),
    (
        b'{"e":"contractStatus","E":1784870400000,"s":"gemi-btc15m2607241200-hi100000","k":"btc15m2607241200",'
        b'"c":"HI100000","i":134794,"o":"Awaiting Approval","n":"Approved"}',
        [Heartbeat()],
    ),
    (b'{"id":100,"status":200}', [Heartbeat()]),
    (b'{"id":"1","status":200}', [Heartbeat()]),
    (b'{"id":"time","status":200,"result":{"serverTime":1790757348456}}', [Heartbeat()]),
    (
        b'{"id":7,"status":200,"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"SECOND",'
        b'"intervalNum":10,"limit":7000,"count":33}]}',
        [Heartbeat()],
    ),
    (
        b'{"id":11,"status":400,"error":{"code":-1020,"msg":"Unsupported operation"}}',
        [Heartbeat()],  # of nothing that was subscribed
    ),
]


@pytest.mark.parametrize(("frame", "said"), V3)
def test_v3_says(frame: bytes, said: list[Message]) -> None:
    assert GeminiV3().decode(frame) == said


def test_v3_is_asked_for_one_channel_at_a_time() -> None:
    adapter = GeminiV3()
    wanted = [Channel("gemini", "BTC-USD", kind) for kind in ("book", "trade", "quote", "mark")]
    assert adapter.subscribe(wanted) == [
        b'{"id":1,"method":"subscribe","params":["btcusd@depth@100ms"]}',
        b'{"id":2,"method":"subscribe","params":["btcusd@trade"]}',
        b'{"id":3,"method":"subscribe","params":["btcusd@bookTicker"]}',
        b'{"id":4,"method":"subscribe","params":["btcusd@markPrice","btcusd@fundingAmount"]}',
    ]
    assert adapter.unsubscribe(wanted[:1]) == [
        b'{"id":5,"method":"unsubscribe","params":["btcusd@depth@100ms"]}'
    ]
    assert adapter.probe() == b'{"id":6,"method":"ping"}'
    assert adapter.decode(b'{"id":3,"status":200}') == [Ack(str(wanted[2]))]
    assert adapter.decode(b'{"id":5,"status":200}') == [Heartbeat()]
    refusal = b'{"id":%d,"status":%d,"error":{"code":%d,"msg":"no"}}'
    assert adapter.decode(refusal % (1, 400, -1013)) == [Denied("no", (str(wanted[0]),), Why.SYMBOL)]
    assert adapter.decode(refusal % (2, 429, -1003)) == [Denied("no", (str(wanted[1]),), Why.LIMIT)]
    assert adapter.decode(b'{"id":4,"status":500}') == [Denied("status 500", (str(wanted[3]),))]
    for other in (4, 5, 6, 77):  # answered already, an unsubscription, a ping, unheard-of
        assert adapter.decode(refusal % (other, 400, -1013)) == [Heartbeat()]


def test_v3_blames_nobody_for_what_an_earlier_connection_asked() -> None:
    adapter = GeminiV3()
    adapter.subscribe([Channel("gemini", "BTC-USD", "book")])
    assert adapter.login() == []
    assert adapter.decode(b'{"id":1,"status":400,"error":{"code":-1013,"msg":"no"}}') == [Heartbeat()]


def test_v3_asks_for_whole_snapshots_by_its_address() -> None:
    channels = [Channel("gemini", "BTC-USD", "book")]
    assert GeminiV3().endpoint(GeminiV3.ws_url, channels) == "wss://ws.gemini.com/?snapshot=-1"
    assert GeminiV3().endpoint("ws://h/as/gemini", channels) == "ws://h/as/gemini/?snapshot=-1"


def test_v3_books_are_as_deep_as_is_offered() -> None:
    adapter = GeminiV3({"levels": 20})
    assert b'"btcusd@depth20@100ms"' in adapter.subscribe([Channel("gemini", "BTC-USD", "book")])[0]
    assert adapter.guarantees == {}
    with pytest.raises(ConfigError, match="a book of 7 levels is not offered; did you mean 5 or 10 or 20"):
        GeminiV3({"levels": 7})


def test_v3_is_pinged_when_it_is_quiet() -> None:
    session = sessions.opened(GeminiV3(), [Channel("gemini", "BTC-USD", "quote")])
    session.effects()
    session.tick(16 * 10**9)
    assert session.effects() == [Send(b'{"id":2,"method":"ping"}')]


# All of them

FRAMES = {"v1": V1, "": V2, "v3": V3}


def adapter_of(api: str) -> Adapter:
    adapter = find("gemini", api)()
    adapter.subscribe([Channel("gemini", "BTC-USD", kind) for kind in ("book", "trade")])
    return adapter


@pytest.mark.parametrize("api", FRAMES)
@given(data=st.data())
def test_any_damage_to_a_frame_decodes_or_is_refused(api: str, data: st.DataObject) -> None:
    frames = st.sampled_from([frame for frame, _ in FRAMES[api]])
    decodes_or_refuses(adapter_of(api), data.draw(damaged(frames)))


@pytest.mark.parametrize("api", FRAMES)
@pytest.mark.parametrize(
    "bad", [b'"NaN"', b'"-1"', b'"1e999"', b'"9999999999999999999999"', b'"1_0"', b"1.5"]
)
def test_a_number_that_is_none_is_refused(api: str, bad: bytes) -> None:
    for frame, said in FRAMES[api]:
        for event in said:
            for text in {getattr(event, name, None) for name in ("price_text", "mark_text", "bid_text")}:
                if text is not None:
                    with pytest.raises(DecodeError):
                        adapter_of(api).decode(frame.replace(b'"%b"' % text.encode(), bad))


@pytest.mark.parametrize("api", FRAMES)
def test_the_instruments_are_listed(api: str) -> None:
    adapter = find("gemini", api)()
    [path] = adapter.symbols_paths()
    assert adapter.parse_symbols(path, b'["btcusd"]') == [Instrument("BTC-USD", "btcusd")]


@pytest.mark.parametrize("api", FRAMES)
@pytest.mark.parametrize(
    "frame",
    [b'{"type":"dance"}', b'{"e":"dance"}', b"{}", b"[]", b'{"type":"auction_open","symbol":"BTCUSD"}'],
)
def test_what_nobody_knows_is_refused(api: str, frame: bytes) -> None:
    with pytest.raises(DecodeError):
        adapter_of(api).decode(frame)
