"""What BitMEX says and is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.bitmex import Bitmex
from livetape.core.effects import Send
from livetape.core.errors import DecodeError
from livetape.core.events import (
    Ack,
    BookUpdate,
    Denied,
    Gap,
    Heartbeat,
    Lost,
    Message,
    Origin,
    Quote,
    Trade,
    Trust,
)
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .damage import damaged, decodes_or_refuses

BOOK = "bitmex:BTC-USD/book"
NS = 1_626_993_370_014_000_000


def table(action: str, *rows: str, name: str = "orderBookL2", symbol: str = "XBTUSD") -> bytes:
    data = ",".join(f'{{"symbol":"{symbol}",{row}}}' for row in rows)
    return f'{{"table":"{name}","action":"{action}","data":[{data}]}}'.encode()


PARTIAL = table(
    "partial",
    '"id":1,"side":"Sell","size":30,"price":3.5e-7',
    '"id":2,"side":"Buy","size":20,"price":1e-8',
)
TRADE = (
    '"timestamp":"2021-07-22T22:36:10.014Z","side":"Sell","size":1000,"price":8544.5,'
    '"tickDirection":"ZeroMinusTick","trdMatchID":"f73b6f28","grossValue":11703000,"homeNotional":0.11703'
)
QUOTE = (
    '"timestamp":"2021-07-22T22:36:10.014Z","bidSize":%s,"bidPrice":%s,"askPrice":0.00010699,"askSize":123'
)


def trade(origin: Origin) -> Trade:
    return Trade("bitmex:BTC-USD/trade", NS, "8544.5", "1000", "sell", "f73b6f28", origin=origin)


def quote(bid: str | None, size: str | None) -> Quote:
    return Quote("bitmex:XRPU21/quote", NS, bid, size, "0.00010699", "123")


SAID: list[tuple[bytes, list[Message]]] = [
    (PARTIAL, [BookUpdate(BOOK, None, True, [("1e-8", "20")], [("3.5e-7", "30")])]),
    (
        b'{"table":"orderBookL2","action":"partial","filter":{"symbol":"XBTUSD"},"data":[]}',
        [BookUpdate(BOOK, None, True, [], [])],
    ),
    (table("update", '"id":1,"side":"Sell","size":31'), []),  # nobody has told the level
    (table("insert", TRADE, name="trade"), [trade(Origin.LIVE)]),
    (table("partial", TRADE, name="trade"), [trade(Origin.BACKFILLED)]),
    (
        table(
            "insert", QUOTE % ("15", "0.00001814"), QUOTE % ("null", "null"), name="quote", symbol="XRPU21"
        ),
        [quote("0.00001814", "15"), quote(None, None)],
    ),
    (table("update", '"lastTickDirection":"ZeroMinusTick"', name="instrument"), [Heartbeat()]),
    (
        b'{"success":true,"subscribe":"orderBookL2:XBTUSD","request":{"op":"subscribe",'
        b'"args":["orderBookL2:XBTUSD"]}}',
        [Ack(BOOK)],
    ),
    (
        b'{"status":400,"error":"Unknown or expired symbol.","request":{"op":"subscribe",'
        b'"args":["trade:NO"]}}',
        [Denied("Unknown or expired symbol.", ("bitmex:NO/trade",))],
    ),
    (
        b'{"info":"Welcome to the BitMEX Realtime API.","version":"2021-07-14T01:26:29.000Z",'
        b'"limit":{"remaining":39}}',
        [Heartbeat()],
    ),
    (b"pong", [Heartbeat()]),
]


@pytest.mark.parametrize(("frame", "messages"), SAID)
def test_what_a_frame_says(frame: bytes, messages: list[Message]) -> None:
    assert Bitmex().decode(frame) == messages


@given(st.lists(st.binary(max_size=200) | damaged(st.sampled_from([frame for frame, _ in SAID])), max_size=4))
def test_any_bytes_decode_or_are_refused(frames: list[bytes]) -> None:
    adapter = Bitmex()
    for frame in frames:
        decodes_or_refuses(adapter, frame)


def test_a_level_keeps_its_price_until_it_is_deleted() -> None:
    adapter = Bitmex()
    said = [
        *adapter.decode(PARTIAL),
        *adapter.decode(table("update", '"id":1,"side":"Sell","size":31')),
        *adapter.decode(table("insert", '"id":1,"side":"Buy","size":5,"price":3.5e-7')),
        *adapter.decode(table("delete", '"id":1,"side":"Sell"')),
        *adapter.decode(table("delete", '"id":1,"side":"Buy"')),
        *adapter.decode(table("delete", '"id":1,"side":"Buy"')),
        *adapter.decode(table("update", '"id":2,"side":"Buy","size":1')),  # until it is told anew
    ]
    assert said[1:] == [
        BookUpdate(BOOK, None, False, [], [("3.5e-7", "31")]),
        BookUpdate(BOOK, None, False, [("3.5e-7", "5")], []),
        BookUpdate(BOOK, None, False, [], [("3.5e-7", "0")]),
        BookUpdate(BOOK, None, False, [("3.5e-7", "0")], []),
        Lost(BOOK, "delete of level 1, which was never told"),
    ]


def test_an_update_without_a_size_is_refused() -> None:
    adapter = Bitmex()
    adapter.decode(PARTIAL)
    with pytest.raises(DecodeError):
        adapter.decode(table("update", '"id":1,"side":"Sell"'))


def test_an_unknown_level_opens_a_gap_and_the_whole_book_heals_it() -> None:
    session = opened(Bitmex(), [Channel("bitmex", "BTC-USD", "book")])
    session.effects()
    lost = table("delete", '"id":9,"side":"Buy"')
    events = [
        event for n, frame in enumerate((PARTIAL, lost, lost), 2) for event in session.receive(frame, n)
    ]
    [gap] = [event for event in events if isinstance(event, Gap)]
    assert (gap.cause, gap.end_ns) == ("delete of level 9, which was never told", None)
    args = b'{"op":"%b","args":["orderBookL2:XBTUSD"]}'
    assert session.effects() == [Send(args % b"unsubscribe"), Send(args % b"subscribe")]
    [gap] = [event for event in session.receive(PARTIAL, 9) if isinstance(event, Gap)]
    assert (gap.healed, gap.end_ns) == ("snapshot", 9)
    assert session.channels[BOOK].trust is Trust.UNVERIFIABLE
    assert conserved(session)


def test_a_new_connection_knows_no_level() -> None:
    adapter = Bitmex()
    adapter.decode(PARTIAL)
    assert adapter.login() == []
    assert adapter.decode(table("update", '"id":1,"side":"Sell","size":31')) == []
