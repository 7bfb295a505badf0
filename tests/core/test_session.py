"""One connection's protocol without the connection: what a session says and does, in memory."""

from collections.abc import Callable

import pytest

from livetape.adapters import find
from livetape.core.effects import Close, Fetch, Send
from livetape.core.events import BookUpdate, Gap, MarketEvent, Origin, Quote, Status, Trade, Trust
from livetape.core.instruments import Channel
from livetape.core.keeper import OVERDUE_S
from livetape.core.session import Session

from ..sessions import conserved, opened

SECOND = 1_000_000_000
Bridging = tuple[Session, Callable[[], list[Fetch]]]
GEMINI_SNAPSHOT = (
    b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","10","1"],["sell","11","2"]],"trades":[]}'
)


def book(symbol: str = "BTC-USD", venue: str = "gemini") -> Channel:
    return Channel(venue, symbol, "book")


def session(venue: str, *kinds: str, api: str = "", **options: object) -> Session:
    return opened(find(venue, api)(options), [Channel(venue, "BTC-USD", kind) for kind in kinds], SECOND)


def sent(made: Session) -> list[bytes]:
    return [effect.frame for effect in made.effects() if isinstance(effect, Send)]


def of(kind: type[MarketEvent], events: list[MarketEvent]) -> list[MarketEvent]:
    return [event for event in events if isinstance(event, kind)]


def change(side: str, price: str, size: str) -> bytes:
    return f'{{"type":"l2_updates","symbol":"BTCUSD","changes":[["{side}","{price}","{size}"]]}}'.encode()


def test_quotes_follow_from_a_book_where_the_venue_has_none() -> None:
    made = session("gemini", "quote")
    assert sent(made) == [b'{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}']
    [quote] = of(Quote, made.receive(GEMINI_SNAPSHOT, 2 * SECOND))
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (10.0, 1.0, 11.0, 2.0)
    assert quote.trust is Trust.UNVERIFIABLE
    assert not made.receive(
        change("buy", "9", "5"), 3 * SECOND
    )  # the best did not change, the book is not wanted
    assert len(of(Quote, made.receive(change("buy", "10.5", "5"), 4 * SECOND))) == 1
    assert conserved(made)


def test_a_book_stays_subscribed_while_a_quote_is_made_from_it() -> None:
    made = session("gemini", "quote", "book", "trade")
    made.effects()
    made.drop([book()], SECOND)
    made.drop([Channel("gemini", "BTC-USD", "trade")], SECOND)
    assert not sent(made)  # the stream l2 still carries the quote
    made.drop([Channel("gemini", "BTC-USD", "quote")], SECOND)
    assert sent(made) == [b'{"type":"unsubscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}']
    assert not made.channels


def test_wanting_more_on_a_live_connection_asks_for_it_at_once_and_only_once() -> None:
    made = session("kraken", "trade")
    made.effects()
    made.want([book(venue="kraken")], SECOND)
    made.want([book(venue="kraken")], SECOND)
    [frame] = sent(made)
    assert b'"book"' in frame


def test_an_api_that_subscribes_by_its_address_dials_again_at_once() -> None:
    made = session("gemini", "book", api="v1")
    made.effects()
    made.want([Channel("gemini", "BTC-USD", "trade")], SECOND)
    assert made.effects() == [Close("subscription changed", at_once=True)]


def test_silence_is_probed_then_found_and_ends_the_connection() -> None:
    made = session("kraken", "book", silence_s=10)
    made.effects()
    assert not made.tick(5 * SECOND)
    made.tick(6 * SECOND)
    made.tick(7 * SECOND)
    assert sent(made).count(b'{"method":"ping"}') == 1
    made.receive(b'{"method":"pong"}', 8 * SECOND)
    made.tick(17 * SECOND)
    assert not [effect for effect in made.effects() if isinstance(effect, Close)]
    made.tick(18 * SECOND)
    [closing] = [effect for effect in made.effects() if isinstance(effect, Close)]
    assert "silent for 10.0 s" in closing.cause


def test_a_lost_connection_opens_a_gap_that_the_next_snapshot_heals() -> None:
    made = session("gemini", "book", "trade")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    made.receive(b'{"type":"heartbeat"}', 5 * SECOND)
    lost = made.disconnected("reset", 6 * SECOND)
    assert {(gap.start_ns, gap.end_ns) for gap in of(Gap, lost) if isinstance(gap, Gap)} == {
        (5 * SECOND, None)
    }
    made.connected(9 * SECOND)
    back = made.receive(GEMINI_SNAPSHOT, 10 * SECOND)
    ended = {gap.channel: (gap.end_ns, gap.healed) for gap in of(Gap, back) if isinstance(gap, Gap)}
    assert ended["gemini:BTC-USD/book"] == (10 * SECOND, "snapshot")
    assert ended["gemini:BTC-USD/trade"] == (10 * SECOND, None)  # its prints are gone


def test_closing_because_nobody_wants_it_is_no_gap() -> None:
    made = session("gemini", "book")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    assert not of(Gap, made.end(3 * SECOND))


def test_what_never_began_cannot_have_a_gap() -> None:
    assert not of(Gap, session("kraken", "book", "trade").disconnected("reset", 2 * SECOND))


def kraken_trade(number: int, kind: str = "update") -> bytes:
    return (
        b'{"channel":"trade","type":"%b","data":[{"symbol":"BTC/USD","side":"buy","price":1.50,"qty":2,'
        b'"ord_type":"market","trade_id":%d,"timestamp":"2026-08-02T04:23:43.220187Z"}]}'
        % (kind.encode(), number)
    )


def test_a_trade_that_was_told_as_missing_may_still_come() -> None:
    made = session("kraken", "trade")
    made.receive(kraken_trade(100), 2 * SECOND)
    jump = made.receive(kraken_trade(9_100), 3 * SECOND)  # it was 101, or 101 to 9099 come later
    assert [gap.missing for gap in of(Gap, jump) if gap.end_ns is not None] == [8_999]
    for n, missing in ((102, [1]), (103, []), (105, [1])):  # the high number is no longer believed
        told = made.receive(kraken_trade(n), 4 * SECOND)
        assert [trade.number for trade in of(Trade, told) if isinstance(trade, Trade)] == [n]
        assert [gap.missing for gap in of(Gap, told) if gap.end_ns is not None] == missing
    assert made.receive(kraken_trade(103), 4 * SECOND) == []  # again
    assert len(of(Trade, made.receive(kraken_trade(9_101), 5 * SECOND))) == 1
    state = made.channels["kraken:BTC-USD/trade"]
    assert (state.received, state.delivered, state.superseded) == (7, 6, 1)


def test_what_comes_twice_is_delivered_once_where_the_venue_lets_one_know() -> None:
    made = session("gemini", "trade")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    line = (
        b'{"type":"trade","symbol":"BTCUSD","event_id":%d,"timestamp":1560976400428,'
        b'"price":"9004.21","quantity":"0.09","side":"buy"}'
    )
    assert [len(of(Trade, made.receive(line % n, 3 * SECOND))) for n in (1, 2, 1, 2, 3)] == [1, 1, 0, 0, 1]
    bar = session("kraken", "quote")
    ticker = (
        b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":%d,"bid_qty":1,"ask":12,'
        b'"ask_qty":1,"timestamp":"2026-08-02T04:23:43.220187Z"}]}'
    )
    assert [len(of(Quote, bar.receive(ticker % n, 2 * SECOND))) for n in (1, 1, 2, 1)] == [1, 0, 1, 1]
    bar.disconnected("reset", 3 * SECOND)
    bar.connected(4 * SECOND)
    assert len(of(Quote, bar.receive(ticker % 1, 5 * SECOND))) == 1  # after a break it is news again


def test_another_trade_of_the_same_number_is_no_repetition() -> None:
    made = session("kraken", "trade")
    made.receive(kraken_trade(100), 2 * SECOND)
    assert made.receive(kraken_trade(100), 3 * SECOND) == []
    [trade] = made.receive(kraken_trade(100).replace(b"1.50", b"1.60"), 3 * SECOND)
    assert isinstance(trade, Trade) and trade.price_text == "1.60"


def test_numbered_trades_tell_how_many_were_lost_and_drop_repetitions() -> None:
    made = session("kraken", "trade")
    assert not of(Trade, made.receive(kraken_trade(7, "snapshot"), 2 * SECOND))  # history from before us
    [first] = of(Trade, made.receive(kraken_trade(10), 3 * SECOND))
    assert isinstance(first, Trade)
    assert (first.price, first.price_text, first.trust) == (1.5, "1.50", Trust.VERIFIED)
    assert not of(Trade, made.receive(kraken_trade(10), 4 * SECOND))
    gaps = of(Gap, made.receive(kraken_trade(14), 5 * SECOND))
    assert [(gap.end_ns, gap.missing) for gap in gaps if isinstance(gap, Gap)] == [
        (None, None),
        (5 * SECOND, 3),
    ]
    assert conserved(made)


def test_history_after_a_reconnect_fills_the_hole_and_says_so() -> None:
    made = session("kraken", "trade")
    made.receive(kraken_trade(10), 3 * SECOND)
    made.disconnected("reset", 4 * SECOND)
    made.connected(5 * SECOND)
    events = made.receive(kraken_trade(11, "snapshot"), 6 * SECOND)
    assert [trade.origin for trade in of(Trade, events)] == [Origin.BACKFILLED]
    assert [gap.healed for gap in of(Gap, events) if isinstance(gap, Gap)] == ["complete"]


def test_an_undecodable_frame_is_told_and_costs_only_what_has_no_proof() -> None:
    made = session("gemini", "book", "trade")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    made.effects()
    events = made.receive(b"\xff", 3 * SECOND)
    assert made.undecodable == 1
    assert [status.state for status in of(Status, events) if isinstance(status, Status)][:2] == [
        "undecodable",
        "resyncing",
    ]
    assert [frame[:21] for frame in sent(made)] == [b'{"type":"unsubscribe"', b'{"type":"subscribe","']
    proved = session("kraken", "book")
    proved.effects()
    assert len(of(Status, proved.receive(b"\xff", 3 * SECOND))) == 1
    assert not sent(proved)


def test_a_crossed_book_without_proof_starts_anew() -> None:
    made = session("gemini", "book")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    events = made.receive(change("buy", "11.5", "1"), 3 * SECOND)
    assert not of(BookUpdate, events)
    assert [gap.cause for gap in of(Gap, events) if isinstance(gap, Gap)] == ["crossed"]
    assert conserved(made)


def depth(first: int, last: int, price: str = "10", size: str = "1") -> bytes:
    return (
        f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1633998512068,"s":"BTCUSDT",'
        f'"U":{first},"u":{last},"b":[["{price}","{size}"]],"a":[]}}}}'.encode()
    )


def rest(last: int, *bids: str) -> bytes:
    levels = ",".join(f'["{price}","9"]' for price in bids)
    return f'{{"lastUpdateId":{last},"bids":[{levels}],"asks":[["99","1"]]}}'.encode()


@pytest.fixture
def bridging() -> Bridging:
    made = opened(find("binance")(), [book("BTC-USDT", "binance")], SECOND)
    return made, lambda: [effect for effect in made.effects() if isinstance(effect, Fetch)]


def test_a_fetched_book_is_bridged_without_loss_or_repetition(bridging: Bridging) -> None:
    made, fetches = bridging
    for first, last in ((1, 3), (4, 6), (7, 7)):
        assert not of(BookUpdate, made.receive(depth(first, last, size=str(last)), 2 * SECOND))
    assert len(fetches()) == 1
    events = made.fetched("BTC-USDT", rest(5, "8", "10"), 3 * SECOND)
    assert [(e.first, e.last) for e in events if isinstance(e, BookUpdate)] == [(5, 5), (4, 6), (7, 7)]
    shown = made.channels["binance:BTC-USDT/book"].book
    assert shown is not None
    assert shown.bids.top(2) == [("10", "7"), ("8", "9")]
    assert conserved(made)


def test_a_snapshot_older_than_the_stream_is_fetched_again_later(bridging: Bridging) -> None:
    made, fetches = bridging
    made.receive(depth(10, 12), 2 * SECOND)
    assert [fetch.attempt for fetch in fetches()] == [0]
    assert not of(BookUpdate, made.fetched("BTC-USDT", rest(5, "10"), 3 * SECOND))
    assert [fetch.attempt for fetch in fetches()] == [1]
    assert not of(BookUpdate, made.fetched("BTC-USDT", b"{", 3 * SECOND))
    assert [fetch.attempt for fetch in fetches()] == [2]
    assert len(of(BookUpdate, made.fetched("BTC-USDT", rest(11, "10"), 4 * SECOND))) == 2
    assert conserved(made)


def test_a_lost_update_is_noticed_by_the_next_and_the_book_fetched(bridging: Bridging) -> None:
    made, fetches = bridging
    made.receive(depth(1, 3), 2 * SECOND)
    made.fetched("BTC-USDT", rest(3, "10"), 2 * SECOND)
    fetches()
    made.tick(60 * SECOND)  # a quiet market is no reason to ask again
    assert not fetches()
    events = made.receive(depth(6, 7), 61 * SECOND)
    assert [gap.cause for gap in of(Gap, events) if isinstance(gap, Gap)] == ["update 3 was followed by 6"]
    assert len(fetches()) == 1
    made.tick((61 + 2 * OVERDUE_S) * SECOND)  # the fetch is under way: no second one
    assert not fetches()
    healed = made.fetched("BTC-USDT", rest(7, "10"), 90 * SECOND)
    assert [gap.healed for gap in of(Gap, healed) if isinstance(gap, Gap)] == ["snapshot"]
    assert conserved(made)


def test_a_snapshot_that_does_not_come_is_asked_for_again() -> None:
    made = session("gemini", "book")
    made.effects()
    made.tick((1 + OVERDUE_S) * SECOND - 1)
    assert not sent(made)
    made.receive(b'{"type":"heartbeat"}', (1 + OVERDUE_S) * SECOND)
    made.tick((1 + OVERDUE_S) * SECOND)
    assert len(sent(made)) == 2


def test_a_book_that_stays_quiet_is_asked_for_more_and_more_rarely() -> None:
    made = session("gemini", "book")
    made.effects()
    asked: list[int] = []
    for second in range(2, 700):
        made.receive(b'{"type":"heartbeat"}', second * SECOND)
        made.tick(second * SECOND)
        if sent(made):
            asked.append(second - 1)
    assert asked == [10, 20, 40, 80, 160, 320, 640]


def test_resyncs_that_keep_failing_slow_down() -> None:
    made = session("gemini", "book")
    asked: list[int] = []
    for n in range(2000):
        now_ns = SECOND + n * SECOND // 50
        made.receive(GEMINI_SNAPSHOT, now_ns)
        made.receive(change("buy", "12", "1"), now_ns)
        made.tick(now_ns)
        asked += [n] * len([effect for effect in made.effects() if isinstance(effect, Send)])
    assert len(asked) < 60  # 40 s of a book that is always crossed
    assert conserved(made)


def test_silence_belongs_to_the_gap_that_it_ends_in() -> None:
    made = session("kraken", "book", "trade", silence_s=10)
    made.receive(kraken_trade(10), 2 * SECOND)
    made.receive(b'{"channel":"heartbeat"}', 3 * SECOND)
    for now in range(4, 20):
        made.tick(now * SECOND)
    closings = [effect for effect in made.effects() if isinstance(effect, Close)]
    assert len(closings) == 1  # said once
    [gap] = of(Gap, made.disconnected("closed", 20 * SECOND))
    assert isinstance(gap, Gap)
    assert gap.start_ns == 3 * SECOND


def test_a_fetched_book_that_keeps_failing_is_asked_for_more_slowly() -> None:
    made = session("binance", "book")
    symbol, now_ns, at, fetches = "BTC-USD", SECOND, 0, 0
    for n in range(2000):
        now_ns = SECOND + n * SECOND // 50
        at += 10  # every update is a loss
        frame = depth(at, at).replace(b"BTCUSDT", b"BTCUSD").replace(b"btcusdt", b"btcusd")
        made.receive(frame, now_ns)
        made.tick(now_ns)
        for effect in made.effects():
            if isinstance(effect, Fetch):
                fetches += 1
                made.fetched(symbol, rest(at, "10"), now_ns)
        assert conserved(made)
    assert fetches < 20  # 40 s


def test_a_loss_among_the_held_updates_is_found_when_they_are_joined(bridging: Bridging) -> None:
    made, fetches = bridging
    for first, last in ((1, 3), (4, 6), (9, 9), (10, 12), (13, 13)):
        made.receive(depth(first, last, size=str(last)), 2 * SECOND)
    fetches()
    events = made.fetched("BTC-USDT", rest(5, "8"), 3 * SECOND)
    assert [(e.first, e.last) for e in events if isinstance(e, BookUpdate)] == [(5, 5), (4, 6)]
    assert conserved(made)
    assert len(fetches()) == 1
    events = made.fetched("BTC-USDT", rest(9, "8"), 4 * SECOND)
    assert [(e.first, e.last) for e in events if isinstance(e, BookUpdate)] == [(9, 9), (10, 12), (13, 13)]
    assert conserved(made)


def test_a_quote_wanted_of_a_whole_book_has_the_trust_of_the_book() -> None:
    made = session("gemini", "book", api="v1")
    made.receive(V1_SNAPSHOT, 2 * SECOND)
    made.effects()
    [status] = of(Status, made.want([Channel("gemini", "BTC-USD", "quote")], 3 * SECOND))
    assert isinstance(status, Status)
    assert status.state == Trust.VERIFIED
    assert made.effects() == []  # there is nothing to ask the venue for
    [quote] = of(Quote, made.receive(v1(1, "bid", "10", "7"), 4 * SECOND))
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.bid_size, quote.trust) == (10.0, 7.0, Trust.VERIFIED)
    assert quote.proof == made.channels["gemini:BTC-USD/book"].proof


@pytest.mark.parametrize("kinds", [("book", "trade", "quote"), ("trade", "quote", "book")])
def test_an_undecodable_frame_leaves_open_what_its_book_left_open(kinds: tuple[str, ...]) -> None:
    made = session("gemini", *kinds)
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    made.receive(b"\xff", 3 * SECOND)
    assert {name for name, state in made.channels.items() if state.gap} == set(made.channels)
    made.receive(GEMINI_SNAPSHOT, 4 * SECOND)
    assert not [state for state in made.channels.values() if state.gap]
    assert {state.trust for state in made.channels.values()} == {Trust.UNVERIFIABLE, Trust.LIVE}


V1_SNAPSHOT = (
    b'{"type":"update","eventId":1,"socket_sequence":0,"events":['
    b'{"type":"change","reason":"initial","price":"10","delta":"1","remaining":"1","side":"bid"},'
    b'{"type":"change","reason":"initial","price":"11","delta":"2","remaining":"2","side":"ask"}]}'
)


def v1(n: int, side: str, price: str, size: str) -> bytes:
    return (
        f'{{"type":"update","eventId":{n + 1},"timestampms":1547759964051,"socket_sequence":{n},"events":'
        f'[{{"type":"change","side":"{side}","price":"{price}","remaining":"{size}","reason":"place"}}]}}'
    ).encode()


def test_a_jump_of_the_counter_voids_all_that_the_connection_carries() -> None:
    made = session("gemini", "book", "quote", "trade", api="v1")
    made.receive(V1_SNAPSHOT, 2 * SECOND)
    made.receive(b'{"type":"heartbeat","socket_sequence":1}', 3 * SECOND)
    made.effects()
    events = made.receive(v1(3, "bid", "10", "2"), 4 * SECOND)
    assert {(g.channel, g.cause) for g in of(Gap, events) if isinstance(g, Gap)} == {
        (f"gemini:BTC-USD/{kind}", "frame 1 was followed by 3") for kind in ("book", "quote", "trade")
    }
    assert {state.trust for state in made.channels.values()} == {Trust.RESYNCING}
    assert made.effects() == [Close("frame 1 was followed by 3")]
    assert not of(BookUpdate, made.receive(v1(4, "bid", "10", "2"), 4 * SECOND))
    assert conserved(made)


def test_a_repeated_frame_of_a_counted_connection_is_ignored_even_where_the_adapter_remembers() -> None:
    made = session("gemini", "book", api="v1", top_of_book=True)
    made.receive(V1_SNAPSHOT, 2 * SECOND)
    made.receive(v1(1, "ask", "12", "1"), 3 * SECOND)
    assert not made.receive(V1_SNAPSHOT, 4 * SECOND)  # repeated
    [update] = made.receive(v1(2, "ask", "13", "1"), 5 * SECOND)
    assert isinstance(update, BookUpdate)
    assert update.book.top(5) == ([(10.0, 1.0)], [(13.0, 1.0)])


def test_a_book_that_only_carried_a_quote_is_told_whole_when_it_is_wanted() -> None:
    made = session("gemini", "quote")
    made.receive(GEMINI_SNAPSHOT, 2 * SECOND)
    made.receive(change("buy", "9", "5"), 3 * SECOND)
    made.effects()
    told, update = made.want([book()], 4 * SECOND)
    assert isinstance(told, Status)
    assert isinstance(update, BookUpdate)
    assert (told.channel, told.state) == ("gemini:BTC-USD/book", Trust.UNVERIFIABLE)
    assert (update.snapshot, update.bids, update.asks) == (True, [("10", "1"), ("9", "5")], [("11", "2")])
    assert made.effects() == []
    assert conserved(made)
