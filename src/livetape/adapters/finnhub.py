"""Finnhub trades and news. Source: https://finnhub.io/docs/api/websocket-trades (read 2026-11-20).

The key stands in the address. Nothing is acknowledged; a refusal comes as an ``error`` that may not name its
symbol. A trade has no id and no number, so what is lost cannot be seen, and trades are ``live``. Those of one
frame come in any order [doc] and keep it.

Copies. At times the vendor sends every trade several times, in the same frame and in later ones: three times
in 2020 [user report], twice in 2026 [recorded]. A copy is equal to its trade in all that there is (symbol,
time, price, size, conditions), and so are two genuine prints of one millisecond: from what is sent alone
nobody can tell a print sent twice from two prints. So how many times each is sent has to be said, by the
option ``duplicate``; then of equal prints the first is delivered, and every ``duplicate``-th after it. Of m
genuine prints, sent k = ``duplicate`` times each, k·m arrive; those numbered 1, k+1, … (m-1)·k+1 are
delivered: exactly m, however frames and copies are mixed. Number (j-1)·k+1 cannot come from j-1 prints, nor
after all copies of j: the j-th is never told before it was sent, nor later than its last copy.

Where they are sent less often than ``duplicate`` says, equal prints become fewer; where more often, some come
again. So the default is 1, and all are delivered: a print too many can be seen, one that was taken away
cannot. Copies are told within ``dedup_s`` seconds of the symbol's own time, 60 by default; one that comes
later is delivered again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Limits
from ..core.credentials import Credentials
from ..core.decimals import checked
from ..core.errors import ConfigError
from ..core.events import Denied, Heartbeat, Message, News, Trade, Why
from ..core.instruments import Channel, Instrument, unified
from ..core.times import ns_of_ms


# {"c":["1","8","24","12"],"p":122.1,"s":"TSLA","t":1672348887195,"v":1}                                 [doc]
class Print(Struct, gc=False):
    p: Raw
    s: str
    t: int
    v: Raw
    c: list[str] | None = None


# {"data":[{"p":7296.89,"s":"BINANCE:BTCUSDT","t":1575526691134,"v":0.011467}],"type":"trade"}           [doc]
class Prints(Struct, gc=False, tag_field="type", tag="trade"):
    data: list[Print]


# {"category":"company","datetime":1590529161,"headline":"…","id":123,"image":"…","related":"AAPL",
#  "source":"…","summary":"…","url":"…"}                                                                 [doc]
class Article(Struct, gc=False, kw_only=True):
    category: str | None = None
    datetime: int
    headline: str
    id: int
    image: str | None = None
    related: str | None = None
    source: str | None = None
    summary: str | None = None
    url: str | None = None


class Articles(Struct, gc=False, tag_field="type", tag="news"):
    data: list[Article]


# {"type":"ping"}                                                                                   [recorded]
class Ping(Struct, gc=False, tag_field="type", tag="ping"):
    pass


# {"type":"error","msg":"Invalid symbol OANDA:EUR_USD"}                                          [user report]
class Refusal(Struct, gc=False, tag_field="type", tag="error"):
    msg: str


class Request(Struct, gc=False):
    type: str
    symbol: str


class Listed(Struct, gc=False):
    symbol: str
    description: str = ""


TOO_MANY = "Subscribing to too many symbols"
INVALID = "Invalid symbol"
NO_ACCESS = "You don't have access to this resource."
#: Where the instruments of each asset class are listed.
LISTS = {
    "stock": "/api/v1/stock/symbol?exchange=US",
    "forex": "/api/v1/forex/symbol?exchange=oanda",
    "crypto": "/api/v1/crypto/symbol?exchange=binance",
}
_MONEY = frozenset(
    [
        *("AUD", "CAD", "CHF", "CNH", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "JPY", "MXN", "NOK", "NZD"),
        *("PLN", "SEK", "SGD", "THB", "TRY", "USD", "ZAR", "XAG", "XAU"),
    ]
)
#: What, after a dash, makes a pair: what coins are quoted in on Binance.
_QUOTED = _MONEY | frozenset(
    [
        *("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "RLUSD", "GUSD", "DAI", "BTC", "ETH", "BNB", "BCH", "LTC"),
        *("FIL", "TRX", "XRP", "DOGE", "SOL", "ARS", "BRL", "COP", "IDR", "NGN", "RON", "RUB", "UAH"),
    ]
)
_JOINTS = {"OANDA": "_", "FXCM": "/", "BINANCE": ""}  # what stands between base and quote
_SLASH = "^"  # stands for the slash of other exchanges, which our names cannot have
_SUFFIX = {"trade": "", "news": "-news"}
_frame: json.Decoder[Prints | Ping | Articles | Refusal] = json.Decoder(Prints | Ping | Articles | Refusal)
_listed = json.Decoder(list[Listed])

Asked = tuple[str, str]  #: kind and the vendor's symbol


class Finnhub(Adapter):
    """Trades of stocks, forex and crypto, and company news, over the one connection that a key may have.

    ``duplicate`` and ``dedup_s`` take copies out, see the module. A forex price comes as a trade of size 0.
    """

    venue = "finnhub"
    title = "Finnhub"
    ws_url = "wss://ws.finnhub.io"
    rest_url = "https://finnhub.io"
    kinds = frozenset(_SUFFIX)
    sample = "BTC-USDT"
    key_names = ("FINNHUB_API_KEY",)
    option_names = frozenset({"duplicate", "dedup_s"})
    limits = Limits(symbols_per_socket=50, sockets_per_key=1, messages_per_s=10)  # free plan [doc]
    silence_s = 150.0  # a ping comes about every 60 s [recorded]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        factor, window_s = self.options.get("duplicate", 1), self.options.get("dedup_s", 60)
        if not isinstance(factor, int) or factor < 1:
            raise ConfigError(f"duplicate must be a number above 0, not {factor!r}", where=self.venue)
        if not isinstance(window_s, int | float) or window_s <= 0:
            raise ConfigError(f"dedup_s must be seconds above 0, not {window_s!r}", where=self.venue)
        self._factor, self._window_ms = factor, round(window_s * 1_000)
        self._names: dict[str, str] = {}  # native to unified, of what was asked for
        self._waiting: dict[Asked, None] = {}  # asked for and not answered yet, oldest first
        self._copies: dict[str, Copies] = {}  # by native symbol

    @classmethod
    def canonical(cls, symbol: str) -> str:
        """``EUR-USD`` for OANDA's and ``BTC-USDT`` for Binance's pairs; others keep their exchange.

        Where it is not known what an exchange puts between base and quote, a slash becomes ``^``.
        """
        if ":" not in symbol:
            return unified(symbol)
        exchange, _, name = native(symbol).partition(":")
        pair = unified(name)
        if native(pair) == f"{exchange}:{name}":
            return pair
        joint, ours = (_JOINTS[exchange], "-") if exchange in _JOINTS else ("/", _SLASH)
        return f"{exchange.replace(' ', '-')}:{name.replace(joint, ours) if joint else name}"

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}/?token={quote(self.credentials.key, safe='')}"

    def rest_headers(self) -> Mapping[str, str]:
        return {"X-Finnhub-Token": self.credentials.key} if self.credentials else {}

    def login(self) -> list[bytes]:
        """Nothing to send; what the last connection left unanswered, or repeated, is of no meaning now."""
        self._waiting.clear()
        self._copies.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._names |= {native(channel.symbol): channel.symbol for channel in channels}
        asked = _wire(channels)
        for each in asked:
            self._waiting.pop(each, None)
            self._waiting[each] = None
        return [_request("subscribe", each) for each in asked]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        gone = _wire(channels)
        for each in gone:
            self._waiting.pop(each, None)
        return [_request("unsubscribe", each) for each in gone]

    def parse(self, frame: bytes) -> Iterable[Message]:
        match _frame.decode(frame):
            case Prints(data=prints):
                return self._trades(prints)
            case Ping():
                return [Heartbeat()]
            case Articles(data=articles):
                return [news for article in articles for news in self._news(article)]
            case Refusal(msg=msg):
                return [self._denied(msg)]

    def symbols_paths(self) -> Sequence[str]:
        return tuple(LISTS.values())

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        asset = next(asset for asset, listed in LISTS.items() if listed == path)
        return [
            Instrument(self.canonical(each.symbol), each.symbol, name=each.description, asset=asset)
            for each in _listed.decode(body)
        ]

    def price_path(self, symbol: str) -> str:
        return f"/api/v1/quote?symbol={quote(native(symbol), safe='')}"

    def _name(self, symbol: str) -> str:
        return self._names.get(symbol) or self.canonical(symbol)

    def _trades(self, prints: list[Print]) -> list[Message]:
        trades: list[Message] = [self._trade(each) for each in prints]  # all are good before any is counted
        for each in prints if self._waiting else ():
            self._waiting.pop(("trade", each.s), None)
        if self._factor == 1:
            return trades
        return [trade for each, trade in zip(prints, trades, strict=True) if not self._is_copy(each)]

    def _trade(self, each: Print) -> Trade:
        size = checked(str(each.v, "ascii"))
        return Trade(
            f"finnhub:{self._name(each.s)}/trade",
            ns_of_ms(each.t),
            checked(str(each.p, "ascii")),
            size,
            side=None,
            id=None,
            conditions=tuple(each.c or ()),
            excluded=() if float(size) else ("volume",),  # the price moved, nothing was traded [doc]
        )

    def _is_copy(self, each: Print) -> bool:
        if each.s not in self._copies:
            self._copies[each.s] = Copies(self._window_ms)
        return self._copies[each.s].count(each) % self._factor != 1

    def _news(self, article: Article) -> Iterator[Message]:
        """One for each of the symbols it is about."""
        related = [symbol for symbol in (article.related or "").split(",") if symbol]
        names = tuple(map(self._name, related))
        for symbol, name in zip(related, names, strict=True):
            self._waiting.pop(("news", symbol), None)
            yield News(
                f"finnhub:{name}/news",
                ns_of_ms(article.datetime * 1_000),
                str(article.id),
                article.headline,
                article.source or "",
                article.url or "",
                article.summary or "",
                names,
            )

    def _denied(self, msg: str) -> Denied:
        """Of a full plan the newest is refused, of bare symbols the oldest: the vendor answers in order."""
        if msg == TOO_MANY:
            return Denied(msg, self._refused(list(self._waiting)[-1:]), Why.LIMIT)
        if msg.startswith(INVALID):
            symbol = msg.removeprefix(INVALID).strip()
            refused = [each for each in self._waiting if each[1] == symbol] if symbol else self._oldest("")
            return Denied(msg, self._refused(refused or [(kind, symbol) for kind in _SUFFIX]), Why.SYMBOL)
        if msg == NO_ACCESS:
            return Denied(msg, self._refused(self._oldest("news")), Why.PLAN)
        return Denied(msg)

    def _oldest(self, kind: str) -> list[Asked]:
        return [each for each in self._waiting if kind in each[0]][:1]

    def _refused(self, asked: list[Asked]) -> tuple[str, ...]:
        """The channels of ``asked``, which have their answer now."""
        for each in asked:
            self._waiting.pop(each, None)
        return tuple([f"finnhub:{self._name(symbol)}/{kind}" for kind, symbol in asked if symbol])


class Copies:
    """The prints of one symbol that came lately: within ``window_ms`` of its newest."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms, self._newest_ms = window_ms, 0
        self._seen: dict[tuple[int, bytes, bytes, tuple[str, ...]], int] = {}

    def count(self, each: Print) -> int:
        """How many prints equal to this one have come, this one included; 1 for one that comes too late."""
        self._newest_ms = max(self._newest_ms, each.t)
        since_ms = self._newest_ms - self._window_ms
        while self._seen and (oldest := next(iter(self._seen)))[0] < since_ms:
            del self._seen[oldest]
        if each.t < since_ms:
            return 1
        key = each.t, bytes(each.p), bytes(each.v), tuple(each.c or ())
        self._seen[key] = n = self._seen.get(key, 0) + 1
        return n


def native(symbol: str) -> str:
    """The vendor's spelling of a symbol, whichever spelling it is in."""
    exchange, colon, name = symbol.partition(":")
    if colon:
        exchange = exchange.upper().replace("-", " ")
        joint = _JOINTS.get(exchange)
        if joint is None:
            return f"{exchange}:{name.replace(_SLASH, '/')}"
        return f"{exchange}:{name.replace('-', joint)}"
    base, _, quoted = symbol.partition("-")
    if quoted not in _QUOTED:  # NOVO-B.CO is a share
        return symbol
    return f"OANDA:{base}_{quoted}" if {base, quoted} <= _MONEY else f"BINANCE:{base}{quoted}"


def _wire(channels: Sequence[Channel]) -> list[Asked]:
    return list(dict.fromkeys((channel.kind, native(channel.symbol)) for channel in channels))


def _request(verb: str, asked: Asked) -> bytes:
    kind, symbol = asked
    return json.encode(Request(verb + _SUFFIX[kind], symbol))
