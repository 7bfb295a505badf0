"""The simulated market repeats itself, and its books, trades and changes always tell the same story."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livetape.core.book import Book
from livetape.core.decimals import Level
from livetape.core.dialect import Action
from livetape.core.events import Mark
from livetape.core.times import SECOND
from livetape.simulator.listings import FOREX, LISTINGS, PERPETUALS, STOCKS, Listing
from livetape.simulator.market import FUNDINGS, HISTORY, Ladder, Market, Order

START_NS = 1_790_000_000 * SECOND
FOREVER = START_NS + 10**9 * SECOND
DAY = 86_400 * SECOND
STEPS = {listing.symbol: listing for listing in LISTINGS}


def made(seed: int = 7, listings: tuple[Listing, ...] = LISTINGS, rate: float = 1.0) -> Market:
    return Market(listings, seed, START_NS, "kraken", rate=rate)


def actions(market: Market, n: int) -> Iterator[Action]:
    return islice(market.advance(FOREVER), n)


TAPE = made(listings=LISTINGS[:1])
for _ in actions(TAPE, 8_000):
    pass


def levels(ladder: Ladder, listing: Listing) -> list[Level]:
    """The matching book of one side as text, worked out without the code under test."""
    price, size = Decimal(listing.price_step), Decimal(listing.size_step)
    return [(f"{abs(rank) * price:f}", f"{ladder.lots(rank) * size:f}") for rank in ladder.ranks]


def everything(book: Book) -> tuple[list[Level], list[Level]]:
    return book.bids.top(10_000), book.asks.top(10_000)


def test_the_same_seed_makes_the_same_tape() -> None:
    tape = list(actions(made(seed=1), 2_000))
    assert tape == list(actions(made(seed=1), 2_000))
    assert tape != list(actions(made(seed=2), 2_000))


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 5 * SECOND), max_size=20))
def test_the_tape_does_not_depend_on_how_time_is_cut(cuts: list[int]) -> None:
    whole, cut = made(listings=LISTINGS[:2]), made(listings=LISTINGS[:2])
    stops = [START_NS + ns for ns in (*cuts, 5 * SECOND)]
    assert [action for stop in stops for action in cut.advance(stop)] == list(whole.advance(stops[-1]))


def test_an_instrument_does_the_same_whatever_else_is_listed() -> None:
    until = START_NS + 30 * SECOND
    among_others = [action for action in made().advance(until) if action.symbol == "ETH-BTC"]
    assert among_others == list(made(listings=(STEPS["ETH-BTC"],)).advance(until))


def test_instruments_do_not_move_in_lockstep() -> None:
    twins = tuple(Listing(symbol, "", "5000", "1", "0.5", 1.0, 0.001, 1.0) for symbol in ("A-USD", "B-USD"))
    tape = list(actions(made(listings=twins), 200))
    assert len({action.ns for action in tape}) == len(tape)


def test_actions_come_in_order_of_time_up_to_now_inclusive() -> None:
    market = made()
    due = market.next_ns
    [first] = market.advance(due)
    assert first.ns == due > START_NS
    until = START_NS + 20 * SECOND
    times = [action.ns for action in market.advance(until)]
    assert all(earlier <= later for earlier, later in pairwise([due, *times]))
    assert times[-1] <= until < market.next_ns
    assert list(market.advance(until)) == []


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_all_instruments_together_act_about_a_hundred_times_a_second(rate: float) -> None:
    market = made(rate=rate)
    counts = Counter(action.symbol for action in market.advance(START_NS + int(60 / rate * SECOND)))
    assert 5_400 < counts.total() < 6_600
    assert counts.most_common(1)[0][0] == "BTC-USD"


def test_no_book_is_ever_crossed_or_empty() -> None:
    market = made()
    for action in actions(market, 10_000):
        book = market.book(action.symbol)
        assert book is not None
        assert len(book.bids) > 0
        assert len(book.asks) > 0
        assert not book.crossed


@pytest.mark.parametrize("seed", range(4))
def test_a_wild_market_of_few_ticks_keeps_its_prices_above_zero_and_uncrossed(seed: int) -> None:
    market = made(seed, (Listing("A-B", "", "3", "1", "0.5", 1.0, 0.05, 1.0),))
    engine = market.engines["A-B"]
    for _ in actions(market, 3_000):
        assert engine.bids.ranks[-1] < 0 < engine.bids.ranks[0] + engine.asks.ranks[0]


def test_trades_are_exactly_what_left_the_book() -> None:
    taken_side = {"buy": "ask", "sell": "bid"}
    crossing = [action for action in actions(made(), 8_000) if action.trades]
    assert len(crossing) > 1_000
    for action in crossing:
        printed: dict[tuple[str, str], Decimal] = {}
        for trade in action.trades:
            assert (trade.channel, trade.venue_ns) == (f"kraken:{action.symbol}/trade", action.ns)
            level = (taken_side[trade.side or ""], trade.price_text)
            printed[level] = printed.get(level, Decimal(0)) + Decimal(trade.size_text)
        left = {(c.side, c.price): -Decimal(c.delta) for c in action.changes if c.reason == "trade"}
        assert left == printed


def test_each_level_changes_once_by_its_delta_and_the_book_shows_what_remains() -> None:
    market = made()
    sizes: dict[tuple[str, str, str], Decimal] = {}
    for symbol, engine in market.engines.items():
        bids, asks = everything(engine.book)
        sizes |= {(symbol, "bid", price): Decimal(size) for price, size in bids}
        sizes |= {(symbol, "ask", price): Decimal(size) for price, size in asks}
    for action in actions(market, 5_000):
        assert len({(change.side, change.price) for change in action.changes}) == len(action.changes) > 0
        for change in action.changes:
            key = (action.symbol, change.side, change.price)
            sizes[key] = sizes.get(key, Decimal(0)) + Decimal(change.delta)
            assert sizes[key] == Decimal(change.remaining)
            assert (change.remaining == "0") == (not sizes[key])
            assert change.delta.startswith("-") == (change.reason != "place")


def test_the_core_book_equals_the_matching_book_after_every_kind_of_action() -> None:
    market = made()
    kinds = {change.reason for action in actions(market, 20_000) for change in action.changes}
    assert kinds == {"place", "cancel", "trade"}
    for symbol, engine in market.engines.items():
        matching = levels(engine.bids, STEPS[symbol]), levels(engine.asks, STEPS[symbol])
        assert everything(engine.book) == matching


def test_a_client_that_applies_the_changes_has_the_book_after_each_action() -> None:
    market = made(listings=LISTINGS[:1])
    theirs = market.book("BTC-USD")
    assert theirs is not None
    ours = Book()
    ours.apply(*everything(theirs))
    for action in actions(market, 3_000):
        for change in action.changes:
            side = ours.bids if change.side == "bid" else ours.asks
            side.apply([(change.price, change.remaining)])
        assert everything(ours) == everything(theirs)


def test_depth_and_spread_stay_as_they_are_for_hours() -> None:
    market = made(listings=LISTINGS[:1])
    engine, typical = market.engines["BTC-USD"], Decimal("0.05")
    spreads, counts, depths = [], [], []
    for _ in islice(actions(market, 50_000), 0, None, 50):
        spreads.append(engine.asks.ranks[0] + engine.bids.ranks[0])
        for ladder in (engine.bids, engine.asks):
            counts.append(len(ladder.ranks))
            lots = sum(ladder.lots(rank) for rank in ladder.ranks)
            depths.append(lots * Decimal("0.00000001") / typical)
    assert min(counts) > 50
    assert max(counts) < 200
    assert 80 < sum(counts) / len(counts) < 150
    assert sorted(spreads)[len(spreads) // 2] <= 5
    early, late = sum(depths[: len(depths) // 2]), sum(depths[len(depths) // 2 :])
    assert Decimal("0.6") < late / early < Decimal("1.6")


def test_a_book_can_be_made_deeper_and_stays_so() -> None:
    market = made(listings=(replace(LISTINGS[0], depth=20),))
    ladders = market.engines["BTC-USD"].bids, market.engines["BTC-USD"].asks
    for n, _ in enumerate(actions(market, 20_000)):
        if n % 1_000 == 0:
            assert all(1_500 < len(ladder.ranks) < 4_000 for ladder in ladders)


def test_trade_numbers_have_no_holes() -> None:
    market = made()
    numbers: dict[str, list[int]] = {}
    for action in actions(market, 10_000):
        for trade in action.trades:
            assert trade.number is not None
            assert trade.id == str(trade.number)
            numbers.setdefault(action.symbol, []).append(trade.number)
    assert set(numbers) == set(STEPS)
    for seen in numbers.values():
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert len(str(seen[0])) == 6


def test_the_last_trades_are_told_oldest_first() -> None:
    market = made(listings=LISTINGS[:1])
    assert market.trades("BTC-USD", 5) == []
    printed = [trade for action in actions(market, 8_000) for trade in action.trades]
    assert len(printed) > HISTORY
    assert market.trades("BTC-USD", 5) == printed[-5:]
    assert market.trades("BTC-USD", 0) == []
    assert market.trades("BTC-USD", 10**6) == printed[-HISTORY:]


@given(data=st.data())
def test_the_prints_of_an_interval_are_told_from_its_start_to_before_its_end(data: st.DataObject) -> None:
    printed = TAPE.trades("BTC-USD", HISTORY)
    moments = st.sampled_from([trade.venue_ns or 0 for trade in printed]) | st.integers(START_NS, FOREVER)
    start_ns, end_ns = data.draw(moments), data.draw(moments)
    told = TAPE.trades_between("BTC-USD", start_ns, end_ns)
    assert told == [trade for trade in printed if trade.venue_ns in range(start_ns, end_ns)]


def test_an_unknown_symbol_has_nothing() -> None:
    market = made()
    assert market.book("BTC-GBP") is None
    assert market.trades("BTC-GBP", 5) == []
    assert market.trades_between("BTC-GBP", 0, FOREVER) == []
    assert market.bars("BTC-GBP", 60 * SECOND, 0, FOREVER) == []
    assert market.day("BTC-GBP") is None


def test_nothing_happens_in_a_closed_asset_and_the_others_do_as_always() -> None:
    until, listings = START_NS + 60 * SECOND, (*LISTINGS[:2], *STOCKS[:2])
    shut = Market(listings, 7, START_NS, "kraken", closed=frozenset({"stock"}))
    books = {listing.symbol: shut.book(listing.symbol) for listing in STOCKS[:2]}
    before = {symbol: everything(book) for symbol, book in books.items() if book}
    assert list(shut.advance(until)) == list(made(listings=LISTINGS[:2]).advance(until))
    for symbol, book in books.items():
        assert book is not None
        assert everything(book) == before[symbol] != ([], [])
        assert shut.trades(symbol, 5) == []
        assert shut.bars(symbol, 60 * SECOND, START_NS, FOREVER) == []


def test_a_market_of_closed_assets_alone_stands_still_while_its_time_goes_on() -> None:
    shut = Market(STOCKS, 7, START_NS, "alpaca", closed=frozenset({"stock"}))
    assert shut.next_ns > FOREVER
    assert list(shut.advance(FOREVER)) == []
    assert shut.now_ns == FOREVER


# Perpetuals

PAIRS = (LISTINGS[0], LISTINGS[1], *PERPETUALS)


def marks(market: Market, seconds: float) -> dict[str, list[Mark]]:
    """The marks of some time, by symbol."""
    told: dict[str, list[Mark]] = {}
    for action in market.advance(market.now_ns + round(seconds * SECOND)):
        if action.mark:
            assert action.mark.venue_ns == action.ns
            told.setdefault(action.symbol, []).append(action.mark)
    return told


def test_marks_are_the_same_for_the_same_seed_however_time_is_cut() -> None:
    whole, cut = made(listings=PAIRS), made(listings=PAIRS)
    known: dict[str, list[Mark]] = {}
    for _ in range(50):
        for symbol, told in marks(cut, 0.7).items():
            known.setdefault(symbol, []).extend(told)
    assert marks(whole, 35) == known
    assert marks(made(seed=8, listings=PAIRS), 35) != known


def test_a_mark_is_told_once_a_second_and_its_rate_once_a_minute() -> None:
    told = marks(made(listings=PAIRS, rate=3.0), 200)
    assert told.keys() == {listing.symbol for listing in PERPETUALS}
    for each in told.values():
        seconds = [(mark.venue_ns or 0) // SECOND for mark in each]
        assert len(seconds) == len(set(seconds)) > 190
        minutes = [(mark.venue_ns or 0) // (60 * SECOND) for mark in each if mark.funding_text is not None]
        assert minutes == sorted(set(minutes))
        assert len(minutes) == 3  # the start is no full minute


def test_the_present_mark_has_the_latest_price_and_the_rate_that_holds() -> None:
    market = made(listings=PAIRS)
    rate = {symbol: mark.funding_text for symbol in market.engines if (mark := market.mark(symbol))}
    assert rate.keys() == {listing.symbol for listing in PERPETUALS}
    for action in market.advance(START_NS + 130 * SECOND):
        if told := action.mark:
            rate[action.symbol] = told.funding_text or rate[action.symbol]
            present = market.mark(action.symbol)
            assert present is not None
            assert (present.venue_ns, present.mark_text, present.index_text, present.funding_text) == (
                *(told.venue_ns, told.mark_text, told.index_text),
                rate[action.symbol],
            )


def test_the_index_is_the_middle_of_the_spot_and_the_rate_a_share_of_the_premium() -> None:
    market = made(listings=PAIRS)
    spots = {listing.symbol: listing.spot for listing in PERPETUALS}
    rates = 0
    for action in market.advance(START_NS + 130 * SECOND):
        if mark := action.mark:
            book = market.book(spots[action.symbol])
            assert book is not None
            [(bid, _)], [(ask, _)] = book.bids.top(1), book.asks.top(1)
            index, price = Decimal(mark.index_text or 0), Decimal(mark.mark_text)
            assert index == (Decimal(bid) + Decimal(ask)) / 2
            if mark.funding_text is not None:
                assert mark.funding_text == f"{(price - index) / price * 100 / FUNDINGS:.5f}"
                rates += 1
    assert rates == 4  # the minutes begin 40 and 100 s after the start


def test_a_perpetual_keeps_near_its_spot_for_hours_and_did_so_before() -> None:
    market = made(listings=(LISTINGS[0], PERPETUALS[0]), rate=0.2)
    now_ns = START_NS + 3 * 3_600 * SECOND
    for action in market.advance(now_ns):
        if mark := action.mark:
            premium = Decimal(mark.mark_text) / Decimal(mark.index_text or 0) - 1
            assert abs(premium) < Decimal("0.002")
    hours = [market.bars(i, 3_600 * SECOND, START_NS - DAY, now_ns) for i in market.engines]
    assert len(hours[0]) > 20
    for spot, perpetual in zip(*hours, strict=True):
        assert abs(Decimal(perpetual.close_text) / Decimal(spot.close_text) - 1) < Decimal("0.002")
    assert {bar.close_text for bar in hours[1]} != {hours[1][0].close_text}


def test_a_perpetual_does_not_disturb_its_spot() -> None:
    until = START_NS + 30 * SECOND
    beside = [action for action in made(listings=PAIRS).advance(until) if not action.symbol.endswith("PERP")]
    assert beside == list(made(listings=PAIRS[:2]).advance(until))


def test_a_perpetual_without_its_spot_cannot_be_simulated() -> None:
    with pytest.raises(KeyError, match="BTC-USD"):
        made(listings=PERPETUALS)


def test_what_is_no_perpetual_has_no_mark() -> None:
    market = made(listings=PAIRS)
    assert market.mark("BTC-USD") is None
    assert market.mark("BTC-GBP") is None
    assert not any(action.mark for action in made().advance(START_NS + 5 * SECOND))


def test_instruments_are_the_listings() -> None:
    listings = (*LISTINGS, *FOREX)
    told = [
        (i.symbol, i.name, i.price_step, i.size_step, i.asset) for i in made(listings=listings).instruments()
    ]
    assert told == [(i.symbol, i.name, i.price_step, i.size_step, i.asset) for i in listings]


def test_every_text_has_exactly_the_decimals_of_its_step() -> None:
    for action in actions(made(), 5_000):
        places = len(STEPS[action.symbol].price_step.partition(".")[2])
        price, size = re.compile(rf"\d+\.\d{{{places}}}"), re.compile(r"\d+\.\d{8}")
        for trade in action.trades:
            assert price.fullmatch(trade.price_text)
            assert size.fullmatch(trade.size_text)
        for change in action.changes:
            assert price.fullmatch(change.price)
            assert size.fullmatch(change.delta.removeprefix("-"))
            assert change.remaining == "0" or size.fullmatch(change.remaining)


def test_orders_are_matched_by_price_then_time_and_a_reduced_one_keeps_its_place() -> None:
    asks = Ladder("ask", 1, Book().asks)
    old, young, better = Order(1, 101, 5), Order(2, 101, 5), Order(3, 100, 2)
    for order in (old, young, better):
        asks.add(order)
    asks.reduce(old, 2)
    assert asks.take(101, 6) == [(100, 2), (101, 3), (101, 1)]
    assert list(asks.orders.values()) == [young]
    assert (asks.ranks, asks.lots(101), asks.lots(100)) == ([101], 4, 0)
    assert asks.take(100, 6) == []
