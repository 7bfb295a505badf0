"""iTick's two roles agree in both generations, and the server does what is known of the vendor."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape import dialects
from livetape.adapters.itick import ITick
from livetape.adapters.itick.wire import PERIODS
from livetape.core.credentials import Credentials
from livetape.core.dialect import Call, Hangup, House
from livetape.core.events import Bar, Status, Summary, Why
from livetape.core.instruments import INTERVALS, interval_ns
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.itick import ITickDialect
from livetape.dialects.itick_v1 import ITickV1Dialect
from livetape.simulator.listings import CRYPTO, FOREX, INDICES, OPTIONS, STOCKS, Listing
from livetape.simulator.market import Market

from ..adapters import test_itick as documented
from .pair import START_NS, Pair, actions, levels, market_of

KEY = Credentials("k-3")
EXTRA = (
    Listing("HKD-USD", "Hong Kong / US Dollar", "0.12850", "0.00001", "1000", 9, 0.00001, 150_000, "forex"),
    Listing("700.HK", "Tencent", "610.50", "0.5", "100", 6, 0.00005, 400, "stock"),
)
LISTED = {i.symbol: i for i in (*FOREX, *INDICES, *CRYPTO, *STOCKS, *OPTIONS, *EXTRA)}
#: One of each asset class, its path today and before, its spelling today and before.
ASSETS = [
    ("EUR-USD", "forex", "fws", "EURUSD$GB", "EURUSD"),
    ("SPX", "indices", "iws", "SPX$GB", "SPX"),
    ("BTC-USDT", "crypto", "cws", "BTCUSDT$BA", "BTC_USDT"),
    ("AAPL", "stock", "sws", "AAPL$US", "AAPL.US"),
    ("700.HK", "stock", "sws", "700$HK", "700.HK"),
]
APIS = {"": ITickDialect, "v1": ITickV1Dialect}
PATHS = ["/forex", "/websocket/forex", "/fws", "/sws", "/fws/"]


def market(*symbols: str, seed: int = 7, aged: int = 100) -> Market:
    return market_of([LISTED[symbol] for symbol in symbols], "itick", seed=seed, aged=aged)


def speaking(path: str) -> type[ITickDialect]:
    [dialect] = [each for each in dialects.of("itick") if each.path.fullmatch(path)]
    assert issubclass(dialect, ITickDialect)
    return dialect


def joined(
    path: str, *symbols: str, house: House | None = None, source: Market | None = None, key: str = "k-3"
) -> ITickDialect:
    """A client that is let in."""
    dialect = speaking(path)(source or market(*symbols), house)
    dialect.open(Call(path, {}, {"token": key}), START_NS)
    dialect.house.members.append(dialect)
    return dialect


def said(dialect: ITickDialect, **request: object) -> list[dict[str, Any]]:
    """The answers to ``request``."""
    pushed = dialect.receive(json.encode(request), START_NS)
    return [json.decode(each.frame) for each in pushed]


def asked(dialect: ITickDialect, params: str, types: str) -> list[dict[str, Any]]:
    return said(dialect, ac="subscribe", params=params, types=types)


def shape(value: Any) -> Any:
    """The names in ``value`` and the kinds of what they hold."""
    match value:
        case dict():
            return {name: shape(each) for name, each in value.items()}
        case list():
            return shape(value[0]) if value else []
        case int() | float():
            return "number"
    return type(value).__name__


# Both roles


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("symbol", "path"), [each[:2] for each in ASSETS])
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kinds=st.sets(st.sampled_from(["trade", "book", "quote", "summary", "bar.1m", "bar.1h"]), min_size=1),
)
def test_after_every_action_the_client_knows_what_the_market_shows(
    api: str, symbol: str, path: str, seed: int, kinds: set[str]
) -> None:
    source = market(symbol, "DOGE-USDT", seed=seed)
    pair = Pair(source, APIS[api], api, key=KEY)
    pair.connect(*[f"itick:{symbol}/{kind}" for kind in sorted(kinds)])
    depth = 1 if path == "forex" else 5
    for n, _ in enumerate(pair.run(150)):
        if n % 40 == 0:
            pair.send(pair.dialect.receive(pair.adapter.heartbeat(pair.ns), pair.ns))
        if kinds & {"book", "quote"}:
            assert pair.book(symbol) == pair.truth(symbol, depth)
    printed = [
        (t.price_text, t.size_text, (t.venue_ns or 0) // MILLISECOND * MILLISECOND)
        for t in pair.prints
        if t.symbol == symbol and "trade" in kinds
    ]
    assert [(t.price_text, t.size_text, t.venue_ns) for t in pair.trades(symbol)] == printed
    for kind in kinds & set(PERIODS):
        bars = [event for event in pair.data if isinstance(event, Bar) and event.kind == kind]
        length = interval_ns(kind)
        now = source.bars(symbol, length, bars[-1].start_ns, bars[-1].start_ns + 1)
        assert [figures(bar) for bar in now] == [figures(bars[-1])]
    if "summary" in kinds:
        day, last = source.day(symbol), [e for e in pair.events if isinstance(e, Summary)][-1]
        assert day is not None
        assert (last.open_text, last.high_text, last.low_text) == (day.open, day.high, day.low)
        assert (last.last_text, last.volume_text, last.turnover_text) == (day.last, day.volume, day.turnover)
    pair.assert_whole()


def figures(bar: Bar) -> tuple[object, ...]:
    return bar.start_ns, bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text


@pytest.mark.parametrize("api", APIS)
def test_every_kind_of_bar_is_served(api: str) -> None:
    pair = Pair(market("EUR-USD"), APIS[api], api, key=KEY)
    kinds = [f"bar.{interval}" for interval in INTERVALS if f"bar.{interval}" in PERIODS]
    assert len(kinds) == 9
    pair.connect(*[f"itick:EUR-USD/{kind}" for kind in kinds])
    list(pair.run(30))
    assert {event.kind for event in pair.data} == set(kinds)
    pair.assert_whole()


def test_clients_of_both_generations_share_a_market() -> None:
    source = market("AAPL")
    pairs = [Pair(source, dialect, name, key=KEY) for name, dialect in APIS.items() for _ in range(2)]
    for pair in pairs:
        pair.connect("itick:AAPL/trade", "itick:AAPL/book", "itick:AAPL/bar.1m")
    for action in actions(source, 60):
        memo: dict[str, bytes] = {}
        for pair in pairs:
            pair.push(action, memo)
    today, also, before, likewise = [pair.to_client[3:] for pair in pairs]  # after the control frames
    assert (today, before) == (also, likewise)
    assert all(b'"s":"AAPL","r":"US"' in frame for frame in today)
    assert all(b'"s":"AAPL.US"' in frame for frame in before)
    for pair in pairs:
        assert pair.trades("AAPL")
        assert pair.book("AAPL") == pair.truth("AAPL", 5)
        pair.assert_whole()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("ts", "state"),
    [(None, "trading"), ("0", "trading"), ("1", "halted"), ("2", "delisted"), ("3", "halted")],
)
def test_the_client_knows_the_trading_state(api: str, ts: str | None, state: str) -> None:
    house = House({} if ts is None else {"ts": ts})
    pair = Pair(market("AAPL"), APIS[api], api, house=house, key=KEY)
    pair.connect("itick:AAPL/status")
    list(pair.run(50))
    told = [e.state for e in pair.events if isinstance(e, Status) and e.kind == "status"]
    assert [each for each in told if each not in ("resyncing", "live")] == [state]


@pytest.mark.parametrize("api", APIS)
def test_a_wrong_key_is_told_as_such(api: str) -> None:
    pair = Pair(market("EUR-USD"), APIS[api], api, house=House(keys={"good": ""}), key=KEY)
    with pytest.raises(AssertionError, match="auth failed"):
        pair.connect("itick:EUR-USD/trade")
    assert [status.why for status in pair.denied] == [Why.LOGIN]
    assert pair.dialect.leaving == Hangup(1000, "auth failed")


@pytest.mark.parametrize("api", APIS)
def test_what_the_plan_does_not_cover_is_told_of_its_channels(api: str) -> None:
    pair = Pair(
        market("EUR-USD", "GBP-USD", "USD-JPY", "AUD-USD"), APIS[api], api, house=House({"cap": "3"}), key=KEY
    )
    pair.connect(*[f"itick:{symbol}/trade" for symbol in ("EUR-USD", "GBP-USD", "USD-JPY", "AUD-USD")])
    assert [(status.symbol, status.why) for status in pair.denied] == [("AUD-USD", Why.LIMIT)]
    list(pair.run(60))
    assert {event.symbol for event in pair.data} == {"EUR-USD", "GBP-USD", "USD-JPY"}


@pytest.mark.parametrize("api", APIS)
def test_an_unknown_symbol_is_told_and_harms_no_other(api: str) -> None:
    pair = Pair(market("EUR-USD"), APIS[api], api, key=KEY)
    pair.connect("itick:EUR-USD/trade", "itick:EUR-NOK/trade")
    assert [(status.symbol, status.why) for status in pair.denied] == [("EUR-NOK", Why.SYMBOL)]
    list(pair.run(30))
    assert pair.trades("EUR-USD")


@pytest.mark.parametrize("api", APIS)
def test_a_second_connection_is_refused_or_ends_the_first(api: str) -> None:
    for policy in ("reject_new", "kick_old", "any"):
        house = House({"policy": policy, "sockets": "1"})
        first = joined("/forex", "EUR-USD", house=house)
        asked(first, "EURUSD", "tick")
        pair = Pair(first_market(first), APIS[api], api, house=house, key=KEY)
        if policy == "reject_new":
            with pytest.raises(AssertionError, match="exceeding"):
                pair.connect("itick:EUR-USD/trade")
            assert [status.why for status in pair.denied] == [Why.CONNECTIONS]
        else:
            pair.connect("itick:EUR-USD/trade")
            assert not pair.denied
        assert (first.leaving is not None) == (policy == "kick_old")


def first_market(dialect: ITickDialect) -> Market:
    assert isinstance(dialect.source, Market)
    return dialect.source


# Frames


@pytest.mark.parametrize(
    ("api", "symbol", "types", "frame"),
    [
        ("", "EUR-USD", "tick", documented.TICK),
        ("v1", "AAPL", "quote", documented.QUOTE),
        ("v1", "AAPL", "depth", documented.DEPTH),
        ("", "EUR-USD", "kline@1", documented.KLINE),
        ("v1", "AAPL", "kline@1", documented.NESTED_KLINE),
    ],
)
def test_data_have_the_shape_of_the_documentation(api: str, symbol: str, types: str, frame: bytes) -> None:
    path = {"": "/forex", "v1": "/sws"}[api]
    dialect = joined(path, symbol)
    asked(dialect, symbol.replace("-", ""), types)
    sent = [each for action in actions(first_market(dialect), 50) for each in dialect.push(action, {})]
    assert sent
    for each in sent:
        assert shape(json.decode(each.frame)) == shape(json.decode(frame))
    s, frames = json.decode(frame)["data"]["s"], [json.decode(each.frame) for each in sent]
    assert {each["data"]["s"] for each in frames} == {s}
    assert {each["code"] for each in frames} == {json.decode(frame)["code"]}


def data_of_all_types(path: str, symbol: str, native: str) -> list[dict[str, Any]]:
    dialect = joined(f"/{path}", symbol)
    asked(dialect, native, "tick,quote,depth,kline@5")
    sent = [each for action in actions(first_market(dialect), 60) for each in dialect.push(action, {})]
    return [json.decode(each.frame)["data"] for each in sent]


def test_todays_data_name_their_region() -> None:
    for symbol, path, _, native, _ in ASSETS:
        data = data_of_all_types(path, symbol, native)
        assert {f"{each['s']}${each['r']}" for each in data} == {native}
        assert {each["type"] for each in data} == {"tick", "quote", "depth", "kline@5"}


def test_older_data_keep_the_region_in_the_symbol() -> None:
    for symbol, _, path, _, native in ASSETS:
        data = data_of_all_types(path, symbol, native)
        assert {each["s"] for each in data} == {native}
        assert not any("r" in each for each in data)


@pytest.mark.parametrize(("symbol", "n"), [("EUR-USD", 1), ("SPX", 5), ("BTC-USDT", 5), ("AAPL", 5)])
def test_depth_has_one_level_of_forex_and_five_of_others(symbol: str, n: int) -> None:
    dialect = joined("/sws", symbol)
    _, depth = asked(dialect, symbol.replace("-", ""), "depth")
    data, book = depth["data"], first_market(dialect).book(symbol)
    assert book is not None
    for side, ours in ((data["b"], book.bids), (data["a"], book.asks)):
        assert [level["po"] for level in side] == list(range(1, n + 1))
        assert [(level["p"], level["v"]) for level in side] == [
            (float(p), float(v)) for p, v in levels(ours, n)
        ]
        assert all(level["o"] == level["v"] for level in side)


def test_depth_is_sent_only_when_what_is_shown_has_changed() -> None:
    dialect = joined("/forex", "EUR-USD")
    _, first = asked(dialect, "EURUSD", "depth")
    shown, quiet = first["data"], 0
    for action in actions(first_market(dialect), 200):
        pushed = dialect.push(action, {})
        quiet += not pushed
        for each in pushed:
            now = json.decode(each.frame)["data"]
            assert now != shown
            shown = now
    assert 0 < quiet < 200


# Who comes in


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("way", ["header", "query", "message"])
def test_every_path_takes_the_key_in_every_way(path: str, way: str) -> None:
    dialect = speaking(path)(market("EUR-USD"))
    query = {"token": "k-3"} if way == "query" else {}
    headers = {"token": "k-3"} if way == "header" else {}
    frames = [json.decode(each.frame) for each in dialect.open(Call(path, query, headers), START_NS)]
    assert frames[0] == {"code": 1, "msg": "Connected Successfully"}
    authenticated = {"code": 1, "resAc": "auth", "msg": "authenticated"}
    if way == "message":
        assert frames[1:] == []
        assert said(dialect, ac="auth", params="k-3") == [authenticated]
    else:
        assert frames[1:] == [authenticated | {"data": {"params": "k-3"}}]
    answer, *data = asked(dialect, "EURUSD", "quote")
    assert answer == {"code": 1, "resAc": "subscribe", "msg": "subscribe Successfully"}
    assert [each["data"]["s"] for each in data] == ["EURUSD"]


@pytest.mark.parametrize("path", ["/forex/x", "/websocket/fws", "/websocket", "/", "/xws", "/forex/quote"])
def test_no_other_path_is_served(path: str) -> None:
    assert not [each for each in dialects.of("itick") if each.path.fullmatch(path)]


def test_both_generations_are_found_once() -> None:
    assert [each.__name__ for each in dialects.of("itick")] == ["ITickDialect", "ITickV1Dialect"]


FAILED = {"code": 0, "resAc": "auth", "msg": "auth failed"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("code", "hangup"),
    [
        (None, Hangup(1000, "auth failed")),
        ("4001", Hangup(4001, "auth failed")),
        ("0", Hangup(None, "auth failed")),
    ],
)
def test_a_wrong_key_is_refused_and_cut_off(path: str, code: str | None, hangup: Hangup) -> None:
    house = House({} if code is None else {"close_code": code}, keys={"good": ""})
    for headers in ({"token": "bad"}, {"token": ""}):
        dialect = speaking(path)(market("EUR-USD"), house)
        _, frame = dialect.open(Call(path, {}, headers), START_NS)
        assert (json.decode(frame.frame), dialect.leaving) == (FAILED, hangup)
    dialect = speaking(path)(market("EUR-USD"), house)
    dialect.open(Call(path), START_NS)
    assert (said(dialect, ac="auth", params="bad"), dialect.leaving) == ([FAILED], hangup)


def test_nothing_is_served_before_the_login() -> None:
    dialect = speaking("/forex")(market("EUR-USD"))
    dialect.open(Call("/forex"), START_NS)
    assert asked(dialect, "EURUSD", "tick") == [{"code": 0, "resAc": "subscribe", "msg": "auth failed"}]
    assert dialect.leaving is None
    assert [each for action in actions(first_market(dialect), 30) for each in dialect.push(action, {})] == []


@pytest.mark.parametrize(("path", "kicked"), [("/forex", 0), ("/fws", 1)])
def test_by_default_only_the_older_api_kicks_the_first_connection(path: str, kicked: int) -> None:
    house = House()
    clients = [joined(path, "EUR-USD", house=house) for _ in range(2)]
    assert [client.leaving is not None for client in clients] == [bool(kicked), False]


def test_connections_are_counted_by_key_and_asset_class() -> None:
    house = House({"policy": "reject_new", "sockets": "2"})
    clients = [
        joined(path, "EUR-USD", house=house, key=key)
        for path, key in [
            ("/forex", "a"),
            ("/forex", "b"),
            ("/crypto", "a"),
            ("/fws", "a"),
            ("/websocket/forex", "a"),
        ]
    ]
    assert [client.leaving is not None for client in clients] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("policy", "parted"),
    [("reject_new", [False, False, False, True]), ("kick_old", [True, False, False, False])],
)
def test_connections_may_be_counted_by_key_alone(policy: str, parted: list[bool]) -> None:
    house = House({"policy": policy, "sockets": "2", "scope": "key"})
    calls = [("/forex", "a"), ("/forex", "b"), ("/fws", "a"), ("/crypto", "a")]
    clients = [joined(path, "EUR-USD", house=house, key=key) for path, key in calls]
    assert [client.leaving is not None for client in clients] == parted


def test_the_oldest_connections_are_kicked_and_hear_nothing_more() -> None:
    house = House({"policy": "kick_old", "sockets": "2", "close_code": "4009"})
    source = market("EUR-USD")
    clients = []
    for _ in range(4):
        clients.append(joined("/forex", house=house, source=source))
        asked(clients[-1], "EURUSD", "tick")
    assert [client.leaving for client in clients] == [Hangup(4009, "another connection")] * 2 + [None] * 2
    heard = [0] * 4
    for action in actions(source, 40):
        for n, client in enumerate(clients):
            heard[n] += len(client.push(action, {}))
    assert heard[:2] == [0, 0]
    assert heard[2] == heard[3] > 0


# What is asked


@pytest.mark.parametrize(
    ("path", "params", "symbols"),
    [
        ("/forex", "EURUSD$GB,GBPUSD$GB", {"EUR-USD", "GBP-USD"}),
        ("/forex", "EURUSD$gb", {"EUR-USD"}),
        ("/forex", " eurusd , GBPUSD,", {"EUR-USD", "GBP-USD"}),
        ("/fws", "EURUSD", {"EUR-USD"}),
        ("/sws", "EURUSD,GBPUSD,SPX500,DJI", {"EUR-USD", "GBP-USD", "SPX500", "DJI"}),
        ("/sws", "AAPL.US,700.HK", {"AAPL", "700.HK"}),
        ("/stock", "AAPL,700$HK", {"AAPL", "700.HK"}),
        ("/cws", "BTC_USDT,ETHUSDT$BA", {"BTC-USDT", "ETH-USDT"}),
        ("/crypto", "BTCUSDT$BA", {"BTC-USDT"}),
        ("/indices", "SPX$GB", {"SPX"}),
    ],
)
def test_symbols_are_read_in_every_spelling(path: str, params: str, symbols: set[str]) -> None:
    dialect = joined(path, *LISTED)
    answer, *data = dialect.receive(
        json.encode({"ac": "subscribe", "params": params, "types": "quote"}), START_NS
    )
    assert json.decode(answer.frame)["code"] == 1
    assert {each.channels for each in data} == {(f"itick:{symbol}/summary",) for symbol in symbols}


UNRESOLVED = {"code": 0, "resAc": "subscribe", "msg": "cannot be resolved action"}


@pytest.mark.parametrize(
    ("path", "params", "types"),
    [
        ("/forex", "EURUSD$GB,FOOBAR$GB", "tick"),
        ("/forex", "EURUSD$US", "tick"),
        ("/forex", "BTCUSDT$BA", "tick"),  # of another socket
        ("/crypto", "EURUSD$GB", "tick"),
        ("/future", "GC$US", "tick"),
        ("/forex", "EURUSD$GB", "tick,trades"),
        ("/forex", "EURUSD$GB", "kline@0"),
        ("/forex", "EURUSD$GB", "kline@10"),
        ("/forex", "EURUSD$GB", ""),
        ("/forex", "", "tick"),
        ("/sws", "AAPL261218C00200000", "tick"),  # options it has none
    ],
)
def test_what_cannot_be_resolved_is_refused_as_a_whole(path: str, params: str, types: str) -> None:
    dialect = joined(path, "EUR-USD", "BTC-USDT", "AAPL261218C00200000")
    assert asked(dialect, params, types) == [UNRESOLVED]
    assert [each for action in actions(first_market(dialect), 30) for each in dialect.push(action, {})] == []


def test_bars_without_a_period_are_of_minutes() -> None:
    dialect = joined("/forex", "EUR-USD")
    answer, bar = asked(dialect, "EURUSD", "kline")
    assert (answer["code"], bar["data"]["type"]) == (1, "kline@1")


def test_what_is_not_listed_may_also_be_ignored() -> None:
    dialect = joined("/forex", "EUR-USD", house=House({"unknown": "ignore"}))
    answer, quote = asked(dialect, "EURUSD,FOOBAR", "quote")
    assert (answer["code"], quote["data"]["s"]) == (1, "EURUSD")


EXCEEDING = {"code": 0, "resAc": "subscribe", "msg": "exceeding the maximum subscription limit"}


def test_the_cap_counts_symbols_whatever_the_types() -> None:
    dialect = joined("/forex", "EUR-USD", "GBP-USD", "USD-JPY", house=House({"cap": "2"}))
    assert asked(dialect, "EURUSD,GBPUSD,USDJPY", "tick") == [EXCEEDING]
    assert asked(dialect, "EURUSD,GBPUSD", "tick")[0]["code"] == 1
    assert asked(dialect, "EURUSD,GBPUSD", "quote,depth,kline@1")[0]["code"] == 1
    assert asked(dialect, "USDJPY", "tick") == [EXCEEDING]


def test_the_cap_may_count_streams() -> None:
    dialect = joined("/forex", "EUR-USD", "GBP-USD", house=House({"cap": "3", "counts": "streams"}))
    assert asked(dialect, "EURUSD", "tick,quote,depth")[0]["code"] == 1
    assert asked(dialect, "EURUSD", "tick")[0]["code"] == 1  # a repetition takes nothing
    assert asked(dialect, "GBPUSD", "tick") == [EXCEEDING]


@pytest.mark.parametrize("counts", ["symbols", "streams"])
@pytest.mark.parametrize(("scope", "last"), [("asset", 1), ("key", 0)])
def test_the_cap_may_be_that_of_all_connections_of_a_key(counts: str, scope: str, last: int) -> None:
    house = House({"cap": "3", "counts": counts, "scope": scope})
    source = market("EUR-USD", "GBP-USD", "BTC-USDT", "ETH-USDT")
    forex, crypto, other = (
        joined(path, house=house, source=source, key=key)
        for path, key in [("/forex", "a"), ("/crypto", "a"), ("/crypto", "b")]
    )
    assert asked(forex, "EURUSD,GBPUSD", "tick")[0]["code"] == 1
    assert asked(crypto, "BTCUSDT", "tick")[0]["code"] == 1
    assert asked(crypto, "ETHUSDT", "tick")[0]["code"] == last
    assert asked(forex, "EURUSD", "tick")[0]["code"] == 1  # what it has already
    assert asked(other, "BTCUSDT,ETHUSDT", "tick")[0]["code"] == 1
    house.members.remove(forex)  # it has gone
    assert asked(crypto, "ETHUSDT", "tick")[0]["code"] == 1


def test_the_default_cap_is_five_hundred() -> None:
    many = [Listing(f"A{n}", "", "10.00", "0.01", "1", 1, 0.0001, 10, "stock") for n in range(501)]
    dialect = joined("/stock", source=Market(many, 7, START_NS, "itick"))
    codes = [i.symbol for i in many]
    assert asked(dialect, ",".join(codes[:500]), "tick") == [
        {"code": 1, "resAc": "subscribe", "msg": "subscribe Successfully"}
    ]
    assert asked(dialect, codes[500], "tick") == [EXCEEDING]


def test_subscriptions_add_up() -> None:
    dialect = joined("/forex", "EUR-USD", "GBP-USD")
    for params, types in (("EURUSD", "tick"), ("GBPUSD", "depth"), ("EURUSD", "depth")):
        asked(dialect, params, types)
    sent = [each for action in actions(first_market(dialect), 100) for each in dialect.push(action, {})]
    assert {channel for each in sent for channel in each.channels} == {
        *("itick:EUR-USD/trade", "itick:EUR-USD/book", "itick:GBP-USD/book"),
    }


# Signs of life


@pytest.mark.parametrize("path", PATHS)
def test_a_ping_is_echoed(path: str) -> None:
    dialect = joined(path, "EUR-USD")
    assert said(dialect, ac="ping", params="1731688569840") == [
        {"resAc": "pong", "data": {"params": "1731688569840"}}
    ]


def after(dialect: ITickDialect, s: float) -> Hangup | None:
    assert dialect.beat(START_NS + int(s * SECOND)) == []
    return dialect.leaving


def test_a_minute_without_a_heartbeat_ends_the_connection() -> None:
    dialect = joined("/forex", "EUR-USD")
    asked(dialect, "EURUSD", "tick")
    assert after(dialect, 60) is None
    dialect.receive(ITick().heartbeat(0), START_NS + 60 * SECOND)
    dialect.receive(b'{"ac":"subscribe","params":"EURUSD","types":"tick"}', START_NS + 100 * SECOND)
    assert after(dialect, 120) is None
    assert after(dialect, 121) == Hangup(1000, "no heartbeat")
    assert after(joined("/forex", "EUR-USD", house=House({"idle_s": "5", "close_code": "0"})), 6) == Hangup(
        None, "no heartbeat"
    )


@pytest.mark.parametrize(("pings", "alive"), [("count", True), ("ignore", False)])
def test_a_ping_of_the_protocol_is_a_heartbeat_or_not(pings: str, alive: bool) -> None:
    dialect = joined("/forex", "EUR-USD", house=House({"pings": pings}))
    dialect.pinged(START_NS + 30 * SECOND)
    assert (after(dialect, 61) is None) == alive
    assert after(dialect, 91) == Hangup(1000, "no heartbeat")


@pytest.mark.parametrize(
    ("switch", "answers", "alive"),
    [
        (None, [{"code": 0, "msg": "cannot be resolved action"}], True),
        ("answer", [{"code": 0, "msg": "cannot be resolved action"}], True),
        ("ignore", [], False),
    ],
)
def test_the_articles_heartbeat_is_answered_or_ignored(
    switch: str | None, answers: list[object], alive: bool
) -> None:
    dialect = joined("/sws", "EUR-USD", house=House({} if switch is None else {"heartbeat": switch}))
    pushed = dialect.receive(b'{"ac":"heartbeat"}', START_NS + 50 * SECOND)
    assert [json.decode(each.frame) for each in pushed] == answers
    assert (after(dialect, 70) is None) == alive


def test_the_articles_heartbeat_may_end_the_connection() -> None:
    dialect = joined("/sws", "EUR-USD", house=House({"heartbeat": "close"}))
    assert said(dialect, ac="heartbeat") == []
    assert dialect.leaving == Hangup(1000, "no action")


def test_there_is_no_unsubscribing() -> None:
    dialect = joined("/forex", "EUR-USD")
    assert said(dialect, ac="unsubscribe", params="EURUSD", types="tick") == [{"code": 0, "msg": "no action"}]
    assert dialect.leaving == Hangup(1000, "no action")


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"{}", b'{"ac":1}', b'{"ac":"fly"}', b'{"ac":"ping","params":1}']
)
def test_what_is_not_understood_is_refused(frame: bytes) -> None:
    dialect = joined("/forex", "EUR-USD")
    [answer] = dialect.receive(frame, START_NS)
    assert json.decode(answer.frame) == {"code": 0, "msg": "cannot be resolved action"}
    assert dialect.leaving is None


# Switches of data


@pytest.mark.parametrize("path", ["/forex", "/fws"])
@pytest.mark.parametrize("envelope", ["flat", "nested", "none"])
def test_the_envelope_of_bars_can_be_chosen(path: str, envelope: str) -> None:
    dialect = joined(path, "EUR-USD", house=House({"kline": envelope}))
    _, *bars = asked(dialect, "EURUSD", "kline@2")
    sent = [each for action in actions(first_market(dialect), 30) for each in dialect.push(action, {})]
    bars += [json.decode(each.frame) for each in sent]
    kinds = {"nested" if "k" in bar["data"] else "flat" for bar in bars}
    assert kinds == ({envelope} if envelope != "none" else set())


def test_a_tick_may_have_the_volume_of_the_day() -> None:
    dialect = joined("/crypto", "BTC-USDT", house=House({"tick_v": "day"}))
    asked(dialect, "BTCUSDT", "tick")
    for action in actions(first_market(dialect), 50):
        day = first_market(dialect).day("BTC-USDT")
        assert day is not None
        for each in dialect.push(action, {}):
            assert json.decode(each.frame)["data"]["v"] == float(day.volume)


@pytest.mark.parametrize("api", APIS)
def test_the_client_tells_its_share_of_the_days_volume(api: str) -> None:
    house = House({"tick_v": "day"})
    pair = Pair(market("AAPL"), APIS[api], api, {"tick_v": "day"}, house=house, key=KEY)
    pair.connect("itick:AAPL/trade")
    list(pair.run(300))
    first, *rest = pair.trades("AAPL")
    assert (first.size_text, first.excluded) == ("0", ("volume",))
    told = sum(Decimal(trade.size_text) for trade in rest)
    day = pair.market.day("AAPL")
    assert day is not None
    ticks = [json.decode(frame)["data"] for frame in pair.to_client if b'"ld"' in frame]
    since = Decimal(str(ticks[0]["v"]))
    assert told == Decimal(day.volume) - since > 0


@pytest.mark.parametrize("present", ["yes", "no"])
@pytest.mark.parametrize("path", ["/crypto", "/cws"])
def test_what_is_so_now_may_come_with_a_subscription(path: str, present: str) -> None:
    dialect = joined(path, "BTC-USDT", house=House({"present": present}))
    _, *begun = asked(dialect, "BTCUSDT", "quote,depth,kline@1")
    assert len(begun) == (3 if present == "yes" else 0)
    pushed = [each for action in actions(first_market(dialect), 100) for each in dialect.push(action, {})]
    assert {channel for each in pushed for channel in each.channels} == {
        f"itick:BTC-USDT/{kind}" for kind in ("summary", "book", "bar.1m")
    }


# The article


def test_the_articles_program_receives_what_it_asked_for() -> None:
    source = market("EUR-USD", "HKD-USD")
    dialect = speaking("/sws")(source)
    dialect.open(Call("/sws"), START_NS)
    assert said(dialect, ac="auth", params="your_api_key")[0]["msg"] == "authenticated"
    assert asked(dialect, "EURUSD,HKDUSD", "depth,quote")[0]["code"] == 1
    sent = []
    for n in range(8):
        dialect.receive(b'{"ac":"heartbeat"}', START_NS + n * 10 * SECOND)
        dialect.beat(START_NS + n * 10 * SECOND)
        sent += [each for action in actions(source, 30) for each in dialect.push(action, {})]
    assert dialect.leaving is None
    data = [json.decode(each.frame)["data"] for each in sent]
    assert {(each["s"], each["type"]) for each in data} == {
        (symbol, kind) for symbol in ("EURUSD", "HKDUSD") for kind in ("depth", "quote")
    }


# REST

ALL = market("EUR-USD", "GBP-USD", "SPX", "BTC-USDT", "AAPL", "700.HK", "AAPL261218C00200000", aged=400)


def rest(
    path: str,
    query: dict[str, str] | None = None,
    *,
    token: str = "k-3",
    house: House | None = None,
    source: Market = ALL,
) -> Any:
    call = Call(path, query or {}, {"token": token})
    answer = ITickDialect.answer(source, house or House(), call, source.now_ns)
    assert answer is not None
    assert answer.status == 200
    return json.decode(answer.body)


def data_of(path: str, **query: str) -> Any:
    body = rest(path, query)
    assert (body["code"], body["msg"]) == (0, None)
    return body["data"]


def test_rest_knows_ticks_and_depth() -> None:
    last = ALL.trades("EUR-USD", 1)[0]
    assert data_of("/forex/tick", region="GB", code="EURUSD") == {
        **{"s": "EURUSD", "r": "GB", "ld": float(last.price_text), "v": float(last.size_text)},
        "t": (last.venue_ns or 0) // MILLISECOND,
    }
    depth = data_of("/stock/depth", region="HK", code="700")
    book = ALL.book("700.HK")
    assert book is not None
    assert [(each["p"], each["v"]) for each in depth["a"]] == [
        (float(p), float(v)) for p, v in levels(book.asks, 5)
    ]
    assert (depth["s"], depth["r"], len(depth["b"])) == ("700", "HK", 5)


def test_a_quote_of_rest_has_the_change() -> None:
    quote, day = data_of("/crypto/quote", region="ba", code="BTCUSDT"), ALL.day("BTC-USDT")
    assert day is not None
    assert (quote["ld"], quote["p"]) == (float(day.last), float(day.previous_close))
    assert quote["ch"] == pytest.approx(quote["ld"] - quote["p"])
    assert quote["chp"] == pytest.approx(100 * quote["ch"] / quote["p"], abs=0.01)
    assert set(quote) == {"s", "r", "ld", "o", "h", "l", "t", "v", "tu", "ts", "p", "ch", "chp"}


def test_the_adapter_finds_the_price_where_it_says() -> None:
    for symbol, _, _, native, _ in ASSETS:
        path, _, query = ITick().price_path(symbol).partition("?")
        quote = data_of(path, **dict(pair.split("=") for pair in query.split("&")))
        assert f"{quote['s']}${quote['r']}" == native


def test_bars_of_rest_are_newest_first_up_to_a_time() -> None:
    rows = data_of("/forex/kline", region="GB", code="EURUSD", kType="2", limit="30")
    times = [row["t"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert len(rows) == 30
    assert {later - earlier for earlier, later in zip(times[1:], times, strict=False)} == {300_000}
    assert set(rows[0]) == {"t", "o", "h", "l", "c", "v", "tu"}
    [newest] = ALL.bars("EUR-USD", 300 * SECOND, times[0] * MILLISECOND, times[0] * MILLISECOND + 1)
    assert (rows[0]["o"], rows[0]["c"]) == (float(newest.open_text), float(newest.close_text))
    before = data_of("/forex/kline", region="GB", code="EURUSD", kType="2", limit="5", et=str(times[3]))
    assert before == rows[3:8]
    assert len(data_of("/forex/kline", region="GB", code="EURUSD")) == 100


def test_bars_of_stocks_reach_over_the_nights() -> None:
    rows = data_of("/stock/kline", region="US", code="AAPL", kType="1", limit="900")
    assert len(rows) == 900  # a session has 390 minutes


def test_several_are_asked_at_once() -> None:
    ticks = data_of("/forex/ticks", region="GB", codes="EURUSD,GBPUSD,FOOBAR")
    assert {code: each["s"] for code, each in ticks.items()} == {"EURUSD": "EURUSD", "GBPUSD": "GBPUSD"}
    bars = data_of("/forex/klines", region="GB", codes="EURUSD,GBPUSD", limit="3")
    assert {code: len(rows) for code, rows in bars.items()} == {"EURUSD": 3, "GBPUSD": 3}
    for many, one in (("quotes", "quote"), ("depths", "depth")):
        assert data_of(f"/indices/{many}", region="GB", codes="SPX") == {
            "SPX": data_of(f"/indices/{one}", region="GB", code="SPX")
        }


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/forex/tick", {"region": "GB", "code": "FOOBAR"}),
        ("/forex/tick", {"region": "US", "code": "EURUSD"}),
        ("/forex/tick", {}),
        ("/crypto/quote", {"region": "GB", "code": "EURUSD"}),
        ("/forex/ticks", {"region": "GB", "codes": "FOO,BAR"}),
        ("/forex/kline", {"region": "GB", "code": "EURUSD", "kType": "77"}),
    ],
)
def test_what_is_not_found_is_e001(path: str, query: dict[str, str]) -> None:
    assert rest(path, query) == {"code": "E001", "msg": "not found this produce", "data": None}


@pytest.mark.parametrize("path", ["/forex/tick", "/symbol/list", "/symbol/holidays"])
def test_a_wrong_key_is_e002(path: str) -> None:
    failed = {"code": "E002", "msg": "auth failed", "data": None}
    assert rest(path, token="") == failed
    assert rest(path, token="bad", house=House(keys={"good": ""})) == failed
    answer = ITickDialect.answer(ALL, House(), Call(path), START_NS)
    assert answer is not None
    assert json.decode(answer.body) == failed


def test_the_key_of_rest_may_be_in_the_address() -> None:
    answer = ITickDialect.answer(ALL, House(), Call("/symbol/holidays", {"token": "k-3"}), START_NS)
    assert answer is not None
    assert json.decode(answer.body) == {"code": 0, "msg": None, "data": []}


@pytest.mark.parametrize("path", ["/", "/forex", "/forex/trades", "/bond/tick", "/symbol", "/forex/tickss"])
def test_nothing_else_is_answered(path: str) -> None:
    assert ITickDialect.answer(ALL, House(), Call(path, {}, {"token": "k-3"}), START_NS) is None


def test_the_adapter_reads_the_lists_of_instruments() -> None:
    listed = []
    for path in ITick().symbols_paths():
        name, _, query = path.partition("?")
        call = Call(name, dict(pair.split("=") for pair in query.split("&")), {"token": "k-3"})
        answer = ITickDialect.answer(ALL, House(), call, START_NS)
        assert answer is not None
        listed += ITick().decode_symbols(path, answer.body)
    assert [(i.symbol, i.native, i.asset) for i in listed] == [
        ("EUR-USD", "EURUSD$GB", "forex"),
        ("GBP-USD", "GBPUSD$GB", "forex"),
        ("SPX", "SPX$GB", "index"),
        ("BTC-USDT", "BTCUSDT$BA", "crypto"),
        ("AAPL", "AAPL$US", "stock"),
    ]
    assert listed[0].name == "Euro / US Dollar"


def test_one_instrument_can_be_looked_up() -> None:
    [found] = data_of("/symbol/list", type="stock", code="700")
    assert (found["c"], found["n"], found["t"]) == ("700", "Tencent", "stock")
    assert data_of("/symbol/list", type="stock", region="SG") == []
    assert data_of("/symbol/list", type="future", region="US") == []


# Whatever comes

QUIET = market("EUR-USD", "AAPL")


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda ac, params, types: json.encode({"ac": ac, "params": params, "types": types}),
        st.sampled_from(["subscribe", "auth", "ping", "heartbeat", "unsubscribe", ""]),
        st.text(max_size=10) | st.sampled_from(["EURUSD", "AAPL.US,EURUSD$GB", "$", "$GB", ",", "."]),
        st.text(max_size=6) | st.sampled_from(["tick", "kline@1,depth"]),
    ),
    st.sampled_from(PATHS),
)
def test_any_frame_is_answered_in_a_way_the_client_reads(frame: bytes, path: str) -> None:
    dialect = joined(path, source=QUIET)
    for each in dialect.receive(frame, QUIET.now_ns):
        ITick().decode(each.frame)


@given(
    st.sampled_from(["/forex/kline", "/stock/klines", "/forex/quotes", "/symbol/list", "/stock/tick"]),
    st.dictionaries(
        st.sampled_from(["region", "code", "codes", "kType", "limit", "et", "type"]),
        st.text(max_size=6)
        | st.sampled_from(["EURUSD", "GB", "AAPL", "US", "1", "0", "9" * 15, "EURUSD,AAPL"]),
    ),
)
def test_any_question_is_answered(path: str, query: dict[str, str]) -> None:
    assert rest(path, query, source=QUIET)["code"] in (0, "E001")
