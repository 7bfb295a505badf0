"""The object a Python user holds, against a simulated vendor."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livetape import Stream, open_store
from livetape.app import App
from livetape.calendars import Hours
from livetape.config import Config, VenueConfig
from livetape.core.errors import ConfigError, ConnectError, MisuseError
from livetape.core.events import BestQuote, BookUpdate, Gap, MarketEvent, Status, Trade
from livetape.feeds.line import Retry

from .live import conserved, until
from .vendors import config_for, vendor


@pytest.fixture(autouse=True)
def conservation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a stream has received is accounted for at its end, in whatever thread it runs."""
    close, verdicts = App.close, list[bool]()

    async def judged(app: App) -> None:
        verdicts.append(conserved(app))
        await close(app)

    monkeypatch.setattr(App, "close", judged)
    yield
    assert all(verdicts)


async def test_handlers_get_the_kinds_and_channels_they_asked_for() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD", "kraken:ETH-USD/book", config=config_for(kraken))
        trades: list[Trade] = []
        books: list[BookUpdate] = []
        slow: list[Any] = []
        stream.on("trade")(trades.append)
        stream.on(r"kraken:.+/book")(books.append)

        @stream.on("book")
        async def later(update: BookUpdate) -> None:
            await asyncio.sleep(0)
            slow.append(update)

        async with stream:
            await until(lambda: len(trades) > 3 and len(books) > 10 and len(slow) > 10)
        assert {trade.channel for trade in trades} == {"kraken:BTC-USD/trade"}
        assert {book.symbol for book in books} == {"BTC-USD", "ETH-USD"}
        assert all(book.trust == "verified" and book.proof and book.proof.method == "crc32" for book in books)


async def test_events_can_be_iterated_over() -> None:
    async with vendor() as kraken, Stream("kraken:BTC-USD", config=config_for(kraken)) as stream:
        kinds = set()
        async for event in stream:
            kinds.add(type(event))
            if {Trade, BookUpdate, Status} <= kinds:
                break


async def test_subscriptions_change_from_another_thread_while_it_runs() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD/trade", config=config_for(kraken))
        seen: list[str] = []
        stream.on(r".+")(lambda event: seen.append(event.channel))
        await asyncio.to_thread(stream.start)
        try:
            await until(lambda: "kraken:BTC-USD/trade" in seen)
            await asyncio.to_thread(stream.subscribe, "kraken:ETH-USD/book")
            await until(lambda: "kraken:ETH-USD/book" in seen)
            await asyncio.to_thread(stream.unsubscribe, "kraken:BTC-USD/trade")
            await asyncio.sleep(0.1)
            seen.clear()
            await until(lambda: len(seen) > 5)
            assert set(seen) == {"kraken:ETH-USD/book"}
            with pytest.raises(ConfigError, match="did you mean kraken"):
                await asyncio.to_thread(stream.subscribe, "krakn:ETH-USD/book")
        finally:
            await asyncio.to_thread(stream.stop)


async def test_pause_closes_the_connection_and_resume_goes_on_with_a_gap_between() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD/book", config=config_for(kraken))
        books: list[BookUpdate] = []
        gaps: list[Gap] = []
        opened: list[Status] = []
        closed: list[Status] = []
        stream.on("book")(books.append)
        stream.on_gap(gaps.append)
        stream.on_open(opened.append)
        stream.on_close(closed.append)
        async with stream:
            await until(lambda: books)
            stream.pause()
            await until(lambda: not kraken.clients)
            n = len(books)
            await asyncio.sleep(0.2)
            assert len(books) == n
            stream.resume()
            await until(lambda: len(gaps) == 2 and len(books) > n)
        assert gaps[0].cause == "paused"
        assert gaps[1].healed == "snapshot"
        assert [len(opened), len(closed)] == [2, 2]


class Bell(Hours):
    """The hours of a market that a test opens and closes."""

    def __init__(self) -> None:
        super().__init__("bell", lambda year: ())
        self.rung = False

    def is_open(self, ns: int) -> bool:
        return self.rung


async def test_while_the_market_is_closed_there_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("livetape.stream.HOURS_S", 0.01)
    caplog.set_level("INFO", "livetape.stream")
    async with vendor() as kraken:
        stream, bell = Stream("kraken:BTC-USD/book", config=config_for(kraken)), Bell()
        books: list[BookUpdate] = []
        gaps: list[Gap] = []
        stream.on("book")(books.append)
        stream.on_gap(gaps.append)
        stream.follow_hours(bell)
        async with stream:
            await asyncio.sleep(0.2)
            assert not kraken.clients
            bell.rung = True
            await until(lambda: books)
            bell.rung = False
            await until(lambda: not kraken.clients)
            n = len(books)
            stream.resume()  # from a pause that never was
            await asyncio.sleep(0.2)
            assert (len(books), len(kraken.clients)) == (n, 0)
            bell.rung = True
            await until(lambda: len(books) > n and gaps[-1].healed == "snapshot")
            stream.pause()
            await until(lambda: not kraken.clients)
            bell.rung = False
            await until(lambda: len(caplog.messages) == 5)
            bell.rung = True
            await until(lambda: len(caplog.messages) == 6)
            await asyncio.sleep(0.1)
            assert not kraken.clients  # paused by its user
            stream.resume()
            await until(lambda: kraken.clients)
    closed, opened = "bell: closed, no connection", "bell: open"
    assert caplog.messages == [closed, opened] * 3


async def test_hours_can_be_followed_by_a_stream_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livetape.stream.HOURS_S", 0.01)
    async with vendor() as kraken, Stream("kraken:BTC-USD/book", config=config_for(kraken)) as stream:
        await until(lambda: kraken.clients)
        bell = Bell()
        stream.follow_hours(bell)
        await until(lambda: not kraken.clients)
        stream.follow_hours()  # those of coins
        await until(lambda: kraken.clients)
        with pytest.raises(ConfigError, match=r"did you mean .*XNYS"):
            stream.follow_hours("XNYZ")


async def test_hours_that_nobody_knows_leave_the_connection_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("livetape.stream.HOURS_S", 0.01)

    class Unpublished(Bell):
        def is_open(self, ns: int) -> bool:
            if self.rung:
                raise ConfigError("next year is not published")
            return False

    async with vendor() as kraken:
        stream, hours = Stream("kraken:BTC-USD/book", config=config_for(kraken)), Unpublished()
        stream.follow_hours(hours)
        async with stream:
            await asyncio.sleep(0.1)
            assert not kraken.clients
            hours.rung = True
            await until(lambda: kraken.clients)
    assert "no longer followed: next year is not published" in caplog.text


async def test_a_handler_that_raises_ends_nothing_and_is_told_to_on_error() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD", config=config_for(kraken))
        problems: list[object] = []
        trades: list[Trade] = []
        stream.on_error(problems.append)

        @stream.on("trade")
        def broken(trade: Trade) -> None:
            raise ValueError("mine")

        stream.on("trade")(trades.append)
        async with stream:
            await until(lambda: len(trades) > 2)
        assert isinstance(problems[0], ValueError)
        assert stream.failures >= 2


async def test_run_blocks_until_a_handler_stops_it() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD", config=config_for(kraken))
        trades: list[Trade] = []

        @stream.on("trade")
        def first(trade: Trade) -> None:
            trades.append(trade)
            stream.stop()

        await asyncio.wait_for(asyncio.to_thread(stream.run), 15)
        assert trades
        with pytest.raises(MisuseError, match=r"stream\.start"):
            stream.run()  # a loop runs here, as in a notebook


def test_an_unknown_venue_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="unknown venue"):
        Stream("nosuch:BTC-USD/book")


async def test_a_stream_that_cannot_start_says_so_to_its_caller() -> None:
    stream = Stream("kraken:BTC-USD/luld")
    with pytest.raises(ConfigError, match="has no 'luld'"):
        await asyncio.to_thread(stream.start)


def threads_of(trade: Trade) -> None:
    THREADS.add(threading.current_thread().name)
    SEEN.append(trade.seq)


def process_of(trade: Trade) -> None:
    with open(os.environ["LIVETAPE_TEST_FILE"], "a") as file:
        file.write(f"{os.getpid()} {trade.price_text}\n")


THREADS: set[str] = set()
SEEN: list[int] = []


async def test_a_handler_may_run_in_a_thread_and_keeps_the_order() -> None:
    async with vendor(rate=20) as kraken:
        stream = Stream("kraken:BTC-USD/trade", config=config_for(kraken))
        stream.on("trade", run_in="thread")(threads_of)
        async with stream:
            async with asyncio.timeout(20):
                while len(SEEN) < 20:
                    await asyncio.sleep(0.01)
    assert threading.current_thread().name not in THREADS
    assert len(THREADS) == 1
    assert sorted(SEEN) == SEEN


async def test_a_handler_may_run_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "seen"
    file.touch()
    monkeypatch.setenv("LIVETAPE_TEST_FILE", str(file))
    async with vendor(rate=20) as kraken:
        stream = Stream("kraken:BTC-USD/trade", config=config_for(kraken))
        stream.on("trade", run_in="process")(process_of)
        async with stream:
            async with asyncio.timeout(20):
                while len(file.read_text().splitlines()) < 5:
                    await asyncio.sleep(0.05)
    assert str(os.getpid()) not in {line.split()[0] for line in file.read_text().splitlines()}


def test_a_handler_cannot_run_just_anywhere() -> None:
    with pytest.raises(MisuseError, match="loop, thread or process"):
        Stream("kraken:BTC-USD").on("trade", run_in="gpu")


async def test_a_stream_that_gives_up_says_so() -> None:
    config = Config([], {"kraken": VenueConfig(ws_url="ws://127.0.0.1:9")})
    stream = Stream("kraken:BTC-USD", config=config, retry=Retry(first_s=0.01, most_s=0.01, attempts=3))
    problems: list[object] = []
    stream.on_error(problems.append)
    with pytest.raises(ConnectError, match="gave up after 3 tries"):
        await asyncio.to_thread(stream.run)
    assert len(problems) == 4  # each try, and the end


async def test_a_slow_async_handler_drops_the_oldest_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livetape.stream.QUEUE", 5)
    async with vendor(rate=20) as kraken:
        stream = Stream("kraken:BTC-USD/book", config=config_for(kraken))

        @stream.on("book")
        async def slow(update: BookUpdate) -> None:
            await asyncio.sleep(10)

        async with stream:
            await until(lambda: stream.dropped > 3)


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("livetape")]


async def test_no_thread_is_left_behind() -> None:
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD", config=config_for(kraken))
        await asyncio.to_thread(stream.start)
        assert threads_of_ours() == ["livetape-stream"]
        await asyncio.to_thread(stream.stop)
    assert threads_of_ours() == []


async def test_the_best_quote_is_over_all_venues_and_its_parts_stay_unseen(tmp_path: Path) -> None:
    async with vendor() as kraken, vendor("gemini") as gemini:
        config = config_for(kraken, gemini)
        stream = Stream("best:BTC-USD/quote", "kraken:BTC-USD/trade", config=config, store=tmp_path)
        seen: list[MarketEvent] = []
        best: list[BestQuote] = []
        stream.on("best")(best.append)
        stream.on(".+")(seen.append)
        async with stream:
            await until(
                lambda: {"kraken", "gemini"} <= {q.bid_venue for q in best} | {q.ask_venue for q in best}
            )
            await until(lambda: any(event.kind == "trade" for event in seen))
            assert {event.channel for event in seen} == {"best:BTC-USD/quote", "kraken:BTC-USD/trade"}
            assert all(
                quote.trust == "unverifiable"
                for quote in best
                if "gemini" in (quote.bid_venue, quote.ask_venue)
            )
            stream.subscribe("gemini:BTC-USD/quote")
            await until(lambda: any(event.channel == "gemini:BTC-USD/quote" for event in seen))
            stream.unsubscribe("best:BTC-USD/quote")
            await asyncio.sleep(0.1)
            before = len(best)
            seen.clear()
            await until(lambda: len(seen) > 5)
            assert len(best) == before
            assert "kraken:BTC-USD/quote" not in {event.channel for event in seen}
        counts = open_store(tmp_path).counts()
        assert counts["best:BTC-USD/quote"] == before
        assert {"kraken:BTC-USD/quote", "gemini:BTC-USD/quote"} <= set(counts)


async def test_a_venue_that_is_gone_is_no_part_of_the_best_quote() -> None:
    async with vendor() as kraken:
        async with vendor("gemini") as gemini:
            stream = Stream("best:BTC-USD/quote", config=config_for(kraken, gemini))
            best: list[BestQuote] = []
            stream.on("best")(best.append)
            await stream.__aenter__()
            await until(
                lambda: {"kraken", "gemini"} <= {q.bid_venue for q in best} | {q.ask_venue for q in best}
            )
        try:
            await until(lambda: {best[-1].bid_venue, best[-1].ask_venue} == {"kraken"})
            count = len(best)
            await until(lambda: len(best) > count + 5)
            assert {q.bid_venue for q in best[count:]} | {q.ask_venue for q in best[count:]} == {"kraken"}
            assert best[-1].trust == "live"
        finally:
            await stream.__aexit__(None, None, None)


def test_a_best_quote_needs_venues_and_is_nothing_but_a_quote() -> None:
    with pytest.raises(ConfigError, match="no venue"):
        Stream("best:BTC-USD/quote").run()
    with pytest.raises(ConfigError, match="no 'trade'"):
        Stream("best:BTC-USD/trade")
