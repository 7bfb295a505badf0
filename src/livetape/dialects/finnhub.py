"""Finnhub's stream and REST, in the server role. Source: as the adapter's.

Prints of all symbols gather for a moment and go out together. A forex print is a price without a volume.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from http import HTTPStatus
from itertools import groupby
from typing import Any, ClassVar
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from msgspec import MsgspecError, Raw, json
from msgspec.structs import replace

from ..adapters.finnhub import INVALID, NO_ACCESS, TOO_MANY, Article, Articles, Request
from ..adapters.finnhub import native as native_of
from ..core.dialect import Action, Answer, Call, Dialect, Hangup, House, Pushed, Source
from ..core.events import Bar, Trade
from ..core.instruments import Instrument, interval_ns
from ..core.times import MILLISECOND, SECOND, ns_of

LIMIT_REACHED = "API limit reached. Please try again later. Remaining Limit: 0"
FIRST_PING = 0.45  #: of the time between two pings, after which the first one comes
_encode = json.Encoder().encode
_request = json.Decoder(Request)
_ASSETS = ("stock", "forex", "crypto")
_RESOLUTIONS = {"1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "D": "1d", "W": "1w", "M": "1d"}
_COUNT = re.compile(r"\d{1,11}", re.ASCII).fullmatch
_NEW_YORK = ZoneInfo("America/New_York")
_SESSIONS = (
    ("pre-market", time(4), time(9, 30)),
    ("regular", time(9, 30), time(16)),
    ("post-market", time(16), time(20)),
)

Fields = dict[str, object]
Reply = Callable[[Source, Mapping[str, str], int], object]


class FinnhubDialect(Dialect):
    """Trades, price updates and news; nothing is acknowledged."""

    venue = "finnhub"
    path = re.compile(r"/?")
    beat_s = 0.25
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "connections": ("reject_new", "drop_both", "kick_old", "any"),  # what a second one with the key does
        "goodbye": ("reset", "N"),  # how it does it, or with which close code
        "plan": ("premium", "free"),  # on the free one there is no news and no bid and ask
        "candles": ("refused", "granted"),  # whether the key may have bars
        "cap": ("50", "N"),  # symbols of a connection
        "rate": ("60", "N"),  # REST calls of a key a minute
        "invalid": ("named", "bare"),  # whether a refusal names the symbol
        "batch": ("10", "N"),  # prints of a frame, at most
        "order": ("sent", "reversed"),  # of the prints of a frame
        "keys": ("sorted", "captured"),  # the order of what a print and a frame say
        "conditions": ("absent", "null"),  # of what has none
        "duplicate": ("1", "2", "3", "N"),  # how often each print is sent
        "ping": ("60", "N"),  # seconds from one to the next
        "news": ("45", "N"),  # likewise of articles
    }

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self.token = ""
        self._symbols = _natives(source)
        self._trades: dict[str, str] = {}  # unified to native, of what is subscribed
        self._news: list[str] = []
        self._gathered: list[Trade] = []
        self._printed = self._frames = self._articles = 0
        self._ping_ns = self._news_ns = 0  # when they are due
        self._most = max(1, int(self.switch("batch")))

    def refusal(self, call: Call, now_ns: int) -> Answer | None:
        return None if self.house.admits(call.query.get("token", "")) else _error(401, "Invalid API key")

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        self.token = call.query.get("token", "")
        self._ping_ns = now_ns + int(self._every_ns("ping") * FIRST_PING)
        self._news_ns = now_ns + self._every_ns("news")
        others = [m for m in self.house.members if isinstance(m, FinnhubDialect) and m.token == self.token]
        policy, code = self.switch("connections"), self.switch("goodbye")
        leaving = Hangup(None if code == "reset" else int(code))
        if others and policy in ("reject_new", "drop_both"):
            self.leaving = leaving
        for other in others if policy in ("kick_old", "drop_both") else ():
            other.leaving = leaving
        return []

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return []  # what the vendor answers is not known
        native, symbol = request.symbol, self._symbols.get(request.symbol)
        match request.type:
            case "unsubscribe" if symbol is not None:
                self._trades.pop(symbol, None)
                self._gathered = [trade for trade in self._gathered if trade.symbol != symbol]
            case "unsubscribe-news" if native in self._news:
                self._news.remove(native)
            case "subscribe" | "subscribe-news" | "subscribe-pr" if symbol is None:
                named = self.switch("invalid") == "named"
                return [self._refused(f"{INVALID} {native}" if named else INVALID)]
            case "subscribe" if symbol is not None and symbol not in self._trades:
                if len(self._trades) >= int(self.switch("cap")):
                    return [self._refused(TOO_MANY)]
                self._trades[symbol] = native
            case "subscribe-news" | "subscribe-pr" if self.switch("plan") == "free":
                return [self._refused(NO_ACCESS)]
            case "subscribe-news" if native not in self._news:
                self._news.append(native)
        return []

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        if action.symbol not in self._trades:
            return []
        self._gathered += action.trades
        # Frames of all sizes up to the largest, one after the other.
        return list(self._flush()) if len(self._gathered) > self._frames % self._most else []

    def beat(self, now_ns: int) -> list[Pushed]:
        out = list(self._flush())
        if now_ns >= self._ping_ns:
            self._ping_ns = now_ns + self._every_ns("ping")
            out.append(Pushed(b'{"type":"ping"}'))
        if now_ns >= self._news_ns:
            self._news_ns = now_ns + self._every_ns("news")
            out += self._article(now_ns)
        return out

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        path = re.sub("//+", "/", call.path)  # the vendor's own client asks for /api/v1//search
        if not path.startswith("/api/v1/"):
            return None
        reply = _REST.get(path.removeprefix("/api/v1"))
        token = call.query.get("token") or call.headers.get("x-finnhub-token", "")
        if not house.admits(token):
            return _error(401, "Invalid API key" if token else "Please use an API key.")
        here = cls(source, house)
        minute, limit = now_ns // (60 * SECOND), int(here.switch("rate"))
        used = _count(house, token, minute)
        headers = {
            "X-Ratelimit-Limit": str(limit),
            "X-Ratelimit-Remaining": str(max(0, limit - used)),
            "X-Ratelimit-Reset": str((minute + 1) * 60),
        }
        if used > limit:
            return _error(429, LIMIT_REACHED, headers)
        if reply is None or not here._grants(reply):
            return _error(403, NO_ACCESS, headers)
        return Answer(200, _encode(reply(source, call.query, now_ns)), headers)

    @classmethod
    def busy(cls, status: int) -> bytes:
        return _error(status, LIMIT_REACHED if status == 429 else HTTPStatus(status).phrase).body

    def _grants(self, reply: Reply) -> bool:
        """Whether the plan has ``reply``."""
        if reply is _bidask:
            return self.switch("plan") != "free"
        return reply not in _CANDLES.values() or self.switch("candles") == "granted"

    def _every_ns(self, switch: str) -> int:
        return int(float(self.switch(switch)) * SECOND)

    def _refused(self, msg: str) -> Pushed:
        return Pushed(self._frame("error", "msg", msg))

    def _frame(self, kind: str, key: str, value: object) -> bytes:
        """Sorted, the type comes last."""
        self._frames += 1
        said: Fields = {key: value, "type": kind}
        return _encode(said if self.switch("keys") == "sorted" else {"type": kind, key: value})

    def _flush(self) -> Iterator[Pushed]:
        """What has gathered, in frames that are not too big."""
        for start in range(0, len(self._gathered), self._most):
            yield from self._batch(self._gathered[start : start + self._most])
        self._gathered = []

    def _batch(self, trades: Sequence[Trade]) -> Iterator[Pushed]:
        """``trades`` and their copies: every second print's in the same frame, the others' in a later one."""
        again = int(self.switch("duplicate")) - 1
        now: list[Fields] = []
        later: list[Fields] = []
        for trade in trades:
            self._printed += 1
            row = self._row(trade)
            now.append(row)
            (now if self._printed % 2 else later).extend([row] * again)
        yield Pushed(self._data(now), tuple(trade.channel for trade in trades))
        if later:
            yield Pushed(self._data(later))

    def _data(self, rows: list[Fields]) -> bytes:
        return self._frame("trade", "data", rows[::-1] if self.switch("order") == "reversed" else rows)

    def _row(self, trade: Trade) -> Fields:
        symbol = self._trades[trade.symbol]
        shares = ":" not in symbol
        row: Fields = {
            "c": ["1", "8"] if float(trade.size_text) >= 100 else ["1", "8", "12"],
            "p": Raw(trade.price_text.encode()),
            "s": symbol,
            "t": (trade.venue_ns or 0) // MILLISECOND,
            "v": Raw(trade.size_text.encode()) if not symbol.startswith("OANDA:") else 0,
        }
        if not shares and self.switch("conditions") == "absent":
            del row["c"]
        elif not shares:
            row["c"] = None
        return row if self.switch("keys") == "sorted" else {key: row[key] for key in "tpvcs" if key in row}

    def _article(self, now_ns: int) -> Iterator[Pushed]:
        """The next article, about one of the companies in turn."""
        if self._news:
            symbol = self._news[self._articles % len(self._news)]
            self._articles += 1
            at, id = now_ns // SECOND, now_ns // MILLISECOND
            headline, url = f"{symbol} is traded as before", f"https://news.example/{id}"
            article = Article(
                category="company",
                datetime=at,
                headline=headline,
                id=id,
                image="",
                related=symbol,
                source="Simulated",
                summary=f"{headline}.",
                url=url,
            )
            yield Pushed(_encode(Articles([article])), (f"finnhub:{self._symbols[symbol]}/news",))


def _natives(source: Source) -> dict[str, str]:
    """The symbols that are traded here, by the vendor's spelling."""
    return {native_of(i.symbol): i.symbol for i in source.instruments() if i.asset in _ASSETS}


_calls: WeakKeyDictionary[House, dict[str, tuple[int, int]]] = WeakKeyDictionary()


def _count(house: House, token: str, minute: int) -> int:
    """How many calls ``token`` has made in this minute, this one included."""
    calls = _calls.setdefault(house, {})
    last, used = calls.get(token, (minute, 0))
    calls[token] = minute, used + 1 if last == minute else 1
    return calls[token][1]


def _error(status: int, said: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, _encode({"error": said}), headers or {})


# REST: each answers ``(source, query, now_ns)``.


def _of(source: Source, asset: str) -> list[Instrument]:
    return [i for i in source.instruments() if i.asset == asset]


def _pair(i: Instrument) -> str:
    return i.symbol.replace("-", "/")


def _search(source: Source, query: Mapping[str, str], now_ns: int) -> object:
    """Shares whose ticker or name has the text."""
    text = query.get("q", "").upper()
    shares = _of(source, "stock") if query.get("exchange", "US") == "US" and text else []
    found = [
        {
            "description": i.name.upper(),
            "displaySymbol": i.symbol,
            "symbol": i.symbol,
            "type": "Common Stock",
        }
        for i in shares
        if text in i.symbol or text in i.name.upper()
    ]
    return {"count": len(found), "result": found}


def _stock_symbols(source: Source, query: Mapping[str, str], now_ns: int) -> object:
    rows = [
        {
            "currency": "USD",
            "description": i.name.upper(),
            "displaySymbol": i.symbol,
            "figi": "",
            "isin": None,
            "mic": "XNAS",
            "shareClassFIGI": "",
            "symbol": i.symbol,
            "symbol2": "",
            "type": "Common Stock",
        }
        for i in _of(source, "stock")
        if query.get("exchange") == "US"
    ]
    wanted = {"mic": query.get("mic"), "type": query.get("securityType"), "currency": query.get("currency")}
    return [row for row in rows if all(value in (None, "", row[key]) for key, value in wanted.items())]


def _pairs(asset: str, exchange: str) -> Reply:
    def answer(source: Source, query: Mapping[str, str], now_ns: int) -> object:
        listed = _of(source, asset) if query.get("exchange", "").lower() == exchange.lower() else []
        rows = []
        for i in listed:
            symbol = native_of(i.symbol)
            shown = _pair(i) if asset == "forex" else symbol.partition(":")[2]
            description = f"{exchange.capitalize()} {shown}"
            rows.append({"description": description, "displaySymbol": _pair(i), "symbol": symbol})
        return rows

    return answer


def _quote(source: Source, query: Mapping[str, str], now_ns: int) -> object:
    """The day so far; zeros for what is not known."""
    symbol = _natives(source).get(query.get("symbol", ""), "")
    day = source.day(symbol)
    if day is None:
        return {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
    change = Decimal(day.last) - Decimal(day.previous_close)
    last = [trade.venue_ns for trade in source.trades(symbol, 1) if trade.venue_ns is not None]
    numbers: dict[str, Any] = {
        "c": day.last,
        "d": f"{change:f}",
        "dp": f"{100 * change / Decimal(day.previous_close):.4f}",
        "h": day.high,
        "l": day.low,
        "o": day.open,
        "pc": day.previous_close,
    }
    said = {key: Raw(text.encode()) for key, text in numbers.items()}
    return {**said, "t": (last or [now_ns])[0] // SECOND}


def _bidask(source: Source, query: Mapping[str, str], now_ns: int) -> object:
    book = source.book(_natives(source).get(query.get("symbol", ""), ""))
    best = (book.asks.best(), book.bids.best()) if book is not None else (None, None)
    (ask, asked), (bid, bidden) = (level or ("0", "0") for level in best)
    numbers = {"a": ask, "av": asked, "b": bid, "bv": bidden}
    return {**{key: Raw(text.encode()) for key, text in numbers.items()}, "t": now_ns // MILLISECOND}


def _market_status(source: Source, query: Mapping[str, str], now_ns: int) -> object:
    """By New York's clock; holidays are not known here."""
    local = datetime.fromtimestamp(now_ns // SECOND, _NEW_YORK)
    sessions = _SESSIONS if local.weekday() < 5 else ()
    session = next((name for name, start, end in sessions if start <= local.time() < end), None)
    return {
        "exchange": query.get("exchange", "US"),
        "holiday": None,
        "isOpen": session == "regular",
        "session": session,
        "timezone": "America/New_York",
        "t": now_ns // SECOND,
    }


def _candles(asset: str) -> Reply:
    def answer(source: Source, query: Mapping[str, str], now_ns: int) -> object:
        """The bars that begin in the seconds ``from`` to ``to``, oldest first, in columns."""
        symbol = {native_of(i.symbol): i.symbol for i in _of(source, asset)}.get(query.get("symbol", ""))
        resolution, since, until = (query.get(name, "") for name in ("resolution", "from", "to"))
        bars: Sequence[Bar] = ()
        if symbol is not None and resolution in _RESOLUTIONS and _COUNT(since) and _COUNT(until):
            length_ns = interval_ns(_RESOLUTIONS[resolution])
            start_ns, end_ns = int(since) * SECOND, (int(until) + 1) * SECOND
            if resolution == "M":
                months = _by_month(source.bars(symbol, length_ns, 0, now_ns + 1))
                bars = [month for month in months if start_ns <= month.start_ns < end_ns]
            else:
                bars = source.bars(symbol, length_ns, start_ns, end_ns)
        return _columns(bars, prints=asset == "forex") if bars else {"s": "no_data"}

    return answer


def _columns(bars: Sequence[Bar], *, prints: bool) -> Fields:
    """With ``prints`` the volume is their count, as of currencies [unverified]."""
    columns: dict[str, list[str]] = {
        "c": [bar.close_text for bar in bars],
        "h": [bar.high_text for bar in bars],
        "l": [bar.low_text for bar in bars],
        "o": [bar.open_text for bar in bars],
        "v": [str(bar.trades) if prints else bar.volume_text for bar in bars],
    }
    numbers = {name: [Raw(text.encode()) for text in column] for name, column in columns.items()}
    return {**numbers, "s": "ok", "t": [bar.start_ns // SECOND for bar in bars]}


def _by_month(days: Sequence[Bar]) -> Iterator[Bar]:
    for start_ns, group in groupby(days, lambda day: _month_ns(day.start_ns)):
        month = list(group)
        yield replace(
            month[0],
            start_ns=start_ns,
            high_text=max((day.high_text for day in month), key=Decimal),
            low_text=min((day.low_text for day in month), key=Decimal),
            close_text=month[-1].close_text,
            volume_text=str(sum(Decimal(day.volume_text) for day in month)),
            trades=sum(day.trades or 0 for day in month),
        )


def _month_ns(ns: int) -> int:
    day = datetime.fromtimestamp(ns // SECOND, UTC)
    return ns_of(datetime(day.year, day.month, 1, tzinfo=UTC))


_CANDLES = {f"/{asset}/candle": _candles(asset) for asset in _ASSETS}
_REST: dict[str, Reply] = {
    **_CANDLES,
    "/search": _search,
    "/stock/symbol": _stock_symbols,
    "/stock/market-status": _market_status,
    "/stock/bidask": _bidask,
    "/forex/exchange": lambda source, query, now_ns: ["oanda"],
    "/forex/symbol": _pairs("forex", "oanda"),
    "/crypto/exchange": lambda source, query, now_ns: ["Binance"],
    "/crypto/symbol": _pairs("crypto", "binance"),
    "/quote": _quote,
}
