"""OKX: each kind of message, chain and checksum of its books, and how trades and bars are read again."""

import json
import re
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.okx import OKX, PAGE, fingerprint
from livetape.core.adapter import Span
from livetape.core.effects import Close, Fetch, Send
from livetape.core.errors import DecodeError
from livetape.core.events import (
    Ack,
    Bar,
    BookUpdate,
    Closing,
    Denied,
    Gap,
    Heartbeat,
    Message,
    Origin,
    Quote,
    Summary,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel, Instrument
from livetape.core.times import MILLISECOND, SECOND

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

MS = MILLISECOND
BOOK = Channel("okx", "BTC-USDT", "book")
TRADES = Channel("okx", "BTC-USDT", "trade")
MINUTES = Channel("okx", "BTC-USDT", "bar.1m")
AT = 1_787_612_486_407


def depth(
    action: str, before: int, number: int, asks: str = "[]", bids: str = "[]", checksum: int = 0
) -> bytes:
    return (
        f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{"asks":{asks},'
        f'"bids":{bids},"ts":"{AT}","checksum":{checksum},"seqId":{number},"prevSeqId":{before}}}]}}'
    ).encode()


def printed(number: int) -> dict[str, object]:
    """A trade as the stream and REST tell it."""
    when = str(AT + number)
    return {
        "instId": "BTC-USDT",
        "tradeId": str(number),
        "px": "42.50",
        "sz": "3.7",
        "side": "buy",
        "ts": when,
    }


def pushed(number: int) -> bytes:
    arg = {"channel": "trades-all", "instId": "BTC-USDT"}
    return json.dumps({"arg": arg, "data": [printed(number)]}).encode()


def trade(number: int, origin: Origin = Origin.LIVE) -> Trade:
    at_ns = (AT + number) * MS
    return Trade(str(TRADES), at_ns, "42.50", "3.7", "buy", str(number), number, origin=origin)


SNAPSHOT = depth(
    "snapshot", -1, 10, '[["78722.3","0.40","0","10"],["78724","1","0","1"]]', '[["78722.2","1","0","1"]]'
)
UPDATE = depth("update", 10, 17, '[["78722.3","0","0","0"]]', '[["78721.50","0.03229","0","1"]]')
BBO = (
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["38632.4","727","0","22"]],'
    b'"bids":[["38632.30","990","0","22"]],"ts":"1651761120004","seqId":363996337}]}'
)
HALF = (
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[],"bids":[["38632.30","990","0","22"]],'
    b'"ts":"1651761120004"}]}'
)
TICKER = (
    b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":'
    b'"30236","lastSz":"0.0002","askPx":"30228.7","askSz":"1.55","bidPx":"30228.6","bidSz":"0.2","open24h":'
    b'"29700.4","high24h":"31073","low24h":"28020.30","sodUtc0":"29028.8","sodUtc8":"30337.7","volCcy24h":'
    b'"525802090.62716611","vol24h":"17602.13085371","ts":"1652459224956"}]}'
)
CANDLE = (
    b'{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026360000","8533.02","8553.74","8527.17",'
    b'"8548.260","45247","529.5858061","5529.5858061","%d"]]}'
)
DAY = CANDLE.replace(b"candle1m", b"candle1Dutc") % 1
SUBSCRIBED = b'{"event":"subscribe","arg":{"channel":"%b","instId":"BTC-USDT"},"connId":"32f4414f"}'
REFUSED = (
    b'{"event":"error","code":"60018","msg":"Wrong URL or channel:books,instId:FOO-BAR doesn\'t exist. '
    b'Please use the correct URL, channel and parameters referring to API document.","connId":"32f4414f"}'
)
NOTICE = (
    b'{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. '
    b'Please reconnect.","connId":"32f4414f"}'
)
REASON = json.loads(REFUSED)["msg"]
BAR = (1_597_026_360_000 * MS, "8533.02", "8553.74", "8527.17", "8548.260", "45247")
SAID: list[tuple[bytes, Message]] = [
    (
        SNAPSHOT,
        BookUpdate(
            str(BOOK),
            AT * MS,
            True,
            [("78722.2", "1")],
            [("78722.3", "0.40"), ("78724", "1")],
            -1,
            10,
        ),
    ),
    (UPDATE, BookUpdate(str(BOOK), AT * MS, False, [("78721.50", "0.03229")], [("78722.3", "0")], 10, 17)),
    (depth("update", 17, 17), BookUpdate(str(BOOK), AT * MS, False, [], [], 17, 17)),
    (depth("update", 10, 17, checksum=-5), BookUpdate(str(BOOK), AT * MS, False, [], [], 10, 17, -5)),
    (pushed(7), trade(7)),
    (
        BBO,
        Quote("okx:BTC-USDT-SWAP/quote", 1651761120004 * MS, "38632.30", "990", "38632.4", "727", 363996337),
    ),
    (HALF, Quote("okx:BTC-USDT/quote", 1651761120004 * MS, "38632.30", "990", None, None)),
    (
        TICKER,
        Summary(
            "okx:BTC-USDT/summary",
            1652459224956 * MS,
            "29700.4",
            "31073",
            "28020.30",
            "30236",
            None,
            "17602.13085371",
            "525802090.62716611",
        ),
    ),
    (  # of contracts the turnover is told in coins, and an option that was never traded has no prices
        TICKER.replace(b"SPOT", b"OPTION").replace(b'"30236"', b'""').replace(b'"29700.4"', b'""'),
        Summary(
            "okx:BTC-USDT/summary",
            1652459224956 * MS,
            None,
            "31073",
            "28020.30",
            None,
            None,
            "17602.13085371",
        ),
    ),
    (CANDLE % 0, Bar(str(MINUTES), *BAR, closed=False)),
    (CANDLE % 1, Bar(str(MINUTES), *BAR, closed=True)),
    (DAY, Bar("okx:BTC-USDT/bar.1d", *BAR, closed=True)),
    (SUBSCRIBED % b"books", Ack(str(BOOK))),
    (SUBSCRIBED % b"trades-all", Ack(str(TRADES))),
    (SUBSCRIBED % b"candle1m", Ack(str(MINUTES))),
    (SUBSCRIBED % b"open-interest", Heartbeat()),
    ((SUBSCRIBED % b"books").replace(b'"subscribe"', b'"unsubscribe"'), Heartbeat()),
    (REFUSED, Denied(REASON, ("okx:FOO-BAR/book",), Why.SYMBOL)),
    (b'{"event":"error","code":"60012","msg":"Illegal request","connId":"1"}', Denied("Illegal request")),
    (NOTICE, Closing("The connection will soon be closed for a service upgrade. Please reconnect.")),
    (b'{"event":"channel-conn-count","channel":"x","connCount":"1","connId":"1"}', Heartbeat()),
    (b'{"arg":{"channel":"mark-price","instId":"BTC-USDT"},"data":[{"markPx":"1"}]}', Heartbeat()),
    (b"pong", Heartbeat()),
]


@pytest.mark.parametrize(("frame", "message"), SAID)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, message: Message) -> None:
    assert OKX().decode(frame) == [message]


@given(st.binary() | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(OKX(), frame)


@pytest.mark.parametrize(
    ("frame", "old", "new"),
    [
        (UPDATE, b'"0.03229"', b'"-1"'),
        (UPDATE, b'"update"', b'"partial"'),
        (UPDATE, b'"prevSeqId":10', b'"prevSeqId":"x"'),
        (pushed(7), b'"buy"', b'"bid"'),
        (pushed(7), b'"42.50"', b'"NaN"'),
        (BBO, b'"990"', b'"9e99"'),
        (TICKER, b'"31073"', b'"much"'),
        (CANDLE % 0, b'"8553.74"', b"8553.74"),
    ],
)
def test_what_is_no_number_or_not_known_is_refused(frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    with pytest.raises(DecodeError):
        OKX().decode(frame.replace(old, new))


# What is asked


def test_what_the_venue_serves_on_two_addresses_is_routed_there() -> None:
    okx = OKX()
    routes = {kind: okx.route(Channel("okx", "BTC-USDT", kind)) for kind in okx.kinds}
    assert {kind for kind, route in routes.items() if route == "public"} == {"book", "quote", "summary"}
    assert okx.endpoint(okx.ws_url, [BOOK]) == "wss://ws.okx.com:8443/ws/v5/public"
    assert okx.endpoint("ws://127.0.0.1:9/okx/", [MINUTES, TRADES]) == "ws://127.0.0.1:9/okx/business"


def test_there_is_one_request_a_symbol() -> None:
    wanted = [TRADES, MINUTES, Channel("okx", "ETH-USDT-SWAP", "bar.1w")]
    assert OKX().subscribe(wanted) == [
        b'{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"},'
        b'{"channel":"trades-all","instId":"BTC-USDT"}]}',
        b'{"op":"subscribe","args":[{"channel":"candle1Wutc","instId":"ETH-USDT-SWAP"}]}',
    ]
    assert OKX().unsubscribe([BOOK]) == [
        b'{"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}'
    ]
    assert OKX().probe() == b"ping"


@pytest.mark.parametrize("symbol", ["BTC-USDT", "btc_usdt", "BTC/USDT", "BTCUSDT"])
def test_symbols_may_be_spelt_otherwise(symbol: str) -> None:
    assert OKX.canonical(symbol) == "BTC-USDT"
    assert OKX.canonical("btc-usd-210924-66000-c") == "BTC-USD-210924-66000-C"


# What books rest on


def test_a_chain_goes_on_through_repeats_and_a_reset() -> None:
    session = opened(OKX(), [BOOK])
    session.effects()
    steps = [(10, 17), (17, 17), (17, 3), (3, 4)]  # a sign of life, then maintenance
    frames = [SNAPSHOT, *(depth("update", *step) for step in steps)]
    events = [event for n, frame in enumerate(frames) for event in session.receive(frame, n + 2)]
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert [update.last for update in updates] == [10, 17, 17, 3, 4]
    assert {update.trust for update in updates} == {Trust.VERIFIED}
    assert session.effects() == []
    assert conserved(session)


def test_a_lost_update_is_noticed_and_healed() -> None:
    session = opened(OKX(), [BOOK])
    session.effects()
    events = [event for frame in (SNAPSHOT, depth("update", 17, 21)) for event in session.receive(frame, 2)]
    assert [gap.cause for gap in events if isinstance(gap, Gap)] == ["update 10 was followed by 17"]
    assert session.effects() == [
        Send(frame) for f in ("unsubscribe", "subscribe") for frame in getattr(OKX(), f)([BOOK])
    ]
    [healed] = [event for event in session.receive(SNAPSHOT, 3) if isinstance(event, Gap)]
    assert healed.healed == "snapshot"


def test_a_second_snapshot_replaces_the_book() -> None:
    session = opened(OKX(), [BOOK])
    for frame in (SNAPSHOT, depth("snapshot", -1, 5, '[["9","1","0","1"]]')):
        session.receive(frame, 2)
    book = session.channels[str(BOOK)].book
    assert book is not None
    assert (book.asks.top(9), book.bids.top(9)) == ([("9", "1")], [])


def test_a_book_without_its_proof_is_refused() -> None:
    plain = re.sub(rb',"seqId.*?(?=\})', b"", SNAPSHOT)
    assert b"prevSeqId" not in plain
    with pytest.raises(DecodeError, match="without its proof"):
        OKX().decode(plain)
    adapter = OKX()
    [update] = adapter.decode(plain.replace(b'"checksum":0', b'"checksum":7'))
    assert isinstance(update, BookUpdate)
    assert (update.first, update.last, update.checksum) == (None, None, 7)
    adapter.decode(SNAPSHOT)
    with pytest.raises(DecodeError, match="without its proof"):
        adapter.decode(plain.replace(b'"checksum":0', b'"checksum":7').replace(b'"snapshot"', b'"update"'))


def test_the_checksum_takes_sides_in_turn_and_goes_on_with_the_longer_one() -> None:
    bids, asks = [("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")]
    text = b"3366.1:7:3366.8:9:3366:6:3368:8"
    assert fingerprint(bids, asks) % 2**32 == crc32(text)
    uneven = b"3366.1:7:3366.8:9:3368:8:3372:8"
    assert fingerprint(bids[:1], [*asks, ("3372", "8")]) % 2**32 == crc32(uneven)
    assert fingerprint([], []) == 0


@given(st.lists(st.tuples(st.from_regex(r"[1-9]\d{0,5}", fullmatch=True), st.just("1")), max_size=30))
def test_a_checksum_is_a_signed_number_of_32_bits(levels: list[tuple[str, str]]) -> None:
    assert -(2**31) <= fingerprint(levels, []) < 2**31


def test_a_checksum_that_is_sent_is_compared() -> None:
    session = opened(OKX(), [BOOK])
    session.effects()
    good = fingerprint([("78722.2", "1")], [("78724", "1")])
    gone = '[["78722.3","0","0","0"]]'
    events = session.receive(SNAPSHOT, 2) + session.receive(depth("update", 10, 17, gone, checksum=good), 3)
    assert len([event for event in events if isinstance(event, BookUpdate)]) == 2
    events = session.receive(depth("update", 17, 18, '[["78724","2","0","1"]]', checksum=good), 4)
    assert [gap.cause for gap in events if isinstance(gap, Gap)] == ["checksum"]


# Trades and bars


def test_the_last_trade_that_comes_again_after_a_break_is_told_once() -> None:
    session = opened(OKX(), [TRADES])
    events = session.receive(pushed(7), 2)
    session.disconnected("lost", 3)
    session.connected(4)
    events += session.receive(pushed(7), 5) + session.receive(pushed(8), 6)
    assert [event.number for event in events if isinstance(event, Trade)] == [7, 8]
    assert [event.healed for event in events if isinstance(event, Gap)] == ["complete"]
    assert conserved(session)


def test_trades_of_one_order_that_come_together_have_no_number() -> None:
    arg = {"channel": "trades", "instId": "BTC-USDT"}
    [told] = OKX().decode(json.dumps({"arg": arg, "data": [printed(9) | {"count": "3"}]}).encode())
    assert isinstance(told, Trade)
    assert (told.id, told.number) == ("9", None)


@pytest.mark.parametrize("missing", [1, 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 1])
def test_missing_trades_are_read_page_by_page(missing: int) -> None:
    session = opened(OKX(), [TRADES])
    session.receive(pushed(10), 2)
    session.receive(pushed(11 + missing), 3)
    session.effects()
    events, now_ns = [], 10 * SECOND
    session.tick(now_ns)
    for _ in range(2 + missing // PAGE):
        for effect in session.effects():
            assert isinstance(effect, Fetch)
            query = dict(part.split("=") for part in effect.path.partition("?")[2].split("&"))
            assert (query["instId"], query["type"]) == ("BTC-USDT", "1")
            before, limit = int(query["after"]), int(query["limit"])
            rows = [printed(before - n) for n in range(1, limit + 1)]
            body = json.dumps({"code": "0", "msg": "", "data": rows}).encode()
            events += session.fetched(effect.name, body, now_ns)
    read = [event for event in events if isinstance(event, Trade)]
    assert sorted(event.number or 0 for event in read) == list(range(11, 11 + missing))
    assert {event.origin for event in read} == {Origin.BACKFILLED}
    assert [(gap.healed, gap.missing) for gap in events if isinstance(gap, Gap)] == [("history", 0)]
    assert session.effects() == []
    assert conserved(session)


def test_what_is_read_again_is_what_the_stream_would_have_told() -> None:
    body = json.dumps({"code": "0", "data": [printed(9) | {"source": "0"}, printed(8)]}).encode()
    history = OKX().decode_history(TRADES, body)
    assert history.events == [trade(9), trade(8)]
    assert history.page == ""
    assert OKX().history_path(TRADES, Span(0, 1)) is None  # no numbers, so nobody knows which
    assert OKX().history_path(BOOK, Span(0, 1, range(1, 2))) is None


def test_bars_are_read_backwards() -> None:
    okx, minute_ms = OKX(), 60_000
    span = Span(600_000 * MS, 900_000 * MS)
    assert okx.history_path(MINUTES, span) == (
        "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&before=540000&after=900000&limit=100"
    )
    rows = [
        [str(at * minute_ms), "1", "2", "0.5", "1.50", "9", "8", "7", "1"]
        for at in range(200, 200 - PAGE, -1)
    ]
    history = okx.decode_history(MINUTES, json.dumps({"code": "0", "data": rows}).encode())
    assert len(history.events) == PAGE
    first = Bar(str(MINUTES), 200 * minute_ms * MS, "1", "2", "0.5", "1.50", "9", closed=True)
    assert history.events[0] == first
    path = okx.history_path(MINUTES, span, history.page)
    assert path is not None
    assert f"after={101 * minute_ms}&" in path
    assert okx.decode_history(MINUTES, b'{"code":"0","data":[]}').page == ""


def test_a_refused_call_has_no_history() -> None:
    with pytest.raises(DecodeError):
        OKX().decode_history(TRADES, b'{"code":"51001","msg":"Instrument ID does not exist"}')


def test_the_instruments_are_listed() -> None:
    okx = OKX()
    assert [path.rpartition("=")[2] for path in okx.symbols_paths()] == ["SPOT", "SWAP", "FUTURES"]
    body = (
        b'{"code":"0","data":[{"instId":"BTC-USDT","instType":"SPOT","lotSz":"0.00000001","state":"live",'
        b'"tickSz":"0.1"},{"instId":"OLD-USDT","lotSz":"1","state":"suspend","tickSz":"1"}]}'
    )
    assert okx.parse_symbols("", body) == [
        Instrument("BTC-USDT", "BTC-USDT", "0.1", "0.00000001", asset="crypto")
    ]
    assert okx.price_path("BTC-USDT") == "/api/v5/market/ticker?instId=BTC-USDT"


def test_a_venue_that_leaves_is_left() -> None:
    session = opened(OKX(), [BOOK])
    session.effects()
    session.receive(NOTICE, 2)
    [close] = session.effects()
    assert isinstance(close, Close)
