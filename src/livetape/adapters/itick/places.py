"""Where iTick has an instrument, and how its symbols are spelt (floor 2)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from ...core.instruments import unified

#: Where the instruments of an asset class are, unless they say so.
REGIONS = {"forex": "GB", "indices": "GB", "crypto": "BA", "stock": "US", "future": "US", "fund": "US"}
#: What the vendor calls an asset class, and what we do.
ASSETS = {"forex": "forex", "indices": "index", "crypto": "crypto", "stock": "stock"}
_words = re.compile(r"\w+").findall
_COUNTRIES = _words("AU BA BT CA CN DE ES FR GB HK ID IN IT JP KR MX MY NL SG SH SZ TH TR TW US VN")
_MONEY = frozenset(
    _words(
        "AED ARS AUD BRL CAD CHF CLP CNH CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW KWD MXN MYR NOK "
        "NZD PEN PHP PLN RON RUB SAR SEK SGD THB TRY TWD USD VND XAG XAU XPD XPT ZAR"
    )
)
_INDICES = frozenset(
    _words(
        "ASX200 AUS200 CAC40 DAX DAX40 DJI ES35 EU50 FCHI FRA40 FTSE GDAXI GER30 GER40 HK50 HSI IXIC JP225 "
        "KOSPI N225 NAS100 NDX NI225 NSEI RUT SENSEX SPX SPX500 STOXX50 UK100 US30 US500 VIX"
    )
)
_spelt = re.compile(rf"(.+?)(?:\$(\w*)|\.({'|'.join(_COUNTRIES)}))?", re.ASCII | re.DOTALL).fullmatch


class Place(NamedTuple):
    """Where the vendor has an instrument: its asset class, its code in our spelling, its region."""

    asset: str
    code: str
    region: str

    @property
    def native(self) -> str:
        """The vendor's spelling of the code: ``EURUSD``."""
        return self.code.replace("-", "") if self.asset in ("forex", "crypto") else self.code


def place(symbol: str, assets: Mapping[str, str] | None = None) -> Place:
    """Where ``symbol``, in our spelling, is; ``assets`` says it of codes that are not known for it.

    Where coins are, all are. A pair is money or has a coin in it; what else is in Great Britain, or has the
    name of an index, is one.
    """
    code, region = split(symbol)
    asset = (assets or {}).get(code) or _asset(code, region)
    return Place(asset, code, region or REGIONS[asset])


def split(symbol: str) -> tuple[str, str]:
    """Code and region of ``AAPL$US``, ``AAPL.US`` or ``AAPL``; "" where it names none."""
    spelt = _spelt(symbol)
    if spelt is None:
        raise ValueError(f"{symbol!r} is not a symbol")
    code, region, country = spelt.groups()
    return code, region or country or ""


def canonical(symbol: str) -> str:
    """Our spelling of ``symbol``, with its region only where it would be looked for elsewhere."""
    code, region = split(symbol.upper())
    code = unified(code)
    if len(code) == 6 and {code[:3], code[3:]} <= _MONEY:
        code = f"{code[:3]}-{code[3:]}"
    explicit = f"{code}.{region}" if region in _COUNTRIES else f"{code}${region}"
    return code if not region or place(code) == place(explicit) else explicit


def _asset(code: str, region: str) -> str:
    if region in ("BA", "BT"):
        return "crypto"
    base, _, quote = code.partition("-")
    if len(quote) >= 3:
        return "forex" if base in _MONEY and quote in _MONEY else "crypto"
    return "indices" if region == "GB" or (code in _INDICES and not region) else "stock"
