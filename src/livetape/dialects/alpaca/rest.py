"""Alpaca's REST: history, the latest of everything, the list of assets and what codes mean (floor 2).

Quotes are kept from when the vendor opens, the latest ``KEPT`` of each symbol; before the first one, the best
prices of now stand for them.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from msgspec import Struct, json, to_builtins
from msgspec.structs import replace

from ...adapters.alpaca.wire import WireBar
from ...core.credentials import Credentials
from ...core.decimals import Level
from ...core.dialect import Action, Answer, Call, House, Source
from ...core.instruments import Instrument
from ...core.times import SECOND, ns_of
from . import meta
from .items import CRYPTO, JSON, MINUTE, OPTIONS, STOCKS, Desk, Items

ROWS, MOST = 1_000, 10_000  #: of a page: usually, and at most
KEPT = 1_000  #: quotes of a symbol
DAY = 86_400 * SECOND
_DESKS = {"v2/stocks": STOCKS, "v1beta3/crypto/us": CRYPTO, "v1beta1/options": OPTIONS}
_FRAME = re.compile(r"([1-9]\d?)(Min|T|Hour|H|Day|D|Week|W)").fullmatch
_UNITS = {"M": MINUTE, "T": MINUTE, "H": 60 * MINUTE, "D": DAY, "W": 7 * DAY}
_CLASSES = {"us_equity": ("stock", "NASDAQ"), "crypto": ("crypto", "CRYPTO")}


class Best(NamedTuple):
    """The best bid and offer from ``ns`` on."""

    ns: int
    bid: Level | None
    ask: Level | None


_quotes: WeakKeyDictionary[House, dict[str, deque[Best]]] = WeakKeyDictionary()


def remember(source: Source, house: House, action: Action) -> None:
    """Keep the quote after ``action``, if it has changed."""
    if (book := source.book(action.symbol)) is None:
        return
    best = Best(action.ns, book.bids.best(), book.asks.best())
    kept = _quotes.setdefault(house, {}).setdefault(action.symbol, deque(maxlen=KEPT))
    if not kept or kept[-1][1:] != best[1:]:
        kept.append(best)


class _Asked(NamedTuple):
    source: Source
    house: House
    query: Mapping[str, str]
    now_ns: int


def answer(source: Source, house: House, key: Credentials | None, call: Call, now_ns: int) -> Answer | None:
    """The answer to ``call`` of the owner of ``key``; None where there is nothing."""
    found = [(reply, named) for path, reply in _ROUTES.items() if (named := path.fullmatch(call.path))]
    if not found:
        return None
    if key is None:
        return refusal(401, "unauthorized.")
    if not house.admits(key.key, key.secret):
        return refusal(403, "forbidden.")
    [(reply, named)] = found
    try:
        return Answer(200, json.encode(reply(_Asked(source, house, call.query, now_ns), *named.groups())))
    except ValueError as error:
        return refusal(400, str(error))


class _History:
    """What a query is about. Raises ValueError when it cannot be read."""

    def __init__(self, asked: _Asked, desk: Desk) -> None:
        source, house, query, now_ns = asked
        self._source, self._query, self._now_ns = source, query, now_ns
        self._quotes = _quotes.get(house, {})
        self._items = Items(source, desk, JSON, iex=query.get("feed", "iex") == "iex", lots=True)
        named = query.get("symbols", "").split(",")
        if not all(map(desk.symbol.fullmatch, named)):
            raise ValueError("invalid symbol")
        own = [i.symbol for i in source.instruments() if desk.has(i)]
        self._symbols = sorted(symbol for symbol in own if self._items.native(symbol) in named)
        self._start_ns = self._moment("start", now_ns - now_ns % DAY)
        self._end_ns = self._moment("end", now_ns)

    def page(self, what: str) -> tuple[dict[str, list[object]], str | None]:
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
        return found, str(first + n) if first + n < len(rows) else None

    def latest(self, what: str) -> dict[str, object]:
        """The last row of each symbol."""
        found = {self._items.native(symbol): list(self._last(what, symbol)) for symbol in self._symbols}
        return {native: rows[-1] for native, rows in found.items() if rows}

    def _between(self, what: str, symbol: str) -> Iterator[dict[str, Any]]:
        since_ns, until_ns = self._start_ns, self._end_ns + 1
        if what == "trades":
            yield from map(
                _row, map(self._items.trade, self._source.trades_between(symbol, since_ns, until_ns))
            )
        elif what == "bars":
            for bar in self._source.bars(symbol, self._length_ns(), since_ns, until_ns):
                yield _row(self._items.bar(WireBar, bar))
        elif what == "quotes" and symbol in self._quotes:
            for ns, bid, ask in self._quotes[symbol]:
                if since_ns <= ns < until_ns:
                    yield _row(self._items.quote(symbol, ns, bid, ask))
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


def _several(asked: _Asked, desk: str, before: str | None, what: str, after: str | None) -> object:
    history = _History(asked, _DESKS[desk])
    if before or after:
        return {what: history.latest(what)}
    found, token = history.page(what)
    return {what: found, "next_page_token": token}


def _one(asked: _Asked, native: str, what: str, latest: str | None) -> object:
    """Of one stock, named in the path."""
    history = _History(asked._replace(query={**asked.query, "symbols": native}), STOCKS)
    if not latest:
        found, token = history.page(what)
        return {"symbol": native, what: found.get(native, []), "next_page_token": token}
    if native not in (last := history.latest(what)):
        raise ValueError(f"invalid symbol: {native}")
    return {"symbol": native, what[:-1]: last[native]}


def _conditions(asked: _Asked, tick: str) -> object:
    return meta.conditions(tick, asked.query.get("tape", ""))


def _assets(asked: _Asked) -> object:
    wanted = _CLASSES.get(asked.query.get("asset_class", "us_equity"), ("", ""))[0]
    return [_asset(i) for i in asked.source.instruments() if i.asset == wanted]


def _asset(of: Instrument) -> dict[str, object]:
    name, exchange = next((name, e) for name, (asset, e) in _CLASSES.items() if asset == of.asset)
    asset: dict[str, object] = {
        **{"id": of.symbol, "class": name, "exchange": exchange, "symbol": of.symbol.replace("-", "/")},
        **{"name": of.name, "status": "active", "tradable": True, "fractionable": True},
    }
    steps = {"min_trade_increment": of.size_step, "price_increment": of.price_step}
    return asset | (steps if of.asset == "crypto" else {})


def refusal(status: int, message: str) -> Answer:
    return Answer(status, json.encode({"message": message}))


_ROUTES: dict[re.Pattern[str], Callable[..., object]] = {
    re.compile(rf"/({'|'.join(_DESKS)})/(latest/)?(trades|quotes|bars|orderbooks)(/latest)?"): _several,
    re.compile(r"/v2/stocks/([A-Z][A-Z.]*)/(trades|quotes|bars)(/latest)?"): _one,
    re.compile(r"/v2/stocks/meta/exchanges"): lambda asked: meta.EXCHANGES,
    re.compile(r"/v2/stocks/meta/conditions/(\w+)"): _conditions,
    re.compile(r"/v2/assets"): _assets,
}
