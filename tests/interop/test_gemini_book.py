"""The article's crawler and our example on the same frames, judged by a third book."""

import asyncio
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import json

from ..player import Connection, Player
from .articles import cut
from .environments import ARTICLE
from .running import running, simulated

EXAMPLE = Path(__file__).parents[2] / "examples" / "gemini_book.py"
FRAMES = 400
Sides = dict[str, dict[Decimal, Decimal]]
Book = tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]


async def captured(url: str) -> list[bytes]:
    """What the vendor sends on the full feed."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/marketdata/btcusd", max_msg_size=0) as ws,
    ):
        return [(await ws.receive_str()).encode() for _ in range(FRAMES)]


def truth(frames: list[bytes]) -> list[tuple[bool, bool, Book]]:
    """After each frame: whether it held trades, whether changes, and the ten best of the whole book."""
    sides: Sides = {"bid": {}, "ask": {}}
    found = []
    for frame in frames:
        events: list[dict[str, Any]] = json.decode(frame)["events"]
        changes = [event for event in events if event["type"] == "change"]
        for change in changes:
            side, price, left = sides[change["side"]], Decimal(change["price"]), Decimal(change["remaining"])
            side.pop(price, None)
            if left:
                side[price] = left
        best = sorted(sides["bid"].items(), reverse=True)[:10], sorted(sides["ask"].items())[:10]
        found.append((len(changes) < len(events), bool(changes), best))
    return found


def written(file: Path) -> list[Book]:
    """The books in the whole lines of a file."""
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [(levels(line["bids"]), levels(line["asks"])) for line in map(_exactly.decode, lines)]


def levels(pairs: list[list[str | int]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in pairs]


_exactly = json.Decoder(dict[str, Any], float_hook=str)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.05)


async def test_the_articles_best_ten_are_wrong_and_ours_are_right(tmp_path: Path) -> None:
    async with simulated("gemini", "--rate", "5") as url:
        frames = await captured(url)
    right = truth(frames)

    async def play(connection: Connection) -> None:
        await connection.play(frames)
        await connection.idle()

    theirs, ours = tmp_path / "BTCUSD.txt", tmp_path / "book.jsonl"
    expected_theirs = [book for traded, _, book in right if not traded]
    expected_ours = [book for _, changed, book in right if changed]
    async with Player(play).running() as player:
        crawler = cut("gemini_crawler", tmp_path)
        async with running(ARTICLE, crawler, cwd=tmp_path, gemini=player.ws_url):
            await until(lambda: len(written(theirs)) >= len(expected_theirs))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLE, "BTC-USD", ours),
            env={"LIVETAPE_GEMINI_WS_URL": player.ws_url, "PATH": "/usr/bin", "NO_PROXY": "*"},
        )
        try:
            await until(lambda: len(written(ours)) >= len(expected_ours))
        finally:
            process.terminate()
            await process.wait()
    got_theirs, got_ours = written(theirs), written(ours)
    wrong = sum(got != expected for got, expected in zip(got_theirs, expected_theirs, strict=True))
    print(f"the article's: {wrong} of {len(expected_theirs)} wrong; ours: 0 of {len(expected_ours)}")
    assert got_ours == expected_ours
    assert wrong > 0
