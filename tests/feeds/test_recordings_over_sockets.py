"""Real recordings through real sockets: the judge of the whole way from the wire to the bus."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from livetape.core.events import BookUpdate, MarketEvent, Quote
from livetape.core.instruments import unified
from livetape.store.reader import open_store

from ..live import Live, live
from ..player import playing
from ..recorded import recordings as read

KRAKEN = {
    "kraken/crossbook_kraken_btcusd_l2.cbcap.gz": ("BTC-USD", 10, 301),
    "kraken/crossbook_kraken_ethusd_sample.cbcap.gz": ("ETH-USD", 25, 1129),
}


@pytest.mark.parametrize("name", KRAKEN)
async def test_every_kraken_checksum_is_proved_and_nothing_is_lost(recordings: Path, name: str) -> None:
    symbol, depth, books = KRAKEN[name]
    frames = [frame for _, frame in read.crossbook(recordings / name)]
    async with (
        playing(frames).running() as player,
        live([f"kraken:{symbol}/book"], "kraken", player.ws_url, options={"depth": depth}) as tape,
    ):
        await tape.until(lambda: len(tape.books) >= books)
        assert len(tape.books) == books
        assert {book.trust for book in tape.books} == {"verified"}
        assert {book.proof.method for book in tape.books if book.proof} == {"crc32"}
        assert not tape.gaps


async def test_ten_deep_books_on_one_socket_are_all_proved(recordings: Path) -> None:
    frames = [
        frame for _, frame in read.transcoded(recordings / "kraken/TRANSCODED_v1_20210417_book1000.tsv.gz")
    ]
    symbols = {
        book["symbol"]
        for frame in frames
        if b'"snapshot","data"' in frame
        for book in msgspec.json.decode(frame)["data"]
    }
    sources = [f"kraken:{symbol.replace('/', '-')}/book" for symbol in symbols]
    async with (
        playing(frames).running() as player,
        live(sources, "kraken", player.ws_url, options={"depth": 1000}) as tape,
    ):
        await tape.until(lambda: len(tape.books) >= 4279)
        assert len(tape.books) == 4279
        assert {book.trust for book in tape.books} == {"verified"}
        assert not tape.gaps


class Oracle:
    """Compares each book with the venue's own best bid and offer of the same update."""

    def __init__(self) -> None:
        self.tickers: dict[tuple[str, int | None], Quote] = {}
        self.count: Counter[str] = Counter()

    def put(self, event: MarketEvent) -> None:
        if isinstance(event, Quote):
            self.tickers[event.symbol, event.venue_seq] = event
        elif isinstance(event, BookUpdate) and (quote := self.tickers.get((event.symbol, event.last))):
            ours = (event.book.bids.best(), event.book.asks.best())
            theirs = ((quote.bid_text, quote.bid_size_text), (quote.ask_text, quote.ask_size_text))
            self.count["equal" if ours == theirs else "different"] += 1


async def judged(tape: Live, oracle: Oracle, frames: int) -> None:
    await tape.until(lambda: bool(tape.lines) and tape.lines[0].session.frames >= frames)
    books = [state for state in tape.lines[0].session.channels.values() if state.channel.kind == "book"]
    await tape.until(lambda: all(state.book is not None for state in books))


@pytest.mark.parametrize(
    ("venue", "recording", "equal"),
    [
        ("binance", "binance/cryptofeed_20211011_BINANCE", 26),
        ("binance_us", "binance_us/cryptofeed_20211011_BINANCE_US", 57),
    ],
)
async def test_binance_books_equal_the_ticker_of_the_same_update(
    recordings: Path, venue: str, recording: str, equal: int
) -> None:
    frames = [frame for _, frame in read.cryptofeed(recordings / f"{recording}.ws.1.0.txt.gz")]
    answers = read.cryptofeed_rest(recordings / f"{recording}.http.0.0.txt.gz")
    player = playing(frames)
    player.bodies = {f"/api/v3/depth?symbol={native}&limit=1000": body for _, native, body in answers}
    sources = [f"{venue}:{native}/{kind}" for _, native, _ in answers for kind in ("book", "quote")]
    oracle = Oracle()
    async with player.running(), live(sources, venue, player.ws_url) as tape:
        tape.app.bus.subscribe(None, oracle.put)
        await judged(tape, oracle, len(frames))
        assert oracle.count == {"equal": equal}
        assert not tape.gaps


async def test_a_long_binance_recording_bridges_once_and_never_differs(recordings: Path) -> None:
    body, frames = read.busy_binance(recordings)
    player = playing(frames)
    player.bodies = {"/api/v3/depth?symbol=BTCUSDT&limit=1000": body}
    oracle = Oracle()
    async with (
        player.running(),
        live(["binance:BTC-USDT/book", "binance:BTC-USDT/quote"], "binance", player.ws_url) as tape,
    ):
        tape.app.bus.subscribe(None, oracle.put)
        await judged(tape, oracle, len(frames))
        assert oracle.count["different"] == 0
        assert oracle.count["equal"] == 564
        assert not tape.gaps


async def test_gemini_books_never_cross_and_their_harmless_deletes_raise_no_alarm(recordings: Path) -> None:
    frames = [
        frame for _, frame in read.cryptofeed(recordings / "gemini/cryptofeed_20210623_GEMINI.ws.1.0.txt.gz")
    ]
    symbols = {msgspec.json.decode(frame)["symbol"] for frame in frames if b'"l2_updates"' in frame[:30]}
    crossed = Counter[bool]()
    async with playing(frames).running() as player:
        sources = [f"gemini:{unified(symbol)}/book" for symbol in symbols]
        async with live(sources, "gemini", player.ws_url) as tape:
            tape.app.bus.subscribe(
                None,
                lambda event: crossed.update([event.book.crossed]) if isinstance(event, BookUpdate) else None,
            )
            await tape.until(lambda: len(tape.books) >= 654)
            assert crossed == {False: 654}
            assert {book.trust for book in tape.books} == {"unverifiable"}
            assert not tape.gaps


async def test_watch_prints_and_record_keeps_every_proved_book(recordings: Path, tmp_path: Path) -> None:
    frames = [
        frame for _, frame in read.crossbook(recordings / "kraken/crossbook_kraken_ethusd_sample.cbcap.gz")
    ]
    async with playing(frames).running() as player:
        common = ("--set", f"venues.kraken.ws_url={player.ws_url}")
        watched, kept = await asyncio.gather(
            livetape("watch", "kraken:ETH/USD/book", "--json", "--depth", "25", "--duration", "4", *common),
            livetape(
                *("record", "kraken:ETH-USD/book", "--store", str(tmp_path), "--duration", "4"),
                *("--set", "venues.kraken.options.depth=25", *common),
            ),
        )
    books = [line for line in map(msgspec.json.decode, watched.splitlines()) if line["type"] == "book"]
    assert len(books) == 1129
    assert {book["trust"] for book in books} == {"verified"}
    assert b"[1877.00,1.06553011]" in watched  # the venue's own decimals
    assert kept is not None
    assert open_store(tmp_path).counts() == {"kraken:ETH-USD/book": 1129}


async def livetape(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livetape", *arguments), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out
