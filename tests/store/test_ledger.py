"""How much of a channel's day a tape has."""

from pathlib import Path

import pytest

from livetape.core.errors import ConfigError
from livetape.core.events import Bar, Gap, Status, Trade
from livetape.core.times import SECOND
from livetape.store.plan import Keep, Rules
from livetape.store.reader import open_store
from livetape.store.upkeep import keep_up

from .tape import SAMPLES, written

TRADES, BOOK = "kraken:BTC-USD/trade", "kraken:BTC-USD/book"
DAY = "2026-11-21"
NOON = 1_795_262_400 * SECOND  # of that day
HOUR = 3_600 * SECOND


def gap(
    channel: str, start: int, end: int | None, healed: str | None = None, missing: int | None = None
) -> Gap:
    at = NOON + (start if end is None else end) * SECOND
    ended = None if end is None else NOON + end * SECOND
    return Gap(channel, NOON + start * SECOND, ended, "reset", healed, missing, recv_ns=at)


def test_what_is_missing_counts_once_and_what_was_healed_does_not(tmp_path: Path) -> None:
    written(
        tmp_path,
        Status(TRADES, "live", recv_ns=NOON),
        Status(BOOK, "verified", recv_ns=NOON + 100 * SECOND),
        gap(TRADES, 10, 20, missing=3),
        gap(TRADES, 15, 30),
        gap(TRADES, 40, 90, "history", 0),
        gap(TRADES, 95, 97, "complete", 0),
        gap(BOOK, 150, 160, "snapshot"),
        gap(TRADES, 900, None),
        Trade(TRADES, None, "1", "1", None, None, recv_ns=NOON + 1_000 * SECOND),
    )
    store = open_store(tmp_path)
    trades, book = store.completeness(TRADES, DAY), store.completeness(BOOK, DAY)
    assert (trades.recorded_ns, trades.missing_ns) == (1_000 * SECOND, 120 * SECOND)
    assert (trades.gaps, trades.healed, trades.missing, trades.ratio) == (5, 2, 3, 0.88)
    assert (book.recorded_ns, book.missing_ns) == (900 * SECOND, 10 * SECOND)


def test_a_day_is_cut_out_of_a_longer_tape(tmp_path: Path) -> None:
    written(
        tmp_path,
        Status(TRADES, "live", recv_ns=NOON - 24 * HOUR),
        gap(TRADES, -13 * 3_600, -11 * 3_600),
        Trade(TRADES, None, "1", "1", None, None, recv_ns=NOON + 24 * HOUR),
    )
    day = open_store(tmp_path).completeness(TRADES, DAY)
    assert (day.recorded_ns, day.missing_ns) == (24 * HOUR, HOUR)


def test_nothing_recorded_is_neither_whole_nor_missing(tmp_path: Path) -> None:
    written(tmp_path, Status(TRADES, "live", recv_ns=NOON))
    store = open_store(tmp_path)
    assert store.completeness(BOOK, DAY).ratio is None
    assert store.completeness(TRADES, "2020-01-01").ratio is None


@pytest.mark.parametrize(("channel", "day"), [("kraken:BTC-USD", DAY), (TRADES, "today")])
def test_what_is_no_channel_or_no_day_is_said(tmp_path: Path, channel: str, day: str) -> None:
    written(tmp_path, Status(TRADES, "live", recv_ns=NOON))
    with pytest.raises(ConfigError):
        open_store(tmp_path).completeness(channel, day)


def test_a_tape_says_the_same_when_it_is_sealed(tmp_path: Path) -> None:
    bars = [Bar(f"kraken:BTC-USD/bar.{i}", NOON, "1", "1", "1", "1", "1", recv_ns=NOON) for i in ("1m", "5m")]
    written(
        tmp_path,
        *SAMPLES,
        *bars,
        Status(TRADES, "live", recv_ns=NOON),
        gap(TRADES, 10, None),
        gap(TRADES, 10, 20, missing=3),
        gap(BOOK, 150, 160, "snapshot"),
    )
    written(tmp_path, gap(TRADES, 900, None), Trade(TRADES, None, "1", "1", None, None, recv_ns=NOON + HOUR))
    before = open_store(tmp_path)
    said = [before.counts(), before.gaps(), before.completeness(TRADES, DAY), before.completeness(BOOK, DAY)]
    keep_up(tmp_path, Rules())
    after = open_store(tmp_path)
    assert [
        after.counts(),
        after.gaps(),
        after.completeness(TRADES, DAY),
        after.completeness(BOOK, DAY),
    ] == said
    assert after.counts()["kraken:BTC-USD/bar.5m"] == 1


def test_what_was_removed_is_missing(tmp_path: Path) -> None:
    trades = [
        Trade(TRADES, None, "1", "1", None, None, recv_ns=NOON + i * SECOND) for i in range(0, 500, 100)
    ]
    written(tmp_path, Status(TRADES, "live", recv_ns=NOON), Status(BOOK, "live", recv_ns=NOON), *trades)
    keep_up(tmp_path, Rules())
    assert open_store(tmp_path).completeness(TRADES, DAY).missing_ns == 0
    keep_up(tmp_path, Rules(keep={"trades": Keep(bytes=0)}))
    store = open_store(tmp_path)
    [removed] = store.gaps()
    assert (removed["venue"], removed["kind"], removed["start"]) == ("kraken", "trade", NOON)
    assert "removed by retention" in str(removed["cause"])
    assert store.completeness(TRADES, DAY).missing_ns == 400 * SECOND
    assert store.completeness(BOOK, DAY).missing_ns == 0
