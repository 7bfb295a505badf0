"""The command line as a user meets it: real processes against simulated vendors."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import apsw
import pytest

from livetape.feeds.replay import Replay
from livetape.store.reader import open_store
from livetape.store.schema import COLUMNS

from ..live import accounted
from ..vendors import vendor
from .running import finish, livetape, start


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["watch", "krakn:BTC-USD/book"], 2, "unknown venue 'krakn'; did you mean kraken"),
        (["watch", "kraken:BTC-USD/bok"], 2, "did you mean book"),
        (["watch", "kraken"], 2, "venue:SYMBOL"),
        (["watch"], 2, "name a source; for example kraken:BTC-USD"),
        (["watch", "kraken:BTC-USD", "--set", "venues.kraken.wsurl=x"], 2, "wsurl"),
        (["watch", "kraken:BTC-USD", "--set", "venues.kraken.ws_url=ws://example.com"], 2, "allow_insecure"),
        (["watch", "kraken:BTC-USD", "--set", "venues.kraken.options.dept=5"], 2, "unknown option 'dept'"),
        (["watch", "gemini:BTC-USD/luld"], 2, "has no 'luld'"),
        (["watch", "kraken:BTC-USD", "-c", "nosuch.toml"], 2, "nosuch.toml"),
        (["replay", "nosuch"], 6, "no recorded tape"),
        (["simulate", "nosuch"], 2, "cannot be simulated"),
        (["record", "kraken:BTC-USD", "--store", "/proc/nosuch"], 6, "cannot be written"),
    ],
)
async def test_a_mistake_is_explained_without_a_traceback(
    arguments: list[str], code: int, part: str, tmp_path: Path
) -> None:
    _, err, returned = await livetape(*arguments, cwd=tmp_path)
    assert (returned, "Traceback" in err) == (code, False), err
    assert part in " ".join(err.split())


async def test_nobody_there_is_exit_code_4() -> None:
    _, err, code = await livetape(
        "watch", "kraken:BTC-USD", "--duration", "0.6", env={"LIVETAPE_KRAKEN_WS_URL": "ws://127.0.0.1:9"}
    )
    assert code == 4
    assert "127.0.0.1:9" in err


async def test_an_unknown_symbol_names_its_neighbours() -> None:
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        _, err, code = await livetape("watch", "kraken:BTX-USD/book", "--json", env=env)
    assert code == 2
    assert "did you mean BTC-USD" in err


async def test_watch_ends_after_as_many_events_as_asked_for() -> None:
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        out, _, code = await livetape(
            "watch", "kraken:BTC-USD", "--json", "--count", "25", "--depth", "3", env=env
        )
    lines = [json.loads(line) for line in out.splitlines()]
    data = [line for line in lines if line["type"] in ("trade", "book")]
    assert (len(data), code) == (25, 0)
    books = [line for line in lines if line["type"] == "book"]
    assert all(len(book["bids"]) == 3 and book["bids"][0][0] < book["asks"][0][0] for book in books)
    assert all(line["ts"] is None or line["ts"] > 1.7e18 for line in lines)


async def test_the_best_quote_of_several_venues_is_watched_and_recorded(tmp_path: Path) -> None:
    async with vendor() as kraken, vendor("gemini") as gemini:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url, "LIVETAPE_GEMINI_WS_URL": gemini.ws_url}
        best, venues = "best:BTC-USD/quote", ("--set", 'best.venues=["kraken","gemini"]')
        out, _, code = await livetape("watch", best, *venues, "--json", "--count", "20", env=env)
        _, _, recorded = await livetape(
            "record", best, *venues, "--store", str(tmp_path), "--duration", "2", env=env
        )
    quotes = [line for line in map(json.loads, out.splitlines()) if line["type"] == "best"]
    assert (len(quotes), code, recorded) == (20, 0, 0)
    assert {quote["bid_venue"] for quote in quotes} <= {"kraken", "gemini", None}
    assert set(open_store(tmp_path).counts()) >= {best, "kraken:BTC-USD/quote", "gemini:BTC-USD/quote"}


async def test_ctrl_c_ends_within_three_seconds_and_loses_nothing(tmp_path: Path) -> None:
    async with vendor(rate=10) as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        process = await start("record", "kraken:BTC-USD", "kraken:ETH-USD", "--store", str(tmp_path), env=env)
        while not kraken.clients or sum(kraken.clients[0].sent.values()) < 200:
            await asyncio.sleep(0.02)
        [client] = kraken.clients
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err, code = await finish(process)
        assert time.monotonic() - began < 3
    assert code == 0
    store = open_store(tmp_path)
    recorded = Counter(store.counts())
    replayed = Counter(e.channel for e in Replay(store.raw()) if type(e).__name__ in ("Trade", "BookUpdate"))
    assert replayed == recorded  # whatever was received is on the tape, raw and typed alike
    for channel, sent in client.sent.items():  # a frame may be under way when the connection closes
        assert sent - 20 <= recorded[channel] <= sent
    assert numbers(tmp_path) == list(range(1, len(numbers(tmp_path)) + 1))
    assert not store.gaps()
    assert "0 lost" in err


def numbers(directory: Path) -> list[int]:
    [segment] = (directory / "journal").glob("*.sqlite")
    db = apsw.Connection(str(segment))
    union = " UNION ALL ".join(f"SELECT n FROM {table}" for table in COLUMNS)
    found = [int(n) for (n,) in db.execute(f"{union} ORDER BY n")]
    db.close()
    return found


async def test_the_demo_ends_by_itself_with_a_tape_that_equals_its_summary(tmp_path: Path) -> None:
    out, _, code = await livetape(
        "demo", "--no-browser", "--port", "0", "--duration", "4", "--dir", str(tmp_path)
    )
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "/" in line and line[:6] in ("kraken", "gemini")]
    said = {channel: int(events) for channel, events, *_ in rows}
    assert said == open_store(tmp_path).counts()
    assert len(said) == 8
    assert "p50" in out


async def test_status_tells_every_channel_of_a_running_gateway() -> None:
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        process = await start("up", "kraken:BTC-USD", "--port", "0", "--duration", "10", env=env)
        assert process.stderr is not None
        url = (await process.stderr.readline()).decode().split()[3].rstrip(";")
        await asyncio.sleep(1)
        out, _, code = await livetape("status", "--json", "--url", url)
        process.send_signal(signal.SIGTERM)
        assert (await process.wait(), code) == (0, 0)
    assert accounted(json.loads(out))
    channels = {channel["channel"]: channel for channel in json.loads(out)["channels"]}
    assert channels["kraken:BTC-USD/book"]["trust"] == "verified"
    _, err, code = await livetape("status", "--url", url)
    assert code == 4 and url.removeprefix("http://") in err


async def test_a_reader_that_goes_away_ends_watch_quietly() -> None:
    async with vendor(rate=20) as kraken:
        process = await start(
            "watch", "kraken:BTC-USD", "--json", env={"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        )
        assert process.stdout is not None and process.stderr is not None
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # as `| head -1` does
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert b"Traceback" not in await process.stderr.read()


async def test_venues_and_help_need_no_network() -> None:
    out, _, code = await livetape("venues", "--json")
    assert {"kraken", "binance", "binance_us", "gemini"} <= {row["venue"] for row in json.loads(out)}
    assert code == 0
    out, _, code = await livetape("watch", "--help")
    assert "livetape watch kraken:BTC-USD" in " ".join(out.split())
    assert os.environ.get("LIVETAPE_KRAKEN_WS_URL") is None
