"""The tables of what can be simulated are sound, and steps make exact text."""

from decimal import Decimal
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.core.instruments import unified
from livetape.core.times import SECOND
from livetape.simulator.listings import (
    CRYPTO,
    FOREX,
    INDICES,
    LISTINGS,
    OPTIONS,
    PERPETUALS,
    STOCKS,
    Grid,
    Listing,
    listed,
)
from livetape.simulator.market import Market

START_NS = 1_790_000_000 * SECOND
TABLES = {"crypto": CRYPTO, "stock": STOCKS, "forex": FOREX, "index": INDICES, "option": OPTIONS}
ALL = [*(listing for table in TABLES.values() for listing in table), *PERPETUALS]


def test_every_symbol_is_listed_once_under_its_asset_in_the_unified_spelling() -> None:
    assert len({listing.symbol for listing in ALL}) == len(ALL)
    assert all(listing.asset == asset for asset, table in TABLES.items() for listing in table)
    assert all(unified(listing.symbol) == listing.symbol for listing in ALL)
    assert set(LISTINGS) < set(CRYPTO)


def test_perpetuals_begin_near_their_spot_which_is_listed_before_them() -> None:
    symbols = [listing.symbol for listing in listed("gemini")]
    spots = {listing.symbol: listing for listing in LISTINGS}
    assert {listing.symbol for listing in listed("gemini") if listing.spot} == {p.symbol for p in PERPETUALS}
    for perpetual in PERPETUALS:
        assert symbols.index(perpetual.spot) < symbols.index(perpetual.symbol)
        assert 0 < Decimal(perpetual.price) / Decimal(spots[perpetual.spot].price) - 1 < Decimal("0.001")


def test_start_prices_are_whole_steps_written_with_the_decimals_of_the_step() -> None:
    for listing in ALL:
        grid = Grid(listing.price_step)
        assert grid.text(grid.count(listing.price)) == listing.price


@pytest.mark.parametrize("asset", TABLES)
def test_every_listing_has_a_deep_uncrossed_book_near_its_price_and_trades(asset: str) -> None:
    market = Market(TABLES[asset], 7, START_NS, "kraken")
    traded = {trade.symbol for action in islice(market.advance(1 << 62), 6_000) for trade in action.trades}
    assert traded == {listing.symbol for listing in TABLES[asset]}
    for listing in TABLES[asset]:
        book = market.book(listing.symbol)
        assert book is not None
        assert not book.crossed
        assert min(len(book.bids), len(book.asks)) > 40
        [(bid, _)], [(ask, _)] = book.bids.top(1), book.asks.top(1)
        start = Decimal(listing.price)
        assert start * Decimal("0.8") < Decimal(bid) < Decimal(ask) < start * Decimal("1.25")
        assert Decimal(ask) - Decimal(bid) < start / 100


def test_the_walk_goes_on_from_where_it_was_and_is_pulled_home() -> None:
    calm = Listing("A-B", "", "1", "1", "1", 1.0, 0.0, 1.0)
    assert calm.wander(0.5, 0.0, Random(1)) == 0.5
    assert 0.4 < calm.wander(0.5, 3_600.0, Random(1)) < 0.5
    assert calm.wander(0.5, 10**6, Random(1)) == 0.0


@given(st.integers(-(10**30), 10**30), st.sampled_from(["1", "5", "1000", "0.1", "0.25", "0.00000001"]))
def test_text_of_steps_is_exact(count: int, step: str) -> None:
    grid, places = Grid(step), len(step.partition(".")[2])
    text = grid.text(count)
    assert len(text.partition(".")[2]) == places
    assert int(text.replace(".", "")) == count * int(step.replace(".", ""))
