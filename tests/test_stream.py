"""The object a Python user holds, against a simulated vendor."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from livetape import Stream
from livetape.core.errors import ConfigError, MisuseError
from livetape.core.events import BookUpdate, Gap, Status, Trade

from .vendors import config_for, vendor


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


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


async def test_a_stream_that_cannot_start_says_so_to_its_caller() -> None:
    stream = Stream("nosuch:BTC-USD/book")
    with pytest.raises(ConfigError, match="unknown venue"):
        await asyncio.to_thread(stream.start)


async def test_a_slow_async_handler_drops_the_oldest_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livetape.stream.QUEUE", 5)
    async with vendor(rate=20) as kraken:
        stream = Stream("kraken:BTC-USD/book", config=config_for(kraken))

        @stream.on("book")
        async def slow(update: BookUpdate) -> None:
            await asyncio.sleep(10)

        async with stream:
            await until(lambda: stream.dropped > 3)


async def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    async with vendor() as kraken:
        stream = Stream("kraken:BTC-USD", config=config_for(kraken))
        await asyncio.to_thread(stream.start)
        await asyncio.to_thread(stream.stop)
        time.sleep(0.01)
    assert threading.active_count() <= before + 1  # the pool of to_thread
