"""The frames of Alpaca's first stream, to the letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import find
from livetape.adapters.alpaca_v1 import AlpacaV1, Data, Reply
from livetape.core.credentials import Credentials
from livetape.core.effects import Close, Send
from livetape.core.errors import DecodeError
from livetape.core.events import Ack, Bar, Denied, Heartbeat, LoggedIn, Message, Quote, Status, Trade, Why
from livetape.core.instruments import Channel
from livetape.core.session import Session
from livetape.core.times import MILLISECOND, SECOND

from ..sessions import opened
from .damage import damaged, decodes_or_refuses

KEY = Credentials("K", "S")
TRADE = (
    b'{"stream":"T.SPY","data":{"ev":"T","T":"SPY","i":117537207,"x":2,"p":283.63,"s":2,'
    b'"t":1587407015152775000,"c":[14,37,41],"z":2}}'
)
QUOTE = (
    b'{"stream":"Q.AAPL","data":{"ev":"Q","T":"AAPL","x":17,"p":112.12,"s":1,"X":3,"P":112.98,"S":1,'
    b'"c":[0],"t":1601645053026000000}}'
)
BAR = (
    b'{"stream":"AM.TSLA","data":{"ev":"AM","T":"TSLA","v":6932,"av":2192813,"op":653.76,"vw":605.0476,'
    b'"o":604.86,"c":603.38,"h":606.07,"l":603.38,"a":617.879,"s":1607544180000,"e":1607544240000}}'
)
LISTENING = b'{"stream":"listening","data":{"streams":["Q.GOOG","T.SPY","AM.*"]}}'
AUTHORIZED = b'{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}'
UNAUTHORIZED = b'{"stream":"authorization","data":{"action":"authenticate","status":"unauthorized"}}'
NOT_YET = b'{"stream":"authorization","data":{"status":"unauthorized","action":"listen"}}'
AGAIN = b'{"stream":"listening","data":{"error":"your connection is already authenticated"}}'
ELSEWHERE = (
    b'{"stream":"listening","data":{"error":"your connection is rejected while another connection is open '
    b'under the same account"}}'
)
SAID: list[tuple[bytes, list[Message]]] = [
    (
        TRADE,
        [
            Trade(
                *("alpaca:SPY/trade", 1587407015152775000, "283.63", "2", None, "2-117537207"),
                conditions=("14", "37", "41"),
                excluded=("last", "range"),  # an odd lot
            )
        ],
    ),
    (
        TRADE.replace(b"[14,37,41]", b"null").replace(b'"x":2', b'"x":11'),
        [Trade("alpaca:SPY/trade", 1587407015152775000, "283.63", "2", None, "11-117537207")],
    ),
    (
        QUOTE.replace(b"[0]", b"null"),
        [Quote("alpaca:AAPL/quote", 1601645053026000000, "112.12", "1", "112.98", "1")],
    ),
    (QUOTE, [Quote("alpaca:AAPL/quote", 1601645053026000000, "112.12", "1", "112.98", "1")]),
    (
        QUOTE.replace(b"112.12", b"0").replace(b'"s":1', b'"s":0'),  # nobody bids
        [Quote("alpaca:AAPL/quote", 1601645053026000000, None, None, "112.98", "1")],
    ),
    (
        BAR,
        [
            Bar(
                *("alpaca:TSLA/bar.1m", 1607544180000 * MILLISECOND, "604.86", "606.07", "603.38", "603.38"),
                "6932",
                vwap_text="605.0476",
                closed=True,
                venue_ns=1607544240000 * MILLISECOND,
            )
        ],
    ),
    (LISTENING, [Heartbeat(), Ack("alpaca:GOOG/quote"), Ack("alpaca:SPY/trade"), Ack("alpaca:*/bar.1m")]),
    (b'{"stream":"listening","data":{"streams":[]}}', [Heartbeat()]),
    (AUTHORIZED, [LoggedIn()]),
    (UNAUTHORIZED, [Denied("authenticate: unauthorized", why=Why.LOGIN)]),
    (NOT_YET, [Denied("listen: unauthorized", why=Why.LOGIN)]),
    (AGAIN, [Heartbeat()]),
    (
        ELSEWHERE,
        [
            Denied(
                "your connection is rejected while another connection is open under the same account",
                why=Why.CONNECTIONS,
            )
        ],
    ),
    (b'{"stream":"listening","data":{"error":"something new"}}', [Denied("something new")]),
]


def channels(*names: str) -> list[Channel]:
    return [Channel.parse(f"alpaca:{name}") for name in names]


@pytest.mark.parametrize(("frame", "said"), SAID)
def test_it_says(frame: bytes, said: list[Message]) -> None:
    assert find("alpaca", "v1")().decode(frame) == said


@pytest.mark.parametrize("frame", [TRADE, QUOTE, BAR])
def test_known_data_is_encoded_as_it_was_received(frame: bytes) -> None:
    assert json.encode(json.decode(frame, type=Data)) == frame


@pytest.mark.parametrize("frame", [LISTENING, AUTHORIZED, UNAUTHORIZED, AGAIN, ELSEWHERE])
def test_a_known_reply_is_encoded_as_it_was_received(frame: bytes) -> None:
    assert json.encode(json.decode(frame, type=Reply)) == frame


@pytest.mark.parametrize(
    "frame",
    [
        *(b"", b"{}", b'{"stream":"trade_updates","data":{}}', b'{"stream":"listening","data":{}}'),
        TRADE.replace(b'"ev":"T"', b'"ev":"Z"'),
        TRADE.replace(b"283.63", b'"283.63"'),
        TRADE.replace(b"283.63", b"-1"),
        TRADE.replace(b"1587407015152775000", b"-1"),
        TRADE.replace(b"1587407015152775000", b"9223372036854775808"),
        BAR.replace(b"6932", b"null"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        AlpacaV1().decode(frame)


@given(damaged(st.sampled_from([frame for frame, _ in SAID]) | st.binary(max_size=200), most=1_000))
def test_any_damage_decodes_or_is_refused(frame: bytes) -> None:
    decodes_or_refuses(AlpacaV1(), frame)


def test_what_it_is_asked() -> None:
    adapter = AlpacaV1(credentials=KEY)
    assert adapter.login() == [b'{"action":"authenticate","data":{"key_id":"K","secret_key":"S"}}']
    assert adapter.subscribe(channels("GOOG/quote", "SPY/trade", "TSLA/bar.1m")) == [
        b'{"action":"listen","data":{"streams":["Q.GOOG","T.SPY","AM.TSLA"]}}'
    ]
    assert adapter.unsubscribe(channels("GOOG/quote")) == [
        b'{"action":"unlisten","data":{"streams":["Q.GOOG"]}}'
    ]
    assert adapter.probe() == b'{"action":"listen","data":{"streams":[]}}'


@pytest.mark.parametrize(
    "prefix", ["wss://data.alpaca.markets/stream", "wss://data.alpaca.markets", "wss://data.alpaca.markets/"]
)
def test_the_address_ends_in_stream(prefix: str) -> None:
    assert AlpacaV1().endpoint(prefix, []) == "wss://data.alpaca.markets/stream"
    assert AlpacaV1().endpoint("ws://h:1/as/alpaca-v1", []) == "ws://h:1/as/alpaca-v1/stream"


def test_trades_and_quotes_take_a_slot_each_and_bars_none() -> None:
    wanted = channels("SPY/trade", "SPY/quote", "SPY/bar.1m", "AAPL/trade")
    assert [AlpacaV1().slot(channel) for channel in wanted] == ["T.SPY", "Q.SPY", None, "T.AAPL"]
    assert AlpacaV1().limits.symbols_per_socket == 30


def test_an_error_is_of_the_oldest_request() -> None:
    adapter = AlpacaV1()
    adapter.subscribe(channels("A/trade", "B/quote"))
    adapter.unsubscribe(channels("C/trade"))
    adapter.subscribe(channels("D/trade"))
    error = b'{"stream":"listening","data":{"error":"over the limit"}}'
    assert adapter.decode(AGAIN) == [Heartbeat()]  # that was not about a request
    refused = [adapter.decode(error)[0] for _ in range(4)]
    assert [each.channels for each in refused if isinstance(each, Denied)] == [
        ("alpaca:A/trade", "alpaca:B/quote"),
        (),
        ("alpaca:D/trade",),
        (),
    ]
    assert {each.why for each in refused if isinstance(each, Denied)} == {Why.LIMIT}


def test_what_is_left_out_of_the_list_is_refused() -> None:
    adapter = AlpacaV1()
    adapter.subscribe(channels("SPY/trade", "NOBODY/trade"))
    *_, denied = adapter.decode(LISTENING)
    assert isinstance(denied, Denied)
    assert (denied.channels, denied.why) == (("alpaca:NOBODY/trade",), Why.SYMBOL)
    assert not any(isinstance(each, Denied) for each in adapter.decode(LISTENING))


# A session


def session() -> Session:
    made = opened(AlpacaV1(credentials=KEY), channels("SPY/trade"), SECOND)
    assert made.effects() == [Send(b'{"action":"authenticate","data":{"key_id":"K","secret_key":"S"}}')]
    return made


def test_it_listens_after_the_login_and_asks_when_it_is_quiet() -> None:
    made = session()
    made.receive(AUTHORIZED, 2 * SECOND)
    assert made.effects() == [Send(b'{"action":"listen","data":{"streams":["T.SPY"]}}')]
    made.receive(LISTENING, 3 * SECOND)
    made.tick(18 * SECOND)
    assert made.effects() == [Send(b'{"action":"listen","data":{"streams":[]}}')]


@pytest.mark.parametrize(("frame", "why"), [(UNAUTHORIZED, Why.LOGIN), (ELSEWHERE, Why.CONNECTIONS)])
def test_a_refused_login_ends_the_connection(frame: bytes, why: Why) -> None:
    made = session()
    [status] = [each for each in made.receive(frame, 2 * SECOND) if isinstance(each, Status)]
    assert (status.state, status.why) == ("denied", why)
    assert any(isinstance(effect, Close) for effect in made.effects())
