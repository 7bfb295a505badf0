"""Coinbase Exchange: each kind of message, what shows a lost trade, and how it is read again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.coinbase import TRADES, Coinbase
from livetape.core.adapter import Span
from livetape.core.effects import Fetch, Send
from livetape.core.errors import DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Denied,
    Gap,
    Heartbeat,
    Message,
    Origin,
    Summary,
    Through,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel
from livetape.core.times import SECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

AT = "2021-04-17T16:43:30.244075Z"
AT_NS = 1_618_677_810_244_075_000
SNAPSHOT = b'{"type":"snapshot","product_id":"BTC-USD","bids":[["10.10","2"]],"asks":[["10.2","0.50"]]}'
UPDATE = (
    b'{"type":"l2update","product_id":"BTC-USD","time":"2021-04-17T16:43:30.244075Z",'
    b'"changes":[["buy","10.10","0.0"],["sell","10.20","3"],["buy","10.05","1e-7"]]}'
)
TICKER = (
    b'{"type":"ticker","sequence":3,"product_id":"BTC-USD","price":"10.1","open_24h":"9","volume_24h":"94.50",'
    b'"low_24h":"8","high_24h":"11","volume_30d":"2","best_bid":"10.1","best_ask":"10.2","side":"buy",'
    b'"time":"2021-04-17T16:43:30.244075Z","trade_id":7,"last_size":"0.04"}'
)
BEAT = (
    b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD",'
    b'"time":"2014-11-07T08:19:28Z"}'
)
SUBSCRIPTIONS = (
    b'{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"]},'
    b'{"name":"matches","product_ids":["BTC-USD","ETH-USD"]},{"name":"heartbeat","product_ids":["BTC-USD"]},'
    b'{"name":"ticker","product_ids":["ETH-USD"]}]}'
)
ERROR = b'{"type":"error","message":"Failed to subscribe","reason":"FOO-BAR is not a valid product"}'


def match(number: int, kind: str = "match") -> bytes:
    return json.dumps(printed(number) | {"type": kind, "product_id": "BTC-USD", "sequence": 7}).encode()


def printed(number: int) -> dict[str, object]:
    """A trade as REST tells it."""
    return {"trade_id": number, "side": "sell", "size": "0.040", "price": "14.7775", "time": AT}


def trade(number: int, origin: Origin = Origin.LIVE) -> Trade:
    name = "coinbase:BTC-USD/trade"
    return Trade(name, AT_NS, "14.7775", "0.040", "buy", str(number), number, origin=origin)


@pytest.mark.parametrize(
    ("frame", "messages"),
    [
        (SNAPSHOT, [BookUpdate("coinbase:BTC-USD/book", None, True, [("10.10", "2")], [("10.2", "0.50")])]),
        (
            UPDATE,
            [
                BookUpdate(
                    "coinbase:BTC-USD/book",
                    AT_NS,
                    False,
                    [("10.10", "0.0"), ("10.05", "1e-7")],
                    [("10.20", "3")],
                )
            ],
        ),
        (match(7), [trade(7)]),
        (match(7, "last_match"), [trade(7, Origin.BACKFILLED)]),
        (
            TICKER,
            [Summary("coinbase:BTC-USD/summary", AT_NS, "9", "11", "8", "10.1", volume_text="94.50")],
        ),
        (BEAT, [Through("coinbase:BTC-USD/trade", 20)]),
        (
            SUBSCRIPTIONS,
            [
                Ack("coinbase:BTC-USD/book"),
                Ack("coinbase:BTC-USD/trade"),
                Ack("coinbase:ETH-USD/trade"),
                Ack("coinbase:ETH-USD/summary"),
            ],
        ),
        (b'{"type":"status","products":[]}', [Heartbeat()]),
    ],
)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, messages: list[Message]) -> None:
    assert Coinbase().decode(frame) == messages


def test_a_time_of_year_one_is_none() -> None:
    [update] = Coinbase().decode(
        UPDATE.replace(b"2021-04-17T16:43:30.244075Z", b"0001-01-01T00:00:00.000000Z")
    )
    assert isinstance(update, BookUpdate)
    assert update.venue_ns is None


def test_a_size_below_zero_is_none_and_any_other_nonsense_is_refused() -> None:
    [update] = Coinbase().decode(SNAPSHOT.replace(b'"0.50"', b'"0.-10000"'))
    assert isinstance(update, BookUpdate)
    assert update.asks == [("10.2", "0")]
    for size in (b'"-1"', b'"NaN"', b'""', b"1"):
        with pytest.raises(DecodeError):
            Coinbase().decode(SNAPSHOT.replace(b'"0.50"', size))


def test_a_side_that_is_neither_is_refused() -> None:
    for frame in (UPDATE.replace(b'"sell"', b'"hold"'), match(7).replace(b"sell", b"hold")):
        with pytest.raises(DecodeError):
            Coinbase().decode(frame)


@given(
    frame=st.binary(max_size=200)
    | damaged(st.sampled_from([SNAPSHOT, UPDATE, match(7), TICKER, BEAT, ERROR]))
)
def test_any_damage_decodes_or_is_refused(frame: bytes) -> None:
    decodes_or_refuses(Coinbase(), frame)


def test_a_request_is_of_one_product_and_the_heartbeat_stays_while_anything_is_wanted() -> None:
    adapter, (book, trades) = Coinbase(), [Channel("coinbase", "BTC-USD", kind) for kind in ("book", "trade")]
    other = Channel("coinbase", "ETH-USD", "summary")
    assert [json.loads(frame) for frame in adapter.subscribe([book, trades, other])] == [
        {
            "type": "subscribe",
            "product_ids": ["BTC-USD"],
            "channels": ["level2_batch", "matches", "heartbeat"],
        },
        {"type": "subscribe", "product_ids": ["ETH-USD"], "channels": ["ticker", "heartbeat"]},
    ]
    [first], [second] = adapter.unsubscribe([book]), adapter.unsubscribe([trades])
    assert json.loads(first)["channels"] == ["level2_batch"]
    assert json.loads(second)["channels"] == ["matches", "heartbeat"]


def test_a_refusal_names_the_channels_of_its_product() -> None:
    adapter = Coinbase()
    adapter.subscribe([Channel("coinbase", name, "trade") for name in ("FOO-BAR", "BTC-USD")])
    reason = "Failed to subscribe: FOO-BAR is not a valid product"
    assert adapter.decode(ERROR) == [Denied(reason, ("coinbase:FOO-BAR/trade",), Why.SYMBOL)]
    assert adapter.decode(b'{"type":"error","message":"Malformed JSON"}') == [Denied("Malformed JSON")]


def test_a_trade_lost_at_the_end_shows_by_the_heartbeat_and_is_read_again() -> None:
    session = opened(Coinbase(), [Channel("coinbase", "BTC-USD", "trade")])
    session.receive(match(18), 2)
    events = session.receive(BEAT, 3)
    assert [(e.end_ns, e.missing) for e in events if isinstance(e, Gap)] == [(None, None), (3, 2)]
    session.effects()
    now_ns = 10 * SECOND
    session.tick(now_ns)
    path = "/products/BTC-USD/trades?limit=2&after=21"
    [effect] = session.effects()
    assert isinstance(effect, Fetch)
    assert effect.path == path
    body = json.dumps([printed(20), printed(19)]).encode()
    events = session.fetched(effect.name, body, now_ns)
    read = [event for event in events if isinstance(event, Trade)]
    assert sorted(event.number or 0 for event in read) == [19, 20]
    assert {event.origin for event in read} == {Origin.BACKFILLED}
    assert [e.healed for e in events if isinstance(e, Gap)] == ["history"]
    assert conserved(session)


def test_history_is_read_page_by_page_until_the_first_missing_trade() -> None:
    adapter, channel = Coinbase(), Channel("coinbase", "BTC-USD", "trade")
    span, page, paths, numbers = Span(0, 1, range(5, 5 + 2 * TRADES)), "", [], []
    while path := adapter.history_path(channel, span, page):
        paths.append(path)
        query = dict(part.split("=") for part in path.partition("?")[2].split("&"))
        before, limit = int(query["after"]), int(query["limit"])
        body = json.dumps([printed(number) for number in range(before - 1, before - 1 - limit, -1)])
        history = adapter.decode_history(channel, body.encode())
        numbers += [event.number for event in history.events if isinstance(event, Trade)]
        if not (page := history.page):
            break
    assert set(span.numbers) <= set(numbers)
    assert len(paths) == 3
    assert adapter.history_path(channel, Span(0, 1)) is None  # without numbers there is no cursor


def test_candles_are_read_over_rest_where_one_page_holds_them() -> None:
    adapter, channel = Coinbase(), Channel("coinbase", "BTC-USD", "bar.1m")
    assert adapter.history_path(channel, Span(0, 60 * SECOND)) == (
        "/products/BTC-USD/candles?granularity=60&start=1970-01-01T00:00:00Z&end=1970-01-01T00:01:00Z"
    )
    assert adapter.history_path(channel, Span(0, 300 * 60 * SECOND)) is None
    history = adapter.decode_history(channel, b"[[1415398768,0.320,4.2,0.35,4.1,12.3]]")
    start_ns = 1_415_398_768 * SECOND
    assert history.events == [Bar("coinbase:BTC-USD/bar.1m", start_ns, "0.35", "4.2", "0.320", "4.1", "12.3")]
    with pytest.raises(DecodeError):
        adapter.decode_history(channel, b'{"message":"NotFound"}')


def test_a_book_is_unverifiable_and_one_that_crosses_itself_is_asked_for_anew() -> None:
    session = opened(Coinbase(), [Channel("coinbase", "BTC-USD", "book")])
    session.effects()
    events = session.receive(SNAPSHOT, 2) + session.receive(UPDATE, 3)
    assert {e.trust for e in events if isinstance(e, BookUpdate)} == {Trust.UNVERIFIABLE}
    session.receive(UPDATE.replace(b'"10.05","1e-7"', b'"10.20","1"'), 4)
    effects = session.effects()
    verbs = [json.loads(effect.frame)["type"] for effect in effects if isinstance(effect, Send)]
    assert verbs == ["unsubscribe", "subscribe"]
    assert conserved(session)


@pytest.mark.parametrize("symbol", ["BTC-USD", "btc/usd", "BTCUSD"])
def test_symbols_may_be_spelt_otherwise(symbol: str) -> None:
    assert Coinbase.canonical(symbol) == "BTC-USD"
