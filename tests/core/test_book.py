"""The order book against a naive one, whatever comes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.core.book import Book
from livetape.core.decimals import Level, checked, checked_levels, significant

#: Few enough prices that they collide, in several spellings, some with more digits than a float has.
PRICES = st.sampled_from(
    [
        *("1", "1.0", "1.00", "0.5", "0.50", "2", "10", "9.99", "1e1", "100e-1", "0.1", "0.10"),
        *("12345678901.2345678", "12345678901.2345679", "0.1000000000000000055", "0.10000000000000000000"),
        *("9007199254740993", "9007199254740992.5", "9007199254740993.0"),
    ]
)
SIZES = st.sampled_from(["0", "0.0", "0.00000000", "0e5", "1", "2.50", "0.00000001", "12345678901234567.89"])
CHANGES = st.lists(st.tuples(PRICES, SIZES), max_size=12)


def naive(
    messages: list[tuple[list[Level], list[Level]]], depth: int | None
) -> list[list[tuple[Decimal, str]]]:
    """Bids and asks, best first, by the plainest code there is."""
    sides: list[dict[Decimal, str]] = [{}, {}]
    for message in messages:
        for side, changes in zip(sides, message, strict=True):
            for price, size in changes:
                side.pop(Decimal(price), None)
                if Decimal(size):
                    side[Decimal(price)] = size
        for side, sign in zip(sides, (-1, 1), strict=True):
            for worse in sorted(side, key=lambda price: sign * price)[depth:] if depth else []:
                del side[worse]
    return [sorted(sides[0].items(), reverse=True), sorted(sides[1].items())]


@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=12), st.one_of(st.none(), st.integers(1, 5)))
def test_it_equals_a_dictionary_after_any_updates(
    messages: list[tuple[list[Level], list[Level]]], depth: int | None
) -> None:
    book = Book()
    for bids, asks in messages:
        book.apply(bids, asks, depth=depth)
    expected = naive(messages, depth)
    for side, levels in zip((book.bids, book.asks), expected, strict=True):
        shown = [(Decimal(price), size) for price, size in side.top(len(side))]
        assert shown == levels
        assert [(Decimal(p), s) for p, s in side.top(2)] == levels[:2]
        assert len(side) == len(levels)
    best = book.bids.best(), book.asks.best()
    assert [b and Decimal(b[0]) for b in best] == [levels[0][0] if levels else None for levels in expected]
    both = all(expected)
    assert book.crossed == (both and expected[0][0][0] >= expected[1][0][0])


def test_reading_it_gives_floats_and_keeps_the_text() -> None:
    book = Book()
    book.apply([("20345.47", "0.02943161"), ("20345.40", "1.0")], [("20345.54", "0.240")])
    assert book.best() == (20345.47, 20345.54)
    assert book.top(1) == ([(20345.47, 0.02943161)], [(20345.54, 0.24)])
    assert book.asks.top(1) == [("20345.54", "0.240")]


def test_a_horizon_tells_how_many_levels_are_certain() -> None:
    book = Book()
    book.apply([("10", "1"), ("9", "1"), ("8", "1")], [("11", "1"), ("12", "1")])
    assert (book.bids.told, book.asks.told, book.told) == (None, None, None)
    book.bids.close_horizon()
    book.apply([("7", "1"), ("10.5", "1")], [])
    told = [book.bids.told, book.asks.told, book.told]
    assert told == [4, None, 4]
    book.apply([("10", "0"), ("10.5", "0"), ("9", "0"), ("8", "0")], [])
    assert book.told == 0
    book.apply([("7.12345678901234567", "1")], [])  # widens the keys
    assert book.told == 0


NOT_NUMBERS = ["", "-1", "+1", "1.", ".5", "01", "1_0", " 1", "1 ", "0x1", "1,1", "NaN", "Infinity", "١"]
TOO_LONG = ["1e19", "1e-99", "1" * 21, "0." + "1" * 21]


@pytest.mark.parametrize("text", [*NOT_NUMBERS, *TOO_LONG])
def test_what_is_not_a_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        checked(text)
    with pytest.raises(ValueError, match="not a decimal number"):
        checked_levels([("1", "1"), ("1", text)])


@pytest.mark.parametrize(
    "text", ["0", "0.0", "1", "1e-8", "1E+2", "63004.90", "0.00000001", "12345678901234567890.5"]
)
def test_plain_numbers_are_taken_as_they_are(text: str) -> None:
    assert checked(text) is text
    assert checked_levels([(text, text)]) == [(text, text)]


def test_significant_digits_are_those_a_float_must_keep() -> None:
    assert [significant(text) for text in ("100", "0.00120", "1.50", "123e5", "0")] == [1, 2, 2, 3, 0]


#: Texts of up to 25 digits around one price: many are the same float, none the same number.
LONG_PRICES = st.builds(
    "{}{}".format,
    st.sampled_from(["100.", "1234567890.", "0."]),
    st.from_regex(r"[0-9]{1,15}", fullmatch=True),
)


@given(
    st.lists(st.tuples(LONG_PRICES, SIZES), max_size=20),
    st.lists(st.tuples(LONG_PRICES, SIZES), max_size=20),
    st.lists(st.tuples(LONG_PRICES, SIZES), max_size=20),
)
def test_what_was_told_is_counted_right_whatever_follows(
    bids: list[Level], asks: list[Level], later: list[Level]
) -> None:
    book = Book()
    book.apply(bids, asks)
    ends = []
    for side in (book.bids, book.asks):
        side.close_horizon()
        ends.append(Decimal(side.top(len(side))[-1][0]) if len(side) else None)
    book.apply(later, later)
    (bid_levels, ask_levels), (bid_end, ask_end) = naive([(bids, asks), (later, later)], None), ends
    told_bids = None if bid_end is None else sum(price >= bid_end for price, _ in bid_levels)
    told_asks = None if ask_end is None else sum(price <= ask_end for price, _ in ask_levels)
    assert (book.bids.told, book.asks.told) == (told_bids, told_asks)
    assert book.told == min((n for n in (told_bids, told_asks) if n is not None), default=None)
    assert [Decimal(price) for price, _ in book.asks.top(99)] == [price for price, _ in ask_levels]
