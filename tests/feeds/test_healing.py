"""A vendor that hangs up: what was traded meanwhile is read again over REST, and told once."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec import json

from livetape import clock
from livetape.adapters import find
from livetape.core.events import Origin, Trade
from livetape.core.instruments import Channel
from livetape.core.times import SECOND
from livetape.simulator.faults import Faults, read
from livetape.simulator.listings import listed
from livetape.simulator.market import Market
from livetape.simulator.server import Entry, Vendor

from ..live import live

#: The vendor's clock is this fine on the wire.
UNITS_NS = {"kraken": 1_000, "gemini": 1_000_000, "alpaca": 1}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for venue in UNITS_NS:
        for name in find(venue).key_names:
            monkeypatch.setenv(name, "simulated")


def hanging_up(channel: Channel, rate: float, ledger: Path) -> Vendor:
    """A vendor of one instrument that drops its client, and lets nobody in for a while."""
    faults = Faults(read(["drop:after=1500ms", "http503:after=1500ms,for=1500ms,retry=1s"], {})[0], seed=7)
    listings = [listing for listing in listed(channel.venue) if listing.symbol == channel.symbol]
    market = Market(listings, 7, clock.now_ns(), channel.venue, rate=rate)
    return Vendor(channel.venue, market, ledger, faults=faults)


@pytest.mark.parametrize(
    ("name", "rate", "healed"),
    [
        ("kraken:BTC-USD/trade", 8.0, "history"),
        ("kraken:BTC-USD/trade", 0.2, "complete"),  # by the fifty trades that come with a subscription
        ("gemini:BTC-USD/trade", 4.0, "history"),
        ("alpaca:AAPL/trade", 4.0, "history"),
        ("alpaca:BTC-USD/trade", 4.0, "history"),
    ],
)
async def test_trades_of_an_outage_are_told_once(name: str, rate: float, healed: str, tmp_path: Path) -> None:
    channel, ledger = Channel.parse(name), tmp_path / "sent.jsonl"
    async with hanging_up(channel, rate, ledger).serving() as vendor:
        async with live([name], channel.venue, vendor.ws_url) as tape:
            await tape.until(lambda: any(gap.healed for gap in tape.gaps))
            later_ns = max(trade.venue_ns or 0 for trade in tape.trades) + SECOND
            await tape.until(lambda: (tape.trades[-1].venue_ns or 0) > later_ns)
            trades, gaps = tape.trades, tape.gaps
        prints = vendor.market.trades(channel.symbol, 1000)

    assert (gaps[-1].healed, gaps[-1].missing or 0) == (healed, 0)
    assert {gap.start_ns for gap in gaps} == {gaps[-1].start_ns}  # the only one
    assert set(Counter(trade.id for trade in trades).values()) == {1}
    assert any(trade.origin is Origin.BACKFILLED for trade in trades)

    # Whatever happened in the market from the first trade to the last one was told, as it was.
    unit_ns = UNITS_NS[channel.venue]
    times = sorted(trade.venue_ns or 0 for trade in trades)
    known = Counter(facts(trade, channel.venue) for trade in trades)
    happened = Counter(
        facts(trade, channel.venue)
        for trade in prints
        if times[0] <= (trade.venue_ns or 0) // unit_ns * unit_ns < times[-1]
    )
    assert happened <= known
    assert known.total() - happened.total() == times.count(times[-1])

    # So was whatever the vendor says that it sent.
    entries = [json.decode(line, type=Entry) for line in ledger.read_bytes().splitlines()]
    sent = Counter(e.ns // unit_ns * unit_ns for e in entries if e.channel == name)
    assert Counter({ns: n for ns, n in sent.items() if ns < times[-1]}) <= Counter(times)


def facts(trade: Trade, venue: str) -> tuple[object, ...]:
    """What the market and the client agree on; how Alpaca names a trade and its side is its own."""
    unit_ns = UNITS_NS[venue]
    named = () if venue == "alpaca" else (trade.side, trade.id)
    return (trade.venue_ns or 0) // unit_ns, float(trade.price_text), float(trade.size_text), *named
