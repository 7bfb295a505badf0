"""Alpaca in the server role: its rules frame by frame, and against our own client."""

from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, msgpack

from livetape.adapters import find
from livetape.core.credentials import Credentials
from livetape.core.decimals import Level
from livetape.core.dialect import Call, Hangup, House
from livetape.core.events import Amendment, Auction, Bar, Luld, News, Quote, Status, Trade
from livetape.core.stamps import ns_of_stamp, rfc3339
from livetape.core.times import SECOND
from livetape.dialects.alpaca import AlpacaDialect
from livetape.simulator.listings import CRYPTO, OPTIONS, STOCKS
from livetape.simulator.market import Market

from .pair import START_NS, Pair, actions, market_of

KEY = Credentials("K", "S")
MINUTE = 60 * SECOND
CONTRACT = OPTIONS[0].symbol
JSON_TYPE: dict[str, str] = {}
MSGPACK_TYPE = {"content-type": "application/msgpack"}
BOTH = pytest.mark.parametrize("encoding", ["json", "msgpack"])


def market(*symbols: str, aged: int = 0) -> Market:
    listings = [listing for listing in (*STOCKS, *CRYPTO, *OPTIONS) if listing.symbol in symbols]
    return market_of(listings, "alpaca", aged=aged)


def pair(*symbols: str, switches: dict[str, str] | None = None, **options: object) -> Pair:
    return Pair(market(*symbols), AlpacaDialect, options=options, house=House(switches), key=KEY)


class Client:
    """A bare connection that speaks JSON or msgpack by itself. ``said`` is every item that it was told."""

    def __init__(
        self,
        path: str = "/v2/iex",
        *,
        of: Market | None = None,
        house: House | None = None,
        headers: dict[str, str] | None = None,
        login: bool = True,
    ) -> None:
        self.market = of or market("AAPL", "AMD", "F")
        self.house = house or House()
        self.dialect = AlpacaDialect(self.market, self.house)
        self.packs = "content-type" in (headers or {})
        self.ns = START_NS
        self.greeting = self._items(self.dialect.open(Call(path, headers=headers or {}), self.ns))
        self.house.members.append(self.dialect)
        if login:
            assert self.ask(action="auth", key="K", secret="S") == [
                {"T": "success", "msg": "authenticated"},
            ]

    def ask(self, **request: Any) -> list[dict[str, Any]]:
        return self.raw(msgpack.encode(request) if self.packs else json.encode(request))

    def raw(self, frame: bytes) -> list[dict[str, Any]]:
        return self._items(self.dialect.receive(frame, self.ns))

    def beat(self, seconds: float) -> list[dict[str, Any]]:
        self.ns += int(seconds * SECOND)
        return self._items(self.dialect.beat(self.ns))

    def run(self, n: int) -> list[dict[str, Any]]:
        return [item for each in actions(self.market, n) for item in self._items(self.dialect.push(each, {}))]

    def code(self, **request: Any) -> int:
        [item] = self.ask(**request)
        assert item["T"] == "error"
        return int(item["code"])

    def _items(self, pushed: list[Any]) -> list[dict[str, Any]]:
        assert all(each.binary is self.packs for each in pushed)
        decode: Callable[[bytes], Any] = msgpack.decode if self.packs else json.decode
        items = [item for each in pushed for item in decode(each.frame)]
        assert all(next(iter(item)) == "T" for item in items)  # as the vendor's Go client wants it
        return items


# As documented


def test_the_documented_conversation() -> None:
    client = Client(of=market("AAPL", "AMD"), login=False)
    assert client.greeting == [{"T": "success", "msg": "connected"}]
    client.ask(action="auth", key="K", secret="S")
    [frame] = client.dialect.receive(
        b'{"action":"subscribe","trades":["AAPL"],"quotes":["AMD","CLDR"],"bars":["*"]}', START_NS
    )
    assert frame.frame == (
        b'[{"T":"subscription","trades":["AAPL"],"quotes":["AMD","CLDR"],"bars":["*"],"updatedBars":[],'
        b'"dailyBars":[],"statuses":[],"lulds":[],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]'
    )
    [rest] = client.ask(action="unsubscribe", bars=["*"], quotes=["CLDR"])
    assert (rest["bars"], rest["quotes"], rest["trades"]) == ([], ["AMD"], ["AAPL"])
    [same] = client.ask(action="subscribe")
    assert same == rest


#: The names that the documentation prints, by kind.
SHAPES = {
    "t": {"T", "i", "S", "x", "p", "s", "t", "c", "z"},
    "q": {"T", "S", "bx", "bp", "bs", "ax", "ap", "as", "t", "c", "z"},
    "b": {"T", "S", "o", "h", "l", "c", "v", "t", "n", "vw"},
    "c": {"T", "S", "x", "oi", "op", "os", "oc", "ci", "cp", "cs", "cc", "z", "t"},
    "x": {"T", "S", "i", "x", "p", "s", "a", "z", "t"},
    "l": {"T", "S", "u", "d", "i", "t", "z"},
    "s": {"T", "S", "sc", "sm", "rc", "rm", "t", "z"},
    "i": {"T", "S", "p", "z", "t"},
    "n": {
        *("T", "id", "headline", "summary", "author", "created_at", "updated_at"),
        *("url", "content", "symbols", "source"),
    },
}


@pytest.mark.parametrize("headers", [JSON_TYPE, MSGPACK_TYPE])
def test_stock_frames_have_the_documented_shape(headers: dict[str, str]) -> None:
    house = House({"correct": "2", "cancel": "3", "halt": "30", "updated_bars": "on"})
    client = Client(of=market("AAPL"), house=house, headers=headers)
    streams = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")
    client.ask(action="subscribe", **{stream: ["AAPL"] for stream in streams})
    client.ns = START_NS - START_NS % MINUTE
    told = client.run(900)
    for _ in range(200):
        told += client.beat(1)
    kinds = {item["T"]: item for item in told}
    assert kinds.keys() == {*"tqbudcxlsi"}
    for kind, item in kinds.items():
        assert item.keys() == SHAPES["b" if kind in "ud" else kind], kind
        assert next(iter(item)) == "T"  # the vendor's Go client counts on it
    sizes = [
        item[name] for item in told for name in ("s", "bs", "as", "v") if name in item and item["T"] in "tqb"
    ]
    assert all(type(size) is int for size in sizes)  # and on this
    assert all(type(kinds["t"][name]) is kind for name, kind in (("i", int), ("c", list), ("p", float)))


@pytest.mark.parametrize("headers", [JSON_TYPE, MSGPACK_TYPE])
def test_crypto_frames_have_the_documented_shape(headers: dict[str, str]) -> None:
    client = Client("/v1beta3/crypto/us", of=market("BTC-USD"), headers=headers)
    [listed, snapshot] = client.ask(
        action="subscribe", trades=["BTC/USD"], quotes=["BTC/USD"], orderbooks=["BTC/USD"]
    )
    assert listed.keys() == {"T", "trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"}
    assert snapshot.keys() == {"T", "S", "t", "b", "a", "r"}
    assert snapshot["r"] is True
    kinds = {item["T"]: item for item in client.run(200)}
    assert kinds["o"].keys() == {"T", "S", "t", "b", "a"}
    assert kinds["q"].keys() == {"T", "S", "bp", "bs", "ap", "as", "t"}
    assert kinds["t"].keys() == {"T", "S", "p", "s", "t", "i", "tks"}
    assert kinds["t"]["i"] > 2**53
    assert kinds["t"]["tks"] in ("B", "S")


def test_option_frames_have_the_documented_shape() -> None:
    client = Client("/v1beta1/indicative", of=market(CONTRACT), headers=MSGPACK_TYPE)
    [listed] = client.ask(action="subscribe", trades=["*"], quotes=[CONTRACT])
    assert listed == {"T": "subscription", "trades": ["*"], "quotes": [CONTRACT]}
    kinds = {item["T"]: item for item in client.run(200)}
    assert kinds["t"].keys() == {"T", "S", "t", "p", "s", "x", "c"}
    assert kinds["q"].keys() == {"T", "S", "t", "bx", "bp", "bs", "ax", "ap", "as", "c"}
    assert isinstance(kinds["t"]["c"], str)


def test_times_in_msgpack_are_its_extension() -> None:
    client = Client(of=market("AAPL"), headers=MSGPACK_TYPE)
    client.ask(action="subscribe", trades=["AAPL"])
    frames = [p.frame for each in actions(client.market, 100) for p in client.dialect.push(each, {})]
    assert frames
    assert all(b"\xa1t\xd7\xff" in frame for frame in frames)  # fixext 8 of type -1


def test_html_is_escaped_as_in_go() -> None:
    client = Client("/v1beta1/news", of=market("AAPL"))
    client.ask(action="subscribe", news=["*"])
    client.ns += 6 * SECOND
    [pushed] = client.dialect.beat(client.ns)
    assert b"\\u003cp\\u003e" in pushed.frame
    [article] = json.decode(pushed.frame)
    assert article.keys() == SHAPES["n"]


# Login


def test_a_bad_key_is_refused_and_parted_with() -> None:
    client = Client(house=House(keys={"K": "S"}), login=False)
    assert client.ask(action="auth", key="K", secret="wrong") == [
        {"T": "error", "code": 402, "msg": "auth failed"}
    ]
    assert client.dialect.leaving == Hangup(1000)


@pytest.mark.parametrize(
    ("goodbye", "leaving"), [("reset", Hangup()), ("stays", None), ("4001", Hangup(4001))]
)
def test_how_it_parts_is_a_switch(goodbye: str, leaving: Hangup | None) -> None:
    client = Client(house=House({"goodbye": goodbye}, keys={}), login=False)
    assert client.code(action="auth", key="K", secret="S") == 402
    assert client.dialect.leaving == leaving


@pytest.mark.parametrize(
    "headers",
    [
        {"apca-api-key-id": "K", "apca-api-secret-key": "S"},
        {"authorization": "Basic " + b64encode(b"K:S").decode()},
        {"authorization": "Bearer T"},
    ],
)
def test_the_key_may_come_with_the_upgrade(headers: dict[str, str]) -> None:
    client = Client(house=House(keys={"K": "S", "T": ""}), headers=headers, login=False)
    assert [item["msg"] for item in client.greeting] == ["connected", "authenticated"]
    assert client.code(action="auth", key="K", secret="S") == 403


@pytest.mark.parametrize("headers", [{"apca-api-key-id": "X"}, {"authorization": "Basic ???"}])
def test_a_bad_key_of_the_upgrade(headers: dict[str, str]) -> None:
    client = Client(house=House(keys={"K": "S"}), headers=headers, login=False)
    assert client.greeting[1:] == [{"T": "error", "code": 402, "msg": "auth failed"}]
    assert client.code(action="subscribe", trades=["F"]) == 401


def test_a_token_is_a_key() -> None:
    client = Client(house=House(keys={"T": ""}), login=False)
    assert client.ask(action="auth", key="oauth", secret="T") == [{"T": "success", "msg": "authenticated"}]


def test_a_client_that_says_nothing_is_parted_with() -> None:
    client = Client(login=False)
    assert client.code(action="subscribe", trades=["F"]) == 401
    assert client.beat(9) == []
    assert client.beat(2) == [{"T": "error", "code": 404, "msg": "auth timeout"}]
    assert client.dialect.leaving == Hangup(1000)


def test_the_second_connection_of_a_key_is_refused_and_stays() -> None:
    first = Client()
    second = Client(of=first.market, house=first.house, login=False)
    assert second.code(action="auth", key="K", secret="S") == 406
    assert second.dialect.leaving is None
    Client("/v1beta3/crypto/us", of=first.market, house=first.house)  # another endpoint
    assert second.ask(action="auth", key="L", secret="S")[0]["T"] == "success"  # another key
    third = Client(of=first.market, house=first.house, login=False)
    first.house.members.remove(first.dialect)
    assert third.ask(action="auth", key="K", secret="S")[0]["T"] == "success"


def test_any_number_of_connections() -> None:
    house = House({"connections": "any"})
    Client(house=house)
    Client(house=house)


@pytest.mark.parametrize(("path", "headers"), [("/v2/sip", JSON_TYPE), ("/v1beta1/opra", MSGPACK_TYPE)])
def test_some_feeds_are_paid_for(path: str, headers: dict[str, str]) -> None:
    basic = Client(path, headers=headers, login=False)
    assert basic.ask(action="auth", key="K", secret="S")[0]["msg"] == "insufficient subscription"
    assert basic.dialect.leaving == Hangup(1000)
    Client(path, headers=headers, house=House({"plan": "paid"}))


def test_a_slow_client_is_parted_with() -> None:
    client = Client(house=House({"slow_client": "20"}))
    assert client.beat(19) == []
    assert client.beat(1) == [{"T": "error", "code": 407, "msg": "slow client"}]
    assert client.dialect.leaving == Hangup(1000)


# Requests


@pytest.mark.parametrize(
    "frame",
    [
        *[b"", b"{", b"[]", b"null", b'{"action":"dance"}', b'{"trades":["F"]}', b"\xff", b"[" * 5000],
        *[b'{"action":"subscribe","trades":"F"}', b'{"action":"subscribe","trades":[1]}'],
        *[b'{"action":"subscribe","trades":["btc/usd"]}', b'{"action":"subscribe","trades":["F "]}'],
        b'{"action":"auth","key":["K"],"secret":"S"}',
    ],
)
def test_invalid_syntax(frame: bytes) -> None:
    assert Client().raw(frame) == [{"T": "error", "code": 400, "msg": "invalid syntax"}]


@given(st.binary(max_size=100))
def test_no_bytes_make_it_fail(frame: bytes) -> None:
    for headers in (JSON_TYPE, MSGPACK_TYPE):
        client = Client(of=NOTHING, headers=headers)
        assert client.raw(frame)[0]["T"] in ("error", "subscription")


NOTHING = market()


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/v2/iex", "orderbooks"),
        ("/v2/test", "news"),
        ("/v1beta3/crypto/us", "statuses"),
        ("/v1beta3/crypto/us", "lulds"),
        ("/v1beta1/news", "trades"),
        ("/v1beta1/indicative", "bars"),
        ("/v2/iex", "pricing"),
    ],
)
def test_each_feed_has_its_channels(path: str, stream: str) -> None:
    client = Client(path, headers=MSGPACK_TYPE)
    assert client.code(action="subscribe", **{stream: ["*"]}) == 410


def test_options_speak_msgpack_alone() -> None:
    client = Client("/v1beta1/indicative")
    assert client.code(action="subscribe", trades=["*"]) == 412


def test_not_all_option_quotes_at_once() -> None:
    client = Client("/v1beta1/indicative", headers=MSGPACK_TYPE)
    assert client.code(action="subscribe", quotes=["*"]) == 413


def test_too_many_symbols_change_nothing() -> None:
    client = Client(house=House({"cap": "3"}))
    client.ask(action="subscribe", trades=["AAPL", "AMD"], bars=["A", "B", "C", "D"])
    assert client.code(action="subscribe", quotes=["AAPL", "AMD"]) == 405
    [listed] = client.ask(action="subscribe")
    assert (listed["trades"], listed["quotes"]) == (["AAPL", "AMD"], [])
    [listed] = client.ask(action="subscribe", quotes=["F"], trades=["AAPL"])
    assert listed["quotes"] == ["F"]
    client.ask(action="unsubscribe", trades=["AMD"])
    assert client.ask(action="subscribe", trades=["F"])[0]["trades"] == ["AAPL", "F"]


def test_a_paid_plan_has_no_cap() -> None:
    names = [f"{a}{b}" for a in "ABCDEFG" for b in "ABCDEFG"]
    assert Client().code(action="subscribe", trades=names) == 405
    paid = Client(house=House({"plan": "paid"}))
    assert paid.ask(action="subscribe", trades=names)[0]["trades"] == names


def test_option_quotes_have_a_cap_of_their_own() -> None:
    client = Client("/v1beta1/indicative", headers=MSGPACK_TYPE, house=House({"option_cap": "1"}))
    contracts = [option.symbol for option in OPTIONS]
    assert client.ask(action="subscribe", trades=contracts)[0]["trades"] == contracts
    assert client.code(action="subscribe", quotes=contracts) == 405


def test_a_symbol_that_is_not_listed() -> None:
    assert Client().ask(action="subscribe", trades=["ZZZ"])[0]["trades"] == ["ZZZ"]
    assert Client(house=House({"unknown": "refused"})).code(action="subscribe", trades=["ZZZ"]) == 400


def test_what_the_go_client_sends() -> None:
    """All channels each time, null where there is nothing; corrections it never asks for."""
    names = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "imbalances", "lulds")
    request = dict.fromkeys((*names, "orderbooks", "news", "pricing")) | {"trades": ["F"]}
    client = Client(headers=MSGPACK_TYPE)
    assert client.ask(action="subscribe", **request)[0]["trades"] == ["F"]
    assert client.ask(action="subscribe", corrections=["F"])[0]["corrections"] == ["F"]


def test_a_star_is_everything_of_the_endpoint() -> None:
    client = Client(of=market("AAPL", "AMD", "FAKEPACA", "BTC-USD", CONTRACT))
    client.ask(action="subscribe", trades=["*"], quotes=["AMD"])
    told = client.run(600)
    assert {item["S"] for item in told if item["T"] == "t"} == {"AAPL", "AMD"}
    assert {item["S"] for item in told if item["T"] == "q"} == {"AMD"}


def test_the_test_stream_has_its_own_symbol_alone() -> None:
    client = Client("/v2/test", of=market("AAPL", "FAKEPACA"))
    client.ask(action="subscribe", quotes=["*"])
    assert {item["S"] for item in client.run(300)} == {"FAKEPACA"}


def test_a_book_is_whole_once_and_again_after_it_was_given_up() -> None:
    client = Client("/v1beta3/crypto/us", of=market("BTC-USD", "ETH-USD"))
    assert [item["T"] for item in client.ask(action="subscribe", orderbooks=["*"])] == [
        "subscription",
        "o",
        "o",
    ]
    assert len(client.ask(action="subscribe", orderbooks=["BTC/USD"])) == 1
    client.ask(action="unsubscribe", orderbooks=["*", "BTC/USD"])
    [_, book] = client.ask(action="subscribe", orderbooks=["BTC/USD"])
    assert (book["S"], book["r"]) == ("BTC/USD", True)


def test_quotes_in_round_lots_or_shares() -> None:
    sizes = []
    for way in ("lots", "shares"):
        client = Client(of=market("AAPL", "F"), house=House({"sizes": way}))
        client.ask(action="subscribe", quotes=["*"])
        sizes.append([(item["S"], item["bs"]) for item in client.run(400)])
    lot = {"AAPL": 40, "F": 100}  # the dearer a share, the fewer make a lot
    assert sizes[0] == [(symbol, max(1, shares // lot[symbol])) for symbol, shares in sizes[1]]
    assert len({size for _, size in sizes[0]}) > 3


# Our own client


def same(event: Trade, told: Trade, shift: int = 0) -> bool:
    """Whether both ends mean the same trade."""
    number = int((event.id or "0").rpartition("-")[2])
    facts = (
        event.symbol,
        event.venue_ns,
        Decimal(event.price_text),
        Decimal(event.size_text),
        number - shift,
    )
    return facts == (
        told.symbol,
        told.venue_ns,
        Decimal(told.price_text),
        Decimal(told.size_text),
        told.number,
    )


@BOTH
def test_stocks(encoding: str) -> None:
    both = pair("AAPL", "F", encoding=encoding)
    both.connect("alpaca:AAPL/trade", "alpaca:F/trade", "alpaca:F/quote")
    for action in both.run(1000):
        if action.symbol == "F":
            book = both.market.book("F")
            assert book is not None
            [*_, quote] = [event for event in both.data if isinstance(event, Quote)]
            assert book.bids.best() is not None
            assert (quote.bid, quote.ask) == tuple(float(side.best()[0]) for side in (book.bids, book.asks))  # type: ignore[index]
    for symbol in ("AAPL", "F"):
        prints = [trade for trade in both.prints if trade.symbol == symbol]
        trades = both.trades(symbol)
        assert all(map(same, trades, prints))
        assert len(trades) == len(prints) > 20
        lot = {"AAPL": 40, "F": 100}[symbol]
        assert all(bool(trade.excluded) is (trade.size < lot) for trade in trades)
        assert {trade.conditions for trade in trades} == {("@",), ("@", "I")}
    both.assert_whole()


@BOTH
def test_crypto(encoding: str) -> None:
    both = pair("BTC-USD", "SOL-USD", encoding=encoding)
    both.connect("alpaca:BTC-USD/book", "alpaca:BTC-USD/trade", "alpaca:SOL-USD/book", "alpaca:SOL-USD/quote")
    for action in both.run(400):
        assert numbers(both.book(action.symbol)) == numbers(both.truth(action.symbol))
    prints = [trade for trade in both.prints if trade.symbol == "BTC-USD"]
    shift = 3_447_222_699_101_865_076
    assert all(same(*each, shift) for each in zip(both.trades("BTC-USD"), prints, strict=True))
    assert [trade.side for trade in both.trades("BTC-USD")] == [trade.side for trade in prints]
    assert len(prints) > 20
    both.assert_whole()


def numbers(book: tuple[list[Level], list[Level]] | None) -> list[list[tuple[float, float]]]:
    assert book is not None
    return [[(float(price), float(size)) for price, size in side] for side in book]


def test_options() -> None:
    both = pair(CONTRACT)
    both.connect(f"alpaca:{CONTRACT}/trade", f"alpaca:{CONTRACT}/quote")
    for _ in both.run(300):
        pass
    assert len(both.trades(CONTRACT)) == len(both.prints) > 10
    assert {trade.id for trade in both.trades(CONTRACT)} == {None}
    both.assert_whole()


def to_minute(both: Pair, seconds: float) -> None:
    """Let the market go on until so long after the next minute, and the clock with it."""
    until_ns = both.ns - both.ns % MINUTE + MINUTE + int(seconds * SECOND)
    while both.market.next_ns < until_ns:
        for _ in both.run(1):
            pass
    both.pass_to(until_ns)
    both.beat()


@BOTH
@pytest.mark.parametrize("symbol", ["F", "BTC-USD"])
def test_bars(encoding: str, symbol: str) -> None:
    both = pair(symbol, encoding=encoding)
    both.connect(f"alpaca:{symbol}/bar.1m", f"alpaca:{symbol}/bar.1d")
    to_minute(both, 1)
    to_minute(both, 1)
    both.beat()  # once only
    minutes = [bar for bar in both.data if isinstance(bar, Bar) and bar.kind == "bar.1m"]
    days = [bar for bar in both.data if isinstance(bar, Bar) and bar.kind == "bar.1d"]
    begin_ns = both.ns - both.ns % MINUTE - 2 * MINUTE
    truth = both.market.bars(symbol, MINUTE, begin_ns, begin_ns + 2 * MINUTE)
    assert [means(bar) for bar in minutes] == [means(bar) for bar in truth]
    assert all(bar.closed for bar in minutes)
    [today] = both.market.bars(symbol, 1440 * MINUTE, both.ns - both.ns % (1440 * MINUTE), both.ns)
    assert [bar.closed for bar in days] == [False, False]
    assert means(days[-1]) == means(today)
    both.assert_whole()


def means(bar: Bar) -> tuple[object, ...]:
    texts = (
        bar.open_text,
        bar.high_text,
        bar.low_text,
        bar.close_text,
        bar.volume_text,
        bar.vwap_text or "0",
    )
    return (bar.start_ns, bar.trades, *map(float, texts))


def test_a_crypto_bar_without_a_print_is_the_middle_of_the_book() -> None:
    client = Client("/v1beta3/crypto/us", of=market("BTC-USD"))
    client.ask(action="subscribe", bars=["BTC/USD"])
    book = client.market.book("BTC-USD")
    assert book is not None
    [bar] = client.beat(60)
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is not None
    assert ask is not None
    assert bar["o"] == bar["c"] == (float(bid[0]) + float(ask[0])) / 2
    assert (bar["v"], bar["n"]) == (0, 0)


def test_a_late_print_brings_the_bar_again() -> None:
    both = pair("F", switches={"updated_bars": "on"})
    both.connect("alpaca:F/bar.1m")
    to_minute(both, 1)
    begin_ns = both.ns - both.ns % MINUTE - MINUTE
    to_minute(both, -30)
    first, again = [bar for bar in both.data if isinstance(bar, Bar)]
    [truth] = both.market.bars("F", MINUTE, begin_ns, begin_ns + 1)
    assert first.start_ns == again.start_ns
    assert means(again) == means(truth)
    assert (first.trades or 0) == (again.trades or 0) - 1
    assert Decimal(first.volume_text) < Decimal(again.volume_text)
    both.assert_whole()


def test_a_halt_and_its_end() -> None:
    both = pair("AAPL", "F", switches={"halt": "30"})
    both.connect(*(f"alpaca:AAPL/{kind}" for kind in ("status", "luld", "trade", "auction")))
    for seconds in (-29.5, 0.5, 0.5):
        to_minute(both, seconds)
    states = [event for event in both.events if isinstance(event, Status) and event.venue_ns]
    assert {event.state for event in states} == {"halted", "resumed"}
    assert "Market Wide Circuit Breaker" in states[0].detail
    halts = [event.venue_ns or 0 for event in states if event.state == "halted"]
    for trade in both.trades("AAPL"):
        assert not any(ns <= (trade.venue_ns or 0) < ns + 29 * SECOND for ns in halts)
    assert both.trades("AAPL")
    bands = [event for event in both.events if isinstance(event, Luld)]
    assert len(bands) == len(states)
    assert float(bands[0].down_text) < both.trades("AAPL")[0].price < float(bands[0].up_text)
    assert [event for event in both.events if isinstance(event, Auction)]
    both.assert_whole()


@BOTH
def test_corrections_and_cancels_amend_what_was_told(encoding: str) -> None:
    both = pair("AAPL", switches={"correct": "5", "cancel": "7"}, encoding=encoding)
    both.connect("alpaca:AAPL/trade", "alpaca:AAPL/summary")
    for _ in both.run(600):
        pass
    told: dict[str, Trade] = {}
    amended: list[Amendment] = []
    for event in both.events:
        if isinstance(event, Trade):
            told[event.id or ""] = event
        elif isinstance(event, Amendment):
            amended.append(event)
            old = told[event.trade_id]
            assert (event.old_price_text, event.old_size_text) == (old.price_text, old.size_text)
    numbers = {int(each.trade_id.partition("-")[2]): each for each in amended}
    due = [t.number or 0 for t in both.prints if (t.number or 0) % 5 == 0 or (t.number or 0) % 7 == 0]
    assert sorted(numbers) in (due, due[:-1])  # the last one may still be to come
    assert {number % 5 == 0 for number in numbers} == {True, False}
    for number, each in numbers.items():
        if number % 5 == 0:
            assert Decimal(each.price_text or "0") == Decimal(each.old_price_text) + Decimal("0.01")
            assert each.id not in told
        else:
            assert (each.price_text, each.size_text, each.id) == (None, None, None)
    both.assert_whole()


def test_news() -> None:
    both = pair("AAPL", "BTC-USD")
    both.connect("alpaca:AAPL/news", "alpaca:BTC-USD/news")
    for _ in range(12):
        both.ns += 5 * SECOND
        both.beat()
    articles = [event for event in both.events if isinstance(event, News)]
    assert {article.symbol for article in articles} == {"AAPL", "BTC-USD"}
    versions = [[a.updated_ns or 0 for a in articles if a.id == id] for id in {a.id for a in articles}]
    assert len(versions) == 12
    assert all(times == sorted(set(times)) for times in versions)
    assert max(map(len, versions)) == 2
    both.assert_whole()


@pytest.mark.parametrize(
    ("symbol", "paths", "last"),
    [("AAPL", ("/v2/iex", "/v2/sip"), "bars"), ("BTC-USD", ("/v1beta3/crypto/us",), "orderbooks")],
)
def test_clients_share_what_is_the_same_for_them(symbol: str, paths: tuple[str, ...], last: str) -> None:
    """Each is told what it would be alone; those that hear the same get the very same bytes."""
    source, natives = market(symbol), [symbol.replace("-", "/")]
    switches = {"connections": "any", "plan": "paid", "correct": "2", "cancel": "3"}
    wishes = (("trades", "quotes"), ("trades",), ("quotes",), ("trades", "quotes"), ("trades", last))

    def clients() -> list[Client]:
        return [
            Client(path, of=source, house=House(switches), headers=headers)
            for path in paths
            for headers in (JSON_TYPE, MSGPACK_TYPE)
            for _ in wishes
        ]

    together, alone = clients(), clients()
    shared = 0
    for i, action in enumerate(actions(source, 400)):
        for n, client in enumerate(together + alone):
            wish = wishes[n % len(wishes)]
            if i == 20 * wishes.index(wish):  # one after the other
                client.ask(action="subscribe", **dict.fromkeys(wish, natives))
            elif wish == ("trades",) and i > 100 and i % 2 == 0:  # one comes and goes
                client.ask(action="subscribe" if i % 4 else "unsubscribe", trades=natives)
        memo: dict[str, bytes] = {}
        frames = [client.dialect.push(action, memo) for client in together]
        assert frames == [client.dialect.push(action, {}) for client in alone]
        shared += bool(frames[0]) and frames[0][0].frame is frames[3][0].frame
    assert shared > 20


def test_a_question_is_answered_with_the_list() -> None:
    both = pair("AAPL")
    both.connect("alpaca:AAPL/trade")
    frames = len(both.to_client)
    both.ns += 16 * SECOND
    both.session.tick(both.ns)
    both.send([])
    assert len(both.to_client) == frames + 1
    assert json.decode(both.to_client[-1])[0]["T"] == "subscription"
    assert not both.denied


def test_a_kind_that_the_endpoint_has_not_is_denied_alone() -> None:
    both = pair("AAPL")
    both.connect("alpaca:AAPL/trade", "alpaca:AAPL/book", "alpaca:AAPL/quote")
    assert [event.channel for event in both.denied] == ["alpaca:AAPL/book"]
    for _ in both.run(100):
        pass
    assert both.trades("AAPL")


def test_channels_come_and_go() -> None:
    both = pair("AAPL", "F")
    both.connect("alpaca:AAPL/trade")
    both.want("alpaca:F/trade")
    both.drop("alpaca:AAPL/trade")
    for _ in both.run(300):
        pass
    assert both.trades("F")
    assert not both.trades("AAPL")
    both.assert_whole()


# REST

HEADERS = {"apca-api-key-id": "K", "apca-api-secret-key": "S"}


def get(of: Market, address: str, headers: dict[str, str] = HEADERS) -> tuple[int, Any]:
    parts = urlsplit(address)
    call = Call(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers)
    answer = AlpacaDialect.answer(of, House(keys={"K": "S"}), call, of.now_ns)
    assert answer is not None
    return answer.status, json.decode(answer.body)


def test_rest_wants_a_key() -> None:
    of = market("AAPL")
    assert get(of, "/v2/assets", {})[0] == 401
    assert get(of, "/v2/assets", {"apca-api-key-id": "K"})[0] == 403
    assert AlpacaDialect.answer(of, House(), Call("/v2/nothing"), of.now_ns) is None


def test_assets_are_read_by_our_client() -> None:
    of, adapter = market("AAPL", "BTC-USD", CONTRACT), find("alpaca")()
    listed = []
    for path in adapter.symbols_paths():
        status, body = get(of, path)
        assert status == 200
        listed += adapter.decode_symbols(path, json.encode(body))
    assert [(i.symbol, i.native, i.asset) for i in listed] == [
        ("AAPL", "AAPL", "stock"),
        ("BTC-USD", "BTC/USD", "crypto"),
    ]


@pytest.mark.parametrize(
    ("path", "symbol", "native"),
    [("/v2/stocks", "AAPL", "AAPL"), ("/v1beta3/crypto/us", "BTC-USD", "BTC/USD")],
)
def test_history_in_pages(path: str, symbol: str, native: str) -> None:
    of = market("AAPL", "BTC-USD", aged=2000)
    rows: list[dict[str, Any]] = []
    token = ""
    while True:
        _, body = get(of, f"{path}/trades?symbols={native}&start=2026-09-21&limit=50&page_token={token}")
        rows += body["trades"][native]
        assert len(body["trades"][native]) <= 50
        if (token := body["next_page_token"]) is None:
            break
    prints = of.trades(symbol, 1000)
    assert [(row["p"], row["s"]) for row in rows] == [(trade.price, trade.size) for trade in prints]
    assert [ns_of_stamp(row["t"]) for row in rows] == [trade.venue_ns for trade in prints]
    assert len(rows) > 100


def test_latest() -> None:
    of = market("AAPL", "BTC-USD", CONTRACT, aged=3000)
    for path, native in (
        *(("/v2/stocks/{}/latest", "AAPL"), ("/v1beta3/crypto/us/latest/{}", "BTC/USD")),
        ("/v1beta1/options/{}/latest", CONTRACT),
    ):
        for what in ("trades", "quotes"):
            status, body = get(of, f"{path.format(what)}?symbols={native}")
            assert status == 200
            assert {"t"} < body[what][native].keys()
            assert not {"T", "S"} & body[what][native].keys()
    [book] = get(of, "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC/USD")[1]["orderbooks"].values()
    assert book.keys() == {"t", "b", "a"}
    for symbol, native in (("AAPL", "AAPL"), ("BTC-USD", "BTC/USD"), (CONTRACT, CONTRACT)):
        status, body = get(of, find("alpaca")().price_path(symbol) or "")
        assert body["trades"][native]["p"] == of.trades(symbol, 1)[0].price


def test_bars_of_any_length() -> None:
    of = market("AAPL", aged=3000)
    for frame, minutes in (("1Min", 1), ("5Min", 5), ("1Hour", 60), ("1D", 1440)):
        _, body = get(of, f"/v2/stocks/bars?symbols=AAPL&timeframe={frame}&start=2026-09-18T00:00:00Z")
        begin_ns = ns_of_stamp("2026-09-18T00:00:00Z")
        truth = of.bars("AAPL", minutes * MINUTE, begin_ns, of.now_ns + 1)[:1000]
        assert [row["c"] for row in body["bars"]["AAPL"]] == [float(bar.close_text) for bar in truth]
    quotes = get(of, "/v2/stocks/quotes?symbols=AAPL")[1]["quotes"]["AAPL"]
    assert len(quotes) == 1


def told(of: Market, address: str, house: House) -> Any:
    parts = urlsplit(address)
    call = Call(parts.path, dict(parse_qsl(parts.query)), HEADERS)
    answer = AlpacaDialect.answer(of, house, call, of.now_ns)
    assert answer is not None
    assert answer.status == 200
    return json.decode(answer.body)


@pytest.mark.parametrize(
    ("path", "symbol", "native"),
    [
        ("/v2/stocks/quotes?symbols=AAPL", "AAPL", "AAPL"),
        ("/v2/stocks/AAPL/quotes?", "AAPL", ""),
        ("/v1beta3/crypto/us/quotes?symbols=BTC/USD", "BTC-USD", "BTC/USD"),
    ],
)
def test_quotes_in_pages_are_those_that_were_told(path: str, symbol: str, native: str) -> None:
    of, house = market("AAPL", "BTC-USD"), House(keys={"K": "S"})
    bests = []
    for action in actions(of, 3000):
        AlpacaDialect.witness(of, house, action)
        book = of.book(action.symbol)
        if action.symbol == symbol and book is not None:
            best = (book.bids.best(), book.asks.best())
            bests += [(action.ns, *best)] if not bests or bests[-1][1:] != best else []
    rows, token = [], ""
    while token is not None:
        body = told(of, f"{path}&limit=100&start=2026-09-21&page_token={token}", house)
        page = body["quotes"][native] if native else body["quotes"]
        assert 0 < len(page) <= 100
        rows += page
        token = body["next_page_token"]
    assert len(rows) > 100
    kept = bests[-1000:]
    assert [(ns_of_stamp(row["t"]), row["bp"], row["ap"]) for row in rows] == [
        (ns, float(bid[0]) if bid else 0, float(ask[0]) if ask else 0) for ns, bid, ask in kept
    ]
    half = kept[len(kept) // 2][0] + 999  # an end is read in whole microseconds
    until = told(of, f"{path}&start=2026-09-21&end={rfc3339(half)}", house)["quotes"]
    assert len(until[native] if native else until) == len(kept) // 2 + 1


def test_one_stock_may_be_named_in_the_path() -> None:
    of = market("AAPL", aged=2000)
    for what in ("trades", "quotes", "bars"):
        many = get(of, f"/v2/stocks/{what}?symbols=AAPL&start=2026-09-21&limit=9")[1]
        one = get(of, f"/v2/stocks/AAPL/{what}?start=2026-09-21&limit=9")[1]
        assert one == {"symbol": "AAPL", **many, what: many[what]["AAPL"]}
        many = get(of, f"/v2/stocks/{what}/latest?symbols=AAPL")[1]
        one = get(of, f"/v2/stocks/AAPL/{what}/latest")[1]
        assert one == {"symbol": "AAPL", what[:-1]: many[what]["AAPL"]}
    assert get(of, "/v2/stocks/ZZZ/trades")[1] == {"symbol": "ZZZ", "trades": [], "next_page_token": None}
    assert get(of, "/v2/stocks/ZZZ/trades/latest") == (400, {"message": "invalid symbol: ZZZ"})


def test_what_codes_mean_is_told() -> None:
    listed = pair("AAPL", "SPY", "F")
    said = {tape: (set[str](), set[str](), set[str]()) for tape in "ABC"}
    listed.connect(
        *[f"alpaca:{symbol}/{kind}" for symbol in ("AAPL", "SPY", "F") for kind in ("trade", "quote")]
    )
    for _ in listed.run(4000):
        pass
    for item in [item for frame in listed.to_client for item in json.decode(frame)]:
        if item["T"] in ("t", "q"):
            trades, quotes, exchanges = said[item["z"]]
            (trades if item["T"] == "t" else quotes).update(item["c"])
            exchanges |= {item[name] for name in ("x", "bx", "ax") if name in item}
    of = market("AAPL")
    for tape, (trades, quotes, exchanges) in said.items():
        assert trades
        assert trades <= get(of, f"/v2/stocks/meta/conditions/trade?tape={tape}")[1].keys()
        assert quotes
        assert quotes <= get(of, f"/v2/stocks/meta/conditions/quote?tape={tape}")[1].keys()
        assert exchanges <= get(of, "/v2/stocks/meta/exchanges")[1].keys()
    assert get(of, "/v2/stocks/meta/conditions/trade?tape=C")[1]["I"] == "Odd Lot Trade"
    assert get(of, "/v2/stocks/meta/conditions/trade") == (400, {"message": "invalid tape"})
    assert get(of, "/v2/stocks/meta/conditions/bar?tape=A") == (400, {"message": "invalid ticktype"})
    assert get(of, "/v2/stocks/meta/exchanges", {})[0] == 401


@pytest.mark.parametrize(
    "query",
    [
        *["", "symbols=btc", "symbols=AAPL&limit=0", "symbols=AAPL&limit=10001", "symbols=AAPL&start=soon"],
        *["symbols=AAPL&timeframe=1Year", "symbols=AAPL&page_token=x", "symbols=AAPL&timeframe=0Min"],
    ],
)
def test_a_query_that_cannot_be_read(query: str) -> None:
    status, body = get(market("AAPL"), f"/v2/stocks/bars?{query}")
    assert status == 400
    assert body["message"]


def test_the_addresses_it_serves() -> None:
    served: tuple[str, ...] = (
        "/v2/iex",
        "/v2/sip/",
        "/v2/delayed_sip",
        "/v2/test",
        "/v1beta1/boats",
        "/v1beta1/overnight",
    )
    served += (
        "/v1beta3/crypto/us",
        "/v1beta3/crypto/eu-1",
        "/v1beta1/indicative",
        "/v1beta1/opra",
        "/v1beta1/news",
    )
    assert all(map(AlpacaDialect.path.fullmatch, served))
    assert not any(
        map(AlpacaDialect.path.fullmatch, ("/stream", "/v2", "/v1beta2/crypto", "/v1beta1/crypto"))
    )
