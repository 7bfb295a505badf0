"""What a client of iTick asks for, and what the market says, as its wire types (floor 2)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import Raw, json

from ...adapters.itick.places import Place, place, split
from ...adapters.itick.wire import WireLevel
from ...core.decimals import Level
from ...core.dialect import Call, Day, Source
from ...core.events import Bar
from ...core.times import MILLISECOND

encode = json.Encoder().encode


def token(call: Call) -> str | None:
    return call.headers.get("token", call.query.get("token"))


def parts(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def spelling(code: str) -> str:
    """``code`` as ``catalogue`` has it: ``EURUSD``, ``AAPL$US``."""
    bare, region = split(code.upper())
    return bare.replace("_", "") + (f"${region}" if region else "")


def catalogue(source: Source, asset: str) -> dict[str, str]:
    """The symbols of ``asset``, "" for all, by their codes with and without a region."""
    names: dict[str, str] = {}
    for at, symbol, _ in places(source):
        if asset in ("", at.asset):
            names |= {at.native: symbol, f"{at.native}${at.region}": symbol}
    return names


def places(source: Source) -> list[tuple[Place, str, str]]:
    """Where the instruments are, their symbols and their names; there are no options."""
    return [(place(i.symbol), i.symbol, i.name) for i in source.instruments() if i.asset != "option"]


# What the market says


def raw(number: str) -> Raw:
    return Raw(number.encode())


def day_of(source: Source, symbol: str) -> Day:
    day = source.day(symbol)
    assert day is not None, "a listed symbol has a day"
    return day


def figures(source: Source, symbol: str, ns: int) -> dict[str, Any]:
    day = day_of(source, symbol)
    return {
        **{"ld": raw(day.last), "o": raw(day.open), "h": raw(day.high), "l": raw(day.low)},
        **{"t": ns // MILLISECOND, "v": raw(day.volume), "tu": raw(day.turnover)},
    }


def window(source: Source, symbol: str) -> tuple[list[Level], list[Level]]:
    """The levels that are shown: one of forex, else five a side."""
    book, n = source.book(symbol), 1 if place(symbol).asset == "forex" else 5
    return ([], []) if book is None else (book.bids.top(n), book.asks.top(n))


def wire_levels(levels: Sequence[Level]) -> list[WireLevel]:
    """The count of orders repeats the size, as in the vendor's examples."""
    return [WireLevel(po=n + 1, p=raw(p), v=raw(v), o=raw(v)) for n, (p, v) in enumerate(levels)]


def candle(bar: Bar) -> dict[str, Any]:
    """The turnover is exact but for the rounding of the mean price."""
    turnover = Decimal(bar.vwap_text or bar.close_text) * Decimal(bar.volume_text)
    return {
        **{"t": bar.start_ns // MILLISECOND, "o": raw(bar.open_text), "h": raw(bar.high_text)},
        **{"l": raw(bar.low_text), "c": raw(bar.close_text), "v": raw(bar.volume_text)},
        "tu": raw(f"{turnover:f}"),
    }
