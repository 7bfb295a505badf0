"""Gemini v1's two roles agree under every query, and the server filters as the venue is known to."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters.gemini_v1 import PARAMETERS, Beat, GeminiV1, Update
from livetape.core.dialect import Answer, Call, Hangup, House
from livetape.core.events import Auction, BookUpdate, Counter, Denied, Status, Trade, Trust, Why
from livetape.core.instruments import Channel
from livetape.core.times import MILLISECOND, SECOND
from livetape.dialects.gemini_v1 import GeminiV1Dialect

from .pair import START_NS, SYMBOLS, LoseFirst, Pair, actions, facts, levels, market

FILTERS = ("bids", "offers", "trades", "auctions")
PATH = "/v1/marketdata/btcusd"
BTC = ("BTC-USD",)


def client(*channels: str, options: dict[str, object] | None = None, seed: int = 7, aged: int = 0) -> Pair:
    pair = Pair(market("gemini", seed=seed, aged=aged), GeminiV1Dialect, api="v1", options=options)
    pair.connect(*channels)
    return pair


# Both roles


def test_under_every_query_the_client_knows_what_the_market_shows_it() -> None:
    shared = market("gemini", symbols=BTC, aged=200)
    pairs = []
    for chosen in product((False, True), repeat=len(PARAMETERS)):
        options: dict[str, object] = dict(zip(PARAMETERS, chosen, strict=True))
        pair = Pair(shared, GeminiV1Dialect, api="v1", options=options)
        pair.connect("gemini:BTC-USD/book", "gemini:BTC-USD/trade")
        pairs.append((pair, options, *seen(pair, options)))
    for n, action in enumerate(actions(shared, 150)):
        for pair, options, bids, asks in pairs:
            pair.push(action, {})
            if n % 20 == 0:
                pair.beat()
            told = pair.book("BTC-USD")
            assert told is not None
            depth = 1 if options["top_of_book"] else None
            for side, shown, ours, theirs in zip(
                (0, 1), (bids, asks), told, pair.truth("BTC-USD", depth), strict=True
            ):
                if shown:
                    assert ours == theirs, (options, side)
    for pair, options, *_ in pairs:
        printed = pair.prints if options["trades"] else []
        assert [facts(t, MILLISECOND) for t in pair.trades("BTC-USD")] == [
            facts(t, MILLISECOND) for t in printed
        ]
        assert {event.trust for event in pair.data} <= {Trust.VERIFIED}
        assert {event.proof.method for event in pair.data if event.proof} <= {"socket_sequence"}
        assert (b'"heartbeat"' in b"".join(pair.to_client)) == options["heartbeat"]
        assert_whole(pair)


def seen(pair: Pair, options: dict[str, object]) -> tuple[bool, bool]:
    """Whether bids and asks are shown. A side that is not is empty, or under top_of_book as it was."""
    bids, asks = bool(options["bids"]), bool(options["offers"])
    told, whole = pair.book("BTC-USD"), pair.truth("BTC-USD", 1 if options["top_of_book"] else None)
    nothing = not (bids or asks)
    for side, shown in ((0, bids), (1, asks)):
        assert told is not None
        visible = shown or (options["top_of_book"] and not nothing)
        assert told[side] == (whole[side] if visible else [])
    return bids, asks


def assert_whole(pair: Pair) -> None:
    """As ``Pair.assert_whole``. Who wanted a book and chose to see none of it has an empty snapshot."""
    if "gemini:BTC-USD/book" not in pair.said:
        pair.said.append("gemini:BTC-USD/book")
    pair.assert_whole()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    aged=st.integers(0, 300),
    kinds=st.sets(st.sampled_from(["trade", "book", "quote"]), min_size=1),
    symbol=st.sampled_from(SYMBOLS[:3]),
    beats=st.sets(st.integers(0, 199)),
    top_only=st.booleans(),
)
def test_after_every_action_the_client_knows_what_the_market_knows(
    seed: int, aged: int, kinds: set[str], symbol: str, beats: set[int], top_only: bool
) -> None:
    channels = [f"gemini:{symbol}/{kind}" for kind in sorted(kinds)]
    pair = client(*channels, options={"top_of_book": top_only}, seed=seed, aged=aged)
    for n, _ in enumerate(pair.run(200)):
        if n in beats:
            pair.beat()
        if kinds & {"book", "quote"}:
            assert pair.book(symbol) == pair.truth(symbol, 1 if top_only else None)
    pair.assert_printed(symbol, MILLISECOND)
    assert all(event.trust is Trust.VERIFIED for event in pair.data)
    pair.assert_whole()


def test_a_lost_frame_is_noticed_by_the_number_of_the_next() -> None:
    pair = client("gemini:BTC-USD/book", "gemini:BTC-USD/trade")
    pair.lose = LoseFirst()
    with pytest.raises(AssertionError, match="frame 0 was followed by 2"):
        list(pair.run(100))
    assert {gap.cause for gap in pair.gaps} == {"frame 0 was followed by 2"}
    assert "book" in {gap.kind for gap in pair.gaps}
    assert pair.session.channels["gemini:BTC-USD/book"].trust is Trust.RESYNCING


# What the venue is known to say


def frames(query: dict[str, str], n: int = 60) -> Iterator[bytes]:
    source = market("gemini", symbols=BTC, aged=200)
    dialect = GeminiV1Dialect(source)
    yield dialect.open(Call(PATH, query), START_NS)[0].frame
    for i, action in enumerate(actions(source, n)):
        yield from (pushed.frame for pushed in dialect.push(action, {}))
        if i % 7 == 0:
            yield from (pushed.frame for pushed in dialect.beat(action.ns))


def test_every_query_filters_as_the_reference_says() -> None:
    source = market("gemini", symbols=BTC, aged=200)
    clients = []
    for values in product((None, "true", "false"), repeat=len(PARAMETERS)):
        query = {name: value for name, value in zip(PARAMETERS, values, strict=True) if value is not None}
        dialect = GeminiV1Dialect(source)
        [first] = dialect.open(Call(PATH, query), START_NS)
        clients.append((query, dialect, [(json.decode(first.frame), first.channels)]))
    actions_done = 0
    for action in actions(source, 40):
        actions_done += 1
        for _, dialect, said in clients:
            said += [(json.decode(each.frame), each.channels) for each in dialect.push(action, {})]
            said += [(json.decode(each.frame), each.channels) for each in dialect.beat(action.ns)]
    for query, _, said in clients:
        named = any(name in query for name in FILTERS)
        shown = {name for name in FILTERS if not named or query.get(name) == "true"}
        top_only = query.get("top_of_book") == "true"
        frames_said = [frame for frame, _ in said]
        assert [frame["socket_sequence"] for frame in frames_said] == list(range(len(said)))
        beats = [frame for frame in frames_said if frame["type"] == "heartbeat"]
        assert len(beats) == (actions_done if query.get("heartbeat") == "true" else 0)
        first, *later = [frame for frame in frames_said if frame["type"] == "update"]
        book = shown & {"bids", "offers"}
        sides = {event["side"] for event in first["events"]}
        assert sides == ({"bid", "ask"} if top_only and book else {SIDE[name] for name in book}), query
        assert {event["reason"] for event in first["events"]} <= {"initial"}
        events = [event for frame in later for event in frame["events"]]
        changes = [event for event in events if event["type"] == "change"]
        assert {change["side"] for change in changes} <= {SIDE[name] for name in book}, query
        reasons = {change["reason"] for change in changes}
        assert reasons <= ({"top-of-book"} if top_only else {"place", "trade", "cancel"})
        assert all(("delta" in change) != top_only for change in changes)
        assert any(event["type"] == "trade" for event in events) == ("trades" in shown), query
        for frame, channels in said:
            kinds = [channel.partition("/")[2] for channel in channels]
            trades = sum(event["type"] == "trade" for event in frame.get("events", ()))
            booked = len(frame.get("events", ())) > trades
            assert kinds == ["trade"] * trades + ["book"] * booked


SIDE = {"bids": "bid", "offers": "ask"}


def test_the_first_frame_has_the_whole_book_and_no_time() -> None:
    source = market("gemini", symbols=BTC)
    [first] = GeminiV1Dialect(source).open(Call(PATH, {}), START_NS)
    said = json.decode(first.frame)
    assert list(said) == ["type", "eventId", "socket_sequence", "events"]
    book = source.book("BTC-USD")
    assert book is not None
    told = [(event["side"], event["price"], event["remaining"]) for event in said["events"]]
    assert told == [("bid", *level) for level in levels(book.bids)] + [
        ("ask", *level) for level in levels(book.asks)
    ]
    assert all(event["delta"] == event["remaining"] for event in said["events"])


def test_later_frames_have_their_time_and_trades_before_changes() -> None:
    _, *later = [json.decode(frame) for frame in frames({}, n=300)]
    assert all(frame["timestamp"] == frame["timestampms"] // 1_000 for frame in later)
    assert [frame["eventId"] for frame in later] == sorted(frame["eventId"] for frame in later)
    kinds = ["".join(event["type"][0] for event in frame["events"]) for frame in later]
    assert any("t" in each for each in kinds)
    assert all("ct" not in each for each in kinds)


def test_the_maker_of_a_trade_is_not_its_aggressor() -> None:
    source = market("gemini", symbols=BTC)
    dialect = GeminiV1Dialect(source)
    dialect.open(Call(PATH, {}), START_NS)
    makers = set()
    for action in actions(source, 500):
        for pushed in dialect.push(action, {}):
            said = [event for event in json.decode(pushed.frame)["events"] if event["type"] == "trade"]
            assert [event["tid"] for event in said] == [trade.number for trade in action.trades]
            makers |= {
                (event["makerSide"], trade.side) for event, trade in zip(said, action.trades, strict=True)
            }
            assert all(event.keys() == {"type", "tid", "price", "amount", "makerSide"} for event in said)
    assert makers == {("ask", "buy"), ("bid", "sell")}


RECORDED: list[tuple[bytes, type]] = [
    (
        b'{"type":"update","eventId":148384309133,"socket_sequence":0,"events":[{"type":"change"'
        b',"reason":"initial","price":"20345.47","delta":"0.02943161","remaining":"0.02943161","side":"bid"}'
        b',{"type":"change","reason":"initial","price":"20345.54","delta":"0.24","remaining":"0.24"'
        b',"side":"ask"}]}',
        Update,
    ),
    (
        b'{"type":"update","eventId":148384310757,"timestamp":1666771876,"timestampms":1666771876031'
        b',"socket_sequence":1,"events":[{"type":"change","side":"ask","price":"20346.56"'
        b',"remaining":"0.48","reason":"top-of-book"}]}',
        Update,
    ),
    (
        b'{"type":"update","eventId":5375547515,"timestamp":1547760288,"timestampms":1547760288001'
        b',"socket_sequence":15,"events":[{"type":"trade","tid":5375547515,"price":"3632.54"'
        b',"amount":"0.1362819142","makerSide":"ask"}]}',
        Update,
    ),
    (
        b'{"type":"update","eventId":5375503736,"timestamp":1547759964,"timestampms":1547759964051'
        b',"socket_sequence":2,"events":[{"type":"change","side":"bid","price":"3628.01","remaining":"0"'
        b',"delta":"-2","reason":"cancel"}]}',
        Update,
    ),
    (b'{"type":"heartbeat","socket_sequence":30}', Beat),
]


@pytest.mark.parametrize(("frame", "kind"), RECORDED)
def test_a_recorded_frame_says_the_same_when_it_is_encoded_again(frame: bytes, kind: type) -> None:
    assert json.decode(json.encode(json.decode(frame, type=kind))) == json.decode(frame)


@pytest.mark.parametrize("native", ["btcusd", "BTCUSD", "BtcUsd"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_symbol_may_be_written_in_any_case(native: str, slash: str) -> None:
    path = f"/v1/marketdata/{native}{slash}"
    assert GeminiV1Dialect.path.fullmatch(path)
    [first] = GeminiV1Dialect(market("gemini")).open(Call(path, {}), START_NS)
    assert first.channels == ("gemini:BTC-USD/book",)


UNKNOWN = [
    Call("/v1/marketdata/foobar"),
    Call("/v1/multimarketdata", {"symbols": "btcusd,foobar"}),
    Call("/v1/multimarketdata", {"symbols": "foobar"}),
]


def refused(call: Call) -> Answer:
    answer = GeminiV1Dialect(market("gemini")).refusal(call, START_NS)
    assert answer is not None
    return answer


@pytest.mark.parametrize("call", UNKNOWN, ids=str)
def test_an_unknown_symbol_is_refused(call: Call) -> None:
    answer = refused(call)
    assert answer.status == 400
    message = "Received unsupported symbol 'foobar'"
    assert json.decode(answer.body) == {"result": "error", "reason": "InvalidSymbol", "message": message}
    assert GeminiV1().decode(answer.body) == [Denied(f"InvalidSymbol {message}", why=Why.SYMBOL)]


@pytest.mark.parametrize("call", UNKNOWN, ids=str)
def test_or_is_let_in_to_hear_so(call: Call) -> None:
    dialect = GeminiV1Dialect(market("gemini"), House({"unknown-symbol": "frame"}))
    assert dialect.refusal(call, START_NS) is None
    [pushed] = dialect.open(call, START_NS)
    assert pushed.frame == refused(call).body
    assert dialect.leaving == Hangup(1000)


def test_a_client_of_an_unknown_symbol_hears_that_it_is_one() -> None:
    source, house = market("gemini"), House({"unknown-symbol": "frame"})
    pair = Pair(source, GeminiV1Dialect, api="v1", house=house)
    pair.connect("gemini:FOO-BAR/book")
    [denied] = pair.denied
    assert (denied.channel, denied.why) == ("gemini:FOO-BAR/book", Why.SYMBOL)


def test_a_client_sees_only_its_own_symbol() -> None:
    pair = client("gemini:ETH-USD/book", "gemini:ETH-USD/trade")
    list(pair.run(300))
    assert {event.symbol for event in pair.data} == {"ETH-USD"}
    assert {event.symbol for event in pair.prints} == set(SYMBOLS[:3])


@given(st.binary(max_size=100))
def test_what_a_client_sends_is_ignored(frame: bytes) -> None:
    assert GeminiV1Dialect(QUIET).receive(frame, START_NS) == []


QUIET = market("gemini")


@given(
    st.text(max_size=20),
    st.dictionaries(st.sampled_from((*PARAMETERS, "symbols")) | st.text(max_size=5), st.text(max_size=5)),
    st.sampled_from(["/v1/marketdata/", "/v1/multimarketdata"]),
)
def test_any_address_is_served_or_refused(symbol: str, query: dict[str, str], path: str) -> None:
    call, dialect = Call(path + symbol, query), GeminiV1Dialect(QUIET)
    if (answer := dialect.refusal(call, START_NS)) is not None:
        assert answer.status == 400
    else:
        [first] = dialect.open(call, START_NS)
        assert isinstance(GeminiV1().decode(first.frame), list)


# Several symbols on one socket


def together(*channels: str, seed: int = 7, **options: object) -> Pair:
    pair = Pair(market("gemini", seed=seed), GeminiV1Dialect, "v1", {"max_symbols": 9, **options})
    pair.connect(*channels)
    return pair


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    symbols=st.sets(st.sampled_from(SYMBOLS[:3]), min_size=1),
    beats=st.sets(st.integers(0, 199)),
    top_only=st.booleans(),
)
def test_several_symbols_share_a_socket_and_its_numbers(
    seed: int, symbols: set[str], beats: set[int], top_only: bool
) -> None:
    channels = [f"gemini:{symbol}/{kind}" for symbol in sorted(symbols) for kind in ("book", "trade")]
    pair = together(*channels, seed=seed, top_of_book=top_only)
    for n, _ in enumerate(pair.run(200)):
        if n in beats:
            pair.beat()
        for symbol in symbols:
            assert pair.book(symbol) == pair.truth(symbol, 1 if top_only else None)
    said = [json.decode(frame) for frame in pair.to_client]
    assert [frame["socket_sequence"] for frame in said] == list(range(len(said)))
    events = [event for frame in said for event in frame.get("events", ())]
    assert {event["symbol"] for event in events} == {symbol.replace("-", "") for symbol in symbols}
    printed = [facts(t, MILLISECOND) for t in pair.prints if t.symbol in symbols]
    assert [facts(event, MILLISECOND) for event in pair.data if isinstance(event, Trade)] == printed
    assert {event.trust for event in pair.data} == {Trust.VERIFIED}
    pair.assert_whole()


def test_a_lost_frame_of_one_symbol_is_noticed_in_all() -> None:
    pair = together("gemini:BTC-USD/book", "gemini:ETH-USD/book")
    pair.lose = LoseFirst(b"ETHUSD")
    with pytest.raises(AssertionError, match=r"frame \d+ was followed by"):
        list(pair.run(100))
    assert {gap.symbol for gap in pair.gaps} == {"BTC-USD", "ETH-USD"}


def test_a_book_that_comes_after_the_first_frame_begins_with_it() -> None:
    adapter = GeminiV1({"max_symbols": 2})
    wanted = [Channel("gemini", symbol, "book") for symbol in ("BTC-USD", "ETH-USD")]
    adapter.subscribe(wanted)
    frame = (
        b'{"type":"update","eventId":1,"socket_sequence":%d,"events":[{"type":"change","symbol":"%b",'
        b'"side":"bid","price":"9","remaining":"1","reason":"initial","delta":"1"}]}'
    )
    for n, (channel, native) in enumerate(zip(wanted, (b"BTCUSD", b"ETHUSD"), strict=True)):
        assert adapter.decode(frame % (n, native)) == [
            Counter(n),
            BookUpdate(str(channel), None, True, [("9", "1")], []),
        ]


def test_the_address_of_several_symbols_names_them_all() -> None:
    wanted = [Channel.parse(f"gemini:{name}") for name in ("BTC-USD/book", "BTC-USD/trade", "ETH-USD/book")]
    url = GeminiV1({"max_symbols": 2}).endpoint(GeminiV1.ws_url, wanted)
    assert url == (
        "wss://api.gemini.com/v1/multimarketdata?symbols=btcusd,ethusd"
        "&heartbeat=true&bids=true&offers=true&trades=true"
    )
    assert GeminiV1().endpoint(GeminiV1.ws_url, wanted[:1]).startswith(f"{GeminiV1.ws_url}/btcusd?")


# Auctions


def test_an_auction_opens_is_indicated_and_has_its_result_with_its_fill() -> None:
    source = market("gemini", symbols=BTC)
    pair = Pair(source, GeminiV1Dialect, "v1", house=House({"auction": "8"}))
    pair.connect("gemini:BTC-USD/auction", "gemini:BTC-USD/trade")
    while pair.ns < START_NS + 18 * SECOND:
        list(pair.run(1))
    told = [event for event in pair.events if isinstance(event, Auction)]
    states = [(event.state, event.success) for event in told]
    cycle = [("open", None), ("indicative", False), ("indicative", True), ("result", True)]
    assert "".join(map(str, cycle)) in "".join(map(str, states))
    opened = states.index(cycle[0])
    result = told[opened + 3]
    assert told[opened].auction_ns == result.venue_ns
    assert told[opened + 1].price_text is None
    fills = [event for event in pair.trades("BTC-USD") if event.conditions == ("auction",)]
    assert (result.price_text, result.size_text, result.id) in [
        (fill.price_text, fill.size_text, fill.id) for fill in fills
    ]
    assert {event.trust for event in told} == {Trust.VERIFIED}
    for frame in map(json.decode, pair.to_client):
        if any(event["type"] == "auction_result" for event in frame["events"]):
            assert frame["events"][1]["makerSide"] == "auction"
    pair.said = [channel for channel in pair.said if channel in pair.session.channels]
    pair.assert_whole()


def test_no_auction_is_held_unless_asked_for() -> None:
    pair = client("gemini:BTC-USD/auction")
    list(pair.run(500))
    assert [event for event in pair.events if isinstance(event, Auction)] == []
    assert [
        e.state for e in pair.events if isinstance(e, Status) and e.channel == "gemini:BTC-USD/auction"
    ] == [
        Trust.RESYNCING,
        Trust.VERIFIED,
    ]
