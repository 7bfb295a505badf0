"""When markets trade: hours by symbol or by the name of a calendar (floor 3).

Sessions, holidays and half days of exchanges are those of exchange-calendars. It takes most of a second to
load, and is loaded only when an exchange is asked for.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache, partial
from itertools import cycle
from zoneinfo import ZoneInfo

from .adapters import find
from .core.decimals import nearest
from .core.errors import ConfigError
from .core.instruments import Channel
from .core.times import SECOND, ns_of

_MONEY = (
    *("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "SGD", "HKD", "CNH", "CNY", "TRY", "BRL"),
    *("MXN", "ZAR", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "ILS", "INR", "KRW", "THB"),
    *("XAU", "XAG", "XPT", "XPD"),
)
_CLOSING = time(17)  #: of the week of forex, in New York
_NEW_YORK = ZoneInfo("America/New_York")
_DAYS: dict[str, tuple[tzinfo, time]] = {"forex": (_NEW_YORK, _CLOSING), "XNYS": (_NEW_YORK, time(0))}
#: Trading before and after the regular session in the US: from 04:00 to 20:00, to 17:00 on half days.
_EARLY_NS, _LATE_NS = 19_800 * SECOND, 14_400 * SECOND


EDGE_NS = 30 * 60 * SECOND  #: how long a session's opening and its closing are phases of their own
_PHASE_NS = 3 * 3_600 * SECOND  #: how long the others are


class Hours:
    """When a market trades. Times are ns UTC; ``name`` is the calendar's.

    ``edges(year)`` are its opening and closing times in turn, ascending, at least from the year before
    ``year`` to the year after.
    """

    def __init__(self, name: str, edges: Callable[[int], Sequence[int]]) -> None:
        self.name = name
        self._edges = lru_cache(maxsize=8)(edges)

    def is_open(self, ns: int) -> bool:
        """Whether the market trades at ``ns``. It does at its opening, and no longer at its closing."""
        return bisect_right(self._around(ns), ns) % 2 == 1

    def phase(self, ns: int) -> str | None:
        """The phase of the market at ``ns``: ``opening``, ``closing`` or a part of the day; None when closed.

        Markets are as lively today as they were yesterday in the same phase.
        """
        edges = self._around(ns)
        at = bisect_right(edges, ns)
        if at % 2 == 0:
            return None
        if edges[at - 1] > 0 and ns - edges[at - 1] < EDGE_NS:
            return "opening"
        if at < len(edges) and edges[at] - ns <= EDGE_NS:
            return "closing"
        return f"part {ns // _PHASE_NS % 8}"

    def next_open(self, ns: int) -> int | None:
        """The first opening after ``ns``; None when none is known."""
        return self._next(ns, 0)

    def next_close(self, ns: int) -> int | None:
        """The first closing after ``ns``; None when none is known, as for a market that never closes."""
        return self._next(ns, 1)

    def _next(self, ns: int, parity: int) -> int | None:
        edges = self._around(ns)
        at = bisect_right(edges, ns)
        at += at % 2 != parity
        return edges[at] if at < len(edges) else None

    def _around(self, ns: int) -> Sequence[int]:
        return self._edges(datetime.fromtimestamp(ns // SECOND, UTC).year)


class Phases:
    """In which phase the market of a channel is, for a session that watches over it.

    The calendar of an exchange is loaded in a thread; until it is there, as for one that is not known,
    nothing is expected.
    """

    def __init__(self) -> None:
        self._hours: dict[tuple[str, str], Hours | None] = {}
        self._loader: ThreadPoolExecutor | None = None

    def __call__(self, channel: Channel, ns: int) -> str | None:
        key = channel.venue, channel.symbol
        if key not in self._hours:
            self._hours[key] = None
            is_pair = len(channel.symbol.partition("-")[2]) > 1
            if is_pair or _never_closes(channel.venue):  # needs no exchange's calendar
                self._load(key, ns)
            else:
                self._loader = self._loader or ThreadPoolExecutor(1, "livetape-calendars")
                self._loader.submit(self._load, key, ns)
        hours = self._hours[key]
        return None if hours is None else hours.phase(ns)

    def close(self) -> None:
        """Load nothing more."""
        if self._loader is not None:
            self._loader.shutdown(wait=False, cancel_futures=True)

    def _load(self, key: tuple[str, str], ns: int) -> None:
        with suppress(ConfigError):
            hours = hours_of(*key)
            hours.phase(ns)  # makes it read the year
            self._hours[key] = hours


def phase_of(channel: Channel, ns: int) -> str | None:
    """In which phase the market of ``channel`` is; None also where its hours are not known."""
    try:
        return hours_of(channel.venue, channel.symbol).phase(ns)
    except ConfigError:
        return None


@lru_cache(maxsize=10_000)
def hours_of(venue: str, symbol: str, *, extended: bool = False) -> Hours:
    """The hours of a unified ``symbol``: of coins, of forex, and of US stocks for all that is no pair.

    ``extended`` adds the time before and after the regular session. Raises ConfigError for a symbol of
    another region, such as ``700$HK``.
    """
    name = _calendar_of(venue, symbol)
    return calendar_hours(name, extended=extended and name == "XNYS")


def days_of(venue: str, symbol: str) -> Sequence[int]:
    """When the days of the market of ``symbol`` begin, see ``day_starts``; UTC days where it is not known."""
    try:
        return day_starts(_calendar_of(venue, symbol))
    except ConfigError:
        return ()


def _calendar_of(venue: str, symbol: str) -> str:
    if _never_closes(venue):
        return "24/7"
    base, _, quote = symbol.partition("-")
    ticker, _, region = symbol.partition("$")
    if len(quote) > 1:  # BRK-B is a share
        return "forex" if base in _MONEY and quote in _MONEY else "24/7"
    if region not in ("", "US"):
        raise ConfigError(f"{venue}:{symbol}: name the calendar of {ticker}'s exchange", example="XHKG")
    return "XNYS"


@lru_cache
def _never_closes(venue: str) -> bool:
    with suppress(ConfigError):
        return find(venue).never_closes
    return False


@lru_cache
def calendar_hours(name: str, *, extended: bool = False) -> Hours:
    """The hours of a calendar: ``forex``, ``24/7`` or an exchange's, such as ``XNYS``, ``XLON``, ``CMES``.

    ``extended`` is for US stocks, and means nothing where there is no session. Raises ConfigError for a name
    nobody knows.
    """
    if name == "24/7":
        return Hours(name, lambda _: (-(1 << 63),))
    if name == "forex":
        return Hours(name, _forex)
    exchange = _exchange(name)
    if not extended:
        return Hours(exchange, partial(_sessions, exchange))
    if exchange != "XNYS":
        raise ConfigError(f"{name}: extended hours are known of XNYS only")
    return Hours("XNYS extended", _extended)


@lru_cache
def day_starts(name: str) -> Sequence[int]:
    """When all days of a calendar begin, from 1990 to 2059, ns UTC; empty where they are those of UTC.

    A day of ``forex`` begins at 17:00 in New York, that of an exchange at midnight there or, where its
    session opens on the evening before, at that time. Raises ConfigError for a name nobody knows.
    """
    if name == "24/7":
        return ()
    zone, begin = _DAYS.get(name) or _day_of_exchange(_exchange(name))
    first, end = date(1990, 1, 1), date(2060, 1, 1)
    days = (first + timedelta(n) for n in range((end - first).days))
    return tuple([ns_of(datetime.combine(day, begin, zone)) for day in days])


def _day_of_exchange(exchange: str) -> tuple[tzinfo, time]:
    import exchange_calendars

    known = exchange_calendars.get_calendar(exchange)
    return known.tz, known.open_times[-1][1] if known.open_offset else time(0)


def _exchange(name: str) -> str:
    """What exchange-calendars calls the exchange ``name``."""
    import exchange_calendars

    known = {"forex", *exchange_calendars.get_calendar_names()}
    if name not in known:
        close = nearest(name, known) or nearest(name.upper(), known)
        raise ConfigError(f"unknown calendar {name!r}", allowed=close, example="XNYS")
    return str(exchange_calendars.resolve_alias(name))


def _sessions(exchange: str, year: int) -> list[int]:
    """The edges of an exchange's sessions and of the breaks in them, as far as they are known."""
    import exchange_calendars

    known = exchange_calendars.get_calendar(exchange)
    first, last = (bound and str(bound.date()) for bound in (known.bound_min(), known.bound_max()))
    start, end = max(f"{year - 1}-01-01", first or ""), min(f"{year + 1}-12-31", last or "9999")
    if not start[:4] <= str(year) <= end[:4]:
        raise ConfigError(f"the hours of {exchange} in {year} are not known")
    sessions = exchange_calendars.get_calendar(exchange, start=start, end=end).schedule
    edges: list[int] = []
    # A break that does not take place is NaT, which is not even itself.
    for ns in [
        moment.value for row in sessions.itertuples(index=False) for moment in row if moment == moment
    ]:
        if edges and edges[-1] == ns:  # the next session begins as the last one ends
            edges.pop()
        else:
            edges.append(ns)
    return edges


def _extended(year: int) -> list[int]:
    shifts = cycle((-_EARLY_NS, _LATE_NS))
    return [edge + shift for edge, shift in zip(_sessions("XNYS", year), shifts, strict=False)]


def _forex(year: int) -> list[int]:
    """The week of forex begins on Sunday and ends on Friday."""
    new_year = date(year - 1, 1, 1)
    sunday = new_year - timedelta(new_year.isoweekday() % 7)
    days = [sunday + timedelta(7 * week + day) for week in range(3 * 53) for day in (0, 5)]
    return [ns_of(datetime.combine(day, _CLOSING, _NEW_YORK)) for day in days]
