"""Which trades of US stocks may set the last price, the range and the volume."""

import pytest

from livetape.core.conditions import excluded

ALL = ("last", "range", "volume")


@pytest.mark.parametrize("codes", ["", "@", "@F", " ", "@O", "@6", "@X", "@K", "@L", "@1", "@Y"])
def test_regular_trades_set_everything(codes: str) -> None:
    for tape in "ABC":
        assert excluded(tuple(codes), tape) == ()


@pytest.mark.parametrize("code", "CHINRTUVW7")
def test_some_count_for_volume_only(code: str) -> None:
    assert excluded(("@", code), "C") == ("last", "range")


@pytest.mark.parametrize("code", "GPZ4")
def test_late_and_derived_prices_are_not_the_last(code: str) -> None:
    assert excluded(("@", code), "A") == ("last",)


@pytest.mark.parametrize("code", "QM")
def test_an_official_open_or_close_repeats_a_trade(code: str) -> None:
    assert excluded((code,), "C") == ALL


def test_a_corrected_close_adds_no_volume() -> None:
    assert excluded(("9",), "C") == ("volume",)


def test_b_means_two_things() -> None:
    assert excluded(("B",), "A") == excluded(("B",), "B") == ("last", "range")
    assert excluded(("B",), "C") == ()


def test_the_strictest_of_several_counts() -> None:
    assert excluded(("@", "4", "I"), "C") == ("last", "range")
    assert excluded(("I", "9"), "C") == ALL
