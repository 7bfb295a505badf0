"""Gemini v1 market data in the server role. Source: as the adapter's."""

import re
from collections.abc import Iterable, Mapping

from msgspec import json

from ..adapters.gemini_v1 import Beat, Print, Update, WireEvent
from ..adapters.gemini_v1 import Change as WireChange
from ..core.book import Book
from ..core.decimals import Level
from ..core.dialect import Action, Change, Dialect, Pushed, Refused, Source
from ..core.events import Trade
from ..core.times import MILLISECOND, SECOND
from .gemini import invalid_symbol

_encode = json.Encoder().encode
_FILTERS = ("bids", "offers", "trades", "auctions")
_OFFER = {"bid": "bids", "ask": "offers"}


class GeminiV1Dialect(Dialect):
    """One symbol a socket, filtered by the query; every frame numbered by ``socket_sequence``."""

    venue = "gemini"
    path = re.compile(r"/v1/marketdata/(?P<symbol>[A-Za-z0-9]+)/?")
    heartbeat_s = 5.0

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._symbol = ""
        self._shown: set[str] = set()
        self._top_only = self._beats = False
        self._best: tuple[Level | None, Level | None] = (None, None)
        self._sequence = -1

    def open(self, path: str, query: Mapping[str, str], now_ns: int) -> list[Pushed]:
        match = self.path.fullmatch(path)
        native = match["symbol"] if match else ""
        symbols = {i.symbol.replace("-", ""): i.symbol for i in self.source.instruments()}
        self._symbol = symbols.get(native.upper(), "")
        book = self.source.book(self._symbol)
        if book is None:
            raise Refused(invalid_symbol(native))
        on = {name for name, value in query.items() if value == "true"}
        # all four by default; as soon as one is named, only those set to true
        self._shown = on & set(_FILTERS) if any(name in query for name in _FILTERS) else set(_FILTERS)
        self._top_only, self._beats = "top_of_book" in on, "heartbeat" in on
        self._best = (book.bids.best(), book.asks.best())
        first = self._update(now_ns, self._initial(book))
        first.timestamp = first.timestampms = None  # the first frame has none
        booked = self._shown & {"bids", "offers"}  # an empty book is news too, no book is none
        return [Pushed(_encode(first), (f"gemini:{self._symbol}/book",) if booked else ())]

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        return []  # this API takes no messages

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        if action.symbol != self._symbol:
            return []
        prints: list[WireEvent] = (
            [_print(trade) for trade in action.trades] if "trades" in self._shown else []
        )
        changes = list(self._best_changes() if self._top_only else self._level_changes(action.changes))
        if not prints and not changes:
            return []
        channels = (f"gemini:{self._symbol}/trade",) * len(prints)
        channels += (f"gemini:{self._symbol}/book",) if changes else ()
        return [Pushed(_encode(self._update(action.ns, [*prints, *changes])), channels)]

    def beat(self, now_ns: int) -> list[Pushed]:
        return [Pushed(_encode(Beat(self._next())))] if self._beats else []

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _update(self, ns: int, events: list[WireEvent]) -> Update:
        return Update(ns // 1_000, self._next(), events, ns // SECOND, ns // MILLISECOND)

    def _initial(self, book: Book) -> list[WireEvent]:
        """The whole book; under ``top_of_book`` both best levels, whatever side was asked for."""
        depth = 1 if self._top_only else None
        if not self._shown & {"bids", "offers"}:
            return []
        events: list[WireEvent] = []
        for side, name, levels in (("bid", "bids", book.bids), ("ask", "offers", book.asks)):
            if self._top_only or name in self._shown:
                events += [
                    WireChange(side, price, size, "initial", size)
                    for price, size in levels.top(depth or len(levels))
                ]
        return events

    def _level_changes(self, changes: Iterable[Change]) -> Iterable[WireEvent]:
        for change in changes:
            if _OFFER[change.side] in self._shown:
                yield WireChange(change.side, change.price, change.remaining, change.reason, change.delta)

    def _best_changes(self) -> Iterable[WireEvent]:
        book = self.source.book(self._symbol)
        if book is None:
            return
        before, self._best = self._best, (book.bids.best(), book.asks.best())
        for side, old, new in zip(("bid", "ask"), before, self._best, strict=True):
            if new != old and _OFFER[side] in self._shown:
                price, size = new or ((old or ("0", "0"))[0], "0")
                yield WireChange(side, price, size, "top-of-book")


def _print(trade: Trade) -> Print:
    maker = {"buy": "ask", "sell": "bid"}.get(trade.side or "", "auction")
    return Print(trade.number or 0, trade.price_text, trade.size_text, maker)
