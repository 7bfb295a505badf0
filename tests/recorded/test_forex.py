"""The bars that a data provider made of its own ticks are the ones that we make of them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest

from livetape.core.bars import Print, candles
from livetape.core.times import MILLISECOND, SECOND

DAYS = [f"{provider}_eurusd_{day}" for provider in ("fxcm", "oanda") for day in ("20140505", "20140506")]
#: Bars published, by interval, of all days together.
PUBLISHED = {"second": 73_959, "minute": 5_580}
LENGTH = {"second": SECOND, "minute": 60 * SECOND}


def rows(recordings: Path, day: str, kind: str) -> Iterator[list[str]]:
    with ZipFile(recordings / "forex" / f"lean_{day}_{kind}_quote.zip") as archive:
        [name] = archive.namelist()
        yield from (line.split(",") for line in archive.read(name).decode().split())


def ticks(recordings: Path, day: str, side: int) -> Iterator[Print]:
    for row in rows(recordings, day, "tick"):
        yield int(row[0]) * MILLISECOND, row[side], "0", ()


@pytest.mark.parametrize("interval", PUBLISHED)
def test_bid_and_ask_bars_are_those_that_were_published(recordings: Path, interval: str) -> None:
    published = exact = 0
    for day in DAYS:
        bids, asks = (candles(ticks(recordings, day, side), LENGTH[interval]) for side in (1, 2))
        theirs = list(rows(recordings, day, interval))
        assert len(theirs) == len(bids) == len(asks)
        published += len(theirs)
        for row, bid, ask in zip(theirs, bids, asks, strict=True):
            ours = [bid.start_ns // MILLISECOND]
            ours += [price for each in (bid, ask) for price in (each.open, each.high, each.low, each.close)]
            exact += ours == list(map(Decimal, row[:5] + row[6:10]))
    assert published == exact == PUBLISHED[interval]
