"""Deribit: each kind of message, numbers below zero, channels that are refused without a word."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.deribit import Deribit
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
    Mark,
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
AT = 1_564_617_654_272
NAME = "deribit:BTC-PERPETUAL"
BOOK, TRADES = (Channel("deribit", "BTC-PERPETUAL", kind) for kind in ("book", "trade"))


def told(channel: str, data: str) -> bytes:
    params = f'{{"channel":"{channel}","data":{data}}}'
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{params}}}'.encode()


def depth(kind: str, number: int, before: int | None, bids: str = "[]", asks: str = "[]") -> bytes:
    link = "" if before is None else f'"prev_change_id":{before},'
    data = f'{{{kind}"timestamp":{AT},{link}"instrument_name":"BTC-PERPETUAL","change_id":{number},'
    return told("book.BTC-PERPETUAL.100ms", f'{data}"bids":{bids},"asks":{asks}}}')


def printed(number: int) -> str:
    return (
        f'{{"trade_seq":{number},"trade_id":"39-{number}","timestamp":{AT},"tick_direction":2,"price":9598.50,'
        '"instrument_name":"BTC-PERPETUAL","index_price":9600.8,"direction":"sell","amount":2000.0}'
    )


def trade(number: int) -> Trade:
    return Trade(str(TRADES), AT * MS, "9598.50", "2000.0", "sell", f"39-{number}", number)


def pushed(*numbers: int) -> bytes:
    return told("trades.BTC-PERPETUAL.100ms", f"[{','.join(map(printed, numbers))}]")


SNAPSHOT = depth('"type":"snapshot",', 20, None, '[["new",217.80,1895]]', '[["new",218.6,179803.0]]')
CHANGE = depth('"type":"change",', 23, 20, '[["delete",217.80,0.0]]', '[["change",219.2,1e-05]]')
TICKER = told(
    "ticker.BTC-PERPETUAL.100ms",
    f'{{"timestamp":{AT},"stats":{{"volume":24618.46215298,"low":9569.5,"high":null,"price_change":-1.5}},'
    '"state":"open","mark_price":10094.10,"last_price":10095.5,"instrument_name":"BTC-PERPETUAL",'
    '"index_price":10091.15,"current_funding":-8.477e-05,"best_bid_price":10095,"best_bid_amount":7000,'
    '"best_ask_price":0,"best_ask_amount":0.0}',
)
COMBINATION = told(
    "ticker.BTC-FS-30SEP22_PERP.raw",
    f'{{"timestamp":{AT},"stats":{{}},"mark_price":10.12,"last_price":-13.5,"best_bid_price":-7,'
    '"best_bid_amount":300000,"best_ask_price":-5,"best_ask_amount":300000}',
)
CHART = told(
    "chart.trades.BTC-PERPETUAL.60",
    f'{{"volume":0.05219351,"tick":{AT},"open":8869.79,"low":8788.25,"high":8870.310,"cost":460,"close":8791.25}}',
)
SAID: list[tuple[bytes, list[Message]]] = [
    (
        SNAPSHOT,
        [BookUpdate(str(BOOK), AT * MS, True, [("217.80", "1895")], [("218.6", "179803.0")], None, 20)],
    ),
    (CHANGE, [BookUpdate(str(BOOK), AT * MS, False, [("217.80", "0.0")], [("219.2", "1e-05")], 20, 23)]),
    (depth("", 5, None), [BookUpdate(str(BOOK), AT * MS, True, [], [], None, 5)]),  # as it was until 2021
    (depth("", 6, 5), [BookUpdate(str(BOOK), AT * MS, False, [], [], 5, 6)]),
    (depth('"type":"snapshot",', 9, 7), [BookUpdate(str(BOOK), AT * MS, True, [], [], 7, 9)]),
    (pushed(7, 8), [trade(7), trade(8)]),
    (
        TICKER,
        [
            Quote(f"{NAME}/quote", AT * MS, "10095", "7000", None, None),
            Summary(
                f"{NAME}/summary",
                AT * MS,
                None,
                None,
                "9569.5",
                "10095.5",
                volume_text="24618.46215298",
            ),
            Mark(f"{NAME}/mark", AT * MS, "10094.10", "10091.15", "-8.477e-05"),
        ],
    ),
    (
        COMBINATION,
        [
            Quote("deribit:BTC-FS-30SEP22_PERP/quote", AT * MS, "-7", "300000", "-5", "300000"),
            Summary("deribit:BTC-FS-30SEP22_PERP/summary", AT * MS, last_text="-13.5"),
            Mark("deribit:BTC-FS-30SEP22_PERP/mark", AT * MS, "10.12"),
        ],
    ),
    (CHART, [Bar(f"{NAME}/bar.1h", AT * MS, "8869.79", "8870.310", "8788.25", "8791.25", "0.05219351")]),
    (told("quote.BTC-PERPETUAL", "{}"), [Heartbeat()]),
    (told("book.BTC-PERPETUAL.none.10.100ms", "{}"), [Heartbeat()]),
    (b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}', [Heartbeat()]),
    (b'{"jsonrpc":"2.0","id":0,"result":{"version":"1.2.26"},"usIn":1,"usOut":2,"usDiff":1}', [Heartbeat()]),
]


@pytest.mark.parametrize(("frame", "said"), SAID)
def test_each_frame_is_told_as_it_was_sent(frame: bytes, said: list[Message]) -> None:
    assert Deribit().decode(frame) == said


@given(st.binary() | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    adapter = Deribit()
    adapter.subscribe([BOOK, TRADES])
    decodes_or_refuses(adapter, frame)


@pytest.mark.parametrize(
    ("frame", "old", "new"),
    [
        (CHANGE, b'"delete"', b'"remove"'),
        (CHANGE, b"1e-05", b"-1"),
        (CHANGE, b"219.2", b"null"),
        (CHANGE, b"219.2", b'"219.2"'),
        (pushed(7), b'"sell"', b'"short"'),
        (pushed(7), b"2000.0", b"-2000.0"),
        (TICKER, b"10094.10", b"null"),
        (CHART, b"PERPETUAL.60", b"PERPETUAL.7"),
    ],
)
def test_what_is_no_number_or_not_known_is_refused(frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    with pytest.raises(DecodeError):
        Deribit().decode(frame.replace(old, new))


# What is asked


@pytest.mark.parametrize(
    ("spelt", "symbol", "native"),
    [
        ("btc-PERPETUAL", "BTC-PERPETUAL", "BTC-PERPETUAL"),
        ("LINK_USDC-PERPETUAL", "LINK-USDC-PERPETUAL", "LINK_USDC-PERPETUAL"),
        ("btc_usdc", "BTC-USDC", "BTC_USDC"),
        ("BTC/USDC", "BTC-USDC", "BTC_USDC"),
        ("BTC-24SEP21-8000-P", "BTC-24SEP21-8000-P", "BTC-24SEP21-8000-P"),
        ("MATIC_USDC-9MAR24-1d02-C", "MATIC-USDC-9MAR24-1d02-C", "MATIC_USDC-9MAR24-1d02-C"),
        ("BTC-FS-30SEP22_PERP", "BTC-FS-30SEP22_PERP", "BTC-FS-30SEP22_PERP"),
    ],
)
def test_symbols_may_be_spelt_otherwise(spelt: str, symbol: str, native: str) -> None:
    assert Deribit.canonical(spelt) == Deribit.canonical(symbol) == symbol
    [frame] = Deribit().subscribe([Channel("deribit", symbol, "book")])
    assert json.loads(frame)["params"]["channels"] == [f"book.{native}.100ms"]
    assert Deribit().price_path(symbol) == f"/public/ticker?instrument_name={native}"


def test_what_is_left_out_of_an_answer_is_refused() -> None:
    adapter = Deribit()
    kinds = ("book", "quote", "summary", "mark", "bar.1m")
    [frame] = adapter.subscribe([Channel("deribit", "BTC-PERPETUAL", kind) for kind in kinds])
    request = json.loads(frame)
    assert (request["id"], request["method"]) == (1, "public/subscribe")
    wanted = ["chart.trades.BTC-PERPETUAL.1", "book.BTC-PERPETUAL.100ms", "ticker.BTC-PERPETUAL.100ms"]
    assert sorted(request["params"]["channels"]) == sorted(wanted)
    answer = {"jsonrpc": "2.0", "id": 1, "result": wanted[1:], "usIn": 1, "testnet": False}
    said = adapter.decode(json.dumps(answer).encode())
    granted = {message.channel for message in said if isinstance(message, Ack)}
    assert granted == {f"{NAME}/{kind}" for kind in kinds[:4]}
    assert [message for message in said if isinstance(message, Denied)] == [
        Denied("no such channel", (f"{NAME}/bar.1m",), Why.SYMBOL)
    ]


def test_an_error_refuses_all_that_was_asked_with_it() -> None:
    adapter = Deribit()
    adapter.subscribe([BOOK])
    error = b'{"code":-32602,"message":"Invalid params","data":{"param":"channels"}}'
    refusal, _ = adapter.decode(b'{"jsonrpc":"2.0","id":1,"error":%b}' % error)
    assert refusal == Denied(error.decode(), (str(BOOK),), Why.SYMBOL)


def test_giving_up_is_answered_without_a_refusal() -> None:
    adapter = Deribit()
    adapter.subscribe([BOOK])
    [frame] = adapter.unsubscribe([BOOK])
    assert json.loads(frame)["method"] == "public/unsubscribe"
    assert adapter.decode(b'{"jsonrpc":"2.0","id":2,"result":[]}') == [Heartbeat()]


# What books and trades rest on


def test_a_lost_change_is_noticed_and_healed() -> None:
    session = opened(Deribit(), [BOOK])
    session.effects()
    events = [e for f in (SNAPSHOT, CHANGE, depth("", 40, 31)) for e in session.receive(f, 2)]
    assert {e.trust for e in events if isinstance(e, BookUpdate)} == {Trust.VERIFIED}
    assert [e.cause for e in events if isinstance(e, Gap)] == ["update 23 was followed by 31"]
    verbs = [json.loads(effect.frame)["method"] for effect in session.effects() if isinstance(effect, Send)]
    assert verbs == ["public/unsubscribe", "public/subscribe"]
    assert [e.healed for e in session.receive(SNAPSHOT, 3) if isinstance(e, Gap)] == ["snapshot"]
    assert conserved(session)


def test_missing_trades_are_read_again() -> None:
    session = opened(Deribit(), [TRADES])
    session.receive(pushed(5), 2)
    session.receive(pushed(9), 3)
    session.effects()
    session.tick(10 * SECOND)
    ask = "/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL"
    events = []
    for first, rows, more in ((6, [6, 7], "true"), (8, [8], "false")):
        [effect] = session.effects()
        path = f"{ask}&start_seq={first}&end_seq=8&count=1000&sorting=asc"
        assert isinstance(effect, Fetch)
        assert effect.path == path
        result = f'{{"trades":[{",".join(map(printed, rows))}],"has_more":{more}}}'
        body = f'{{"jsonrpc":"2.0","result":{result},"usIn":1}}'.encode()
        events += session.fetched(effect.name, body, 10 * SECOND)
    read = [event for event in events if isinstance(event, Trade)]
    assert [event.number for event in read] == [6, 7, 8]
    assert {event.origin for event in read} == {Origin.BACKFILLED}
    assert [event.healed for event in events if isinstance(event, Gap)] == ["history"]
    assert Deribit().history_path(TRADES, Span(0, 1)) is None
    assert Deribit().history_path(BOOK, Span(0, 1, range(1, 2))) is None


def test_the_instruments_are_listed() -> None:
    body = (
        b'{"jsonrpc":"2.0","result":[{"tick_size":0.001,"min_trade_amount":1,"kind":"future",'
        b'"instrument_name":"UNI_USDC-PERPETUAL","quote_currency":"USDC"}]}'
    )
    [path, *_] = Deribit().symbols_paths()
    assert Deribit().parse_symbols(path, body) == [
        Instrument("UNI-USDC-PERPETUAL", "UNI_USDC-PERPETUAL", "0.001", "1")
    ]
