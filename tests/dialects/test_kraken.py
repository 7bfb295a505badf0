"""Kraken's two roles agree, and the server answers as the recorded venue does."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.kraken import DEPTHS, BookFrame, Kraken
from livetape.core.dialect import Call, House
from livetape.core.events import Quote, Trust
from livetape.dialects.kraken import KrakenDialect
from livetape.simulator.market import Market

from ..recorded.recordings import crossbook
from .pair import START_NS, SYMBOLS, LoseFirst, Pair, actions, market, toggles

MICROSECOND = 1_000
KINDS = ("trade", "book", "quote")


def client(*channels: str, depth: int = 10, aged: int = 0, seed: int = 7) -> Pair:
    pair = Pair(market("kraken", seed=seed, aged=aged), KrakenDialect, options={"depth": depth})
    pair.connect(*channels)
    return pair


def ask(frame: bytes, aged: int = 0) -> list[dict[str, Any]]:
    dialect = KrakenDialect(market("kraken", aged=aged))
    return [json.decode(pushed.frame) for pushed in dialect.receive(frame, START_NS)]


# Both roles


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    aged=st.integers(0, 300),
    depth=st.sampled_from(DEPTHS),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1),
    symbols=st.sets(st.sampled_from(SYMBOLS[:3]), min_size=1),
)
def test_after_every_action_the_client_knows_what_the_market_knows(
    seed: int, aged: int, depth: int, kinds: set[str], symbols: set[str]
) -> None:
    channels = [f"kraken:{symbol}/{kind}" for symbol in sorted(symbols) for kind in sorted(kinds)]
    pair = client(*channels, depth=depth, aged=aged, seed=seed)
    for action in pair.run(200):
        if action.symbol not in symbols:
            continue
        if "book" in kinds:
            assert pair.book(action.symbol) == pair.truth(action.symbol, depth)
        if "quote" in kinds:
            quote = next(e for e in reversed(pair.data) if isinstance(e, Quote) and e.symbol == action.symbol)
            ours = [(quote.bid_text, quote.bid_size_text)], [(quote.ask_text, quote.ask_size_text)]
            assert ours == pair.truth(action.symbol, 1)
    for symbol in symbols:
        pair.assert_printed(symbol, MICROSECOND)
    for event in pair.data:
        assert event.trust == (Trust.LIVE if event.kind == "quote" else Trust.VERIFIED)
        assert event.venue_ns is None or event.venue_ns <= event.recv_ns < event.venue_ns + MICROSECOND
    pair.assert_whole()


@settings(max_examples=25)
@given(changes=toggles(f"kraken:{s}/{k}" for s in SYMBOLS[:3] for k in KINDS))
def test_channels_may_come_and_go(changes: list[tuple[str, int]]) -> None:
    pair = client("kraken:BTC-USD/book", depth=25)
    for channel, n in changes:
        pair.toggle(channel)
        assert set(pair.session.channels) == pair.wanted
        for action in pair.run(n):
            if f"kraken:{action.symbol}/book" in pair.wanted:
                assert pair.book(action.symbol) == pair.truth(action.symbol, 25)
    pair.assert_understood()
    assert Counter(pair.said) == Counter(event.channel for event in pair.data)


def test_after_unsubscribing_nothing_is_sent() -> None:
    pair = client("kraken:BTC-USD/trade", "kraken:BTC-USD/book", "kraken:BTC-USD/quote")
    list(pair.run(100))
    pair.drop("kraken:BTC-USD/trade", "kraken:BTC-USD/book", "kraken:BTC-USD/quote")
    before = len(pair.to_client)
    list(pair.run(200))
    pair.beat()
    assert len(pair.to_client) == before


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), calm=st.integers(0, 60), symbol=st.sampled_from(SYMBOLS[:3]))
def test_a_lost_book_frame_is_noticed_at_the_next_one_and_healed(seed: int, calm: int, symbol: str) -> None:
    lose_one(seed, calm, symbol)


def test_a_client_that_lost_a_book_frame_subscribes_again() -> None:
    assert sum(lose_one(seed, 20, "BTC-USD") for seed in range(10)) > 5


def lose_one(seed: int, calm: int, symbol: str) -> bool:
    """Whether the client had to ask for a new book; sometimes the next frame happens to make a loss good."""
    pair = client(*[f"kraken:{each}/book" for each in SYMBOLS[:3]], seed=seed)
    list(pair.run(calm))
    asked = len(pair.to_server)
    pair.lose = lose = LoseFirst(symbol.replace("-", "/").encode())
    for action in pair.run(300):
        if action.symbol != symbol or lose.seen != 1:
            assert pair.book(action.symbol) == pair.truth(action.symbol, 10)
    assert pair.session.undecodable == 0
    methods = [json.decode(frame)["method"] for frame in pair.to_server[asked:]]
    told = [(gap.symbol, gap.cause, gap.healed) for gap in pair.gaps]
    if methods:
        assert methods == ["unsubscribe", "subscribe"]
        assert told == [(symbol, "checksum", None), (symbol, "checksum", "snapshot")]
    else:
        assert not told
    return bool(methods)


def test_prints_from_before_the_client_are_sent_as_history_and_not_delivered() -> None:
    pair = client("kraken:BTC-USD/trade", aged=2_000)
    history = json.decode(pair.to_client[-1])
    assert (history["type"], len(history["data"])) == ("snapshot", 50)
    assert pair.data == []
    pair.assert_whole()


def test_many_clients_of_different_depths_share_one_market() -> None:
    shared = market("kraken")
    pairs = [Pair(shared, KrakenDialect, options={"depth": depth}) for depth in DEPTHS for _ in range(2)]
    for n, action in enumerate(actions(shared, 400)):
        memo: dict[str, bytes] = {}
        for joins, pair in enumerate(pairs):
            if n == 40 * joins:
                pair.ns = action.ns
                pair.connect("kraken:BTC-USD/book", "kraken:BTC-USD/trade")
            elif n > 40 * joins:
                pair.push(action, memo)
                assert pair.book("BTC-USD") == pair.truth("BTC-USD", pair.adapter.depth)
    for pair in pairs:
        pair.assert_whole()


def test_the_heart_beats_while_anything_is_subscribed() -> None:
    pair = client()
    pair.beat()
    assert not [frame for frame in pair.to_client if b"heartbeat" in frame]
    pair.want("kraken:BTC-USD/trade")
    pair.beat()
    assert pair.to_client[-1] == b'{"channel":"heartbeat"}'
    pair.assert_whole()


# What the venue is known to say


def timeless(frame: bytes) -> bytes:
    """``frame`` with every time and every connection number made the same."""
    frame = re.sub(rb'"connection_id":\d+', b'"connection_id":0', frame)
    return re.sub(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"', b'"Z"', frame)


GREETING = (
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2"'
    b',"connection_id":15413894943188002760}]}'
)
TIMES = b',"time_in":"2026-08-02T04:23:42.847625Z","time_out":"2026-08-02T04:23:42.847670Z"}'
ANSWERS = [
    (
        b'{"method":"subscribe","params":{"channel":"book","symbol":["ETH/USD"],"depth":25,"snapshot":true}}',
        b'{"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,"symbol":"ETH/USD"}'
        b',"success":true',
    ),
    (
        b'{"method":"unsubscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}',
        b'{"method":"unsubscribe","result":{"channel":"book","depth":10,"symbol":"BTC/USD"},"success":true',
    ),
    (
        b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":7}}',
        b'{"error":"Subscription depth not supported","method":"subscribe","success":false',
    ),
    (
        b'{"method":"subscribe","params":{"channel":"book","symbol":["FOO/BAR"]},"req_id":5}',
        b'{"error":"Currency pair not supported FOO/BAR","method":"subscribe","req_id":5,"success":false'
        b',"symbol":"FOO/BAR"',
    ),
]
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[],"asks":[{"price":1877.64'
    b',"qty":0.79488026}],"checksum":114690792,"timestamp":"2026-08-02T04:23:43.220187Z"}]}'
)


@pytest.mark.parametrize(("request_", "answer"), ANSWERS)
def test_requests_are_answered_as_the_venue_did(request_: bytes, answer: bytes) -> None:
    dialect = KrakenDialect(market("kraken"))
    assert timeless(dialect.receive(request_, START_NS + 1_000)[0].frame) == timeless(answer + TIMES)


def test_the_greeting_is_the_venues() -> None:
    [greeting] = KrakenDialect(market("kraken")).open(Call("/v2", {}), START_NS)
    assert timeless(greeting.frame) == timeless(GREETING)
    assert json.decode(greeting.frame)["data"][0]["connection_id"] > 2**53


def test_a_recorded_book_frame_is_encoded_as_it_was_received() -> None:
    assert json.encode(json.decode(BOOK, type=BookFrame)) == BOOK


@pytest.mark.parametrize("name", ["btcusd_l2", "ethusd_sample"])
def test_every_recorded_book_frame_is_encoded_as_it_was_received(recordings: Path, name: str) -> None:
    frames = [frame for _, frame in crossbook(recordings / f"kraken/crossbook_kraken_{name}.cbcap.gz")]
    books = [frame for frame in frames if frame.startswith(b'{"channel":"book"')]
    assert len(books) > 300
    whole = [frame for frame in books if b".000000Z" not in frame]
    assert [json.encode(json.decode(frame, type=BookFrame)) for frame in whole] == whole


def test_a_book_frame_has_the_form_of_a_recorded_one() -> None:
    pair = client("kraken:ETH-USD/book")
    list(pair.run(300))
    form = re.compile(
        rb'\{"channel":"book","type":"(?:snapshot|update)","data":\[\{"symbol":"ETH/USD"'
        rb',"bids":\[(?:\{"price":\d+\.\d\d,"qty":\d+\.\d{8}\},?)*\]'
        rb',"asks":\[(?:\{"price":\d+\.\d\d,"qty":\d+\.\d{8}\},?)*\]'
        rb',"checksum":\d+,"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z"\}\]\}'
    )
    books = [frame for frame in pair.to_client if frame.startswith(b'{"channel":"book"')]
    assert all(form.fullmatch(frame) for frame in books)
    assert any(b'"qty":0.00000000}' in frame for frame in books)  # a deleted level has its decimals too


def test_each_symbol_of_a_request_has_its_own_answer() -> None:
    said = ask(b'{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","A/B","ETH/USD"]}}')
    assert [(each.get("success"), each.get("type")) for each in said] == [
        (True, None),
        (None, "snapshot"),
        (False, None),
        (True, None),
        (None, "snapshot"),
    ]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"", "Malformed request"),
        (b"{", "Malformed request"),
        (b"[]", "Malformed request"),
        (b'{"params":{"channel":"book"}}', "Malformed request"),
        (b'{"method":"subscribe","params":{"channel":"book","symbol":"BTC/USD"}}', "Malformed request"),
        (b'{"method":"order"}', "Unsupported method"),
        (b'{"method":"subscribe","params":{"channel":"level3"}}', "Unsupported channel"),
        (
            b'{"method":"subscribe","params":{"channel":"book","symbol":["btc/usd"]}}',
            "Currency pair not supported btc/usd",
        ),
        (
            b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC-USD"]}}',
            "Currency pair not supported BTC-USD",
        ),
        (
            b'{"method":"subscribe","params":{"channel":"trade","symbol":["XBT/USD"]}}',
            "Currency pair not supported XBT/USD",
        ),
    ],
)
def test_a_bad_request_is_refused(frame: bytes, error: str) -> None:
    [said] = ask(frame)
    assert (said["success"], said["error"]) == (False, error)


def test_a_ping_is_answered_with_its_number() -> None:
    assert [(said["method"], said["req_id"]) for said in ask(b'{"method":"ping","req_id":3}')] == [
        ("pong", 3)
    ]
    [said] = ask(b'{"method":"ping"}')
    assert said.keys() == {"method", "success", "time_in", "time_out"}


def test_without_snapshot_only_what_comes_later_is_sent() -> None:
    for channel in ("book", "trade", "ticker"):
        request = {"channel": channel, "symbol": ["BTC/USD"], "snapshot": False}
        source = market("kraken")
        dialect = KrakenDialect(source)
        [ack] = dialect.receive(json.encode({"method": "subscribe", "params": request}), START_NS)
        assert json.decode(ack.frame)["result"]["snapshot"] is False
        pushed = [each for action in actions(source, 300) for each in dialect.push(action, {})]
        assert {json.decode(each.frame)["type"] for each in pushed} == {"update"}


def test_the_ticker_says_what_the_venue_says() -> None:
    request = (
        b'{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"bbo"}}'
    )
    for aged in (0, 3_000):
        _, ticker = ask(request, aged)
        assert (ticker["channel"], ticker["type"]) == ("ticker", "snapshot")
        [told] = ticker["data"]
        best, day = {"bid", "bid_qty", "ask", "ask_qty"}, {"last", "volume", "vwap", "low", "high"}
        assert set(told) == {"symbol", *best, *day, "change", "change_pct", "timestamp"}
        assert told["bid"] < told["ask"]
        assert told["low"] <= told["vwap"] <= told["high"]
        assert (told["volume"] > 0) == (aged > 0)


def test_a_client_is_told_which_of_its_symbols_is_unknown() -> None:
    pair = client("kraken:BTC-USD/book", "kraken:FOO-BAR/book")
    assert {status.channel for status in pair.denied} == {"kraken:FOO-BAR/book"}
    for _ in pair.run(50):
        assert pair.book("BTC-USD") == pair.truth("BTC-USD", 10)


@given(st.binary(max_size=200))
def test_no_bytes_of_a_client_make_it_fail(frame: bytes) -> None:
    answers_are_understood(frame)


WORDS = st.one_of(
    st.sampled_from(["subscribe", "unsubscribe", "ping", "book", "trade", "ticker", "instrument", "ohlc"]),
    st.sampled_from(["BTC/USD", "ETH/USD", "BTC-USD", "btc/usd", "/", ""]),
    st.text(max_size=5),
)
NUMBERS = st.one_of(st.sampled_from(DEPTHS), st.integers(), st.just(10**30), st.floats(allow_nan=False))
VALUES = st.one_of(WORDS, NUMBERS, st.none(), st.booleans(), st.lists(WORDS, max_size=3))
PARAMETERS = st.dictionaries(st.sampled_from(["channel", "symbol", "depth", "snapshot", "interval"]), VALUES)


@settings(max_examples=150)
@given(st.fixed_dictionaries({"method": WORDS}, optional={"params": PARAMETERS | VALUES, "req_id": VALUES}))
def test_no_json_of_a_client_makes_it_fail(request: dict[str, object]) -> None:
    answers_are_understood(json.encode(request))


QUIET = market("kraken", aged=500)


def answers_are_understood(frame: bytes) -> None:
    dialect, adapter = KrakenDialect(QUIET), Kraken()
    for pushed in dialect.receive(frame, START_NS):
        if json.decode(pushed.frame).get("channel") != "instrument":
            adapter.decode(pushed.frame)


# REST


def test_the_pairs_are_those_of_the_market() -> None:
    source = market("kraken", symbols=SYMBOLS)
    answer = KrakenDialect.answer(source, House(), Call("/0/public/AssetPairs", {}), START_NS)
    assert answer is not None
    listed = Kraken().parse_symbols("/", answer.body)
    told = [(i.symbol, i.price_step, i.size_step) for i in source.instruments()]
    assert [(i.symbol, i.price_step, i.size_step) for i in listed] == told
    assert {i.native for i in listed} >= {"XBT/USD", "XDG/USD", "ETH/XBT"}


@pytest.mark.parametrize("pair", ["XBTUSD", "xbtusd", "XBT/USD", "BTCUSD", "BTC/USD"])
@pytest.mark.parametrize(("count", "n"), [("", 100), ("5", 5), ("500", 500), ("x", 100), ("²", 100)])
def test_depth_is_the_book_of_the_market(pair: str, count: str, n: int) -> None:
    source = market("kraken", aged=1_000)
    query = {"pair": pair} | ({"count": count} if count else {})
    answer = KrakenDialect.answer(source, House(), Call("/0/public/Depth", query), START_NS)
    assert answer is not None
    said = json.decode(answer.body)
    assert (answer.status, said["error"], list(said["result"])) == (200, [], ["XBTUSD"])
    book = source.book("BTC-USD")
    assert book is not None
    for side, told in (("bids", book.bids.top(n)), ("asks", book.asks.top(n))):
        assert [tuple(level[:2]) for level in said["result"]["XBTUSD"][side]] == told


def test_the_ticker_is_the_market_of_the_day() -> None:
    source = market("kraken", aged=1_000)
    answer = KrakenDialect.answer(source, House(), Call("/0/public/Ticker", {"pair": "XBTUSD"}), START_NS)
    assert answer is not None
    told = json.decode(answer.body)["result"]["XBTUSD"]
    book, day = source.book("BTC-USD"), source.day("BTC-USD")
    assert book is not None and day is not None
    for side, best in (("b", book.bids.best()), ("a", book.asks.best())):
        assert (told[side][0], told[side][2]) == best
    assert (told["c"][0], told["v"][0], told["o"]) == (day.last, day.volume, day.open)
    assert (told["l"][0], told["h"][0]) == (day.low, day.high)


def past(source: Market, what: str, **query: str) -> dict[str, Any]:
    call = Call(f"/0/public/{what}", {"pair": "XBTUSD", **query})
    answer = KrakenDialect.answer(source, House(), call, source.now_ns)
    assert answer is not None
    said: dict[str, Any] = json.decode(answer.body)
    return said


@pytest.mark.parametrize("count", ["1", "7", "1000", "9999"])
def test_all_trades_can_be_paged_through(count: str) -> None:
    source, seen, since = market("kraken", aged=900), list[int](), str(START_NS - 1)
    while rows := (result := past(source, "Trades", since=since, count=count)["result"])["XBTUSD"]:
        seen += [number for *_, number in rows]
        since = result["last"]
    assert seen == [trade.number for trade in source.trades("BTC-USD", 1000)]
    assert len(seen) > 50


def test_without_a_time_the_last_trades_are_told() -> None:
    source = market("kraken", aged=900)
    rows = past(source, "Trades", count="5")["result"]["XBTUSD"]
    assert [number for *_, number in rows] == [trade.number for trade in source.trades("BTC-USD", 5)]


@pytest.mark.parametrize("interval", ["0", "2", "99999999999999999999"])
def test_no_bars_are_of_any_other_length(interval: str) -> None:
    assert past(market("kraken"), "OHLC", interval=interval) == {"error": ["EGeneral:Invalid arguments"]}


@given(query=st.dictionaries(st.sampled_from(["since", "count", "interval"]), st.text("0123456789-x")))
@pytest.mark.parametrize("what", ["Trades", "OHLC"])
def test_no_question_about_the_past_is_too_much(what: str, query: dict[str, str]) -> None:
    assert set(past(QUIET, what, **query)) <= {"error", "result"}


def test_rest_has_nothing_else() -> None:
    source = market("kraken")
    assert KrakenDialect.answer(source, House(), Call("/0/public/Nothing", {}), START_NS) is None
    for query in ({}, {"pair": "NOPE"}):
        answer = KrakenDialect.answer(source, House(), Call("/0/public/Depth", query), START_NS)
        assert answer is not None
        assert json.decode(answer.body) == {"error": ["EQuery:Unknown asset pair"]}


def test_the_instrument_channel_lists_the_market() -> None:
    ack, snapshot = ask(b'{"method":"subscribe","params":{"channel":"instrument"}}')
    assert (ack["success"], ack["result"]) == (True, {"channel": "instrument"})
    pairs = snapshot["data"]["pairs"]
    assert [pair["symbol"] for pair in pairs] == ["BTC/USD", "ETH/USD", "SOL/USD"]
    assert (pairs[0]["price_precision"], pairs[0]["qty_precision"]) == (1, 8)


def test_all_that_the_client_knows_is_served_but_bars() -> None:
    refused = {kind for kind in Kraken.kinds if client(f"kraken:BTC-USD/{kind}").denied}
    assert refused == {kind for kind in Kraken.kinds if kind.startswith("bar.")}
