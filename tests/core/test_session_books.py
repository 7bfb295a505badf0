"""How a session keeps a book: late answers, short snapshots, overflow, refusals, and what it tells when."""

import json
from decimal import Decimal
from zlib import crc32

import pytest

from livetape.adapters import find
from livetape.adapters.binance import Binance
from livetape.core import keeper as keeper_module
from livetape.core.adapter import Adapter
from livetape.core.decimals import Level
from livetape.core.effects import Close, Effect, Fetch, Send
from livetape.core.events import BookUpdate, Gap, MarketEvent, Proof, Quote, Status, Trade, Trust, Why
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened

SECOND = 1_000_000_000
BOOK = Channel("binance", "BTC-USDT", "book")
KRAKEN_BOOK = Channel("kraken", "BTC-USD", "book")
GEMINI_SNAPSHOT = b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","1","1"]],"trades":[]}'


class ShortBinance(Binance):
    """Binance, if its snapshots told of 20 levels a side."""

    snapshot_depth = 20


def depth(first: int, last: int, bids: list[Level] | None = None, asks: list[Level] | None = None) -> bytes:
    data = {"e": "depthUpdate", "E": 1633998512068, "s": "BTCUSDT", "U": first, "u": last}
    return json.dumps(
        {"stream": "btcusdt@depth@100ms", "data": data | {"b": bids or [], "a": asks or []}}
    ).encode()


def body(last: int, bids: list[Level], asks: list[Level]) -> bytes:
    return json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()


def ladder(best: int, step: int, n: int = 20) -> list[Level]:
    return [(str(best + step * i), "1") for i in range(n)]


def fetches(made: Session) -> list[int]:
    return [effect.attempt for effect in made.effects() if isinstance(effect, Fetch)]


def updates(events: list[MarketEvent]) -> list[BookUpdate]:
    return [event for event in events if isinstance(event, BookUpdate)]


def statuses(events: list[MarketEvent]) -> list[tuple[str, str]]:
    return [(event.channel, event.state) for event in events if isinstance(event, Status)]


def subscribed(adapter: Adapter, *channels: Channel) -> Session:
    made = opened(adapter, channels, SECOND)
    made.effects()
    return made


def binance(*kinds: str) -> Session:
    return subscribed(Binance(), *(BOOK._replace(kind=kind) for kind in kinds or ("book",)))


def short_binance() -> Session:
    """With the first snapshot: a price a level, from 100 down and from 101 up."""
    made = subscribed(ShortBinance(), BOOK)
    made.receive(depth(1, 1), SECOND)
    made.fetched("BTC-USDT", body(1, ladder(100, -1), ladder(101, 1)), SECOND)
    made.effects()
    return made


def kraken_book(kind: str, bids: list[Level], asks: list[Level], checksum: int) -> bytes:
    sides = [
        ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in levels) for levels in (bids, asks)
    ]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{sides[0]}],'
        f'"asks":[{sides[1]}],"checksum":{checksum},"timestamp":"2026-08-02T04:23:43.220187Z"}}]}}'
    ).encode()


def crc(bids: list[Level], asks: list[Level]) -> int:
    return crc32("".join(n.replace(".", "").lstrip("0") for level in asks + bids for n in level).encode())


def kraken(*more: Channel) -> Session:
    return subscribed(find("kraken")(), KRAKEN_BOOK, *more)


def gemini() -> Session:
    return opened(find("gemini")(), [Channel("gemini", "BTC-USD", "book")], SECOND)


def test_an_acknowledgement_that_comes_late_asks_for_nothing_twice() -> None:
    made = binance()
    made.receive(depth(1, 2), 2 * SECOND)
    assert fetches(made) == [0]
    made.receive(b'{"result":null,"id":1}', 3 * SECOND)
    assert fetches(made) == []
    assert len(updates(made.fetched("BTC-USDT", body(2, [("10", "1")], []), 4 * SECOND))) == 1
    assert conserved(made)


def test_an_acknowledgement_alone_starts_the_fetch_of_a_quiet_book() -> None:
    made = binance()
    made.receive(b'{"result":null,"id":1}', 2 * SECOND)
    assert fetches(made) == [0]
    [update] = updates(made.fetched("BTC-USDT", body(2, [("10", "1")], []), 3 * SECOND))
    assert (update.trust, update.proof) == (Trust.VERIFIED, Proof("sequence U/u", None, 3 * SECOND))


def test_each_update_of_a_bridge_is_told_with_the_book_of_its_moment() -> None:
    told: list[tuple[int | None, list[Level]]] = []

    def publish(event: MarketEvent) -> None:
        if isinstance(event, BookUpdate):
            told.append((event.last, event.book.bids.top(9)))

    made = opened(Binance(), [BOOK], SECOND, publish)
    for n in (4, 5, 6):
        made.receive(depth(n, n, bids=[("10", str(n))]), SECOND)
    made.fetched("BTC-USDT", body(4, [("10", "4")], []), SECOND)
    assert told == [(4, [("10", "4")]), (5, [("10", "5")]), (6, [("10", "6")])]


def test_a_book_is_proved_only_as_deep_as_it_was_told() -> None:
    made = subscribed(ShortBinance(), BOOK)
    made.receive(depth(1, 1), SECOND)
    [first, *_] = updates(made.fetched("BTC-USDT", body(1, ladder(100, -1), ladder(101, 1)), SECOND))
    assert first.proof == Proof("sequence U/u", 20, SECOND)
    below = made.receive(depth(2, 2, bids=[("50", "1")]), SECOND)  # beyond the last level that was told
    above = made.receive(depth(3, 3, bids=[("100", "0"), ("99", "0")]), SECOND)
    assert [update.proof and update.proof.depth for update in updates(below + above)] == [20, 18]


def test_a_snapshot_that_is_nearly_used_up_is_replaced_without_a_break() -> None:
    made = short_binance()
    fall: list[Level] = [(price, "0") for price, _ in ladder(100, -1, 18)]
    made.receive(depth(2, 2, bids=fall), 2 * SECOND)
    assert fetches(made) == []  # two levels are left: a tenth
    [update] = updates(made.receive(depth(3, 3, bids=[("82", "0")]), 3 * SECOND))
    assert update.trust is Trust.VERIFIED
    assert fetches(made) == [0]
    made.receive(depth(4, 4, bids=[("81", "7")]), 4 * SECOND)
    made.receive(depth(5, 5, bids=[("80", "8")]), 5 * SECOND)
    events = made.fetched("BTC-USDT", body(4, [("81", "7"), *ladder(79, -1)], ladder(101, 1)), 6 * SECOND)
    assert not [event for event in events if isinstance(event, Gap)]
    [whole] = updates(events)
    assert (whole.snapshot, whole.last, whole.trust) == (True, 5, Trust.VERIFIED)
    assert whole.bids[:3] == [("81", "7"), ("80", "8"), ("79", "1")]
    assert fetches(made) == []
    assert conserved(made)


def test_a_replacement_that_is_older_than_the_book_is_fetched_again() -> None:
    made = short_binance()
    made.receive(depth(2, 9, bids=[(price, "0") for price, _ in ladder(100, -1, 19)]), 2 * SECOND)
    made.receive(depth(10, 12), 2 * SECOND)
    assert fetches(made) == [0]
    assert not updates(made.fetched("BTC-USDT", body(5, ladder(81, -1), ladder(101, 1)), 3 * SECOND))
    assert fetches(made) == [1]
    [whole] = updates(made.fetched("BTC-USDT", body(9, ladder(81, -1), ladder(101, 1)), 4 * SECOND))
    assert (whole.last, len(whole.bids)) == (12, 20)
    assert conserved(made)


def test_a_market_outside_the_snapshot_is_unverifiable_until_the_next() -> None:
    made = short_binance()
    gone: list[Level] = [(price, "0") for price, _ in ladder(100, -1)]
    events = made.receive(depth(2, 2, bids=gone), 2 * SECOND)
    assert statuses(events) == [("binance:BTC-USDT/book", Trust.UNVERIFIABLE)]
    assert [(update.trust, update.proof) for update in updates(events)] == [(Trust.UNVERIFIABLE, None)]
    events = made.fetched("BTC-USDT", body(2, ladder(50, -1), ladder(101, 1)), 3 * SECOND)
    assert statuses(events) == [("binance:BTC-USDT/book", Trust.VERIFIED)]
    assert [update.trust for update in updates(events)] == [Trust.VERIFIED]


def test_updates_are_not_held_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "PENDING", 5)
    made = binance()
    for n in range(1, 14):
        made.receive(depth(n, n), SECOND)
        assert conserved(made)
    state = made.channels[str(BOOK)]
    assert [update.last for update in state.pending or ()] == [11, 12, 13]
    fetches(made)
    assert not updates(
        made.fetched("BTC-USDT", body(8, [], []), SECOND)
    )  # what follows 8 is not held any more
    assert fetches(made) == [1]
    assert len(updates(made.fetched("BTC-USDT", body(12, [], []), SECOND))) == 2
    assert conserved(made)


def test_a_snapshot_nobody_waits_for_is_ignored() -> None:
    made = binance()
    assert made.fetched("BTC-USDT", body(1, [], []), SECOND) == []
    assert made.fetched("ETH-USDT", body(1, [], []), SECOND) == []
    made.receive(depth(1, 1), SECOND)
    made.disconnected("reset", 2 * SECOND)
    assert made.fetched("BTC-USDT", body(1, [], []), 3 * SECOND) == []
    assert conserved(made)


def test_what_was_not_asked_for_is_no_event() -> None:
    made = kraken()
    made.receive(kraken_book("snapshot", [], [], 0).replace(b"BTC/USD", b"ETH/USD"), SECOND)
    assert list(made.channels) == ["kraken:BTC-USD/book"]
    assert made.channels["kraken:BTC-USD/book"].received == 0


def test_a_failed_checksum_is_healed_by_the_snapshot_after_the_resubscription() -> None:
    made = kraken()
    bids, asks = [("10.0", "1.00")], [("11.0", "2.00")]
    made.receive(kraken_book("snapshot", bids, asks, crc(bids, asks)), 2 * SECOND)
    events = made.receive(kraken_book("update", [("10.0", "3.00")], [], 1), 3 * SECOND)
    assert statuses(events) == [("kraken:BTC-USD/book", Trust.RESYNCING)]
    [gap] = [event for event in events if isinstance(event, Gap)]
    assert (gap.start_ns, gap.end_ns, gap.cause) == (2 * SECOND, None, "checksum")
    assert [effect.frame[:14] for effect in made.effects() if isinstance(effect, Send)] == [
        b'{"method":"uns',
        b'{"method":"sub',
    ]
    late = kraken_book("update", [("10.0", "3.00")], [], crc([("10.0", "3.00")], asks))
    assert made.receive(late, 4 * SECOND) == []  # of the old subscription
    events = made.receive(kraken_book("snapshot", bids, asks, crc(bids, asks)), 5 * SECOND)
    [gap] = [event for event in events if isinstance(event, Gap)]
    assert (gap.start_ns, gap.end_ns, gap.healed) == (2 * SECOND, 5 * SECOND, "snapshot")
    [update] = updates(events)
    assert (update.trust, update.proof) == (Trust.VERIFIED, Proof("crc32", 10, 5 * SECOND))
    state = made.channels["kraken:BTC-USD/book"]
    assert (state.received, state.delivered, state.discarded) == (4, 2, 2)


def test_a_snapshot_that_fails_its_own_checksum_is_not_given_out() -> None:
    made = kraken()
    events = made.receive(kraken_book("snapshot", [("10", "1")], [], 12345), 2 * SECOND)
    assert updates(events) == []
    assert made.channels["kraken:BTC-USD/book"].trust is Trust.RESYNCING
    assert len(made.effects()) == 2
    assert conserved(made)


def test_a_level_pushed_out_of_the_depth_is_forgotten_as_the_venue_forgets_it() -> None:
    made = kraken()
    bids = [(f"{n}.0", "1.00") for n in range(20, 10, -1)]
    made.receive(kraken_book("snapshot", bids, [], crc(bids, [])), 2 * SECOND)
    better = [("21.0", "1.00"), *bids[:9]]
    made.receive(kraken_book("update", [("21.0", "1.00")], [], crc(better, [])), 3 * SECOND)
    back = [*bids[:9]]
    [update] = updates(made.receive(kraken_book("update", [("21.0", "0")], [], crc(back, [])), 4 * SECOND))
    assert update.book.bids.top(20) == back
    assert [Decimal(price) for price, _ in back] == sorted((Decimal(p) for p, _ in back), reverse=True)


def test_a_refusal_is_told_to_the_channels_it_concerns() -> None:
    made = kraken(KRAKEN_BOOK._replace(kind="trade"))
    refusal = b'{"error":"Currency pair not supported","method":"subscribe","success":false,"req_id":1}'
    assert statuses(made.receive(refusal, SECOND)) == [("kraken:BTC-USD/book", "denied")]
    made.tick(9 * SECOND)
    assert not [e for e in made.effects() if isinstance(e, Send) and b"subscribe" in e.frame]  # useless again
    unnamed = b'{"error":"Exceeded msg rate","method":"subscribe","success":false}'
    assert statuses(made.receive(unnamed, SECOND)) == [("kraken:BTC-USD/trade", "denied")]


def test_what_was_refused_is_asked_for_again_later_and_later() -> None:
    made = kraken()
    now_ns, waits = SECOND, []
    for n in range(1, 7):
        told = made.receive(
            b'{"error":"Currency pair not supported","method":"subscribe","success":false,"req_id":%d}' % n,
            now_ns,
        )
        assert statuses(told) == ([("kraken:BTC-USD/book", "denied")] if n == 1 else [])
        asked_ns = now_ns
        while not [e for e in made.effects() if isinstance(e, Send) and b'"subscribe"' in e.frame]:
            now_ns += SECOND
            made.receive(b'{"channel":"heartbeat"}', now_ns)
            made.tick(now_ns)
        waits.append((now_ns - asked_ns) // SECOND)
    assert waits == [60, 120, 240, 480, 900, 900]


def test_a_refused_snapshot_denies_the_symbol() -> None:
    made = binance("book", "trade")
    made.receive(depth(1, 1), SECOND)
    events = made.refused("BTC-USDT", "Invalid symbol.", Why.SYMBOL, SECOND)
    assert statuses(events) == [("binance:BTC-USDT/book", "denied"), ("binance:BTC-USDT/trade", "denied")]


def test_a_refusal_when_all_is_flowing_concerns_the_connection() -> None:
    made = binance("book")
    made.receive(depth(1, 1), SECOND)
    made.fetched("BTC-USDT", body(1, [], []), SECOND)
    assert statuses(made.receive(b'{"code":3,"msg":"Invalid JSON"}', SECOND)) == [("binance", "denied")]


def test_the_venues_farewell_is_a_wish_to_be_dialled_anew() -> None:
    made = binance()
    made.receive(b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', SECOND)
    closings: list[Effect] = made.effects()
    assert closings == [Close("the server announced its restart")]


def test_trades_and_quotes_of_a_venue_have_their_own_trust() -> None:
    made = binance("quote", "trade")
    assert list(made.channels) == ["binance:BTC-USDT/quote", "binance:BTC-USDT/trade"]
    events = made.receive(
        b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}}',
        SECOND,
    ) + made.receive(
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":7,"p":"1","q":"2","T":1,"m":false}}',
        SECOND,
    )
    [quote] = [event for event in events if isinstance(event, Quote)]
    [trade] = [event for event in events if isinstance(event, Trade)]
    assert (quote.trust, quote.proof) == (Trust.LIVE, None)
    assert (trade.trust, trade.proof) == (Trust.VERIFIED, Proof("trade id", None, SECOND))


def test_events_are_numbered_and_stamped_in_the_order_in_which_they_happened() -> None:
    made = binance()
    events = made.receive(depth(1, 1), 2 * SECOND)
    events += made.fetched("BTC-USDT", body(1, [], []), 3 * SECOND)
    events += made.receive(depth(2, 2), 4 * SECOND)
    numbers = [event.seq for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(events)))
    assert [event.recv_ns for event in events] == [3 * SECOND, 3 * SECOND, 4 * SECOND]


def test_a_number_that_was_altered_upwards_does_not_freeze_the_book() -> None:
    made = binance()
    made.receive(depth(1, 1), 2 * SECOND)
    made.fetched("BTC-USDT", body(1, [("10", "1")], [("11", "1")]), 2 * SECOND)
    made.effects()
    made.receive(depth(2, 9_000), 3 * SECOND)  # it was 2
    for n in range(3, 3 + keeper_module.REPEATS - 1):
        assert updates(made.receive(depth(n, n), 4 * SECOND)) == []
        assert fetches(made) == []
    told = made.receive(depth(8, 8), 5 * SECOND)
    assert statuses(told) == [(str(BOOK), Trust.RESYNCING)]
    assert [gap.cause for gap in told if isinstance(gap, Gap)] == [
        "5 updates in a row are older than the book"
    ]
    assert fetches(made) == [0]
    assert conserved(made)


def test_a_fetched_book_may_be_well_ahead_of_the_stream() -> None:
    made = binance()
    made.receive(depth(1, 1), 2 * SECOND)
    made.fetched("BTC-USDT", body(100, [("10", "1")], [("11", "1")]), 2 * SECOND)
    made.effects()
    for n in range(2, 101):
        assert made.receive(depth(n, n), 3 * SECOND) == []
    assert len(updates(made.receive(depth(101, 101), 3 * SECOND))) == 1
    assert fetches(made) == []


def test_an_update_that_repeats_the_one_before_is_no_news() -> None:
    made = gemini()
    made.receive(GEMINI_SNAPSHOT, SECOND)
    line = b'{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","1","%d"]]}'
    assert [len(updates(made.receive(line % n, SECOND))) for n in (2, 2, 3, 2)] == [1, 0, 1, 1]
    assert conserved(made)


def test_bad_frames_do_not_put_off_the_book_that_was_asked_for() -> None:
    made = gemini()
    now_ns, asked, made_anew = SECOND, 0, 0
    while now_ns < 60 * SECOND:  # a bad frame each 0.4 s, as long as it takes
        now_ns += SECOND * 4 // 10
        made.receive(b"\xff", now_ns)
        made.tick(now_ns)
        if [e for e in made.effects() if isinstance(e, Send) and b'"subscribe"' in e.frame]:
            asked += 1
            made_anew += len(updates(made.receive(GEMINI_SNAPSHOT, now_ns)))
    assert asked == made_anew >= 8


def test_a_refused_snapshot_is_fetched_again_later() -> None:
    made = binance()
    made.receive(depth(1, 1), SECOND)
    assert fetches(made) == [0]
    made.refused("BTC-USDT", "HTTP 400", Why.SYMBOL, SECOND)
    made.receive(depth(2, 2), 2 * SECOND)
    assert fetches(made) == [0]
    assert len(updates(made.fetched("BTC-USDT", body(2, [("10", "1")], []), 3 * SECOND))) == 1
    assert conserved(made)
