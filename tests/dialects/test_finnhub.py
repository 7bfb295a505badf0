"""Finnhub's two roles agree, and the server answers as the venue is known to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.finnhub import Finnhub, native
from livetape.core.credentials import Credentials
from livetape.core.dialect import Answer, Call, Hangup, House
from livetape.core.events import News, Summary, Why
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.finnhub import FinnhubDialect
from livetape.simulator.listings import CRYPTO, FOREX, INDICES, STOCKS
from livetape.simulator.market import Market

from .pair import START_NS, Pair, facts, market_of

LISTED = (*STOCKS[:3], *CRYPTO[8:10], *FOREX[:2], INDICES[0])
SYMBOLS = ("AAPL", "MSFT", "GOOG", "BTC-USDT", "ETH-USDT", "EUR-USD", "GBP-USD")
KEY = Credentials("K")


def market(seed: int = 7, aged: int = 0) -> Market:
    return market_of(LISTED, "finnhub", seed=seed, aged=aged)


def client(*names: str, **switches: str) -> Pair:
    return joined(names, switches)


def joined(
    names: Iterable[str],
    switches: Mapping[str, str],
    *,
    seed: int = 7,
    options: dict[str, object] | None = None,
) -> Pair:
    pair = Pair(market(seed), FinnhubDialect, options=options, house=House(switches), key=KEY)
    pair.connect(*[f"finnhub:{name}" for name in names])
    return pair


def play(pair: Pair, n: int, beat_every: int = 20) -> None:
    """``n`` actions, with a beat every now and then, and a last one."""
    for i, _ in enumerate(pair.run(n)):
        if i % beat_every == 0:
            pair.beat()
    pair.beat()


def dialect_of(house: House, token: str = "K") -> FinnhubDialect:
    """One more member of ``house``."""
    made = FinnhubDialect(market(), house)
    made.open(Call("/", {"token": token}), START_NS)
    house.members.append(made)
    return made


def ask(dialect: FinnhubDialect, kind: str, symbol: str) -> list[Any]:
    frame = json.encode({"type": kind, "symbol": symbol})
    return [json.decode(pushed.frame) for pushed in dialect.receive(frame, START_NS)]


def rows(pair: Pair) -> list[dict[str, Any]]:
    frames = [json.decode(frame) for frame in pair.to_client]
    return [row for frame in frames if frame["type"] == "trade" for row in frame["data"]]


def printed(pair: Pair, symbol: str) -> list[tuple[object, ...]]:
    """What the client must have heard of ``symbol``: a forex price has no size."""
    of = [facts(trade, MILLISECOND) for trade in pair.prints if trade.symbol == symbol]
    forex = native(symbol).startswith("OANDA:")
    return [(channel, ms, price, "0" if forex else size) for channel, ms, price, size, *_ in of]


def known(pair: Pair, symbol: str) -> list[tuple[object, ...]]:
    return [facts(trade, MILLISECOND)[:4] for trade in pair.trades(symbol)]


# Both roles


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    symbols=st.sets(st.sampled_from(SYMBOLS), min_size=1),
    batch=st.integers(0, 12).map(str),
    keys=st.sampled_from(FinnhubDialect.switches["keys"]),
    conditions=st.sampled_from(FinnhubDialect.switches["conditions"]),
    duplicate=st.integers(1, 3),
    order=st.sampled_from(FinnhubDialect.switches["order"]),
)
def test_the_client_knows_every_print_once(
    seed: int, symbols: set[str], batch: str, keys: str, conditions: str, duplicate: int, order: str
) -> None:
    switches = {"batch": batch, "keys": keys, "conditions": conditions, "order": order}
    switches["duplicate"] = str(duplicate)
    names = [f"{symbol}/trade" for symbol in symbols]
    pair = joined(names, switches, seed=seed, options={"duplicate": duplicate})
    play(pair, 300)
    for symbol in symbols:
        heard, told = known(pair, symbol), printed(pair, symbol)
        assert Counter(heard) == Counter(told)
        assert heard == told or (order, duplicate) != ("sent", 1)
    assert len(rows(pair)) == duplicate * sum(len(printed(pair, symbol)) for symbol in symbols)
    pair.assert_whole()


def test_a_price_without_volume_does_not_count_as_volume() -> None:
    pair = client("EUR-USD/trade", "EUR-USD/summary", "AAPL/trade", "AAPL/summary")
    play(pair, 600)
    assert {t.excluded for t in pair.trades("EUR-USD")} == {("volume",)}
    assert {t.excluded for t in pair.trades("AAPL")} == {()}
    [*_, euro] = [e for e in pair.events if isinstance(e, Summary) and e.symbol == "EUR-USD"]
    assert (euro.volume_text, euro.last_text) == ("0", pair.trades("EUR-USD")[-1].price_text)
    [*_, apple] = [e for e in pair.events if isinstance(e, Summary) and e.symbol == "AAPL"]
    assert float(apple.volume_text or 0) == sum(t.size for t in pair.trades("AAPL"))


@settings(max_examples=25)
@given(changes=st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 60)), max_size=20))
def test_symbols_may_come_and_go(changes: list[tuple[str, int]]) -> None:
    pair = client("AAPL/trade")
    expected = Counter[str]()
    for symbol, n in changes:
        pair.toggle(f"finnhub:{symbol}/trade")
        for action in pair.run(n):
            wanted = f"finnhub:{action.symbol}/trade" in pair.wanted
            expected[action.symbol] += len(action.trades) if wanted else 0
        pair.beat()
    assert Counter({s: len(pair.trades(s)) for s in SYMBOLS}) == expected
    assert not pair.denied
    assert pair.session.undecodable == 0


def test_after_unsubscribing_nothing_is_sent() -> None:
    pair = client("AAPL/trade", "AAPL/news", batch="50")
    list(pair.run(100))
    pair.drop("finnhub:AAPL/trade", "finnhub:AAPL/news")
    before = len(pair.to_client)
    pair.ns += 20 * SECOND
    play(pair, 100)
    assert len(pair.to_client) == before


# What the venue is known to say


def test_frames_hold_several_prints_of_several_symbols() -> None:
    pair = client(*[f"{symbol}/trade" for symbol in SYMBOLS], batch="6")
    play(pair, 2_000)
    sizes = Counter(len(json.decode(frame)["data"]) for frame in pair.to_client)
    assert sizes.keys() == {1, 2, 3, 4, 5, 6}
    assert any(len({row["s"] for row in json.decode(frame)["data"]}) > 1 for frame in pair.to_client)


@pytest.mark.parametrize(
    ("switches", "share", "coin", "frame"),
    [
        ({}, "cpstv", "pstv", ["data", "type"]),
        ({"conditions": "null"}, "cpstv", "cpstv", ["data", "type"]),
        ({"keys": "captured"}, "tpvcs", "tpvs", ["type", "data"]),
        ({"keys": "captured", "conditions": "null"}, "tpvcs", "tpvcs", ["type", "data"]),
    ],
)
def test_our_frames_have_the_keys_of_the_venues(
    switches: dict[str, str], share: str, coin: str, frame: list[str]
) -> None:
    pair = client("AAPL/trade", "BTC-USDT/trade", "EUR-USD/trade", **switches)
    play(pair, 500)
    assert {tuple(json.decode(each)) for each in pair.to_client} == {tuple(frame)}
    said = rows(pair)
    assert {row["s"] for row in said} == {"AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD"}
    assert {"".join(row) for row in said if row["s"] == "AAPL"} == {share}
    assert {"".join(row) for row in said if row["s"] != "AAPL"} == {coin}
    for row in said:
        assert isinstance(row["t"], int)
        assert row["v"] > 0 or row["s"].startswith("OANDA:")
        shares = row["s"] == "AAPL"
        assert all(isinstance(code, str) for code in row["c"]) if shares else row.get("c") is None


def test_copies_come_within_a_frame_and_in_later_ones() -> None:
    pair = client("AAPL/trade", duplicate="2")
    play(pair, 500)
    frames = [json.decode(frame)["data"] for frame in pair.to_client]
    within = sum(n > 1 for frame in frames for n in Counter(map(str, frame)).values())
    assert 0 < within < len(pair.prints)
    everything = Counter(str(row) for frame in frames for row in frame)
    assert set(everything.values()) == {2}
    assert len(pair.said) == len([t for t in pair.prints if t.symbol == "AAPL"])  # a copy is no event


def test_pings_come_after_27_seconds_and_then_every_60() -> None:
    dialect = dialect_of(House())
    at = [s for s in range(1, 240) if dialect.beat(START_NS + s * SECOND)]
    assert at == [27, 87, 147, 207]
    [ping] = dialect.beat(START_NS + 400 * SECOND)
    assert (ping.frame, ping.channels) == (b'{"type":"ping"}', ())
    quick = dialect_of(House({"ping": "2"}), "L")
    assert [s for s in range(1, 7) if quick.beat(START_NS + s * SECOND)] == [1, 3, 5]


def test_nothing_is_acknowledged() -> None:
    dialect = dialect_of(House())
    for kind in ("subscribe", "subscribe", "subscribe-news", "subscribe-pr", "unsubscribe", "unsubscribe"):
        assert ask(dialect, kind, "AAPL") == []
    assert ask(dialect, "unsubscribe", "NOBODY") == []


def test_news_are_told_of_those_who_are_asked_for() -> None:
    pair = client("AAPL/news", "MSFT/news", news="5", ping="1000")
    for _ in range(4):
        pair.ns += 5 * SECOND
        pair.beat()
    told = [event for event in pair.events if isinstance(event, News)]
    assert [event.channel for event in told] == ["finnhub:AAPL/news", "finnhub:MSFT/news"] * 2
    assert len({event.id for event in told}) == 4
    frame = json.decode(pair.to_client[0])
    keys = ["category", "datetime", "headline", "id", "image", "related", "source", "summary", "url"]
    assert (frame["type"], list(frame["data"][0])) == ("news", keys)
    pair.assert_whole()


# Refusals


@pytest.mark.parametrize("symbol", ["NOBODY", "aapl", "BTC-USDT", "OANDA:EUR/USD", "SPX", ""])
@pytest.mark.parametrize("kind", ["subscribe", "subscribe-news", "subscribe-pr"])
def test_an_unknown_symbol_is_refused(kind: str, symbol: str) -> None:
    assert ask(dialect_of(House()), kind, symbol) == [{"msg": f"Invalid symbol {symbol}", "type": "error"}]
    bare = dialect_of(House({"invalid": "bare"}))
    assert ask(bare, kind, symbol) == [{"msg": "Invalid symbol", "type": "error"}]


@pytest.mark.parametrize("invalid", FinnhubDialect.switches["invalid"])
def test_a_client_that_wants_an_unknown_symbol_is_told_so(invalid: str) -> None:
    pair = client("NOBODY/trade", "AAPL/trade", invalid=invalid)
    assert [(each.channel, each.why) for each in pair.denied] == [("finnhub:NOBODY/trade", Why.SYMBOL)]
    play(pair, 200)
    assert known(pair, "AAPL") == printed(pair, "AAPL")


def test_more_than_the_cap_is_refused_until_something_is_given_up() -> None:
    pair = client("AAPL/trade", "MSFT/trade", "GOOG/trade", cap="2")
    assert [(each.channel, each.why) for each in pair.denied] == [("finnhub:GOOG/trade", Why.LIMIT)]
    assert pair.denied[0].detail == "Subscribing to too many symbols"
    assert json.decode(pair.to_client[0]) == {"msg": "Subscribing to too many symbols", "type": "error"}
    pair.drop("finnhub:AAPL/trade")
    play(pair, 300)
    assert pair.trades("GOOG")
    assert pair.trades("MSFT")


def test_the_fifty_first_symbol_is_refused_by_default() -> None:
    listed = [*STOCKS, *CRYPTO, *FOREX]
    source = Market([i for i in listed if i.asset], 7, START_NS, "finnhub")
    dialect = FinnhubDialect(source, House({"cap": "30"}))
    answers = [ask(dialect, "subscribe", native(i.symbol)) for i in listed]
    assert [bool(answer) for answer in answers] == [False] * 30 + [True] * (len(listed) - 30)
    assert dialect_of(House()).switch("cap") == "50"


def test_news_are_not_on_the_free_plan() -> None:
    pair = client("AAPL/news", "AAPL/trade", plan="free")
    assert [(each.channel, each.why) for each in pair.denied] == [("finnhub:AAPL/news", Why.PLAN)]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token_is_refused_at_the_door(token: str) -> None:
    house = House(keys={"K": ""})
    dialect = FinnhubDialect(market(), house)
    answer = dialect.refusal(Call("/", {"token": token}), START_NS)
    assert answer is not None
    assert (answer.status, json.decode(answer.body)) == (401, {"error": "Invalid API key"})
    assert dialect.refusal(Call("/", {"token": "K"}), START_NS) is None
    assert FinnhubDialect(market(), House()).refusal(Call("/", {}), START_NS) is not None


RESET = Hangup()


@pytest.mark.parametrize(
    ("policy", "old", "new"),
    [
        ("reject_new", None, RESET),
        ("drop_both", RESET, RESET),
        ("kick_old", RESET, None),
        ("any", None, None),
    ],
)
def test_a_second_connection_of_a_key(policy: str, old: Hangup | None, new: Hangup | None) -> None:
    house = House({"connections": policy})
    first, other = dialect_of(house), dialect_of(house, "another")
    assert (first.leaving, other.leaving) == (None, None)
    second = dialect_of(house)
    assert (first.leaving, second.leaving, other.leaving) == (old, new, None)


def test_the_close_code_of_a_second_connection_can_be_chosen() -> None:
    house = House({"goodbye": "1008"})
    assert (dialect_of(house).leaving, dialect_of(house).leaving) == (None, Hangup(1008))


# Anything


@settings(max_examples=150)
@given(
    st.binary(max_size=100)
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["subscribe", "unsubscribe", "subscribe-news", "unsubscribe-news", "x"])
            | st.none(),
            "symbol": st.sampled_from(["AAPL", "BINANCE:BTCUSDT", "X"]) | st.text(max_size=5) | st.integers(),
        },
    ).map(json.encode)
)
def test_nothing_of_a_client_makes_it_fail(frame: bytes) -> None:
    dialect, adapter = FinnhubDialect(QUIET), Finnhub()
    for pushed in dialect.receive(frame, START_NS):
        adapter.decode(pushed.frame)


QUIET = market(aged=2_000)


# REST


def get(
    path: str, query: Mapping[str, str] | None = None, *, house: House | None = None, ns: int = START_NS
) -> Answer:
    call = Call(path, {"token": "K", **(query or {})})
    answer = FinnhubDialect.answer(QUIET, house or House(), call, ns)
    assert answer is not None
    return answer


def said(path: str, **query: str) -> Any:
    answer = get(f"/api/v1{path}", query)
    assert answer.status == 200
    return json.decode(answer.body)


def test_what_is_searched_is_found_by_name_and_ticker() -> None:
    apple = {"description": "APPLE INC.", "displaySymbol": "AAPL", "symbol": "AAPL", "type": "Common Stock"}
    for query in ("apple", "AAPL", "aap"):
        assert said("/search", q=query) == {"count": 1, "result": [apple]}
    assert said("//search", q="apple", exchange="US")["count"] == 1  # as finnhub-python asks
    assert said("/search", q="nothing") == said("/search") == {"count": 0, "result": []}


def test_the_lists_are_those_of_the_market() -> None:
    shares = said("/stock/symbol", exchange="US")
    keys = "currency description displaySymbol figi isin mic shareClassFIGI symbol symbol2 type"
    assert {tuple(row) for row in shares} == {tuple(keys.split())}
    assert [row["symbol"] for row in shares] == ["AAPL", "MSFT", "GOOG"]
    assert said("/stock/symbol", exchange="US", mic="XNYS") == said("/stock/symbol", exchange="L") == []
    assert said("/forex/exchange") == ["oanda"]
    assert said("/crypto/exchange") == ["Binance"]
    assert said("/forex/symbol", exchange="oanda")[0] == {
        "description": "Oanda EUR/USD",
        "displaySymbol": "EUR/USD",
        "symbol": "OANDA:EUR_USD",
    }
    assert said("/crypto/symbol", exchange="binance")[0] == {
        "description": "Binance BTCUSDT",
        "displaySymbol": "BTC/USDT",
        "symbol": "BINANCE:BTCUSDT",
    }
    assert said("/crypto/symbol", exchange="coinbase") == []


def test_the_client_reads_the_lists_and_knows_the_symbols() -> None:
    adapter = Finnhub(credentials=KEY)
    listed = []
    for path in adapter.symbols_paths():
        where, _, query = path.partition("?")
        name, _, value = query.partition("=")
        answer = FinnhubDialect.answer(
            QUIET, House(), Call(where, {name: value}, {"x-finnhub-token": "K"}), START_NS
        )
        assert answer is not None
        listed += adapter.decode_symbols(path, answer.body)
    assert {i.symbol for i in listed} == set(SYMBOLS)
    assert {i.asset for i in listed} == {"stock", "forex", "crypto"}


def test_the_quote_is_the_day_of_the_market() -> None:
    quote, day = said("/quote", symbol="AAPL"), QUIET.day("AAPL")
    assert day is not None
    assert list(quote) == ["c", "d", "dp", "h", "l", "o", "pc", "t"]
    prices = (day.last, day.high, day.low, day.open, day.previous_close)
    assert [quote[key] for key in ("c", "h", "l", "o", "pc")] == [float(price) for price in prices]
    assert quote["d"] == pytest.approx(quote["c"] - quote["pc"])
    assert quote["dp"] == pytest.approx(100 * quote["d"] / quote["pc"], abs=1e-4)
    [last] = QUIET.trades("AAPL", 1)
    assert quote["t"] == (last.venue_ns or 0) // SECOND
    assert said("/quote", symbol="BINANCE:BTCUSDT")["c"] > 0


@pytest.mark.parametrize("symbol", ["NOBODY", "SPX", "BTC-USDT", ""])
def test_of_an_unknown_symbol_the_quote_is_nothing(symbol: str) -> None:
    quote = said("/quote", symbol=symbol)
    assert list(quote) == ["c", "d", "dp", "h", "l", "o", "pc", "t"]
    assert not any(quote.values())


def test_bid_and_ask_are_the_best_of_the_book() -> None:
    book = QUIET.book("AAPL")
    assert book is not None
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is not None
    assert ask is not None
    best = said("/stock/bidask", symbol="AAPL")
    assert best == {
        **{"a": float(ask[0]), "av": float(ask[1]), "b": float(bid[0]), "bv": float(bid[1])},
        "t": START_NS // MILLISECOND,
    }
    assert said("/stock/bidask", symbol="NOBODY")["b"] == 0


@pytest.mark.parametrize(
    ("at_s", "session"),
    [
        (1_760_538_600, "regular"),  # Wednesday 2025-10-15, 10:30 in New York
        (1_760_536_799, "regular"),
        (1_760_535_000, "regular"),
        (1_760_534_999, "pre-market"),
        (1_760_515_199, None),
        (1_760_558_400, "post-market"),
        (1_760_572_800, None),
        (1_760_797_800, None),  # Saturday
    ],
)
def test_the_market_is_open_by_new_yorks_clock(at_s: int, session: str | None) -> None:
    answer = get("/api/v1/stock/market-status", {"exchange": "US"}, ns=at_s * SECOND)
    assert json.decode(answer.body) == {
        **{"exchange": "US", "holiday": None, "isOpen": session == "regular", "session": session},
        **{"timezone": "America/New_York", "t": at_s},
    }


def test_calls_are_counted_by_the_minute_and_the_key() -> None:
    house, minute = House({"rate": "3"}), START_NS // (60 * SECOND) + 1
    left = []
    for _ in range(5):
        answer = get("/api/v1/forex/exchange", house=house, ns=minute * 60 * SECOND)
        left.append((answer.status, answer.headers["X-Ratelimit-Remaining"]))
    assert left == [(200, "2"), (200, "1"), (200, "0"), (429, "0"), (429, "0")]
    message = "API limit reached. Please try again later. Remaining Limit: 0"
    assert json.decode(answer.body) == {"error": message}
    assert answer.headers["X-Ratelimit-Limit"] == "3"
    assert answer.headers["X-Ratelimit-Reset"] == str((minute + 1) * 60)
    assert get("/api/v1/forex/exchange", {"token": "L"}, house=house, ns=minute * 60 * SECOND).status == 200
    assert get("/api/v1/forex/exchange", house=house, ns=(minute + 1) * 60 * SECOND).status == 200
    assert get("/api/v1/forex/exchange").headers["X-Ratelimit-Limit"] == "60"


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        (Call("/api/v1/quote"), 401, "Please use an API key."),
        (Call("/api/v1/quote", {"token": "wrong"}), 401, "Invalid API key"),
        (Call("/api/v1/quote", {}, {"x-finnhub-token": "wrong"}), 401, "Invalid API key"),
        (Call("/api/v1/stock/bidask", {"token": "K"}), 403, "You don't have access to this resource."),
        (Call("/api/v1/stock/candle", {"token": "K"}), 403, "You don't have access to this resource."),
    ],
)
def test_what_is_not_for_the_key_is_refused(call: Call, status: int, message: str) -> None:
    answer = FinnhubDialect.answer(QUIET, House({"plan": "free"}, {"K": ""}), call, START_NS)
    assert answer is not None
    assert (answer.status, json.decode(answer.body)) == (status, {"error": message})


# Candles

GRANTED = House({"candles": "granted", "rate": "1000"})
WEEK = 7 * 86_400
RESOLUTIONS = {"1": 60, "5": 300, "15": 900, "30": 1800, "60": 3600, "D": 86_400, "W": WEEK}


def candles(asset: str, house: House = GRANTED, **query: str | int) -> Any:
    answer = get(f"/api/v1/{asset}/candle", {name: str(value) for name, value in query.items()}, house=house)
    assert answer.status == 200
    return json.decode(answer.body)


@pytest.mark.parametrize("asset", ["stock", "forex", "crypto"])
def test_candles_are_refused_unless_the_key_may_have_them(asset: str) -> None:
    symbol = {"stock": "AAPL", "forex": "OANDA:EUR_USD", "crypto": "BINANCE:BTCUSDT"}[asset]
    query = {"symbol": symbol, "resolution": "60", "from": "0", "to": str(QUIET.now_ns // SECOND)}
    assert get(f"/api/v1/{asset}/candle", query, house=House({"rate": "1000"})).status == 403
    assert candles(asset, **query)["s"] == "ok"


@pytest.mark.parametrize(
    ("asset", "native", "symbol"),
    [
        ("stock", "AAPL", "AAPL"),
        ("forex", "OANDA:EUR_USD", "EUR-USD"),
        ("crypto", "BINANCE:BTCUSDT", "BTC-USDT"),
    ],
)
def test_candles_are_the_bars_of_the_market(asset: str, native: str, symbol: str) -> None:
    to = QUIET.now_ns // SECOND
    for resolution, s in RESOLUTIONS.items():
        found = candles(asset, symbol=native, resolution=resolution, **{"from": to - WEEK, "to": to})
        bars = QUIET.bars(symbol, s * SECOND, (to - WEEK) * SECOND, (to + 1) * SECOND)
        assert bars
        assert found == {
            "s": "ok",
            "t": [bar.start_ns // SECOND for bar in bars],
            "o": [float(bar.open_text) for bar in bars],
            "h": [float(bar.high_text) for bar in bars],
            "l": [float(bar.low_text) for bar in bars],
            "c": [float(bar.close_text) for bar in bars],
            "v": [bar.trades if asset == "forex" else float(bar.volume_text) for bar in bars],
        }


def test_a_candle_of_a_month_is_made_of_its_days() -> None:
    to = QUIET.now_ns // SECOND
    days = candles("crypto", symbol="BINANCE:BTCUSDT", resolution="D", **{"from": 0, "to": to})
    months = candles("crypto", symbol="BINANCE:BTCUSDT", resolution="M", **{"from": 0, "to": to})
    assert months["t"] == [1_788_220_800]  # 2026-09-01, the days are of its third week
    [opened, high, low, close] = ([*months[name]] for name in "ohlc")
    assert (opened, close) == ([days["o"][0]], [days["c"][-1]])
    assert (high, low) == ([max(days["h"])], [min(days["l"])])
    assert months["v"] == [pytest.approx(sum(days["v"]))]
    assert candles("crypto", symbol="BINANCE:BTCUSDT", resolution="M", **{"from": to, "to": to}) == NO_DATA


NO_DATA = {"s": "no_data"}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"symbol": "NOSUCH", "resolution": "D", "from": "0", "to": "1790000000"},
        {"symbol": "BINANCE:BTCUSDT", "resolution": "D", "from": "0", "to": "1790000000"},
        {"symbol": "AAPL", "resolution": "7", "from": "0", "to": "1790000000"},
        {"symbol": "AAPL", "resolution": "D", "from": "then", "to": "1790000000"},
        {"symbol": "AAPL", "resolution": "D", "from": "0"},
        {"symbol": "AAPL", "resolution": "D", "from": "1790000000", "to": "1"},
    ],
)
def test_where_there_are_no_candles_it_says_so(query: dict[str, str]) -> None:
    assert candles("stock", **query) == NO_DATA


@pytest.mark.parametrize("path", ["/", "/quote", "/api/v1", "/api/v2/quote"])
def test_there_is_nothing_elsewhere(path: str) -> None:
    assert FinnhubDialect.answer(QUIET, House(), Call(path, {"token": "K"}), START_NS) is None
