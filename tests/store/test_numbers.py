"""Decimal text as columns: whatever the text, it comes back; and what is common costs nothing."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livetape.store import numbers

ODD = [
    *("1e-8", "-0", "0", "000.10", "+1", "1.", ".5", "-0.00", "1E5", "1e999", "-1e999", "9" * 400, "0" * 50),
    *("0.3000000000000000166", "0." + "0" * 30 + "1", "100000000000000000000", "1.0000000000000001"),
    *("9007199254740993", "9007199254740992.0", "123456789012345678.12", "-1.50", "1e-400", "5e-324"),
    *(
        "",
        " 1",
        "1 ",
        "1\n",
        "1\x00",
        "\x00",
        "nan",
        "inf",
        "-Infinity",
        "1_0",
        "0x1",
        "\u0661",
        "é",
        "--1",
        "1,5",
    ),
]
digits = st.integers(0, 25).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))
decimals = st.builds("{}{}.{}".format, st.sampled_from(["", "-", "+"]), digits, digits)
prices = st.builds("{:.{}f}".format, st.floats(-1e9, 1e9), st.integers(0, 12))
floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
texts = st.one_of(prices, prices, floats, decimals, st.sampled_from(ODD), st.text(max_size=6), st.none())


def _there_and_back(given: list[str | None], groups: list[int] | None = None) -> list[str | None]:
    codes = None if groups is None else np.array(groups, np.int64)
    return numbers.unpack(*numbers.pack(pa.array(given, pa.string()), codes)).to_pylist()


@given(st.lists(texts))
@example(ODD)
@example([])
@example([None])
def test_every_text_comes_back(given: list[str | None]) -> None:
    assert _there_and_back(given) == given


@given(st.lists(st.tuples(texts, st.integers(0, 3))))
def test_every_text_comes_back_in_groups(given: list[tuple[str | None, int]]) -> None:
    of_groups = [text for text, _ in given]
    assert _there_and_back(of_groups, [group for _, group in given]) == of_groups


@given(st.lists(texts))
@example(ODD)
def test_the_float_is_the_nearest_one_and_null_where_there_is_no_number(given: list[str | None]) -> None:
    values, _, kept = numbers.pack(pa.array(given, pa.string()))
    for text, value, whole in zip(given, values.to_pylist(), kept.to_pylist(), strict=True):
        if value is None:
            assert text is None or whole == text
        else:
            assert text is not None and value == float(text)


def test_what_is_no_number_has_no_float() -> None:
    values, _, _ = numbers.pack(pa.array(["nan", "inf", "1_0", "", "\u0661", "1\x00", "0x1"]))
    assert values.null_count == 7


@given(st.lists(st.decimals(-(10**6), 10**6, places=8), min_size=1), st.integers(0, 8))
def test_one_number_of_decimals_holds_for_all(given: list[Decimal], places: int) -> None:
    texts = [f"{abs(value):.{places}f}" for value in given]
    _, packed, kept = numbers.pack(pa.array(texts))
    assert packed.to_pylist() == [places] * len(texts)
    assert kept.null_count == len(texts)


@given(st.lists(st.decimals(0, 10**7, places=8).map(lambda value: f"{value.normalize():f}"), min_size=1))
def test_texts_without_trailing_zeros_need_neither_text_nor_decimals_each(given: list[str]) -> None:
    _, packed, kept = numbers.pack(pa.array(given))
    assert kept.null_count == len(given)
    assert packed.null_count == len(given) or len(set(packed.to_pylist())) == 1


def test_each_group_has_decimals_of_its_own() -> None:
    texts, groups = ["1.50", "7", "2.25", None, "12"], [0, 1, 0, 0, 1]
    _, packed, kept = numbers.pack(pa.array(texts), np.array(groups))
    assert packed.to_pylist() == [2, 0, 2, None, 0]
    assert kept.null_count == 5


def test_numbers_that_share_no_decimals_have_the_shortest_notation_or_their_own() -> None:
    values, packed, kept = numbers.pack(pa.array(["1.5", "2", "2.50", "1e3"]))
    assert values.to_pylist() == [1.5, 2.0, 2.5, 1000.0]
    assert packed.to_pylist() == [None, None, 2, None]
    assert kept.to_pylist() == [None, None, None, "1e3"]


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e15)
@example(1e-5)
@example(1e22)
@example(5e-324)
def test_the_shortest_notation_is_the_shortest_that_is_the_float(value: float) -> None:
    [text] = numbers.notation(pa.array([value]), None).to_pylist()
    assert Decimal(text) == Decimal(repr(value))
    assert "e" not in text
    assert not ("." in text and text.endswith(("0", ".")))


@pytest.mark.parametrize("places", [0, 1, 8, 18])
def test_fixed_decimals_are_those_of_a_rounded_float(places: int) -> None:
    values = [0.0, 1 / 10**places, 3.0 / 10**places, -7.0 / 10**places, 123456 / 10**places]
    made = numbers.notation(pa.array([*values, None]), places).to_pylist()
    assert made == [*(f"{value:.{places}f}" for value in values), None]
