"""Deribit. Source: https://docs.deribit.com, JSON-RPC over WebSocket (read 2026-11-20).

Each change of a book names the one before it, ``prev_change_id`` [recorded]; ``trade_seq`` numbers the trades
of an instrument one by one [doc]. A channel that does not exist is left out of the answer, not refused.
We do not ask for heartbeats, so no test request comes that wants an answer: our probe tells quiet from dead.
Combinations may have prices below zero [recorded].
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Raw, Struct, field, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import Level, checked
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Mark, Message, Quote, Summary, Trade, Why
from ..core.instruments import Channel, Instrument, by_symbol, unified
from ..core.sequence import chained
from ..core.times import ns_of_ms

NULL = Raw(b"null")
Change = tuple[
    Literal["new", "change", "delete"], Raw, Raw
]  #: price and amount; that of a deleted level is 0


class Params(Struct, gc=False):
    channel: str = ""
    data: Raw = NULL


# {"jsonrpc":"2.0","id":0,"result":["trades.ETH-30JUL21-2800-C.raw"],"usIn":1626993723746377,
#  "usOut":1626993723746614,"usDiff":237,"testnet":false}                                   [recorded 2021-07]
class Frame(Struct, gc=False):
    method: str = ""
    params: Params | None = None
    id: int | None = None
    result: Raw = NULL
    error: Raw = NULL


# {"type":"change","timestamp":1626993732416,"prev_change_id":33195895729,"instrument_name":
#  "BTC-24SEP21-8000-P","change_id":33195895734,"bids":[],"asks":[["delete",0.001,0.0]]}    [recorded 2021-07]
class Depth(Struct, gc=False):
    timestamp: int
    change_id: int
    bids: list[Change]
    asks: list[Change]
    prev_change_id: int | None = None
    type: str = ""  # until 2021 there was none


# {"trade_seq":20944815,"trade_id":"39355898","timestamp":1567296022565,"tick_direction":2,"price":9598.5,
#  "instrument_name":"BTC-PERPETUAL","index_price":9600.8,"direction":"sell","amount":2000} [recorded 2019-09]
class Print(Struct, gc=False):
    trade_seq: int
    trade_id: str
    timestamp: int
    price: Raw
    amount: Raw
    direction: Literal["buy", "sell"]


# {"timestamp":1564617604229,"stats":{"volume":24618.46215298,"low":9569.5,"high":10131.5},"state":"open",
#  "mark_price":10094.1,"last_price":10095.5,"instrument_name":"BTC-PERPETUAL","index_price":10091.15,
#  "current_funding":0,"best_bid_price":10095,"best_bid_amount":7000,"best_ask_price":10095.5,
#  "best_ask_amount":250}    and more                                                       [recorded 2019-08]
class Ticker(Struct, gc=False):
    timestamp: int
    stats: dict[str, Raw]  # of 24 hours
    best_bid_price: Raw
    best_bid_amount: Raw
    best_ask_price: Raw
    best_ask_amount: Raw
    mark_price: Raw
    index_price: Raw = NULL
    last_price: Raw = NULL
    current_funding: Raw = NULL


# {"volume":0.05219351,"tick":1573645080000,"open":8869.79,"low":8788.25,"high":8870.31,"cost":460,
#  "close":8791.25}                                                                                      [doc]
class Candle(Struct, gc=False):
    tick: int
    open: Raw
    high: Raw
    low: Raw
    close: Raw
    volume: Raw


class Prints(Struct, gc=False):
    trades: list[Print]
    has_more: bool


class Listed(Struct, gc=False):
    instrument_name: str
    tick_size: Raw
    step: Raw = field(name="min_trade_amount")


_frame, _depth, _ticker = json.Decoder(Frame), json.Decoder(Depth), json.Decoder(Ticker)
_prints, _candle, _accepted = json.Decoder(list[Print]), json.Decoder(Candle), json.Decoder(list[str])
_old_prints, _listed = json.Decoder(Prints), json.Decoder(list[Listed])
_MINUTES = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "6h": "360", "1d": "1D"}
_CHARTS = {f"bar.{name}": f"chart.trades.{{}}.{wire}" for name, wire in _MINUTES.items()}
_STREAMS = {"book": "book", "trade": "trades", "quote": "ticker", "summary": "ticker", "mark": "ticker"}
_WIRE = {kind: f"{stream}.{{}}.100ms" for kind, stream in _STREAMS.items()} | _CHARTS  # raw wants a login
_pair = re.compile(r"^(\w+)-(USDC|USDT|USDE|EURR|BTC|ETH)(?=-|$)")


class Deribit(Adapter):
    """Key-less market data: trades, books, quotes, summaries of 24 hours, marks and bars."""

    venue = "deribit"
    title = "Deribit"
    ws_url = "wss://www.deribit.com/ws/api/v2"
    rest_url = "https://www.deribit.com/api/v2"
    kinds = frozenset(_WIRE)
    never_closes = True
    sample = "BTC-PERPETUAL"
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("change_id"), "trade": Guarantee("trade_seq")}
    limits = Limits(symbols_per_socket=100)
    sequence = staticmethod(chained)

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._asked: dict[int, list[str]] = {}  # request id to the venue's channels
        self._ids = 0

    @classmethod
    def canonical(cls, symbol: str) -> str:
        """``BTC_USDC-PERPETUAL`` is ``BTC-USDC-PERPETUAL``; what follows the pair stays as it is."""
        pair, dash, rest = symbol.partition("-")
        return unified(pair) + dash + rest

    def stream(self, channel: Channel) -> str:
        return _WIRE[channel.kind]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._requests("public/subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._requests("public/unsubscribe", channels)

    def probe(self) -> bytes:
        return b'{"jsonrpc":"2.0","id":0,"method":"public/test","params":{}}'

    def parse(self, frame: bytes) -> Iterable[Message]:
        said = _frame.decode(frame)
        if said.method != "subscription" or said.params is None:
            return self._reply(said)
        (stream, name, detail), data = _parts(said.params.channel), said.params.data
        match stream:
            case "book":
                return [_book(f"{name}book", _depth.decode(data))]
            case "trades":
                return [_trade(f"{name}trade", each) for each in _prints.decode(data)]
            case "ticker":
                return _told(name, _ticker.decode(data))
            case "chart.trades":
                return [_bar(name + _kinds(stream, detail)[0], _candle.decode(data))]
        return [Heartbeat()]  # a channel that we did not ask for

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        if channel.kind != "trade" or not span.numbers:
            return None
        numbers = f"start_seq={page or span.numbers.start}&end_seq={span.numbers.stop - 1}"
        ask = f"?instrument_name={_native(channel.symbol)}&{numbers}&count=1000&sorting=asc"
        return f"/public/get_last_trades_by_instrument{ask}"

    def parse_history(self, channel: Channel, body: bytes) -> History:
        told = _old_prints.decode(_frame.decode(body).result)
        page = str(told.trades[-1].trade_seq + 1) if told.has_more else ""
        return History([_trade(str(channel), each) for each in told.trades], page)

    def price_path(self, symbol: str) -> str:
        return f"/public/ticker?instrument_name={_native(symbol)}"

    def symbols_paths(self) -> Sequence[str]:
        return [f"/public/get_instruments?currency=any&kind={kind}" for kind in ("future", "spot", "option")]

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(
                self.canonical(i.instrument_name), i.instrument_name, _size(i.tick_size), _size(i.step)
            )
            for i in _listed.decode(_frame.decode(body).result)
        ]

    def _requests(self, method: str, channels: Sequence[Channel]) -> list[bytes]:
        """One request a symbol: what is wrong with one is said of no other."""
        frames = []
        for symbol, kinds in by_symbol(channels).items():
            self._ids += 1
            wanted = list(dict.fromkeys(_WIRE[kind].format(_native(symbol)) for kind in sorted(kinds)))
            self._asked[self._ids] = wanted if method == "public/subscribe" else []
            request = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": {"channels": wanted}}
            frames.append(json.encode(request))
        return frames

    def _reply(self, said: Frame) -> Iterator[Message]:
        asked = self._asked.pop(said.id or 0, [])
        accepted = _accepted.decode(said.result) if asked and said.error == NULL else []
        reason = "no such channel" if said.error == NULL else bytes(said.error).decode()
        for wire in asked:
            stream, name, detail = _parts(wire)
            names = [f"{name}{kind}" for kind in _kinds(stream, detail)]
            yield from map(Ack, names) if wire in accepted else [Denied(reason, tuple(names), Why.SYMBOL)]
        yield Heartbeat()


def _parts(wire: str) -> tuple[str, str, str]:
    """Stream, the beginning of our channels' names, and interval of one of the venue's channels."""
    head, _, detail = wire.rpartition(".")
    stream, _, native = head.rpartition(".")
    return stream, f"deribit:{Deribit.canonical(native)}/", detail


def _kinds(stream: str, detail: str) -> list[str]:
    charts = [kind for kind, wire in _CHARTS.items() if wire == f"{stream}.{{}}.{detail}"]
    return charts or [kind for kind, carrier in _STREAMS.items() if carrier == stream]


def _native(symbol: str) -> str:
    return _pair.sub(r"\1_\2", symbol)


def _size(number: Raw) -> str:
    return checked(str(number, "ascii"))


def _price(number: Raw) -> str:
    """As it was sent; it may be below zero."""
    text = str(number, "ascii")
    checked(text.removeprefix("-"))
    return text


def _levels(changes: list[Change]) -> list[Level]:
    return [(_price(price), _size(amount)) for _, price, amount in changes]


def _book(name: str, d: Depth) -> BookUpdate:
    snapshot = d.type == "snapshot" or d.prev_change_id is None
    bids, asks = _levels(d.bids), _levels(d.asks)
    return BookUpdate(name, ns_of_ms(d.timestamp), snapshot, bids, asks, d.prev_change_id, d.change_id)


def _trade(name: str, t: Print) -> Trade:
    price, size = _price(t.price), _size(t.amount)
    return Trade(name, ns_of_ms(t.timestamp), price, size, t.direction, t.trade_id, t.trade_seq)


def _told(name: str, t: Ticker) -> Iterator[Message]:
    venue_ns = ns_of_ms(t.timestamp)
    high, low, volume = [_known(t.stats.get(each, NULL)) for each in ("high", "low", "volume")]
    bid, bid_size = _best(t.best_bid_price, t.best_bid_amount)
    yield Quote(f"{name}quote", venue_ns, bid, bid_size, *_best(t.best_ask_price, t.best_ask_amount))
    yield Summary(f"{name}summary", venue_ns, None, high, low, _known(t.last_price), None, volume)
    index, funding = _known(t.index_price), _known(t.current_funding)
    yield Mark(f"{name}mark", venue_ns, _price(t.mark_price), index, funding)


def _best(price: Raw, amount: Raw) -> tuple[str | None, str | None]:
    """An empty side has the amount 0."""
    size = _size(amount)
    return (_price(price), size) if float(size) else (None, None)


def _known(number: Raw) -> str | None:
    return None if number == NULL else _price(number)


def _bar(name: str, k: Candle) -> Bar:
    texts = _price(k.open), _price(k.high), _price(k.low), _price(k.close), _size(k.volume)
    return Bar(name, ns_of_ms(k.tick), *texts)
