"""A tape served as its vendor: a feed of livetape that is pointed at it hears what the tape has."""

import asyncio
from pathlib import Path

import pytest

from livetape.cli.replay import Wish, feed, vendor_of
from livetape.core.books import Books
from livetape.core.errors import ConfigError
from livetape.core.events import BookUpdate, Gap, MarketEvent, Quote, Trade
from livetape.player import play
from livetape.store.merge import Selection
from livetape.store.reader import open_store

from ..live import Live, live
from ..vendors import vendor

SOURCES = {
    "kraken": ["kraken:BTC-USD/book", "kraken:BTC-USD/trade", "kraken:ETH-USD/book"],
    "gemini": ["gemini:BTC-USD/book", "gemini:BTC-USD/trade"],
    "alpaca": ["alpaca:AAPL/trade", "alpaca:AAPL/quote"],
    "finnhub": ["finnhub:AAPL/trade"],
    "itick": ["itick:AAPL/trade", "itick:AAPL/book"],
}
LATER = 500  #: events after which a recording is long enough
DEEP = 1_000


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ITICK_API_KEY", "FINNHUB_API_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.setenv(name, "key")


async def record(directory: Path, venue: str) -> None:
    async with vendor(venue, rate=40) as serving, live(SOURCES[venue], venue, serving.ws_url) as running:
        running.app.record(directory)
        await running.until(lambda: len(running.events) > LATER)


def prints(events: list[MarketEvent]) -> list[tuple[object, ...]]:
    return [
        (e.channel, e.venue_ns, e.price_text, e.size_text, e.side, e.id)
        for e in events
        if isinstance(e, Trade)
    ]


def quotes(events: list[MarketEvent]) -> list[tuple[object, ...]]:
    """Without the sizes, which Alpaca rounds to lots."""
    return [(e.bid_text, e.ask_text) for e in events if isinstance(e, Quote)]


def books(events: list[MarketEvent]) -> dict[str, tuple[object, object]]:
    """The levels of each book in the end."""
    kept = Books()
    for event in events:
        if isinstance(event, BookUpdate):
            kept.take(event)
    channels = {event.channel for event in events if isinstance(event, BookUpdate)}
    return {name: (kept[name].bids.top(DEEP), kept[name].asks.top(DEEP)) for name in channels}


def is_settled(running: Live, venue: str) -> bool:
    """Whether every channel is subscribed; each book is there."""
    wanted = [name for name in SOURCES[venue] if name.endswith("/book")]
    told = {event.channel for event in running.books}
    return running.lines[0].connected and told.issuperset(wanted)


@pytest.mark.parametrize("venue", SOURCES)
@pytest.mark.parametrize("speed", ["20", "max"])
async def test_a_client_hears_the_trades_and_has_the_books_of_the_tape(
    tmp_path: Path, venue: str, speed: str
) -> None:
    await record(tmp_path, venue)
    recorded = list(play(tmp_path, Selection()))
    player, taped, serving = vendor_of(open_store(tmp_path), Wish(speed=speed), venue)
    async with serving.serving(), live(SOURCES[venue], venue, serving.ws_url) as running:
        await running.until(lambda: is_settled(running, venue))
        await asyncio.sleep(0.5)  # what else is subscribed
        await feed(player, taped, serving, asyncio.Event())
        await running.until(lambda: len(running.trades) == len(prints(recorded)))
        await running.until(lambda: books(running.events) == books(recorded))
        heard = list(running.events)
    assert prints(heard) == prints(recorded)
    assert not [event for event in heard if isinstance(event, Gap)]
    if venue == "alpaca":
        assert set(quotes(heard)) <= set(quotes(recorded))
        assert len(quotes(heard)) > 50


async def test_who_comes_in_the_middle_gets_the_book_as_it_stands(tmp_path: Path) -> None:
    await record(tmp_path, "kraken")
    recorded = list(play(tmp_path, Selection()))
    middle_ns = recorded[len(recorded) // 2].recv_ns
    before = books([event for event in recorded if event.recv_ns < middle_ns])
    wish = Wish(begin=str(middle_ns), speed="max")
    player, taped, serving = vendor_of(open_store(tmp_path), wish, "kraken")
    async with serving.serving(), live(SOURCES["kraken"], "kraken", serving.ws_url) as running:
        await running.until(lambda: is_settled(running, "kraken"))
        assert books(running.events) == before
        await asyncio.sleep(0.5)
        await feed(player, taped, serving, asyncio.Event())
        await running.until(lambda: books(running.events) == books(recorded))
        late = [event for event in recorded if event.recv_ns >= middle_ns]
        assert prints(running.events) == prints(late)


async def test_what_is_not_on_the_tape_cannot_be_served(tmp_path: Path) -> None:
    await record(tmp_path, "kraken")
    tape = open_store(tmp_path)
    with pytest.raises(ConfigError, match="nothing of gemini is on this tape; did you mean kraken"):
        vendor_of(tape, Wish(), "gemini")
    with pytest.raises(ConfigError, match="cannot be simulated"):
        vendor_of(tape, Wish(), "nosuch")
    with pytest.raises(ConfigError, match="in that time"):
        vendor_of(tape, Wish(begin="2030-01-01"), "kraken")


async def test_of_a_tape_of_several_venues_only_the_own_is_served(tmp_path: Path) -> None:
    await record(tmp_path, "gemini")
    await record(tmp_path, "kraken")
    player, *_ = vendor_of(open_store(tmp_path), Wish(), "kraken")
    assert {event.venue for event in player} == {"kraken"}
