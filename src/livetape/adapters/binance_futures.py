"""Binance USD-M futures: ``binance``'s protocol with another chain.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures (read 2026-11-21).

Each update names with ``pu`` the last number of the one before it, so it continues any book from ``pu`` to
``u``: the venue's rule, and for a fetched book that the first one is to bridge as well [recorded].
Since 2026-04-23 there is an address for books, quotes and trades, and another for the rest; a stream asked
for at the wrong one is acknowledged and stays silent [user report].
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Raw, Struct, json
from msgspec.structs import replace

from ..core.adapter import Guarantee, Limits
from ..core.decimals import checked, checked_levels
from ..core.events import BookUpdate, Mark, Message
from ..core.instruments import Channel, unified
from ..core.times import ns_of_ms
from . import binance
from .binance import BARS, STREAMS, Binance

PUBLIC = ("book", "quote", "trade")  #: kinds of the address for what comes often
ALL = ("last", "range", "volume")


# {"e":"depthUpdate","E":1723161257440,"T":1723161257432,"s":"BTCUSD_PERP","ps":"BTCUSD","U":1007198631260,
#  "u":1007198631565,"pu":1007198631198,"b":[["61773.6","1001"]],"a":[]}              [recorded 2024-08-08]
class Depth(binance.Depth, gc=False):
    T: int
    pu: int


# {"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSD_PERP","t":849714402,"p":"61804.8","q":"4",
#  "X":"MARKET","m":false}                                                             [recorded 2024-08-08]
class Print(binance.Print, gc=False):
    X: str = "MARKET"


# {"u":1007198632021,"e":"bookTicker","s":"BTCUSD_PERP","ps":"BTCUSD","b":"61804.7","B":"35","a":"61804.8",
#  "A":"1645","T":1723161257465,"E":1723161257476}                                    [recorded 2024-08-08]
class BookTicker(binance.BookTicker, gc=False):
    T: int


# {"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091",
#  "P":"11784.25641265","r":"0.00038167","T":1562306400000}                                          [doc]
class MarkPrice(Struct, gc=False):
    s: str
    E: int
    p: str
    i: str = ""  # came later than the rest
    r: str = ""  # empty where nothing is funded


_depth, _print = json.Decoder(Depth), json.Decoder(Print)
_ticker, _mark = json.Decoder(BookTicker), json.Decoder(MarkPrice)


class BinanceFutures(Binance):
    """Key-less market data: trades, books, quotes, bars and marks.

    A trade that was not made in the market, such as the insurance fund's, has its kind as condition and sets
    nothing: the venue's own aggregates leave it out [doc].
    A perpetual is called by its pair; another contract adds its day: ``BTC-USDT-261225``.
    """

    venue = "binance_futures"
    title = "Binance USD-M futures"
    ws_url = "wss://fstream.binance.com"
    rest_url = "https://fapi.binance.com"
    rest_path = "/fapi/v1"
    names: ClassVar[Mapping[str, str]] = {**STREAMS, **BARS, "mark": "markPrice@1s"}
    kinds = frozenset(names)
    guarantees: Mapping[str, Guarantee] = {
        "book": Guarantee("sequence pu/u"),
        "trade": Guarantee("trade id"),
    }
    limits = Limits(symbols_per_socket=50, connects_per_minute=60, messages_per_s=10)  # 200 streams [doc]

    @classmethod
    def canonical(cls, symbol: str) -> str:
        pair, contract = _split(symbol)
        return "-".join(filter(None, (unified(pair), contract)))

    @classmethod
    def native(cls, symbol: str) -> str:
        pair, contract = _split(symbol)
        return "_".join(filter(None, (pair.replace("-", ""), contract)))

    def route(self, channel: Channel) -> str:
        return "/public" if channel.kind in PUBLIC else "/market"

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}{self.route(channels[0])}/stream"

    def event(self, name: str, data: Raw) -> Message:
        if name.startswith("depth"):
            d = _depth.decode(data)
            bids, asks = checked_levels(d.b), checked_levels(d.a)
            return BookUpdate(self._name(d.s, "book"), ns_of_ms(d.T), False, bids, asks, d.pu + 1, d.u)
        if name == "trade":
            t = _print.decode(data)
            trade = self._trade(t)
            return trade if t.X == "MARKET" else replace(trade, conditions=(t.X,), excluded=ALL)
        if name == "bookTicker":
            q = _ticker.decode(data)
            return self._quote(q, ns_of_ms(q.T))
        if name.startswith("markPrice"):
            return self._mark(_mark.decode(data))
        return super().event(name, data)

    def _mark(self, m: MarkPrice) -> Mark:
        checked(m.r.removeprefix("-") or "0")
        index = checked(m.i) if m.i else None
        return Mark(self._name(m.s, "mark"), ns_of_ms(m.E), checked(m.p), index, m.r or None)


def _split(symbol: str) -> tuple[str, str]:
    """The pair, and what kind of contract on it is meant or that of which day; empty where there is one."""
    pair, _, last = symbol.upper().replace("_", "-").rpartition("-")
    return (pair, last) if pair and (last == "PERP" or last.isdecimal()) else (symbol, "")
