"""Gemini v1 market data in the server role. Source: as the adapter's."""

import re
from collections.abc import Iterable, Iterator

from msgspec import json

from ..adapters.gemini_v1 import AuctionResult, Beat, Print, Update, WireEvent
from ..adapters.gemini_v1 import Change as WireChange
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Call, Change, Dialect, Hangup, House, Pushed, Source
from ..core.events import Trade
from ..core.times import MILLISECOND, SECOND
from .gemini import AUCTION, Auctions, AuctionStep, invalid_symbol

_encode = json.Encoder().encode
_FILTERS = ("bids", "offers", "trades", "auctions")
_OFFER = {"bid": "bids", "ask": "offers"}
#: How an unknown symbol is refused is not known: instead of the upgrade, or by a frame after it.
_SWITCHES = AUCTION | {"unknown-symbol": ("refuse", "frame")}


class GeminiV1Dialect(Dialect):
    """One symbol a socket or several, filtered by the query; every frame numbered by ``socket_sequence``."""

    venue = "gemini"
    path = re.compile(r"/v1/(?:marketdata/(?P<symbol>[A-Za-z0-9]+)|multimarketdata)/?")
    beat_s = 5.0
    switches = _SWITCHES

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self._tags: dict[
            str, str
        ] = {}  # symbol to the name of it in events, which have none where it is alone
        self._shown: set[str] = set()
        self._top_only = self._beats = False
        self._best: dict[str, tuple[Level | None, Level | None]] = {}
        self._auctions = Auctions(int(self.switch("auction")))
        self._sequence = -1

    def refusal(self, call: Call, now_ns: int) -> Answer | None:
        unknown = self._unknown(call)
        return invalid_symbol(unknown[0]) if unknown and self.switch("unknown-symbol") == "refuse" else None

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        if unknown := self._unknown(call):
            self.leaving = Hangup(1000)
            return [Pushed(invalid_symbol(unknown[0]).body)]
        query, known, natives = call.query, self._known(), self._asked(call)
        shared = "multi" in call.path
        self._tags = {known[native.upper()]: native.upper() if shared else "" for native in natives}
        on = {name for name, value in query.items() if value == "true"}
        # all four by default; as soon as one is named, only those set to true
        self._shown = on & set(_FILTERS) if any(name in query for name in _FILTERS) else set(_FILTERS)
        self._top_only, self._beats = "top_of_book" in on, "heartbeat" in on
        self._best = {symbol: self._top(symbol) for symbol in self._tags}
        first = self._update(now_ns, [each for symbol in self._tags for each in self._initial(symbol)])
        first.timestamp = first.timestampms = None  # the first frame has none
        booked = self._shown & {"bids", "offers"}  # an empty book is news too, no book is none
        return [Pushed(_encode(first), tuple(f"gemini:{s}/book" for s in self._tags) if booked else ())]

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        return []  # this API takes no messages

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        out = [*self._hold_auctions(action.ns)]
        symbol, tag = action.symbol, self._tags.get(action.symbol)
        if tag is None:
            return out
        trades = action.trades if "trades" in self._shown else ()
        prints: list[WireEvent] = [_print(trade, tag) for trade in trades]
        if self._top_only:
            changes = [*self._best_changes(symbol, tag)]
        else:
            changes = [*self._level_changes(action.changes, tag)]
        if prints or changes:
            channels = (f"gemini:{symbol}/trade",) * len(prints)
            channels += (f"gemini:{symbol}/book",) if changes else ()
            out.append(Pushed(_encode(self._update(action.ns, [*prints, *changes])), channels))
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        return [Pushed(_encode(Beat(self._next())))] if self._beats else []

    def _known(self) -> dict[str, str]:
        return {i.symbol.replace("-", ""): i.symbol for i in self.source.instruments()}

    def _asked(self, call: Call) -> list[str]:
        """The symbols in the path or in the query, as the client has written them."""
        match = self.path.fullmatch(call.path)
        one = match["symbol"] if match else call.path
        return [one] if one is not None else call.query.get("symbols", "").split(",")

    def _unknown(self, call: Call) -> list[str]:
        known = self._known()
        return [native for native in self._asked(call) if native.upper() not in known]

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _update(self, ns: int, events: list[WireEvent]) -> Update:
        return Update(ns // 1_000, self._next(), events, ns // SECOND, ns // MILLISECOND)

    def _hold_auctions(self, now_ns: int) -> Iterator[Pushed]:
        steps = self._auctions.due(now_ns)
        if "auctions" in self._shown:
            for step in steps:
                for symbol, tag in self._tags.items():
                    yield self._auction(step, symbol, tag)

    def _auction(self, step: AuctionStep, symbol: str, tag: str) -> Pushed:
        book = self.source.book(symbol)
        assert book is not None
        event = step.event(book, tag)
        events: list[WireEvent] = [event]
        if isinstance(event, AuctionResult) and "trades" in self._shown:
            events.append(Print(event.eid, event.auction_price, event.auction_quantity, "auction", tag))
        channels = (f"gemini:{symbol}/auction", f"gemini:{symbol}/trade")[: len(events)]
        return Pushed(_encode(self._update(step.ns, events)), channels)

    def _top(self, symbol: str) -> tuple[Level | None, Level | None]:
        book = self.source.book(symbol)
        assert book is not None
        return book.bids.best(), book.asks.best()

    def _initial(self, symbol: str) -> Iterator[WireEvent]:
        """The whole book; under ``top_of_book`` both best levels, whatever side was asked for."""
        book = self.source.book(symbol)
        if book is None or not self._shown & {"bids", "offers"}:
            return
        for side, name, levels in (("bid", "bids", book.bids), ("ask", "offers", book.asks)):
            if self._top_only or name in self._shown:
                for price, size in levels.top(1 if self._top_only else len(levels)):
                    yield WireChange(side, price, size, "initial", size, self._tags[symbol])

    def _level_changes(self, changes: Iterable[Change], tag: str) -> Iterator[WireEvent]:
        for change in changes:
            if _OFFER[change.side] in self._shown:
                yield WireChange(
                    change.side, change.price, change.remaining, change.reason, change.delta, tag
                )

    def _best_changes(self, symbol: str, tag: str) -> Iterator[WireEvent]:
        before, self._best[symbol] = self._best[symbol], self._top(symbol)
        for side, old, new in zip(("bid", "ask"), before, self._best[symbol], strict=True):
            if new != old and _OFFER[side] in self._shown:
                price, size = new or ((old or ("0", "0"))[0], "0")
                yield WireChange(side, price, size, "top-of-book", symbol=tag)


def _print(trade: Trade, tag: str) -> Print:
    maker = {"buy": "ask", "sell": "bid"}.get(trade.side or "", "auction")
    return Print(trade.number or 0, trade.price_text, trade.size_text, maker, tag)
