"""What is traded and what is subscribed: unified symbols, instruments and channels (floor 0).

A unified symbol is ``BASE-QUOTE`` (``BTC-USD``, ``EUR-USD``) or a bare ticker (``AAPL``, ``SPX``).
A channel is ``venue:SYMBOL/kind``, for example ``kraken:BTC-USD/book``.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from .decimals import nearest
from .errors import ConfigError

INTERVALS = (
    *("1s", "5s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "30m"),
    *("1h", "2h", "4h", "6h", "12h", "1d", "1w"),
)
_BARS = tuple(f"bar.{interval}" for interval in INTERVALS)
KINDS = ("trade", "quote", "book", *_BARS, "summary", "mark", "auction", "luld", "news", "status")
DEFAULT_KINDS = ("trade", "book")  #: what a source without a kind asks for

#: Kinds that are made from another one where the venue does not stream them.
DERIVED = {"quote": "book", "summary": "trade"}

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SYMBOL = re.compile(r"[A-Za-z0-9._$:/^-](?:[A-Za-z0-9._$:/^ -]{0,39})", re.ASCII).fullmatch
_MONEY = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "SGD", "TRY", "BRL")
_STABLE = ("FDUSD", "RLUSD", "USDT", "USDC", "BUSD", "TUSD", "GUSD", "DAI")
_DOUBTFUL = ("BUSD", "TUSD", "GUSD")  # SHIBUSD is SHIB-USD, but ETHGUSD is ETH-GUSD
_COINS = ("BTC", "ETH", "BNB", "BCH", "LTC", "FIL")
#: Quote currencies, longest first, by which a spelling without a separator is split.
_QUOTES = sorted((*_MONEY, *_STABLE, *_COINS), key=len, reverse=True)
#: What some venues call an asset that the others call otherwise.
_ALIASES = {"XBT": "BTC", "XDG": "DOGE"}


class Channel(NamedTuple):
    """One thing that can be subscribed. ``str()`` is its name, and events carry that name."""

    venue: str
    symbol: str
    kind: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}/{self.kind}"

    @classmethod
    def parse(cls, name: str) -> "Channel":
        """Read a channel's name, in our spelling. Raises ConfigError that says what is wrong with it."""
        venue, symbol, kind = split_source(name)
        if not kind:
            raise ConfigError(f"{name!r} names no kind", example=f"{venue}:{symbol}/trade")
        return cls(venue, symbol, kind)


class Instrument(Struct, frozen=True):
    """A traded instrument at one venue; steps are decimal text, the smallest price and size change."""

    symbol: str
    native: str  #: the venue's own spelling
    price_step: str = "0.01"
    size_step: str = "0.00000001"
    name: str = ""
    asset: str = ""  #: "crypto", "stock", "forex", "index" or "option"; "" where it is not known


def parse_source(source: str) -> list[Channel]:
    """The channels that ``venue:SYMBOL[/kind]`` asks for; without a kind, trades and book.

    Raises ConfigError when the form or the kind is wrong. The venue is judged where adapters are found.
    """
    venue, symbol, kind = split_source(source)
    return [Channel(venue, unified(symbol), k) for k in ((kind,) if kind else DEFAULT_KINDS)]


def split_source(source: str) -> tuple[str, str, str]:
    """The venue, the symbol as it was written, and the kind, which may be empty. Raises ConfigError."""
    venue, colon, rest = source.partition(":")
    symbol, slash, kind = rest.rpartition("/")
    if not slash or (kind not in KINDS and kind.upper() in _QUOTES):  # BTC/USD is a symbol
        symbol, kind = rest, ""
    if not (venue and colon and symbol):
        problem = f"{source!r} is not a source; write venue:SYMBOL or venue:SYMBOL/kind"
        raise ConfigError(problem, example="kraken:BTC-USD/book")
    if not _SYMBOL(symbol):
        raise ConfigError(f"{symbol!r} is not a symbol")
    if kind and kind not in KINDS:
        close = nearest(kind, KINDS)
        raise ConfigError(
            f"{kind!r} is not a kind of channel", where=source, allowed=close or list(KINDS[:3])
        )
    return venue.lower(), symbol, kind


@lru_cache(1 << 14)
def unified(symbol: str) -> str:
    """Our spelling of a vendor's symbol: ``btcusd``, ``BTC/USD`` and ``XBT_USD`` are ``BTC-USD``."""
    symbol = re.sub("[/_ ]", "-", symbol.upper())
    if "-" not in symbol:
        symbol = _split(symbol)
    return "-".join([_ALIASES.get(asset, asset) for asset in symbol.split("-")])


def _split(symbol: str) -> str:
    for quote in _QUOTES:
        base = symbol.removesuffix(quote)
        if base == symbol or len(base) < 3 or (base == "USD" and quote in _STABLE):
            continue
        if quote not in _DOUBTFUL or base in _COINS:
            return f"{base}-{quote}"
    return symbol


def interval_ns(kind: str) -> int:
    """The length of one bar of ``bar.<interval>`` in ns."""
    text = kind.removeprefix("bar.")
    return int(text[:-1]) * _SECONDS[text[-1]] * 1_000_000_000


def by_symbol(channels: Iterable[Channel]) -> dict[str, set[str]]:
    """The kinds wanted of each symbol, in the order in which the symbols came."""
    kinds: dict[str, set[str]] = {}
    for channel in channels:
        kinds.setdefault(channel.symbol, set()).add(channel.kind)
    return kinds
