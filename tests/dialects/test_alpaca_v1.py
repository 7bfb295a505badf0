"""The two roles of Alpaca's first stream agree, and the server answers as the venue is known to."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.alpaca_v1 import AlpacaV1
from livetape.core.credentials import Credentials
from livetape.core.dialect import Call, House
from livetape.core.events import Bar, Quote, Trade, Why
from livetape.core.times import SECOND
from livetape.dialects.alpaca_v1 import MINUTE, AlpacaV1Dialect
from livetape.simulator.listings import CRYPTO, STOCKS
from livetape.simulator.market import Market

from .pair import START_NS, Pair, actions, facts, market_of, toggles

LISTED = (*STOCKS[:3], STOCKS[5], CRYPTO[0])
SYMBOLS = ("AAPL", "MSFT", "GOOG", "TSLA")
KINDS = ("trade", "quote", "bar.1m")
KEY = Credentials("K", "S")
AUTHENTICATE = b'{"action":"authenticate","data":{"key_id":"K","secret_key":"S"}}'
AUTHORIZED = {"stream": "authorization", "data": {"action": "authenticate", "status": "authorized"}}
UNAUTHORIZED = {"stream": "authorization", "data": {"action": "authenticate", "status": "unauthorized"}}


def market(seed: int = 7, aged: int = 0) -> Market:
    return market_of(LISTED, "alpaca", seed=seed, aged=aged)


def client(*names: str, seed: int = 7, **switches: str) -> Pair:
    pair = Pair(market(seed), AlpacaV1Dialect, "v1", house=House(switches, {"K": "S"}), key=KEY)
    pair.connect(*[f"alpaca:{name}" for name in names])
    return pair


def ask(dialect: AlpacaV1Dialect, frame: bytes) -> Any:
    [pushed] = dialect.receive(frame, START_NS)
    assert pushed.channels == ()
    return json.decode(pushed.frame)


def listen(dialect: AlpacaV1Dialect, *streams: str, action: str = "listen") -> Any:
    said = ask(dialect, json.encode({"action": action, "data": {"streams": streams}}))
    assert said["stream"] == "listening"
    return said["data"].get("streams", said["data"].get("error"))


def member(house: House | None = None) -> AlpacaV1Dialect:
    """A connection of ``house`` that has logged in, if it may."""
    made = AlpacaV1Dialect(QUIET, house)
    assert made.open(Call("/stream"), START_NS) == []
    made.house.members.append(made)
    ask(made, AUTHENTICATE)
    return made


QUIET = market()


def top(pair: Pair, symbol: str) -> tuple[str | None, ...]:
    """The best prices of the market, and how many round lots are there."""
    [[bid], [ask]] = pair.truth(symbol, 1)
    lots = [str(max(1, int(size) // 100)) for _, size in (bid, ask)]
    return bid[0], lots[0], ask[0], lots[1]


# Both roles


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1),
    symbols=st.sets(st.sampled_from(SYMBOLS), min_size=1),
)
def test_the_client_knows_what_the_market_knows(seed: int, kinds: set[str], symbols: set[str]) -> None:
    names = [f"{symbol}/{kind}" for symbol in sorted(symbols) for kind in sorted(kinds)]
    pair = client(*names, seed=seed)
    known: dict[str, Quote] = {}
    before = {symbol: top(pair, symbol) for symbol in symbols}
    for action in pair.run(300):
        known |= {e.symbol: e for e in pair.data[-1:] if isinstance(e, Quote)}
        if action.symbol in symbols and "quote" in kinds:
            now = top(pair, action.symbol)
            quote = known.get(action.symbol)
            assert (quote is not None) or now == before[action.symbol]
            if quote is not None:
                assert (quote.bid_text, quote.bid_size_text, quote.ask_text, quote.ask_size_text) == now
    for symbol in symbols if "trade" in kinds else ():
        printed = [(*facts(t, 1)[:4], f"2-{t.number}") for t in pair.prints if t.symbol == symbol]
        assert [(*facts(t, 1)[:4], t.id) for t in pair.trades(symbol)] == printed
    pair.assert_whole()


@settings(max_examples=25)
@given(changes=toggles(f"alpaca:{s}/{k}" for s in SYMBOLS for k in KINDS))
def test_channels_may_come_and_go(changes: list[tuple[str, int]]) -> None:
    pair = client("AAPL/trade")
    for channel, n in changes:
        pair.toggle(channel)
        before = len(pair.data)
        list(pair.run(n))
        assert {event.channel for event in pair.data[before:]} <= pair.wanted
    pair.assert_understood()


def test_bars_come_right_after_the_minute_and_are_those_of_the_market() -> None:
    pair = client("AAPL/bar.1m", "TSLA/bar.1m", "AAPL/trade")
    start_ns = pair.ns
    while pair.ns < start_ns + 4 * MINUTE:
        list(pair.run(100))
        for bar in [event for event in pair.data if isinstance(event, Bar)]:
            assert pair.ns - (bar.start_ns + MINUTE) >= 0
    told = [event for event in pair.data if isinstance(event, Bar)]
    assert {bar.symbol for bar in told} == {"AAPL", "TSLA"}
    end_ns = pair.ns // MINUTE * MINUTE
    for symbol in ("AAPL", "TSLA"):
        mine = [bar for bar in told if bar.symbol == symbol]
        whole = pair.market.bars(symbol, MINUTE, start_ns // MINUTE * MINUTE, end_ns)
        assert [numbers(bar) for bar in mine] == [numbers(bar) for bar in whole]
        assert len(mine) >= 4
        assert all(bar.closed for bar in mine)
    minute = [
        t for t in pair.trades("AAPL") if t.venue_ns is not None and end_ns - MINUTE <= t.venue_ns < end_ns
    ]
    last = [bar for bar in told if bar.symbol == "AAPL"][-1]
    assert Decimal(last.volume_text) == sum(Decimal(trade.size_text) for trade in minute)
    assert (last.open_text, last.close_text) == (minute[0].price_text, minute[-1].price_text)
    pair.assert_whole()


def numbers(bar: Bar) -> tuple[object, ...]:
    prices = bar.open_text, bar.high_text, bar.low_text, bar.close_text
    return bar.start_ns, *prices, bar.volume_text, bar.vwap_text


def test_the_frames_have_the_keys_of_the_venues() -> None:
    pair = client("AAPL/trade", "AAPL/quote", "AAPL/bar.1m")
    start_ns = pair.ns
    while pair.ns < start_ns + 2 * MINUTE:
        list(pair.run(100))
    keys = {
        "T": ["ev", "T", "i", "x", "p", "s", "t", "c", "z"],
        "Q": ["ev", "T", "x", "p", "s", "X", "P", "S", "c", "t"],
        "AM": ["ev", "T", "v", "av", "op", "vw", "o", "c", "h", "l", "a", "s", "e"],
    }
    frames = [json.decode(frame) for frame in pair.to_client]
    data = [frame for frame in frames if frame["stream"] not in ("authorization", "listening")]
    assert {frame["stream"] for frame in data} == {"T.AAPL", "Q.AAPL", "AM.AAPL"}
    for frame in data:
        assert list(frame) == ["stream", "data"]
        assert list(frame["data"]) == keys[frame["data"]["ev"]]
        assert frame["stream"] == f"{frame['data']['ev']}.AAPL"
        whole = {"i", "x", "X", "s", "S", "t", "z", "v", "av", "e"} & frame["data"].keys()
        assert all(isinstance(frame["data"][key], int) for key in whole)
    bars = [frame["data"] for frame in data if frame["stream"] == "AM.AAPL"]
    for bar in bars:
        assert bar["e"] - bar["s"] == 60_000
        assert bar["l"] <= bar["vw"] <= bar["h"]
        assert bar["av"] >= bar["v"]


def test_after_unsubscribing_nothing_is_sent() -> None:
    names = [f"alpaca:AAPL/{kind}" for kind in KINDS]
    pair = client("AAPL/trade", "AAPL/quote", "AAPL/bar.1m")
    list(pair.run(100))
    pair.drop(*names)
    assert json.decode(pair.to_client[-1]) == {"stream": "listening", "data": {"streams": []}}
    before = len(pair.to_client)
    list(pair.run(5_000))
    assert {*pair.to_client[before:]} <= {pair.to_client[before - 1]}  # the answers to its questions


# Logging in


def test_nothing_is_said_before_the_login_and_then_its_result() -> None:
    dialect = AlpacaV1Dialect(QUIET)
    assert dialect.open(Call("/stream"), START_NS) == []
    assert [p for action in actions(market(), 500) for p in dialect.push(action, {})] == []
    refused = {"stream": "authorization", "data": {"action": "listen", "status": "unauthorized"}}
    assert ask(dialect, b'{"action":"listen","data":{"streams":["T.AAPL"]}}') == refused
    assert ask(dialect, AUTHENTICATE) == AUTHORIZED
    again = {"stream": "listening", "data": {"error": "your connection is already authenticated"}}
    assert ask(dialect, AUTHENTICATE) == again
    assert listen(dialect, "T.AAPL") == ["T.AAPL"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"key_id":"K","secret_key":"S"}', AUTHORIZED),
        ('{"oauth_token":"T"}', AUTHORIZED),
        ('{"key_id":"K","secret_key":"wrong"}', UNAUTHORIZED),
        ('{"key_id":"","secret_key":""}', UNAUTHORIZED),
        ("{}", UNAUTHORIZED),
    ],
)
def test_the_keys_are_judged(data: str, said: object) -> None:
    dialect = AlpacaV1Dialect(QUIET, House(keys={"K": "S", "T": ""}))
    assert ask(dialect, f'{{"action":"authenticate","data":{data}}}'.encode()) == said


def test_a_client_with_a_wrong_key_is_told_so() -> None:
    dialect, adapter = AlpacaV1Dialect(QUIET, House(keys={"L": "S"})), AlpacaV1(credentials=KEY)
    [login] = adapter.login()
    [denied] = adapter.decode(dialect.receive(login, START_NS)[0].frame)
    assert getattr(denied, "why", None) is Why.LOGIN


def test_an_account_may_have_any_number_of_connections_unless_the_rule_is_on() -> None:
    elsewhere = "your connection is rejected while another connection is open under the same account"
    house = House({"connections": "one"})
    first, second = member(house), AlpacaV1Dialect(QUIET, house)
    assert ask(second, AUTHENTICATE) == {"stream": "listening", "data": {"error": elsewhere}}
    assert ask(second, AUTHENTICATE.replace(b'"K"', b'"L"')) == AUTHORIZED
    house.members.remove(first)
    assert ask(AlpacaV1Dialect(QUIET, house), AUTHENTICATE) == AUTHORIZED
    usual = House()
    member(usual)
    assert ask(AlpacaV1Dialect(QUIET, usual), AUTHENTICATE) == AUTHORIZED


# Listening


def test_listening_adds_up_and_is_answered_with_the_whole_list() -> None:
    dialect = member()
    assert listen(dialect, "alpacadatav1/Q.GOOG", "T.AAPL", "AM.*") == ["Q.GOOG", "T.AAPL", "AM.*"]
    assert listen(dialect, "Q.MSFT", "Q.GOOG") == ["Q.GOOG", "T.AAPL", "AM.*", "Q.MSFT"]
    assert listen(dialect) == ["Q.GOOG", "T.AAPL", "AM.*", "Q.MSFT"]
    assert listen(dialect, "Q.GOOG", "Q.NOBODY", action="unlisten") == ["T.AAPL", "AM.*", "Q.MSFT"]
    replacing = member(House({"listen": "replaces"}))
    assert listen(replacing, "T.AAPL") == ["T.AAPL"]
    assert listen(replacing, "T.MSFT") == ["T.MSFT"]


def test_the_streams_of_an_account_are_listened_to_and_stay_silent() -> None:
    dialect = member()
    assert listen(dialect, "trade_updates", "nothing") == ["trade_updates"]
    assert listen(dialect, "trade_updates", "account_updates") == ["trade_updates", "account_updates"]
    assert listen(dialect, "account_updates") == ["account_updates"]  # there it replaces
    assert [p for action in actions(market(), 500) for p in dialect.push(action, {})] == []


def test_what_does_not_exist_is_left_out() -> None:
    strange = ("T.*", "Q.*", "A.AAPL", "T.NOBODY", "T.", "T.BTC-USD", "AAPL", "")
    assert listen(member(), *strange, "T.AAPL") == ["T.AAPL"]
    told = listen(member(House({"unknown": "listed"})), *strange, "T.AAPL")
    assert told == ["T.NOBODY", "T.BTC-USD", "T.AAPL"]
    pair = client("NOBODY/trade", "AAPL/trade")
    assert [(each.channel, each.why) for each in pair.denied] == [("alpaca:NOBODY/trade", Why.SYMBOL)]


def test_over_the_cap_nothing_changes() -> None:
    dialect = member(House({"cap": "2"}))
    assert listen(dialect, "T.AAPL", "Q.AAPL", "AM.AAPL", "AM.*") == ["T.AAPL", "Q.AAPL", "AM.AAPL", "AM.*"]
    assert isinstance(listen(dialect, "T.MSFT", "AM.MSFT"), str)
    assert listen(dialect) == ["T.AAPL", "Q.AAPL", "AM.AAPL", "AM.*"]
    pair = client("AAPL/trade", "MSFT/trade", cap="2")
    pair.want("alpaca:GOOG/trade")
    assert [(each.channel, each.why) for each in pair.denied] == [("alpaca:GOOG/trade", Why.LIMIT)]
    list(pair.run(100))
    assert pair.trades("AAPL")
    assert member().switch("cap") == "30"


def test_every_bar_can_be_had_by_a_star() -> None:
    source = market()
    dialect = AlpacaV1Dialect(source)
    dialect.open(Call("/stream"), source.now_ns)
    ask(dialect, AUTHENTICATE)
    listen(dialect, "AM.*", "AM.AAPL")
    told: list[str] = []
    for action in source.advance(source.now_ns + 61 * SECOND):
        told += [channel for pushed in dialect.push(action, {}) for channel in pushed.channels]
    assert sorted(told) == sorted(f"alpaca:{symbol}/bar.1m" for symbol in SYMBOLS)


# Anything


@settings(max_examples=150)
@given(
    st.binary(max_size=100)
    | st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from(["authenticate", "listen", "unlisten", "x"]) | st.none(),
            "data": st.fixed_dictionaries(
                {},
                optional={
                    "streams": st.lists(
                        st.sampled_from(["T.AAPL", "AM.*", "trade_updates"]) | st.text(max_size=5)
                    )
                    | st.none(),
                    "key_id": st.text(max_size=3) | st.integers(),
                },
            )
            | st.none(),
        },
    ).map(json.encode)
)
def test_nothing_of_a_client_makes_it_fail(frame: bytes) -> None:
    for dialect in (member(), AlpacaV1Dialect(QUIET)):
        for pushed in dialect.receive(frame, START_NS):
            AlpacaV1().decode(pushed.frame)


def test_two_clients_share_what_is_printed() -> None:
    source, memo = market(), dict[str, bytes]()
    dialects = [AlpacaV1Dialect(source) for _ in range(2)]
    for dialect in dialects:
        ask(dialect, AUTHENTICATE)
        listen(dialect, "T.AAPL")
    printing = (
        a for a in source.advance(START_NS + 600 * SECOND) if a.symbol == "AAPL" and len(a.trades) > 1
    )
    action = next(printing)
    frames = [[pushed.frame for pushed in dialect.push(action, memo)] for dialect in dialects]
    assert frames[0] == frames[1]
    assert len(set(frames[0])) == len(action.trades)
    said = [AlpacaV1().decode(frame)[0] for frame in frames[0]]
    assert [t.price_text for t in said if isinstance(t, Trade)] == [t.price_text for t in action.trades]
