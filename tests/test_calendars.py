"""When markets trade: judged by dates that everybody can look up, and by hours against each other."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livetape.calendars import Hours, calendar_hours, hours_of
from livetape.core.errors import ConfigError
from livetape.core.times import ns_of

HOUR = 3_600_000_000_000
NEW_YORK = "America/New_York"
CALENDARS = [
    *(calendar_hours(name) for name in ("forex", "XNYS", "XLON", "XETR", "CMES", "XHKG", "24/5")),
    calendar_hours("XNYS", extended=True),
]
moments = st.integers(ns_of(datetime(2025, 1, 1, tzinfo=UTC)), ns_of(datetime(2026, 12, 31, tzinfo=UTC)))


def at(text: str, zone: str = "UTC") -> int:
    return ns_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@settings(max_examples=60)
@pytest.mark.parametrize("hours", CALENDARS, ids=lambda hours: hours.name)
@given(ns=moments, part=st.floats(0, 1))
def test_the_next_edge_is_where_the_market_opens_or_closes_and_nothing_changes_before(
    hours: Hours, ns: int, part: float
) -> None:
    is_open = hours.is_open(ns)
    opens, closes = hours.next_open(ns), hours.next_close(ns)
    assert opens is not None and closes is not None
    assert is_open == (closes < opens)
    edge = min(opens, closes)
    assert ns < edge
    assert hours.is_open(edge) is not is_open
    assert hours.is_open(ns + int((edge - 1 - ns) * part)) is is_open
    assert hours.is_open(edge - 1) is is_open


@pytest.mark.parametrize("hours", CALENDARS, ids=lambda hours: hours.name)
def test_two_years_see_the_same_hours(hours: Hours) -> None:
    new_year = at("2025-01-01")
    ns, until = new_year - 5 * 24 * HOUR, new_year + 5 * 24 * HOUR
    seen = [[edge for edge in hours._edges(year) if ns <= edge <= until] for year in (2024, 2025)]
    assert seen[0] == seen[1]
    assert len(seen[0]) > 2


@pytest.mark.parametrize(
    ("day", "extended", "opens", "closes"),
    [
        ("2026-11-25", False, "09:30", "16:00"),
        ("2026-11-25", True, "04:00", "20:00"),
        ("2026-11-26", False, "", ""),  # Thanksgiving
        ("2026-11-26", True, "", ""),
        ("2026-11-27", False, "09:30", "13:00"),  # half a day
        ("2026-11-27", True, "04:00", "17:00"),
        ("2026-11-28", False, "", ""),  # Saturday
        ("2026-12-24", False, "09:30", "13:00"),
        ("2026-12-25", False, "", ""),
        ("2027-01-01", False, "", ""),
        ("2026-03-06", False, "09:30", "16:00"),  # before and after the clocks change
        ("2026-03-09", True, "04:00", "20:00"),
        ("2026-10-30", True, "04:00", "20:00"),
        ("2026-11-02", False, "09:30", "16:00"),
    ],
)
def test_new_york_trades_as_it_says(day: str, extended: bool, opens: str, closes: str) -> None:
    hours = hours_of("alpaca", "AAPL", extended=extended)
    begin, end = at(day, NEW_YORK), at(str(date.fromisoformat(day) + timedelta(1)), NEW_YORK)
    edges = [edge for edge in hours._edges(int(day[:4])) if begin <= edge < end]
    assert edges == [at(f"{day}T{each}", NEW_YORK) for each in (opens, closes) if each]


@pytest.mark.parametrize(
    ("sunday", "opens", "closes"),
    [
        ("2026-03-01", "2026-03-01T22:00", "2026-03-06T22:00"),
        ("2026-03-08", "2026-03-08T21:00", "2026-03-13T21:00"),  # the clocks went forward that morning
        ("2026-10-25", "2026-10-25T21:00", "2026-10-30T21:00"),  # Europe's went back, New York's did not
        ("2026-11-01", "2026-11-01T22:00", "2026-11-06T22:00"),
    ],
)
def test_forex_keeps_new_yorks_clock(sunday: str, opens: str, closes: str) -> None:
    hours = hours_of("itick", "EUR-USD")
    assert hours.next_open(at(sunday)) == at(opens)
    assert hours.next_close(at(opens)) == at(closes)
    assert not hours.is_open(at(opens) - 1)


def test_breaks_and_half_days_of_other_exchanges_are_known() -> None:
    hong_kong = calendar_hours("XHKG")
    assert hong_kong.next_close(at("2026-11-23T01:30")) == at("2026-11-23T04:00")
    assert hong_kong.next_open(at("2026-11-23T04:00")) == at("2026-11-23T05:00")
    assert calendar_hours("XETR").next_open(at("2026-12-23T20:00")) == at("2026-12-28T08:00")
    # On Thanksgiving the futures stop at noon in Chicago and trade again in the evening.
    assert calendar_hours("CMES").next_close(at("2026-11-23T12:00")) == at("2026-11-26T18:00")


def test_coins_never_rest() -> None:
    for symbol in ("BTC-USD", "ETH-BTC", "USDT-EUR"):
        hours = hours_of("gemini", symbol)
        assert hours.is_open(at("2026-12-25T03:00"))
        assert (hours.next_open(at("2026-12-25")), hours.next_close(at("2026-12-25"))) == (None, None)


@pytest.mark.parametrize(
    ("venue", "symbol", "name"),
    [
        ("itick", "EUR-USD", "forex"),
        ("kraken", "EUR-USD", "24/7"),
        ("alpaca", "BRK.B", "XNYS"),
        ("alpaca", "BRK-B", "XNYS"),
        ("finnhub", "SPX", "XNYS"),
        ("itick", "AAPL$US", "XNYS"),
        ("alpaca", "AAPL261218C00150000", "XNYS"),
    ],
)
def test_the_symbol_decides_whose_hours_they_are(venue: str, symbol: str, name: str) -> None:
    assert hours_of(venue, symbol).name == name


def test_another_regions_stock_needs_its_calendar() -> None:
    with pytest.raises(ConfigError, match=r"name the calendar of 700's exchange"):
        hours_of("itick", "700$HK")


def test_other_names_of_an_exchange_are_understood() -> None:
    assert calendar_hours("NASDAQ", extended=True).name == "XNYS extended"
    assert calendar_hours("LSE").name == "XLON"


@pytest.mark.parametrize(("name", "near"), [("XNYZ", "XNYS"), ("xetr", "XETR"), ("Forex", "forex")])
def test_an_unknown_calendar_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown calendar '{name}'; did you mean .*{near}"):
        calendar_hours(name)


def test_extended_hours_are_refused_where_they_are_not_known() -> None:
    with pytest.raises(ConfigError, match="of XNYS only"):
        calendar_hours("XLON", extended=True)


def test_a_year_beyond_what_an_exchange_has_published_is_no_guess() -> None:
    hours = calendar_hours("XKRX")
    assert hours.next_open(at("2050-12-20")) is not None
    with pytest.raises(ConfigError, match="XKRX in 2051 are not known"):
        hours.is_open(at("2051-01-02"))
