"""A day of every simulator, made short; ``python bench/day.py`` runs the whole of it."""

import pytest
from msgspec.structs import replace

from livetape.core.events import Gap, Trade
from livetape.simulator.faults import WITHHELD

from .day import CASES, Case, Day
from .ledger import Account, Result

MINUTES = 40
TRADE = Trade("kraken:BTC-USD/trade", 1_000, "1.5", "2", "buy", "7", 7)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_day_is_told_whole_or_its_holes_are(case: Case) -> None:
    day = Day(case, MINUTES * 60, seed=1)
    assert not day.problems, "\n".join(day.problems)
    for name, result in day.results.items():
        assert result.live > 0, name
        assert result.gaps > 1, name
        assert not result.outside + result.twice, name
        if day.accounts[name].has_history:
            assert result.inside == 0, name
    assert all(line.dials > 1 for line in day.lines)
    healing = [result for name, result in day.results.items() if day.accounts[name].has_history]
    assert not healing or sum(result.backfilled for result in healing) > 0


def test_a_day_repeats_itself_by_its_seed() -> None:
    case = next(case for case in CASES if case.api == "v3")
    first, again, other = (Day(case, 900, seed).results for seed in (1, 1, 2))
    assert first == again != other


# The judge


def an_account(*, numbered: bool = False, has_history: bool = False) -> Account:
    """One that was told a trade at 1000 ns, and heard one before it."""
    account = Account("kraken:BTC-USD/trade", numbered=numbered, has_history=has_history)
    account.tell(replace(TRADE, venue_ns=900), 900)
    account.hear(replace(TRADE, venue_ns=900), 900, 900, "")
    account.tell(TRADE, 1_000)
    return account


def a_gap(start_ns: int, end_ns: int, healed: str | None = None) -> Gap:
    return Gap("kraken:BTC-USD/trade", start_ns, end_ns, "reset", healed)


def test_what_is_delivered_once_is_well() -> None:
    account = an_account()
    account.hear(TRADE, 1_000, 1_000, "")
    assert account.settle() == Result(sent=2, live=2)
    assert not account.problems


def test_what_is_missing_without_a_gap_is_found() -> None:
    account = an_account()
    account.put(a_gap(1_001, 2_000))
    assert account.settle() == Result(sent=2, live=1, outside=1, gaps=1)
    assert account.problems


def test_what_is_missing_in_a_gap_is_well_unless_it_could_be_had_again() -> None:
    for has_history in (False, True):
        account = an_account(has_history=has_history)
        account.put(a_gap(900, 2_000))
        assert account.settle() == Result(sent=2, live=1, inside=1, gaps=1)
        assert bool(account.problems) is has_history


def test_a_gap_that_says_healed_when_something_is_missing_is_found() -> None:
    account = an_account()
    account.put(a_gap(900, 2_000))
    account.put(a_gap(900, 2_000, "history"))
    assert account.settle() == Result(sent=2, live=1, outside=1, gaps=1, healed=1)
    assert account.problems


def test_what_is_delivered_twice_is_found() -> None:
    account = an_account()
    account.hear(TRADE, 1_000, 1_000, "")
    account.hear(TRADE, 1_000, 3_000, "")
    assert account.settle() == Result(sent=2, live=2, twice=1)
    assert account.problems


@pytest.mark.parametrize("numbered", [True, False])
def test_a_lost_frame_is_forgiven_only_where_nobody_can_know(numbered: bool) -> None:
    account = an_account(numbered=numbered)
    account.strike(TRADE, 1_000, WITHHELD)
    assert account.settle() == Result(sent=2, live=1, outside=int(numbered), unknowable=int(not numbered))
    assert bool(account.problems) is numbered
