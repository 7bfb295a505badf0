"""Gemini v2's two roles agree, and the server answers as the venue is known to."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.gemini import L2, Beat, Gemini, Print, Request, Subscription
from livetape.core.dialect import Answer
from livetape.core.events import Bar, Trade, Trust
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.gemini import GeminiDialect
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
        (subscribe("btcusd"), "NoValidTradingPairs"),
        (subscribe("XXXYYY"), "NoValidTradingPairs"),
        (subscribe("BTC-USD"), "NoValidTradingPairs"),
        (subscribe("btcusd", verb="unsubscribe"), "NoValidTradingPairs"),
    ],
)
def test_a_bad_request_is_refused(frame: bytes, reason: str) -> None:
    assert ask(frame) == [{"result": "error", "reason": reason}]


def test_a_client_that_wants_an_unknown_symbol_is_told_so() -> None:
    pair = client("gemini:XXX-YYY/book")
    assert {(status.channel, status.detail) for status in pair.denied} == {
        ("gemini:XXX-YYY/book", "NoValidTradingPairs")
    }


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


@pytest.mark.parametrize(("interval", "length_s"), [("1m", 60), ("5m", 300), ("1d", 86_400)])
def test_candles_are_those_of_the_prints(interval: str, length_s: int) -> None:
    pair = Pair(market("gemini", symbols=("BTC-USD",), aged=3_000), GeminiDialect)
    known = list(pair.market.trades("BTC-USD", 1_000))
    pair.connect(f"gemini:BTC-USD/bar.{interval}")
    list(pair.run(6_000))
    known += pair.prints
    assert len(known) > 1_500  # more than the market remembers
    by_start: dict[int, list[Trade]] = {}
    for trade in known:
        assert trade.venue_ns is not None
        by_start.setdefault(trade.venue_ns // (length_s * SECOND) * length_s * SECOND, []).append(trade)
    told = {bar.start_ns: bar for bar in pair.data if isinstance(bar, Bar)}
    assert told.keys() == by_start.keys()
    for start_ns, bar in told.items():
        numbers = (bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text)
        assert tuple(map(Decimal, numbers)) == candle(by_start[start_ns])
    pair.assert_whole()


def test_the_first_candles_come_newest_first_and_the_rest_one_by_one() -> None:
    pair = client("gemini:BTC-USD/bar.1m", aged=8_000)
    list(pair.run(2_000))
    first, *rest = [json.decode(frame)["changes"] for frame in pair.to_client]
    assert len(first) > 2
    assert first == sorted(first, reverse=True)
    assert {len(rows) for rows in rest} == {1}
    assert json.decode(pair.to_client[0])["type"] == "candles_1m_updates"


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
    answer = GeminiDialect.answer(source, path, query)
    assert answer is not None
    return answer


def test_the_symbols_are_those_of_the_market() -> None:
    answer = get(market("gemini", symbols=SYMBOLS), "/v1/symbols")
    assert json.decode(answer.body)[:2] == ["btcusd", "ethusd"]
    assert [i.symbol for i in Gemini().parse_symbols(answer.body)] == list(SYMBOLS)


def test_the_details_of_a_symbol_name_its_steps() -> None:
    answer = get(market("gemini"), "/v1/symbols/details/ethusd")
    assert json.decode(answer.body) == {
        "symbol": "ETHUSD",
        "base_currency": "ETH",
        "quote_currency": "USD",
        "tick_size": 1e-8,
        "quote_increment": 0.01,
        "min_order_size": "0.00000001",
        "status": "open",
        "wrap_enabled": False,
        "product_type": "spot",
    }


@pytest.mark.parametrize(
    ("query", "bids", "asks"),
    [
        ({}, 50, 50),
        ({"limit_bids": "3"}, 3, 50),
        ({"limit_bids": "3", "limit_asks": "1"}, 3, 1),
        ({"limit_bids": "0", "limit_asks": "0"}, None, None),
        ({"limit_bids": "²", "limit_asks": "-1"}, 50, 50),
        ({"limit_bids": "9" * 5_000}, 50, 50),
    ],
)
def test_the_book_is_that_of_the_market(query: dict[str, str], bids: int | None, asks: int | None) -> None:
    source = market("gemini", aged=1_000)
    said = json.decode(get(source, "/v1/book/btcusd", **query).body)
    book = source.book("BTC-USD")
    assert book is not None
    for name, side, n in (("bids", book.bids, bids), ("asks", book.asks, asks)):
        told = [(level["price"], level["amount"]) for level in said[name]]
        assert told == side.top(len(side) if n is None else n)


@pytest.mark.parametrize(
    ("query", "n"), [({}, 50), ({"limit_trades": "7"}, 7), ({"limit_trades": "900"}, 500)]
)
def test_the_trades_are_the_last_ones_newest_first(query: dict[str, str], n: int) -> None:
    source = market("gemini", aged=12_000)
    said = json.decode(get(source, "/v1/trades/BTCUSD", **query).body)
    last = source.trades("BTC-USD", n)[::-1]
    assert len(last) == n
    assert [(t["tid"], t["price"], t["amount"], t["type"]) for t in said] == [
        (t.number, t.price_text, t.size_text, t.side) for t in last
    ]
    assert all(t["timestamp"] == t["timestampms"] // 1_000 for t in said)


def test_an_unknown_symbol_is_refused() -> None:
    source = market("gemini")
    for path in ("/v1/symbols/details/x", "/v1/trades/x"):
        answer = get(source, path)
        assert (answer.status, json.decode(answer.body)) == (
            400,
            {"result": "error", "reason": "InvalidSymbol", "message": "Received unsupported symbol 'x'"},
        )
    answer = get(source, "/v1/book/NOSUCHPERP")
    message = "Supplied value 'NOSUCHPERP' is not a valid symbol"
    assert (answer.status, json.decode(answer.body)) == (
        400,
        {"result": "error", "reason": "Bad Request", "message": message},
    )
    assert GeminiDialect.answer(source, "/v1/nothing", {}) is None
