"""The roles of Gemini's new API agree, and the server answers as the venue is known to."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.gemini_v3 import GeminiV3
from livetape.core.dialect import Call, House
from livetape.core.events import Mark, Quote, Trust, Why
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.gemini_v3 import GeminiV3Dialect
from livetape.simulator.listings import LISTINGS, PERPETUALS
from livetape.simulator.market import Market

from .pair import START_NS, SYMBOLS, LoseFirst, Pair, actions, facts, market

KINDS = ("trade", "book", "quote")
BTC = tuple(f"gemini:BTC-USD/{kind}" for kind in KINDS)


def client(*channels: str, aged: int = 0, seed: int = 7, ack: str = "last", **options: object) -> Pair:
    house = House({"ack": ack})
    pair = Pair(market("gemini", seed=seed, aged=aged), GeminiV3Dialect, "v3", options, house=house)
    pair.connect(*channels)
    return pair


def server(snapshot: str = "-1", **switches: str) -> GeminiV3Dialect:
    dialect = GeminiV3Dialect(market("gemini"), House(switches))
    assert dialect.open(Call("/", {"snapshot": snapshot}), START_NS) == []
    return dialect


def market_of(dialect: GeminiV3Dialect) -> Market:
    assert isinstance(dialect.source, Market)
    return dialect.source


def ask(dialect: GeminiV3Dialect, request: object) -> list[dict[str, Any]]:
    frame = request if isinstance(request, bytes) else json.encode(request)
    return [json.decode(pushed.frame) for pushed in dialect.receive(frame, START_NS)]


def subscribe(*streams: str, id: int | str = 1) -> dict[str, object]:
    return {"id": id, "method": "subscribe", "params": list(streams)}


# Both roles


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    aged=st.integers(0, 300),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1),
    symbols=st.sets(st.sampled_from(SYMBOLS[:3]), min_size=1),
    ack=st.sampled_from(["first", "last"]),
)
def test_after_every_action_the_client_knows_what_the_market_knows(
    seed: int, aged: int, kinds: set[str], symbols: set[str], ack: str
) -> None:
    channels = [f"gemini:{symbol}/{kind}" for symbol in sorted(symbols) for kind in sorted(kinds)]
    pair = client(*channels, aged=aged, seed=seed, ack=ack)
    for action in pair.run(200):
        if action.symbol in symbols and "book" in kinds:
            assert pair.book(action.symbol) == pair.truth(action.symbol)
        if action.symbol in symbols and "quote" in kinds:
            assert_quoted(pair, action.symbol)
    for symbol in symbols:
        printed = [facts(t, 1) for t in pair.prints if t.symbol == symbol and "trade" in kinds]
        assert [facts(t, 1) for t in pair.trades(symbol)] == printed
    usual = {"trade": Trust.LIVE, "book": Trust.VERIFIED, "quote": Trust.LIVE}
    assert all(event.trust is usual[event.kind] for event in pair.data)
    assert {event.proof.method for event in pair.data if event.proof} <= {"sequence U/u"}
    pair.assert_whole()


def assert_quoted(pair: Pair, symbol: str) -> None:
    quote = [event for event in pair.data if isinstance(event, Quote) and event.symbol == symbol][-1]
    [bid], [ask] = pair.truth(symbol, 1)
    assert (quote.bid_text, quote.bid_size_text, quote.ask_text, quote.ask_size_text) == (*bid, *ask)


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
        (pair.drop if channel in wanted else pair.want)(channel)
        wanted ^= {channel}
        for action in pair.run(n):
            if f"gemini:{action.symbol}/book" in wanted:
                assert pair.book(action.symbol) == pair.truth(action.symbol)
    streams = {"book": "depth@100ms", "trade": "trade", "quote": "bookTicker"}
    listed = ask_listed(pair)
    assert listed == {
        f"{name.replace('-', '').lower()}@{streams[kind]}"
        for name, kind in (channel.removeprefix("gemini:").split("/") for channel in wanted)
    }
    assert not pair.gaps
    assert pair.session.undecodable == 0


def ask_listed(pair: Pair) -> set[str]:
    [pushed] = pair.dialect.receive(b'{"id":3,"method":"list_subscriptions"}', pair.ns)
    return set(json.decode(pushed.frame)["result"])


@pytest.mark.parametrize("depth", [5, 10, 20])
@pytest.mark.parametrize("key", ["symbol", "s"])
def test_a_shallow_book_is_sent_whole_each_time(depth: int, key: str) -> None:
    source, house = market("gemini"), House({"partial-symbol": key})
    pair = Pair(source, GeminiV3Dialect, "v3", {"levels": depth}, house=house)
    pair.connect("gemini:BTC-USD/book")
    for action in pair.run(200):
        if action.symbol == "BTC-USD":
            assert pair.book("BTC-USD") == pair.truth("BTC-USD", depth)
    assert {event.trust for event in pair.data} == {Trust.UNVERIFIABLE}
    assert set(json.decode(pair.to_client[-1])) == {"lastUpdateId", key, "bids", "asks"}
    pair.assert_whole()


def test_a_lost_frame_is_noticed_and_healed_by_asking_again() -> None:
    pair = client(*BTC)
    list(pair.run(50))
    asked = len(pair.to_server)
    pair.lose = LoseFirst(b"depthUpdate")
    list(pair.run(50))
    opened, ended = pair.gaps
    assert (opened.channel, opened.end_ns) == (BTC[1], None)
    assert opened.cause.startswith("update ")
    assert ended.healed == "snapshot"
    again = [json.decode(frame) for frame in pair.to_server[asked:]]
    assert [(request["method"], request["params"]) for request in again] == [
        ("unsubscribe", ["btcusd@depth@100ms"]),
        ("subscribe", ["btcusd@depth@100ms"]),
    ]
    for _ in pair.run(100):
        assert pair.book("BTC-USD") == pair.truth("BTC-USD")
    assert len(pair.gaps) == 2
    assert pair.session.channels[BTC[1]].trust is Trust.VERIFIED


def test_a_repeated_frame_changes_nothing() -> None:
    pair = client(*BTC[1:2])
    list(pair.run(50))
    pair.session.receive(pair.to_client[-1], pair.ns)
    assert pair.session.channels[BTC[1]].superseded == 1
    list(pair.run(50))
    assert not pair.gaps
    assert pair.book("BTC-USD") == pair.truth("BTC-USD")


def test_one_unknown_symbol_refuses_only_its_own_channels() -> None:
    pair = client("gemini:FOO-BAR/book", *BTC, "gemini:BTC-USD/mark")
    assert {(status.channel, status.why) for status in pair.denied} == {
        ("gemini:FOO-BAR/book", Why.SYMBOL),
        ("gemini:BTC-USD/mark", Why.SYMBOL),  # it is no perpetual
    }
    list(pair.run(100))
    assert pair.book("BTC-USD") == pair.truth("BTC-USD")


def test_clients_that_are_told_the_same_share_its_frame() -> None:
    source = market("gemini")
    dialects = [GeminiV3Dialect(source) for _ in range(2)]
    for dialect in dialects:
        dialect.open(Call("/", {"snapshot": "-1"}), START_NS)
        dialect.receive(json.encode(subscribe("btcusd@depth@100ms")), START_NS)
    shared = 0
    for action in actions(source, 100):
        memo: dict[str, bytes] = {}
        for one, other in zip(*[dialect.push(action, memo) for dialect in dialects], strict=True):
            assert one.frame is other.frame
            shared += 1
    assert shared > 10


def test_many_clients_share_one_market() -> None:
    shared = market("gemini")
    pairs = [Pair(shared, GeminiV3Dialect, "v3") for _ in range(4)]
    for n in range(200):
        memo: dict[str, bytes] = {}
        [action] = actions(shared, 1)
        for i, pair in enumerate(pairs):
            if n == 40 * i:
                pair.ns = action.ns
                pair.connect(*BTC)
            elif n > 40 * i:
                pair.push(action, memo)
                assert pair.book("BTC-USD") == pair.truth("BTC-USD")
    for pair in pairs:
        pair.assert_whole()


# Marks of perpetuals

MARKS = tuple(f"gemini:{listing.symbol}/mark" for listing in PERPETUALS)


def perpetuals() -> Market:
    return Market((*LISTINGS[:2], *PERPETUALS), 7, START_NS, "gemini")


def by_stream(mark: Mark) -> list[tuple[object, ...]]:
    """What a client learns of a mark: its price and when, and once more if there is a funding rate."""
    told: list[tuple[object, ...]] = [(mark.channel, mark.venue_ns, mark.mark_text, None)]
    if mark.funding_text is not None:
        told.append((mark.channel, None, mark.mark_text, mark.funding_text))
    return told


def test_every_mark_that_was_told_is_received_with_its_numbers() -> None:
    pair = Pair(perpetuals(), GeminiV3Dialect, "v3")
    pair.connect(*MARKS, "gemini:BTCGUSDPERP/book")
    told = [each for action in pair.run(9_000) if action.mark for each in by_stream(action.mark)]
    marks = [event for event in pair.events if isinstance(event, Mark)]
    received = [(mark.channel, mark.venue_ns, mark.mark_text, mark.funding_text) for mark in marks]
    assert received == told
    for name in MARKS:
        assert sum(mark.channel == name for mark in marks) > 100
        assert sum(mark.channel == name and mark.funding_text is not None for mark in marks) > 1
    assert pair.book("BTCGUSDPERP") == pair.truth("BTCGUSDPERP")
    pair.assert_whole()


def test_a_mark_that_is_not_wanted_any_more_is_not_sent() -> None:
    pair = Pair(perpetuals(), GeminiV3Dialect, "v3")
    pair.connect(*MARKS)
    pair.drop(*MARKS)
    before = len(pair.to_client)
    list(pair.run(1_000))
    assert len(pair.to_client) == before


def test_marks_look_as_the_venues() -> None:
    pair = Pair(perpetuals(), GeminiV3Dialect, "v3")
    pair.connect(*MARKS)
    marks = [action.mark for action in pair.run(9_000) if action.mark]
    said = [told for frame in pair.to_client if "e" in (told := json.decode(frame))]
    captured = (
        b'{"e":"markPrice","E":1789456746446652397,"s":"btcgusdperp","p":"77303.727","i":"7725880.833"}',
        b'{"e":"fundingAmount","E":1789459200000000000,"s":"btcgusdperp","T":1789459200000000000,"i":60,'
        b'"f":"7.90688","r":"0.01000","p":"77302.223","R":false}',
    )
    for frame in map(json.decode, captured):
        shapes = {
            tuple((key, type(value)) for key, value in told.items())
            for told in said
            if told["e"] == frame["e"]
        }
        assert shapes == {tuple((key, type(value)) for key, value in frame.items())}
    for told in (told for told in said if told["e"] == "fundingAmount"):
        assert told["E"] == told["T"]
        assert told["T"] % (3_600 * SECOND) == 0
    moved = {"BTCGUSDPERP": 100, "ETHGUSDPERP": 10}  # what the captured index was multiplied by
    indices = [Decimal(told["i"]) for told in said if told["e"] == "markPrice"]
    assert indices == [Decimal(mark.index_text or 0) * moved[mark.symbol] for mark in marks]


# What the venue is known to say


@pytest.mark.parametrize("ack", ["first", "last"])
def test_a_snapshot_may_come_before_or_after_the_acknowledgement(ack: str) -> None:
    said = ask(server(ack=ack), subscribe("btcusd@depth@100ms", "ethusd@depth", "btcusd@trade"))
    kinds = [frame.get("s") or frame.get("status") for frame in said]
    assert kinds == ([200, "btcusd", "ethusd"] if ack == "first" else ["btcusd", "ethusd", 200])


@pytest.mark.parametrize(("snapshot", "levels"), [("-1", None), ("20", 20), ("3", 3), ("0", 0), ("x", 0)])
def test_the_address_says_how_much_of_a_snapshot_is_sent(snapshot: str, levels: int | None) -> None:
    dialect = server(snapshot)
    *books, granted = ask(dialect, subscribe("btcusd@depth"))
    assert granted == {"id": 1, "status": 200}
    book = dialect.source.book("BTC-USD")
    assert book is not None
    if levels == 0:
        assert books == []
        return
    [said] = books
    assert list(said) == ["e", "E", "s", "U", "u", "b", "a"]
    assert said["U"] == said["u"]
    for side, ours in ((book.bids, said["b"]), (book.asks, said["a"])):
        assert [tuple(level) for level in ours] == side.top(len(side) if levels is None else levels)


def test_updates_are_chained_and_their_times_are_nanoseconds() -> None:
    dialect = server()
    said = ask(dialect, subscribe("btcusd@depth", "ethusd@depth"))
    for n, action in enumerate(actions(market_of(dialect), 300)):
        if n == 100:  # another stream of the symbol is not in the way
            ask(dialect, subscribe("btcusd@trade", "btcusd@bookTicker", id=2))
        said += [json.decode(pushed.frame) for pushed in dialect.push(action, {})]
    for symbol in ("btcusd", "ethusd"):
        updates = [each for each in said if each.get("e") == "depthUpdate" and each["s"] == symbol]
        assert len(updates) > 50
        assert [each["U"] for each in updates[1:]] == [each["u"] for each in updates[:-1]]
        assert all(each["U"] < each["u"] < 2**53 < each["E"] for each in updates[1:])


@pytest.mark.parametrize("id", [7, "7", None])
def test_the_id_comes_back_as_it_was_sent(id: int | str | None) -> None:
    assert ask(server(), {"id": id, "method": "ping"}) == [{"id": id, "status": 200}]


@pytest.mark.parametrize("method", ["subscribe", "SUBSCRIBE", "Subscribe"])
@pytest.mark.parametrize("stream", ["btcusd@trade", "BTCUSD@trade"])
def test_methods_and_symbols_may_be_in_any_case(method: str, stream: str) -> None:
    dialect = server()
    assert ask(dialect, {"id": 1, "method": method, "params": [stream]}) == [{"id": 1, "status": 200}]
    listed = ask(dialect, {"id": 2, "method": "LIST_SUBSCRIPTIONS"})
    assert listed == [{"id": 2, "status": 200, "result": ["btcusd@trade"]}]


def test_questions_are_answered() -> None:
    dialect = server()
    assert ask(dialect, {"id": 4, "method": "time"}) == [
        {"id": 4, "status": 200, "result": {"serverTime": START_NS // MILLISECOND}}
    ]
    [limits] = ask(dialect, {"id": 7, "method": "conninfo"})
    assert {each["rateLimitType"]: each["limit"] for each in limits["rateLimits"]} == {
        "REQUEST_WEIGHT": 7_000,
        "CONNECTION_ATTEMPTS": 300,
    }
    [depth] = ask(dialect, {"id": 8, "method": "depth", "params": {"symbol": "btcusd", "limit": 5}})
    book = dialect.source.book("BTC-USD")
    assert book is not None
    assert [tuple(level) for level in depth["result"]["bids"]] == book.bids.top(5)
    assert depth["result"]["lastUpdateId"] > 0


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (subscribe("nosuchperp@depth@100ms"), -1013, "Invalid stream name: nosuchperp@depth@100ms"),
        (subscribe("btcusd@trade", "foo@trade"), -1013, "Invalid stream name: foo@trade"),
        (subscribe("btcusd@depth7"), -1013, "Invalid stream name: btcusd@depth7"),
        (subscribe("btcusd@markPrice"), -1013, "Invalid stream name: btcusd@markPrice"),
        (subscribe("btcusd"), -1013, "Invalid stream name: btcusd"),
        ({"id": 1, "method": "unsubscribe", "params": ["x@trade"]}, -1013, "Invalid stream name: x@trade"),
        ({"id": 1, "method": "dance"}, -1020, "Unsupported operation"),
        ({"id": 1, "method": "depth", "params": {"symbol": "x"}}, -1013, "Invalid symbol: x"),
    ],
)
def test_a_bad_request_is_refused_as_a_whole(request_: dict[str, object], code: int, message: str) -> None:
    dialect = server()
    assert ask(dialect, request_) == [{"id": 1, "status": 400, "error": {"code": code, "msg": message}}]
    assert ask(dialect, {"id": 2, "method": "list_subscriptions"})[0]["result"] == []


RECORDED = {
    "depthUpdate": b'{"e":"depthUpdate","E":1,"s":"wifusd","U":1,"u":2,"b":[["0.148800","11129.36"]],"a":[]}',
    "trade": b'{"E":1,"s":"btcrlusd","t":2840141014190422,"p":"62145.38000","q":"0.0162522200","m":true}',
    "bookTicker": b'{"u":1,"E":1,"s":"btcusd","b":"45000.50","B":"1.25","a":"45001.00","A":"0.75"}',
    "bookTicker with the last trade": (
        b'{"u":1,"E":1,"s":"xrpgusd","b":"1.06","B":"958.6","a":"1.06","A":"38.39","c":"1.06","C":"4.71"}'
    ),
    "depth": b'{"lastUpdateId":1,"symbol":"btcusd","bids":[["2.5","1"]],"asks":[["2.6","1"]]}',
    "granted": b'{"id":1,"status":200}',
    "refused": b'{"id":4,"status":400,"error":{"code":-1013,"msg":"Invalid stream name: x"}}',
}


def test_our_frames_have_the_keys_of_the_venues() -> None:
    dialect = server()
    tickers = [f"{symbol}@bookTicker" for symbol in ("btcusd", "ethusd", "solusd")]
    streams = ("btcusd@depth@100ms", "btcusd@depth5@100ms", "btcusd@trade", *tickers)
    said = ask(dialect, subscribe(*streams)) + ask(dialect, subscribe("x@trade"))
    for action in actions(market_of(dialect), 500):
        said += [json.decode(pushed.frame) for pushed in dialect.push(action, {})]

    def shape(frame: dict[str, Any]) -> frozenset[tuple[str, type]]:
        return frozenset((key, type(value)) for key, value in frame.items())

    assert {shape(frame) for frame in said} == {shape(json.decode(frame)) for frame in RECORDED.values()}


# Anything


QUIET = market("gemini", aged=500)


def answers_are_understood(frame: bytes) -> None:
    dialect, adapter = GeminiV3Dialect(QUIET), GeminiV3()
    dialect.open(Call("/", {"snapshot": "-1"}), START_NS)
    for pushed in dialect.receive(frame, START_NS):
        assert adapter.decode(pushed.frame)


@given(st.binary(max_size=200))
def test_no_bytes_of_a_client_make_it_fail(frame: bytes) -> None:
    answers_are_understood(frame)


METHODS = ["subscribe", "unsubscribe", "depth", "ping", "time", "conninfo", "list_subscriptions"]
STREAMS = [
    "btcusd@trade",
    "btcusd@depth",
    "ethusd@bookTicker",
    "btcusd@depth20@100ms",
    "BTCUSD@depth5",
    "@",
    "x",
]
WORDS = st.sampled_from(STREAMS) | st.text(max_size=5)
VALUES = st.one_of(WORDS, st.integers(), st.none(), st.lists(WORDS, max_size=3))
PARAMS = st.lists(WORDS, max_size=3) | st.fixed_dictionaries({}, optional={"symbol": VALUES, "limit": VALUES})


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {"method": st.sampled_from(METHODS) | VALUES}, optional={"id": VALUES, "params": PARAMS | VALUES}
    )
)
def test_no_json_of_a_client_makes_it_fail(request: dict[str, object]) -> None:
    answers_are_understood(json.encode(request))
