"""iTick's REST, in the server role (floor 2)."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Raw

from ...adapters.itick.places import REGIONS, place
from ...adapters.itick.wire import PERIODS, Depth, Quote, Tick
from ...core.dialect import Answer, Call, House, Source
from ...core.events import Bar
from ...core.instruments import interval_ns
from ...core.times import MILLISECOND
from .data import (
    candle,
    catalogue,
    day_of,
    encode,
    figures,
    parts,
    places,
    raw,
    spelling,
    token,
    window,
    wire_levels,
)

EXCEEDING = "exceeding the maximum subscription limit"
AUTH_FAILED = "auth failed"
NOT_FOUND = "not found this produce"  # the vendor's spelling
MOST_BARS = 1000  #: in an answer

_asked = re.compile(rf"/({'|'.join(REGIONS)})/(tick|quote|depth|kline)(s?)").fullmatch
_COUNT = re.compile(r"\d{1,15}").fullmatch
_PERIODS = {str(n): kind for kind, n in PERIODS.items()}


class FullQuote(Quote, gc=False, kw_only=True):
    """As REST has it: with the previous close, the change and the change in percent."""

    p: Raw
    ch: Raw
    chp: Raw


def answer(source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
    """What the vendor would answer; None where it has nothing under that path."""
    asked = _asked(call.path)
    if asked is None and call.path not in ("/symbol/list", "/symbol/holidays"):
        return None
    if not house.admits(token(call) or ""):
        return _failed("E002", AUTH_FAILED)
    if asked is not None:
        return _market_data(source, asked, call.query, now_ns)
    if call.path == "/symbol/holidays":  # a simulated market has none
        return _ok([])
    return _ok(_listed(source, call.query))


def busy(status: int) -> bytes:
    """Of too many calls a minute the vendor's papers say nothing: as of too many subscriptions."""
    return _failed("E003", EXCEEDING).body if status == 429 else b""


def _ok(data: object) -> Answer:
    return Answer(200, encode({"code": 0, "msg": None, "data": data}))


def _failed(code: str, reason: str) -> Answer:
    return Answer(200, encode({"code": code, "msg": reason, "data": None}))


def _market_data(source: Source, asked: re.Match[str], query: Mapping[str, str], now_ns: int) -> Answer:
    asset, what, many = asked.groups()
    names, region = catalogue(source, asset), query.get("region", "").upper()
    codes = parts(query.get("codes" if many else "code", ""))
    known = {
        code: names[spelt]
        for code in codes
        if (spelt := spelling(f"{code}${region}" if region else code)) in names
    }
    kind = _PERIODS.get(query.get("kType", "1"))
    if not known or kind is None:
        return _failed("E001", NOT_FOUND)
    if what == "kline":
        data: dict[str, Any] = {code: _klines(source, known[code], kind, query, now_ns) for code in known}
    else:
        data = {code: _one(source, known[code], what, now_ns) for code in known}
    return _ok(data if many else next(iter(data.values())))


def _one(source: Source, symbol: str, what: str, now_ns: int) -> Tick | Quote | Depth:
    at = place(symbol)
    named: dict[str, Any] = {"s": at.native, "r": at.region, "type": UNSET}
    if what == "depth":
        bids, asks = map(wire_levels, window(source, symbol))
        return Depth(a=asks, b=bids, **named)
    if what == "tick":
        trades = source.trades(symbol, 1)
        price, size = (
            (trades[-1].price_text, trades[-1].size_text) if trades else (day_of(source, symbol).last, "0")
        )
        ns = (trades[-1].venue_ns or now_ns) if trades else now_ns
        return Tick(ld=raw(price), v=raw(size), t=ns // MILLISECOND, **named)
    day = day_of(source, symbol)
    before = Decimal(day.previous_close)
    change = Decimal(day.last) - before
    percent = (100 * change / before).quantize(Decimal("0.01"))
    moved: dict[str, Any] = {
        "p": raw(day.previous_close),
        "ch": raw(f"{change:f}"),
        "chp": raw(f"{percent:f}"),
    }
    return FullQuote(**figures(source, symbol, now_ns), **moved, **named)


def _klines(
    source: Source, symbol: str, kind: str, query: Mapping[str, str], now_ns: int
) -> list[dict[str, Any]]:
    """The last bars up to ``et``, newest first [user report]."""
    limit, until = query.get("limit", ""), query.get("et", "")
    n = min(int(limit), MOST_BARS) if _COUNT(limit) else 100
    end_ns = int(until) * MILLISECOND + 1 if _COUNT(until) else now_ns + 1
    length = interval_ns(kind)
    bars: Sequence[Bar] = []
    for start_ns in (end_ns - n * length, 0):  # further back where it has not always been open
        if len(bars) < n:
            bars = source.bars(symbol, length, start_ns, end_ns)
    return [candle(bar) for bar in reversed(bars[max(0, len(bars) - n) :])]


def _listed(source: Source, query: Mapping[str, str]) -> list[dict[str, str]]:
    asset, region, code = (query.get(name, "") for name in ("type", "region", "code"))
    return [
        {"c": at.native, "n": name, "t": asset, "e": at.region, "s": "", "l": at.native.lower()}
        for at, _, name in places(source)
        if at.asset == asset and region.upper() in ("", at.region) and code.upper() in ("", at.native)
    ]
