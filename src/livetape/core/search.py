"""Finding an instrument by what people type: ticker, pair or name, in any order and misspelt (floor 1).

What fits the ticker comes first, then what fits the name, then what is merely alike. Of two that fit equally
well the better known comes first.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from unicodedata import combining, normalize

from msgspec import Struct
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from .instruments import Instrument

Listing = tuple[str, Instrument]  #: venue and instrument

MAX_WORDS = 6  #: of a query that are read
MAX_LETTERS = 80  #: likewise
FEW = 5  #: with fewer that fit, those that are only alike are found, too

#: What people call the assets of a pair, and few venues say; the best known first.
_MONEY = {
    "USD": "us dollar",
    "USDT": "tether",
    "USDC": "usd coin",
    "EUR": "euro",
    "GBP": "british pound sterling",
    "JPY": "japanese yen",
    "CHF": "swiss franc",
    "AUD": "australian dollar",
    "CAD": "canadian dollar",
    "NZD": "new zealand dollar",
    "CNY": "chinese yuan renminbi",
    "CNH": "offshore chinese yuan renminbi",
    "HKD": "hong kong dollar",
    "SGD": "singapore dollar",
    "INR": "indian rupee",
    "KRW": "south korean won",
    "MXN": "mexican peso",
    "BRL": "brazilian real",
    "ZAR": "south african rand",
    "TRY": "turkish lira",
    "SEK": "swedish krona",
    "NOK": "norwegian krone",
    "DKK": "danish krone",
    "PLN": "polish zloty",
    "GUSD": "gemini dollar",
    "DAI": "dai",
}
_COINS = {
    "BTC": "bitcoin xbt",
    "ETH": "ethereum ether",
    "SOL": "solana",
    "XRP": "ripple",
    "BNB": "binance coin",
    "DOGE": "dogecoin xdg",
    "ADA": "cardano",
    "TRX": "tron",
    "LINK": "chainlink",
    "AVAX": "avalanche",
    "XLM": "stellar lumens",
    "BCH": "bitcoin cash",
    "LTC": "litecoin",
    "DOT": "polkadot",
    "SHIB": "shiba inu",
    "XMR": "monero",
    "UNI": "uniswap",
    "AAVE": "aave",
    "ATOM": "cosmos",
    "NEAR": "near protocol",
    "ETC": "ethereum classic",
    "FIL": "filecoin",
    "ALGO": "algorand",
    "ZEC": "zcash",
    "XTZ": "tezos",
    "XAU": "gold",
    "XAG": "silver",
}
_NAMES = _MONEY | _COINS
_BASES = {asset: n for n, asset in enumerate((*_COINS, *_MONEY))}
_QUOTES = {"": 0} | {asset: n for n, asset in enumerate((*_MONEY, *_COINS))}
_OTHER = len(_NAMES)

_JOINING = str.maketrans("", "", "'’&")
_cut = re.compile(r"[^\W_]+").findall


class _Entry(Struct, frozen=True, gc=False):
    """One listing as it is compared: lower case, words between blanks."""

    ticker: str  #: the symbol without separators
    base: str
    name: str  #: ends with a blank


class Index:
    """All of ``listings``, to be searched often. Making it costs about 10 µs a listing."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        by_symbol = sorted(listings, key=lambda listing: listing[1].symbol)
        self._listings = sorted(by_symbol, key=_fame)  # so the smaller number is the better known
        self._entries: list[_Entry] = []
        self._having: dict[str, list[int]] = {}
        for n, (venue, instrument) in enumerate(self._listings):
            symbol, native, name = _words(instrument.symbol), _words(instrument.native), _names(instrument)
            ticker = "".join(symbol)
            self._entries.append(_Entry(ticker, "".join(symbol[:1]), " ".join([*name, ""])))
            words = {ticker, "".join(native), *symbol, *native, *name, instrument.asset, venue} - {""}
            for word in words:
                self._having.setdefault(word, []).append(n)
        self._words = sorted(self._having)
        self._by_length: dict[int, list[str]] = {}
        for word in self._words:
            self._by_length.setdefault(len(word), []).append(word)

    def search(self, text: str, limit: int) -> list[Listing]:
        """The ``limit`` listings that fit ``text`` best, the best first; without a text the best known."""
        parts = _words(text[:MAX_LETTERS])[:MAX_WORDS]
        if not parts:
            return self._listings[:limit]
        best: dict[int, None] = {}
        for tier in self._tiers(parts):
            best |= dict.fromkeys(sorted(tier))
            if len(best) >= limit:
                break
        if len(best) < FEW and not (best and all(part in self._having for part in parts)):
            alike = self._alike(parts)
            best |= dict.fromkeys(sorted(alike, key=lambda n: (alike[n], n)))
        return [self._listings[n] for n in islice(best, limit)]

    def _tiers(self, parts: list[str]) -> Iterator[Iterable[int]]:
        """Those that fit, the best first; a later tier repeats what was in an earlier one."""
        entries, joined, phrase = self._entries, "".join(parts), " ".join(parts)
        exact = self._having.get(joined, ())
        yield [n for n in exact if entries[n].ticker == joined]
        yield [n for n in exact if entries[n].base == joined]
        starting = self._starting(joined)
        yield [n for n in starting if entries[n].ticker.startswith(joined)]
        fitting = starting | set.intersection(*map(self._starting, set(parts)))
        yield [n for n in fitting if entries[n].name.startswith(phrase + " ")]
        yield [n for n in fitting if entries[n].name.startswith(phrase)]
        yield fitting.intersection(*[self._having.get(part, ()) for part in parts])
        yield fitting
        yield [n for n, entry in enumerate(entries) if joined in entry.ticker]

    def _starting(self, part: str) -> set[int]:
        """Those with a word that starts with ``part``."""
        words = self._words[bisect_left(self._words, part) : bisect_left(self._words, part + "\U0010ffff")]
        return set(chain.from_iterable([self._having[word] for word in words]))

    def _alike(self, parts: list[str]) -> dict[int, int]:
        """Those that fit when misspelt, and how far they are from it."""
        near = [self._near(part) for part in set(parts)]
        alike = {n: sum(each[n] for each in near) for n in set.intersection(*map(set, near))}
        return alike | self._near("".join(parts)) if len(parts) > 1 else alike

    def _near(self, part: str) -> dict[int, int]:
        """Those with a word like ``part``: one letter of four may differ, two at most; hardly the first."""
        near = dict.fromkeys(self._starting(part), 0)
        most = min(len(part) // 4, 2)
        for length in range(len(part) - most, len(part) + most + 1):
            words = self._by_length.get(length, [])
            for word, letters, _ in extract(part, words, scorer=OSA.distance, score_cutoff=most, limit=None):
                distance = 2 * int(letters) + (word[0] != part[0])
                for n in self._having[word]:
                    near[n] = min(distance, near.get(n, distance))
        return near


def _fame(listing: Listing) -> int:
    """Small for what is well known: the base counts before the quote currency, then the length."""
    symbol = listing[1].symbol
    base, _, quote = symbol.partition("-")
    known = _BASES.get(base, _OTHER) if quote else _OTHER
    return (known * 100 + _QUOTES.get(quote, _OTHER)) * 100 + len(symbol)


def _names(instrument: Instrument) -> list[str]:
    """The words of the venue's name for it, and of ours for a pair."""
    assets = instrument.symbol.split("-")
    ours = [_NAMES.get(asset, "") for asset in assets] if len(assets) > 1 else []
    return _words(" ".join([instrument.name, *ours]))


def _words(text: str) -> list[str]:
    """``text`` in lower case without accents, cut at whatever is no letter or digit; AT&T is one word."""
    if not text.isascii():
        text = "".join([letter for letter in normalize("NFKD", text) if not combining(letter)])
    return _cut(text.translate(_JOINING).lower())
