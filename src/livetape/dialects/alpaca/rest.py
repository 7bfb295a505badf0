"""Alpaca's REST: history, the latest of everything, and the list of assets (floor 2).

There is no history of quotes: the one of now stands for it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, json, to_builtins
from msgspec.structs import replace

from ...adapters.alpaca import WireBar
from ...core.credentials import Credentials
from ...core.dialect import Answer, Call, House, Source
from ...core.instruments import Instrument
from ...core.times import SECOND, ns_of
from .items import CRYPTO, JSON, MINUTE, OPTIONS, STOCKS, Desk, Items

ROWS, MOST = 1_000, 10_000  #: of a page: usually, and at most
DAY = 86_400 * SECOND
_DESKS = {"v2/stocks": STOCKS, "v1beta3/crypto/us": CRYPTO, "v1beta1/options": OPTIONS}
_DATA = re.compile(rf"/({'|'.join(_DESKS)})/(latest/)?(trades|quotes|bars|orderbooks)(/latest)?").fullmatch
_FRAME = re.compile(r"([1-9]\d?)(Min|T|Hour|H|Day|D|Week|W)").fullmatch
_UNITS = {"M": MINUTE, "T": MINUTE, "H": 60 * MINUTE, "D": DAY, "W": 7 * DAY}
_CLASSES = {"us_equity": ("stock", "NASDAQ"), "crypto": ("crypto", "CRYPTO")}


def answer(source: Source, house: House, key: Credentials | None, call: Call, now_ns: int) -> Answer | None:
    """The answer to ``call`` of the owner of ``key``; None where there is nothing."""
    data = _DATA(call.path)
    if data is None and call.path != "/v2/assets":
        return None
    if key is None:
        return _refusal(401, "unauthorized.")
    if not house.admits(key.key, key.secret):
        return _refusal(403, "forbidden.")
    if data is None:
        return Answer(200, json.encode(_assets(source, call.query)))
    try:
        reply = _History(source, _DESKS[data[1]], call.query, now_ns)
        latest = data[2] or data[4]
        return Answer(200, json.encode(reply.latest(data[3]) if latest else reply.page(data[3])))
    except ValueError as error:
        return _refusal(400, str(error))


class _History:
    """What a query is about. Raises ValueError when it cannot be read."""

    def __init__(self, source: Source, desk: Desk, query: Mapping[str, str], now_ns: int) -> None:
        self._source, self._query, self._now_ns = source, query, now_ns
        self._items = Items(source, desk, JSON, iex=query.get("feed", "iex") == "iex", lots=True)
        asked = query.get("symbols", "").split(",")
        if not all(map(desk.symbol.fullmatch, asked)):
            raise ValueError("invalid symbol")
        own = [i.symbol for i in source.instruments() if desk.has(i)]
        self._symbols = sorted(symbol for symbol in own if self._items.native(symbol) in asked)
        self._start_ns = self._moment("start", now_ns - now_ns % DAY)
        self._end_ns = self._moment("end", now_ns)

    def page(self, what: str) -> dict[str, object]:
        """Rows of each symbol, oldest first, and the token of the next page."""
        rows = [
            (self._items.native(symbol), row)
            for symbol in self._symbols
            for row in self._between(what, symbol)
        ]
        first, n = self._count("page_token", 0), self._count("limit", ROWS)
        if not 1 <= n <= MOST:
            raise ValueError(f"limit must be from 1 to {MOST}")
        found: dict[str, list[object]] = {}
        for native, row in rows[first : first + n]:
            found.setdefault(native, []).append(row)
        return {what: found, "next_page_token": str(first + n) if first + n < len(rows) else None}

    def latest(self, what: str) -> dict[str, object]:
        """The last row of each symbol."""
        found = {self._items.native(symbol): list(self._last(what, symbol)) for symbol in self._symbols}
        return {what: {native: rows[-1] for native, rows in found.items() if rows}}

    def _between(self, what: str, symbol: str) -> Iterator[dict[str, Any]]:
        since_ns, until_ns = self._start_ns, self._end_ns + 1
        if what == "trades":
            yield from map(
                _row, map(self._items.trade, self._source.trades_between(symbol, since_ns, until_ns))
            )
        elif what == "bars":
            for bar in self._source.bars(symbol, self._length_ns(), since_ns, until_ns):
                yield _row(self._items.bar(WireBar, bar))
        else:
            yield from self._last(what, symbol)

    def _last(self, what: str, symbol: str) -> Iterator[dict[str, Any]]:
        book = self._source.book(symbol)
        if what == "trades":
            yield from map(_row, map(self._items.trade, self._source.trades(symbol, 1)))
        elif what == "bars":
            minute_ns = self._now_ns - self._now_ns % MINUTE - MINUTE
            yield from map(_row, self._items.bars(WireBar, symbol, minute_ns))
        elif what == "orderbooks":
            yield _row(replace(self._items.whole(symbol, self._now_ns), r=False))
        elif book is not None:
            yield _row(self._items.quote(symbol, self._now_ns, book.bids.best(), book.asks.best()))

    def _length_ns(self) -> int:
        frame = _FRAME(self._query.get("timeframe", "1Min"))
        if frame is None:
            raise ValueError("invalid timeframe")
        return int(frame[1]) * _UNITS[frame[2][0]]

    def _moment(self, name: str, usual_ns: int) -> int:
        if (text := self._query.get(name, "")) == "":
            return usual_ns
        moment = datetime.fromisoformat(text)
        return ns_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    def _count(self, name: str, usual: int) -> int:
        text = self._query.get(name, "") or str(usual)
        if not re.fullmatch(r"\d{1,9}", text):
            raise ValueError(f"invalid {name}")
        return int(text)


def _row(item: Struct) -> dict[str, Any]:
    """``item`` as in a history, where neither its type nor its symbol is said."""
    row: dict[str, Any] = to_builtins(item)
    return {name: value for name, value in row.items() if name not in ("T", "S")}


def _assets(source: Source, query: Mapping[str, str]) -> list[dict[str, object]]:
    wanted = _CLASSES.get(query.get("asset_class", "us_equity"), ("", ""))[0]
    return [_asset(i) for i in source.instruments() if i.asset == wanted]


def _asset(of: Instrument) -> dict[str, object]:
    name, exchange = next((name, e) for name, (asset, e) in _CLASSES.items() if asset == of.asset)
    asset: dict[str, object] = {
        **{"id": of.symbol, "class": name, "exchange": exchange, "symbol": of.symbol.replace("-", "/")},
        **{"name": of.name, "status": "active", "tradable": True, "fractionable": True},
    }
    steps = {"min_trade_increment": of.size_step, "price_increment": of.price_step}
    return asset | (steps if of.asset == "crypto" else {})


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, json.encode({"message": message}))
