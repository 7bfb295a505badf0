"""Playing a tape: speed, pause, seek, and the same digest however it is played."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from livetape import clock
from livetape.app import App
from livetape.config import Config, VenueConfig
from livetape.core.digest import Digest
from livetape.core.errors import ConfigError
from livetape.core.events import BookUpdate, MarketEvent, Origin, Trade
from livetape.core.instruments import Channel
from livetape.core.times import SECOND
from livetape.feeds.line import Retry
from livetape.player import Player, play, selected
from livetape.store import merge
from livetape.store.catalog import Catalog
from livetape.store.locks import without_readers
from livetape.store.merge import Selection
from livetape.store.seal import seal

from .live import Live, until
from .store.tape import NOW, written
from .vendors import vendor

CHANNELS = {
    "kraken": ["kraken:BTC-USD/book", "kraken:BTC-USD/trade", "kraken:ETH-USD/quote"],
    "gemini": ["gemini:BTC-USD/book", "gemini:BTC-USD/trade"],
    "finnhub": ["finnhub:AAPL/trade"],
    "itick": ["itick:AAPL/trade", "itick:AAPL/book"],
    "alpaca": ["alpaca:AAPL/trade", "alpaca:AAPL/quote"],
}
KEYS = ("ITICK_API_KEY", "FINNHUB_API_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
AT_ONCE = Retry(first_s=0.01, most_s=0.1)
LATER = 1_000  #: events after which a recording is long enough


async def recorded(directory: Path, venue: str, lines: int, faults: list[str]) -> list[MarketEvent]:
    """What was live while it was recorded, with connections that break."""
    random = Random(7)
    options: dict[str, object] = {"max_symbols": 1} if venue == "kraken" else {}  # more than one socket
    async with vendor(venue, rate=40, faults=faults) as serving:
        config = VenueConfig(ws_url=serving.ws_url, lines=lines, options=options, retry=AT_ONCE)
        app = App(Config([], {venue: config}))
        app.record(directory)
        live = Live(app)
        try:
            app.hub.want(map(Channel.parse, CHANNELS[venue]))
            for n in range(1, 6):
                await live.until(lambda n=n: len(live.events) > n * LATER // 5)  # type: ignore[misc]
                if serving.clients:
                    random.choice(serving.clients).reset()
        finally:
            await app.close()
    return live.events


def sealed(directory: Path) -> None:
    catalog = Catalog.writable(directory)
    for segment in catalog.view().segments:
        seal(catalog, segment)


def digest_of(directory: Path, source: str, speed: float | None = None) -> str:
    player = play(directory, Selection(), source, speed=speed, digest=True)
    for event in player:
        assert event.origin is not Origin.LIVE
    return str(player.digest)


@pytest.mark.parametrize(
    ("venue", "lines", "faults"),
    [
        ("kraken", 1, ["gap:every=50", "corrupt:every=70"]),
        ("kraken", 2, ["reorder:every=30", "drop:after=1s,every=2s"]),
        ("gemini", 1, ["refuse:after=1s,for=1s", "dup:every=20"]),
        ("gemini", 2, ["gap:every=40"]),
        ("finnhub", 1, ["corrupt:every=40"]),
        ("itick", 1, ["gap:every=50"]),
        ("alpaca", 1, ["http503:after=1s,for=1s", "gap:every=50"]),
    ],
)
async def test_live_and_every_replay_have_one_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venue: str, lines: int, faults: list[str]
) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "key")
    live = Digest()
    for event in await recorded(tmp_path, venue, lines, faults):
        live.add(event)
    assert live.events > LATER
    hot = digest_of(tmp_path, "typed"), digest_of(tmp_path, "raw"), digest_of(tmp_path, "raw", 1000)
    sealed(tmp_path)
    cold = digest_of(tmp_path, "typed"), digest_of(tmp_path, "raw"), digest_of(tmp_path, "typed", 1000)
    assert {*hot, *cold} == {str(live)}


# A tape whose times are known


def trade(ms: float) -> Trade:
    ns = NOW + int(ms * 1_000_000)
    return Trade("kraken:BTC-USD/trade", NOW, "1.0", "2", "buy", str(ms), recv_ns=ns, session=1, seq=int(ms))


def player_of(directory: Path, *times_ms: float, speed: float | None = None, **about: int | None) -> Player:
    written(directory, *map(trade, times_ms))
    return play(directory, Selection(**about), speed=speed)  # type: ignore[arg-type]


def ids(events: Iterator[MarketEvent]) -> list[str | None]:
    return [event.id for event in events if isinstance(event, Trade)]


def test_nothing_comes_early_and_nothing_is_skipped(tmp_path: Path) -> None:
    player = player_of(tmp_path, *range(0, 1_000, 10), speed=10)
    began_ns, told = clock.now_ns(), []
    for event in player:
        late_ns = clock.now_ns() - began_ns - (event.recv_ns - NOW) // 10
        told.append(event)
        assert late_ns >= -1_000_000
    assert len(told) == player.lateness.events == 100
    assert 0 <= player.lateness.mean_ns <= player.lateness.most_ns


def test_a_slow_reader_gets_all_and_it_is_measured(tmp_path: Path) -> None:
    player = player_of(tmp_path, *range(0, 100, 10), speed=1000)
    told = []
    for event in player:
        told.append(event)
        began_ns = clock.now_ns()
        while clock.now_ns() < began_ns + 2_000_000:
            pass
    assert len(told) == 10
    assert player.lateness.most_ns > 10_000_000


async def test_a_pause_holds_everything_back(tmp_path: Path) -> None:
    player = player_of(tmp_path, *range(0, 2_000, 10), speed=1000)
    told: list[MarketEvent] = []

    async def take() -> None:
        async for event in player:
            told.append(event)
            if len(told) == 5:
                player.pause()

    taking = asyncio.create_task(take())
    await until(lambda: player.paused)
    at_ns = player.position_ns
    await asyncio.sleep(0.2)
    assert (len(told), player.position_ns) == (5, at_ns)
    player.resume()
    await taking
    assert ids(iter(told)) == [str(ms) for ms in range(0, 2_000, 10)]


@pytest.mark.parametrize("speed", [None, 1000])
def test_a_seek_goes_back_and_forth(tmp_path: Path, speed: float | None) -> None:
    player = player_of(tmp_path, *range(100), speed=speed)
    told = []
    for event in player:
        assert isinstance(event, Trade)
        told.append(int(event.id or ""))
        if told[-1] == 5 and len(told) < 10:
            player.seek(NOW + 90 * 1_000_000)
        if told[-1] == 95 and len(told) < 20:
            player.seek(NOW + 3 * 1_000_000)
    assert told == [*range(6), *range(90, 96), *range(3, 100)]


def test_a_seek_in_raw_frames_drives_the_sessions_from_their_beginning(tmp_path: Path) -> None:
    live = asyncio.run(recorded(tmp_path, "kraken", 1, []))
    trades = [event for event in live if isinstance(event, BookUpdate | Trade)]
    middle_ns = trades[len(trades) // 2].recv_ns
    typed, raw = (
        [
            replace(event, _book=None) if isinstance(event, BookUpdate) else event
            for event in play(tmp_path, Selection(start_ns=middle_ns), source)
        ]
        for source in ("typed", "raw")
    )
    assert len(raw) > len(trades) // 3
    assert sorted(raw, key=lambda e: (e.session, e.seq)) == sorted(typed, key=lambda e: (e.session, e.seq))


def test_books_are_those_that_were_live_also_from_the_middle(tmp_path: Path) -> None:
    tops: dict[tuple[int, int], object] = {}

    async def record() -> None:
        async with vendor("kraken", rate=40) as serving:
            app = App(Config([], {"kraken": VenueConfig(ws_url=serving.ws_url)}))
            app.record(tmp_path)

            def keep(event: MarketEvent) -> None:
                if isinstance(event, BookUpdate):
                    tops[event.session, event.seq] = event.book.bids.top(99), event.book.asks.top(99)

            app.bus.subscribe(None, keep)
            app.hub.want([Channel.parse("kraken:BTC-USD/book")])
            await until(lambda: len(tops) > 300)
            await app.close()

    asyncio.run(record())
    times = [event.recv_ns for event in play(tmp_path, Selection()) if isinstance(event, BookUpdate)]
    for source in ("typed", "raw"):
        for start_ns in (None, times[200]):
            seen = 0
            for event in play(tmp_path, Selection(start_ns=start_ns), source, books=True):
                if isinstance(event, BookUpdate):
                    seen += 1
                    told = event.book.bids.top(99), event.book.asks.top(99)
                    assert told == tops[event.session, event.seq]
            assert seen >= len(times) - (0 if start_ns is None else 200)


def test_the_end_is_not_played(tmp_path: Path) -> None:
    player = player_of(tmp_path, *range(10), start_ns=NOW + 2_000_000, end_ns=NOW + 5_000_000)
    assert ids(iter(player)) == ["2", "3", "4"]


def test_another_speed_counts_from_here(tmp_path: Path) -> None:
    player = player_of(tmp_path, 0, 1, 10_000_000, speed=1000)
    told = []
    for event in player:
        told.append(event)
        if len(told) == 2:
            player.speed = None
    assert len(told) == 3
    assert player.position_ns == NOW + 10_000 * SECOND


@pytest.fixture(scope="module")
def long_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many rows, not sealed yet, that the first event takes a while to come."""
    directory = tmp_path_factory.mktemp("long")
    for first in range(0, 200_000, 40_000):
        written(directory, *map(trade, range(first, first + 40_000)))
    return directory


async def test_others_have_their_turns_until_the_first_event_comes(long_tape: Path) -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    events = aiter(play(long_tape, Selection()))
    assert isinstance(await anext(events), Trade)
    assert turns > 1
    ticking.cancel()
    told = 1
    async for _ in events:
        told += 1
    assert told == 200_000


@pytest.mark.parametrize("books", [False, True])
async def test_who_leaves_early_holds_nothing_any_more(long_tape: Path, books: bool) -> None:
    events = play(long_tape, Selection(), books=books).__aiter__()
    async for event in events:
        assert isinstance(event, Trade)
        break
    with without_readers(long_tape) as alone:
        assert not alone
    assert isinstance(events, AsyncGenerator)
    await events.aclose()
    with without_readers(long_tape) as alone:
        assert alone


async def test_who_is_cancelled_before_the_first_event_holds_nothing_any_more(long_tape: Path) -> None:
    async def take() -> None:
        async for _ in play(long_tape, Selection()):
            raise AssertionError("it was cancelled before")

    def is_read() -> bool:
        with without_readers(long_tape) as alone:
            return not alone

    taking = asyncio.create_task(take())
    await until(is_read)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not is_read()


@pytest.mark.parametrize("speed", [0, 0.05, -1, 1001, float("nan")])
def test_a_speed_that_cannot_be_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigError, match=r"speed must be from 0\.1 to 1000"):
        player_of(tmp_path, 1, speed=speed)


def test_sources_name_what_is_on_the_tape(tmp_path: Path) -> None:
    written(tmp_path, trade(1))
    assert selected(tmp_path, []) is None
    assert selected(tmp_path, ["kraken:BTC-USD"]) == {"kraken:BTC-USD/trade"}
    with pytest.raises(ConfigError, match="not on this tape"):
        selected(tmp_path, ["kraken:ETH-USD/trade"])
    with pytest.raises(ConfigError, match="typed or raw"):
        play(tmp_path, Selection(), "rough")
    assert merge.sessions(tmp_path) == set()
