"""Gemini v2's two roles agree, and the server answers as the venue is known to."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import find
from livetape.adapters.gemini import L2, Beat, Gemini, Print, Request, Subscription
from livetape.core.dialect import Answer, Call, House
from livetape.core.events import Auction, Bar, Mark, Trade, Trust, Why
from livetape.core.instruments import interval_ns
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.gemini import GeminiDialect
from livetape.simulator.listings import LISTINGS, PERPETUALS
from livetape.simulator.market import Market

from ..recorded.recordings import cryptofeed
from .pair import START_NS, SYMBOLS, Pair, facts, market

KINDS = ("trade", "book", "quote", "bar.1m", "bar.1d")


def client(*channels: str, aged: int = 0, seed: int = 7) -> Pair:
    pair = Pair(market("gemini", seed=seed, aged=aged), GeminiDialect)
    pair.connect(*channels)
    return pair


def ask(frame: bytes) -> list[dict[str, Any]]:
    dialect = GeminiDialect(market("gemini"))
    return [json.decode(pushed.frame) for pushed in dialect.receive(frame, START_NS)]


def subscribe(*symbols: str, name: str = "l2", verb: str = "subscribe") -> bytes:
    return json.encode(Request(verb, [Subscription(name, list(symbols))]))


# Both roles


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    aged=st.integers(0, 300),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1),
    symbols=st.sets(st.sampled_from(SYMBOLS[:3]), min_size=1),
)
def test_after_every_action_the_client_knows_what_the_market_knows(
    seed: int, aged: int, kinds: set[str], symbols: set[str]
) -> None:
    channels = [f"gemini:{symbol}/{kind}" for symbol in sorted(symbols) for kind in sorted(kinds)]
    pair = client(*channels, aged=aged, seed=seed)
    for action in pair.run(200):
        if action.symbol in symbols and kinds & {"book", "quote"}:
            assert pair.book(action.symbol) == pair.truth(action.symbol)
    for symbol in symbols:
        printed = [facts(t, MILLISECOND) for t in pair.prints if t.symbol == symbol and "trade" in kinds]
        assert [facts(t, MILLISECOND) for t in pair.trades(symbol)] == printed
    usual = {"trade": Trust.LIVE, "book": Trust.UNVERIFIABLE, "quote": Trust.UNVERIFIABLE}
    assert all(event.trust == usual.get(event.kind, Trust.LIVE) for event in pair.data)
    pair.said = [channel for channel in pair.said if channel in pair.session.channels]  # l2 has both
    pair.assert_whole()


@settings(max_examples=25)
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from([f"gemini:{s}/{k}" for s in SYMBOLS[:3] for k in KINDS]), st.integers(0, 30)
        ),
        max_size=20,
    )
)
def test_channels_may_come_and_go(changes: list[tuple[str, int]]) -> None:
    wanted: set[str] = {"gemini:BTC-USD/book"}
    pair = client("gemini:BTC-USD/book")
    for channel, n in changes:
        if channel in wanted:
            pair.drop(channel)
        else:
            pair.want(channel)
        wanted ^= {channel}
        for action in pair.run(n):
            if f"gemini:{action.symbol}/book" in pair.session.channels:
                assert pair.book(action.symbol) == pair.truth(action.symbol)
    assert not pair.gaps
    assert not pair.denied
    assert pair.session.undecodable == 0


def test_after_unsubscribing_nothing_is_sent() -> None:
    channels = [f"gemini:BTC-USD/{kind}" for kind in KINDS]
    pair = client(*channels)
    list(pair.run(100))
    pair.drop(*channels)
    before = len(pair.to_client)
    list(pair.run(200))
    assert len(pair.to_client) == before


def test_subscribing_again_sends_the_whole_book_again() -> None:
    pair = client("gemini:BTC-USD/book")
    list(pair.run(100))
    for verb in ("unsubscribe", "subscribe"):
        pair.send(pair.dialect.receive(subscribe("BTCUSD", verb=verb), pair.ns))
    assert b"auction_events" in pair.to_client[-1]
    for _ in pair.run(100):
        assert pair.book("BTC-USD") == pair.truth("BTC-USD")
    pair.assert_whole()


def test_many_clients_share_one_market() -> None:
    shared = market("gemini")
    pairs = [Pair(shared, GeminiDialect) for _ in range(4)]
    for n in range(200):
        memo: dict[str, bytes] = {}
        [action] = [next(shared.advance(shared.next_ns))]
        for i, pair in enumerate(pairs):
            if n == 40 * i:
                pair.ns = action.ns
                pair.connect("gemini:BTC-USD/book", "gemini:BTC-USD/trade")
            elif n > 40 * i:
                pair.push(action, memo)
                assert pair.book("BTC-USD") == pair.truth("BTC-USD")
    for pair in pairs:
        pair.assert_whole()


# What the venue is known to say


def test_a_snapshot_has_the_whole_book_best_first_and_fifty_prints_newest_first() -> None:
    pair = client("gemini:BTC-USD/book", "gemini:BTC-USD/trade", aged=2_000)
    [frame] = pair.to_client
    said = json.decode(frame)
    assert list(said) == ["type", "symbol", "changes", "trades", "auction_events"]
    bids, asks = pair.truth("BTC-USD")
    assert said["changes"] == [["buy", *level] for level in bids] + [["sell", *level] for level in asks]
    printed = [trade.id for trade in pair.market.trades("BTC-USD", 50)]
    assert [str(trade["event_id"]) for trade in said["trades"]] == printed[::-1]
    assert pair.trades("BTC-USD") == []  # they are history


def test_a_quiet_symbol_is_known_for_a_snapshot_too() -> None:
    pair = client("gemini:BTC-USD/book")
    assert json.decode(pair.to_client[0])["trades"] == []
    assert pair.book("BTC-USD") == pair.truth("BTC-USD")


def test_nothing_is_acknowledged() -> None:
    assert ask(subscribe("BTCUSD", verb="unsubscribe")) == []
    assert [said["type"] for said in ask(subscribe("BTCUSD", "ETHUSD"))] == ["l2_updates", "l2_updates"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "InvalidJson"),
        (b"{", "InvalidJson"),
        (b"\xff", "InvalidJson"),
        (b'{"type":"subscribe"}', "InvalidJson"),
        (b'{"type":"dance","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}', "InvalidJson"),
        (subscribe("BTCUSD", name="l3"), "InvalidJson"),
        (subscribe("BTCUSD", name="mark_price"), "NoValidTradingPairs"),
        (subscribe("BTCUSD", name="funding_amount"), "NoValidTradingPairs"),
        (subscribe("btcusd"), "NoValidTradingPairs"),
        (subscribe("FOOBAR"), "NoValidTradingPairs"),
        (subscribe("BTC-USD"), "NoValidTradingPairs"),
        (subscribe("btcusd", verb="unsubscribe"), "NoValidTradingPairs"),
    ],
)
def test_a_bad_request_is_refused(frame: bytes, reason: str) -> None:
    assert ask(frame) == [{"result": "error", "reason": reason}]


@pytest.mark.parametrize("channel", ["gemini:FOO-BAR/book", "gemini:BTC-USD/mark"])
def test_a_client_that_wants_an_unknown_symbol_is_told_so(channel: str) -> None:
    pair = client("gemini:ETH-USD/book", channel)
    assert {(status.channel, status.detail, status.why) for status in pair.denied} == {
        (channel, "NoValidTradingPairs", Why.SYMBOL)
    }
    assert pair.book("ETH-USD") == pair.truth("ETH-USD")


RECORDED: list[tuple[bytes, type]] = [
    (b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9121.9","0"]]}', L2),
    (b'{"type":"heartbeat","timestamp":1624493666869}', Beat),
    (
        b'{"type":"trade","symbol":"BTCUSD","event_id":3575573053,"timestamp":1560976400428'
        b',"price":"9004.21","quantity":"0.09110000","side":"buy"}',
        Print,
    ),
    (
        b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9122.04","0.00121425"]'
        b',["sell","9122.07","0.98942292"]],"trades":[{"type":"trade","symbol":"BTCUSD","event_id":169841458'
        b',"timestamp":1560976400428,"price":"9122.04","quantity":"0.0073173","side":"sell","tid":2840140}]'
        b',"auction_events":[]}',
        L2,
    ),
]


@pytest.mark.parametrize(("frame", "kind"), RECORDED)
def test_a_known_frame_is_encoded_as_it_was_received(frame: bytes, kind: type) -> None:
    assert json.encode(json.decode(frame, type=kind)) == frame


def test_every_recorded_frame_is_encoded_as_it_was_received(recordings: Path) -> None:
    frames = cryptofeed(recordings / "gemini" / "cryptofeed_20210623_GEMINI.ws.1.0.txt.gz")
    kinds: dict[str, Any] = {"l2_updates": L2, "heartbeat": Beat, "trade": Print}
    seen: Counter[str] = Counter()
    for _, frame in frames:
        said = json.decode(frame)
        seen[said["type"]] += 1
        assert json.decode(json.encode(json.decode(frame, type=kinds[said["type"]]))) == said
    assert seen.keys() == kinds.keys()


def test_our_frames_have_the_keys_of_the_venues() -> None:
    pair = client("gemini:BTC-USD/book", "gemini:BTC-USD/trade", aged=500)
    list(pair.run(500))
    pair.beat()
    known = {tuple(json.decode(frame)) for frame, _ in RECORDED}
    known.add((*json.decode(RECORDED[2][0]), "tid"))
    assert {tuple(json.decode(frame)) for frame in pair.to_client} <= known
    assert pair.to_client[-1] == b'{"type":"heartbeat","timestamp":%d}' % (pair.ns // MILLISECOND)


# Candles


def candle(trades: list[Trade]) -> tuple[Decimal, ...]:
    prices = [Decimal(trade.price_text) for trade in trades]
    volume = sum((Decimal(trade.size_text) for trade in trades), Decimal(0))
    return prices[0], max(prices), min(prices), prices[-1], volume


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "30m", "1h", "6h", "1d"])
def test_candles_are_those_of_the_market(interval: str) -> None:
    pair = Pair(market("gemini", symbols=("BTC-USD",), aged=3_000), GeminiDialect)
    pair.connect(f"gemini:BTC-USD/bar.{interval}")
    list(pair.run(3_000))
    told = {bar.start_ns: bar for bar in pair.data if isinstance(bar, Bar)}
    known = pair.market.bars("BTC-USD", interval_ns(interval), min(told), pair.ns + 1)
    assert [numbers(bar) for bar in sorted(told.values(), key=lambda bar: bar.start_ns)] == [
        numbers(bar) for bar in known
    ]
    assert len(told) > 20 or interval == "1d"
    pair.assert_whole()


def numbers(bar: Bar) -> tuple[object, ...]:
    texts = (bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text)
    return bar.start_ns, *map(Decimal, texts)


def test_candles_are_those_of_the_prints() -> None:
    pair = client("gemini:BTC-USD/bar.1m", "gemini:BTC-USD/trade")
    list(pair.run(12_000))
    by_start: dict[int, list[Trade]] = {}
    for trade in pair.trades("BTC-USD"):
        assert trade.venue_ns is not None
        by_start.setdefault(trade.venue_ns // (60 * SECOND) * 60 * SECOND, []).append(trade)
    told = {bar.start_ns: bar for bar in pair.data if isinstance(bar, Bar)}
    later = sorted(by_start)[1:]  # the first minute had begun before
    assert len(later) > 1
    for start_ns in later:
        assert numbers(told[start_ns])[1:] == candle(by_start[start_ns])


def test_the_first_candles_come_newest_first_and_the_rest_one_by_one() -> None:
    pair = client("gemini:BTC-USD/bar.1m", aged=8_000)
    list(pair.run(2_000))
    first, *rest = [json.decode(frame)["changes"] for frame in pair.to_client]
    assert len(first) > 1_000
    assert first == sorted(first, reverse=True)
    assert {len(rows) for rows in rest} == {1}
    assert json.decode(pair.to_client[0])["type"] == "candles_1m_updates"


def test_after_unsubscribing_candles_cease() -> None:
    pair = client("gemini:BTC-USD/bar.1m", "gemini:BTC-USD/bar.5m")
    pair.drop("gemini:BTC-USD/bar.1m")
    before = len(pair.to_client)
    list(pair.run(500))
    assert {json.decode(frame)["type"] for frame in pair.to_client[before:]} == {"candles_5m_updates"}


# Marks of perpetuals

MARKS = tuple(f"gemini:{listing.symbol}/mark" for listing in PERPETUALS)


def perpetuals() -> Market:
    return Market((*LISTINGS[:2], *PERPETUALS), 7, START_NS, "gemini")


def by_stream(mark: Mark) -> list[Mark]:
    """What a client is told of a mark: once with the index, once with the funding rate if there is one."""
    told = [Mark(mark.channel, mark.venue_ns, mark.mark_text, mark.index_text)]
    if mark.funding_text is not None:
        told.append(Mark(mark.channel, mark.venue_ns, mark.mark_text, None, mark.funding_text))
    return told


def numbers_of(mark: Mark) -> tuple[object, ...]:
    return mark.channel, mark.venue_ns, mark.mark_text, mark.index_text, mark.funding_text


def test_every_mark_that_was_told_is_received_with_its_numbers() -> None:
    pair = Pair(perpetuals(), GeminiDialect)
    present = [mark for listing in PERPETUALS if (mark := pair.market.mark(listing.symbol))]
    pair.connect(*MARKS)
    later = [action.mark for action in pair.run(9_000) if action.mark]
    told = [each for mark in (*present, *later) for each in by_stream(mark)]
    received = [event for event in pair.events if isinstance(event, Mark)]
    assert [numbers_of(mark) for mark in received] == [numbers_of(mark) for mark in told]
    for name in MARKS:
        rates = [mark.funding_text for mark in received if mark.channel == name and mark.funding_text]
        assert len(rates) > 2
        assert sum(mark.channel == name for mark in received) > 100
    pair.assert_whole()


@pytest.mark.parametrize("name", ["mark_price", "funding_amount"])
def test_a_stream_of_marks_begins_at_once_and_ends_when_it_is_not_wanted_any_more(name: str) -> None:
    source = perpetuals()
    dialect = GeminiDialect(source)

    def told(verb: str) -> list[bytes]:
        said = dialect.receive(subscribe("BTCGUSDPERP", name=name, verb=verb), source.now_ns)
        until = source.now_ns + 70 * SECOND
        said += [pushed for action in source.advance(until) for pushed in dialect.push(action, {})]
        assert {pushed.channels for pushed in said} <= {MARKS[:1]}
        return [pushed.frame for pushed in said]

    frames = told("subscribe")
    assert {(said["type"], said["symbol"]) for said in map(json.decode, frames)} == {
        (f"{name}_updates", "BTCGUSDPERP")
    }
    assert len(frames) > (50 if name == "mark_price" else 1)
    assert told("unsubscribe") == []


def test_marks_look_as_the_venues() -> None:
    pair = Pair(perpetuals(), GeminiDialect)
    pair.connect(MARKS[0])
    for ours, theirs in zip(
        pair.to_client,
        (
            b'{"changes":[{"mark_price":"77233.302","spot_index":"77188.41867","timestamp":1789456071687541147'
            b'}],"symbol":"BTCGUSDPERP","type":"mark_price_updates"}',
            b'{"changes":[{"funding_amount":"9.25568","funding_date_time":1789459200000000000'
            b',"funding_interval_in_minutes":60,"funding_rate":"0.011","is_realized":false'
            b',"mark_price":"77260.531","timestamp":1789456071687573598}],"symbol":"BTCGUSDPERP"'
            b',"type":"funding_amount_updates"}',
        ),
        strict=True,
    ):
        said, known = json.decode(ours), json.decode(theirs)
        assert said | {"changes": 0} == known | {"changes": 0}
        [change], [captured] = said["changes"], known["changes"]
        assert {key: type(value) for key, value in change.items()} == {
            key: type(value) for key, value in captured.items()
        }


def test_funding_is_the_rates_share_of_the_mark_and_is_due_at_the_next_full_hour() -> None:
    pair = Pair(perpetuals(), GeminiDialect)
    pair.connect(*MARKS)
    list(pair.run(9_000))
    fundings = [said for frame in pair.to_client if "funding" in (said := json.decode(frame))["type"]]
    hour = 3_600 * SECOND
    for [change] in (said["changes"] for said in fundings):
        amount = Decimal(change["mark_price"]) * Decimal(change["funding_rate"]) / 100
        assert change["funding_amount"] == f"{amount:.5f}"
        assert 0 < change["funding_date_time"] - change["timestamp"] <= hour
        assert change["funding_date_time"] % hour == 0


def test_a_perpetual_is_traded_as_everything_is() -> None:
    pair = Pair(perpetuals(), GeminiDialect)
    pair.connect("gemini:BTCGUSDPERP/book", "gemini:BTCGUSDPERP/trade")
    for action in pair.run(3_000):
        if action.symbol == "BTCGUSDPERP":
            assert pair.book("BTCGUSDPERP") == pair.truth("BTCGUSDPERP")
    printed = [facts(trade, MILLISECOND) for trade in pair.prints if trade.symbol == "BTCGUSDPERP"]
    assert [facts(trade, MILLISECOND) for trade in pair.trades("BTCGUSDPERP")] == printed != []
    pair.assert_whole()


# Auctions


def test_an_auction_opens_is_indicated_and_has_its_result_with_its_fill() -> None:
    pair = Pair(market("gemini"), GeminiDialect, house=House({"auction": "8"}))
    channels = [f"gemini:{symbol}/{kind}" for symbol in SYMBOLS[:2] for kind in ("auction", "trade", "book")]
    pair.connect(*channels)
    while pair.ns < START_NS + 18 * SECOND:
        list(pair.run(1))
    cycle = [("open", None), ("indicative", False), ("indicative", True), ("result", True)]
    for symbol in SYMBOLS[:2]:
        told = [event for event in pair.events if isinstance(event, Auction) and event.symbol == symbol]
        states = [(event.state, event.success) for event in told]
        opened = states.index(cycle[0])
        assert states[opened : opened + 4] == cycle
        result = told[opened + 3]
        assert told[opened].auction_ns == result.venue_ns
        fills = [t for t in pair.trades(symbol) if t.side is None and t.conditions == ("auction",)]
        assert (result.price_text, result.size_text, result.id) in [
            (fill.price_text, fill.size_text, fill.id) for fill in fills
        ]
    pair.assert_whole()


# Anything


@given(st.binary(max_size=200))
def test_no_bytes_of_a_client_make_it_fail(frame: bytes) -> None:
    answers_are_understood(frame)


WORDS = st.one_of(
    st.sampled_from(["l2", "candles_1m", "candles_2m", "BTCUSD", "ETHUSD", "btcusd"]), st.text(max_size=5)
)
VALUES = st.one_of(WORDS, st.integers(), st.none(), st.lists(WORDS, max_size=3))
SUBSCRIPTIONS = st.fixed_dictionaries(
    {}, optional={"name": WORDS | VALUES, "symbols": st.lists(WORDS) | VALUES}
)
VERBS = st.sampled_from(["subscribe", "unsubscribe"])


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {"type": VERBS | VALUES}, optional={"subscriptions": st.lists(SUBSCRIPTIONS, max_size=3) | VALUES}
    )
)
def test_no_json_of_a_client_makes_it_fail(request: dict[str, object]) -> None:
    answers_are_understood(json.encode(request))


QUIET = market("gemini", aged=500)


def answers_are_understood(frame: bytes) -> None:
    dialect, adapter = GeminiDialect(QUIET), Gemini()
    for pushed in dialect.receive(frame, START_NS):
        adapter.decode(pushed.frame)


# REST


def get(source: Market, path: str, **query: str) -> Answer:
    answer = GeminiDialect.answer(source, House(), Call(path, query), source.now_ns)
    assert answer is not None
    return answer


def said(source: Market, path: str, **query: str) -> Any:
    answer = get(source, path, **query)
    assert answer.status == 200, answer.body
    return json.decode(answer.body)


def test_the_symbols_are_those_of_the_market() -> None:
    answer = get(market("gemini", symbols=SYMBOLS), "/v1/symbols")
    assert json.decode(answer.body)[:2] == ["btcusd", "ethusd"]
    assert [i.symbol for i in Gemini().parse_symbols("/", answer.body)] == list(SYMBOLS)


def test_the_details_of_a_symbol_name_its_steps() -> None:
    assert said(market("gemini"), "/v1/symbols/details/ethusd") == {
        "symbol": "ETHUSD",
        "base_currency": "ETH",
        "quote_currency": "USD",
        "tick_size": 1e-8,
        "quote_increment": 0.01,
        "min_order_size": "0.00000001",
        "status": "open",
        "wrap_enabled": False,
        "product_type": "spot",
        "contract_type": "vanilla",
        "contract_price_currency": "USD",
    }


def test_perpetuals_are_among_the_symbols_and_their_details_say_what_they_are() -> None:
    source = perpetuals()
    answer = get(source, "/v1/symbols")
    assert json.decode(answer.body)[2:] == ["btcgusdperp", "ethgusdperp"]
    told = [i.symbol for i in Gemini().parse_symbols("/", answer.body)]
    assert told == [i.symbol for i in source.instruments()]
    assert said(source, "/v1/symbols/details/btcgusdperp") == {
        "symbol": "BTCGUSDPERP",
        "base_currency": "BTC",
        "quote_currency": "GUSD",
        "tick_size": 0.0001,
        "quote_increment": 0.5,
        "min_order_size": "0.0001",
        "status": "open",
        "wrap_enabled": False,
        "product_type": "swap",
        "contract_type": "linear",
        "contract_price_currency": "GUSD",
    }
    volume = said(source, "/v1/pubticker/BTCGUSDPERP")["volume"]
    assert volume.keys() == {"BTC", "GUSD", "timestamp"}


@pytest.mark.parametrize(
    ("query", "bids", "asks"),
    [
        ({}, 50, 50),
        ({"limit_bids": "3"}, 3, 50),
        ({"limit_bids": "3", "limit_asks": "1"}, 3, 1),
        ({"limit_bids": "0", "limit_asks": "0"}, None, None),
        ({"limit_bids": "²", "limit_asks": "-1"}, 50, 50),
        ({"limit_bids": "9" * 18}, None, 50),
        ({"limit_bids": "9" * 5_000}, 50, 50),
    ],
)
def test_the_book_is_that_of_the_market(query: dict[str, str], bids: int | None, asks: int | None) -> None:
    source = market("gemini", aged=1_000)
    told = said(source, "/v1/book/btcusd", **query)
    book = source.book("BTC-USD")
    assert book is not None
    for name, side, n in (("bids", book.bids, bids), ("asks", book.asks, asks)):
        assert all(level.keys() == {"price", "amount", "timestamp"} for level in told[name])
        levels = [(level["price"], level["amount"]) for level in told[name]]
        assert levels == side.top(len(side) if n is None else n)


@pytest.mark.parametrize(
    ("query", "n"), [({}, 50), ({"limit_trades": "7"}, 7), ({"limit_trades": "900"}, 500)]
)
def test_the_trades_are_the_last_ones_newest_first(query: dict[str, str], n: int) -> None:
    source = market("gemini", aged=12_000)
    told = said(source, "/v1/trades/BTCUSD", **query)
    last = source.trades("BTC-USD", n)[::-1]
    assert len(last) == n
    assert [(t["tid"], t["price"], t["amount"], t["type"]) for t in told] == [
        (t.number, t.price_text, t.size_text, t.side) for t in last
    ]
    assert all(t["timestamp"] == t["timestampms"] // 1_000 for t in told)
    assert all(t["exchange"] == "gemini" for t in told)


def test_the_trades_since_one_can_be_paged_through() -> None:
    source = market("gemini", aged=3_000)
    known = [trade.number for trade in source.trades("BTC-USD", 1_000)]
    seen: list[int] = []
    while page := said(source, "/v1/trades/btcusd", since_tid=str(seen[-1] if seen else 0)):
        assert len(page) <= 50
        seen += [trade["tid"] for trade in reversed(page)]
    assert len(known) > 100
    assert seen == known


@pytest.mark.parametrize("name", ["timestamp", "since"])
@pytest.mark.parametrize("unit_ns", [MILLISECOND, SECOND])
def test_the_trades_since_a_time_begin_with_it(unit_ns: int, name: str) -> None:
    source = market("gemini", aged=3_000)
    middle = source.trades("BTC-USD", 40)[0].venue_ns
    assert middle is not None
    since = middle // unit_ns
    told = said(source, "/v1/trades/btcusd", limit_trades="500", **{name: str(since)})
    known = source.trades_between("BTC-USD", since * unit_ns, source.now_ns + 1)
    assert [trade["tid"] for trade in reversed(told)] == [trade.number for trade in known]


def test_the_tickers_agree_with_the_book_and_the_bars() -> None:
    source = market("gemini", aged=3_000)
    bars = source.bars("BTC-USD", 3_600 * SECOND, source.now_ns - 86_400 * SECOND, source.now_ns)
    book = source.book("BTC-USD")
    assert book is not None
    bid, ask = book.bids.top(1)[0][0], book.asks.top(1)[0][0]
    last = source.trades("BTC-USD", 1)[0].price_text
    v1, v2 = said(source, "/v1/pubticker/btcusd"), said(source, "/v2/ticker/BTCUSD")
    assert (v1["bid"], v1["ask"], v1["last"]) == (v2["bid"], v2["ask"], v2["close"]) == (bid, ask, last)
    assert v1["volume"].keys() == {"BTC", "USD", "timestamp"}
    assert Decimal(v1["volume"]["BTC"]) == sum(Decimal(bar.volume_text) for bar in bars)
    low, high = min(bar.low_text for bar in bars), max(bar.high_text for bar in bars)
    mean = Decimal(v1["volume"]["USD"]) / Decimal(v1["volume"]["BTC"])
    assert Decimal(v2["low"]) <= mean <= Decimal(v2["high"])
    assert (v2["low"], v2["high"]) == (low, high)  # all have as many digits
    assert v2["changes"] == [bar.close_text for bar in reversed(bars)][:24]
    [price] = [each for each in said(source, "/v1/pricefeed") if each["pair"] == "BTCUSD"]
    change = (Decimal(last) / Decimal(v2["open"]) - 1) * 100
    assert (price["price"], price["percentChange24h"]) == (last, f"{change:.2f}")


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        ("1m", "1m"),
        ("5m", "5m"),
        ("15m", "15m"),
        ("30m", "30m"),
        ("1hr", "1h"),
        ("6hr", "6h"),
        ("1day", "1d"),
    ],
)
def test_the_candles_are_those_of_the_stream(name: str, interval: str) -> None:
    pair = client("gemini:ETH-USD/book", f"gemini:ETH-USD/bar.{interval}", aged=2_000)
    told = said(pair.market, f"/v2/candles/ethusd/{name}")
    [streamed] = [f for frame in pair.to_client if (f := json.decode(frame))["type"].startswith("candles_")]
    assert told == streamed["changes"]
    assert all(len(row) == 6 for row in told)


def failed(source: Market, path: str) -> tuple[int, str, str]:
    answer = get(source, path)
    told = json.decode(answer.body)
    assert told.pop("result") == "error"
    return answer.status, told.pop("reason"), told.pop("message")


def test_what_is_not_there_is_refused_as_the_venue_does() -> None:
    source = market("gemini")
    unsupported = (400, "InvalidSymbol", "Received unsupported symbol 'x'")
    for path in (
        "/v1/symbols/details/x",
        "/v1/trades/x",
        "/v1/pubticker/x",
        "/v2/ticker/x",
        "/v2/candles/x/1m",
    ):
        assert failed(source, path) == unsupported
    message = "Supplied value 'NOSUCHPERP' is not a valid symbol"
    assert failed(source, "/v1/book/NOSUCHPERP") == (400, "Bad Request", message)
    assert failed(source, "/v2/candles/btcusd/2m")[:2] == (400, "Bad Request")
    for path in ("/v1/nothing", "/v1/book/btcusd/x", "/", "/v2/candles/btcusd"):
        assert failed(source, path)[:2] == (404, "EndpointNotFound")


def test_the_price_is_asked_where_the_venue_has_it() -> None:
    source = market("gemini", aged=100)
    for api in ("", "v1", "v3"):
        path = find("gemini", api)().price_path("BTC-USD")
        assert path is not None
        url = urlsplit(path)
        told = said(source, url.path, **dict(parse_qsl(url.query)))
        assert [len(told[side]) for side in ("bids", "asks")] == [1, 1]


@given(
    st.text(max_size=20),
    st.dictionaries(st.sampled_from(["since", "timestamp", "since_tid", "limit_trades"]), st.text()),
)
def test_any_path_is_answered(rest: str, query: dict[str, str]) -> None:
    for path in ("/", "/v1/trades/", "/v1/trades/btcusd", "/v2/candles/btcusd/", "/v1/pubticker/"):
        json.decode(get(QUIET, path + rest, **query).body)
