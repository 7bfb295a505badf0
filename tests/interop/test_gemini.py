"""The Gemini article's programs, websocket-client and websockets, against ``livetape simulate``."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from .articles import cut
from .environments import ARTICLE
from .running import Program, running, simulated
from .truth import is_now

CLIENTS = ("with_websocket_client.py", "with_websockets.py")


async def ended(name: str, venue: str, directory: Path) -> Program:
    """The article's program of that name, which has come to its end by itself against ``venue``."""
    path = cut(name, directory)
    async with (
        simulated(venue) as url,
        running(ARTICLE, path, cwd=directory, **{venue: url}) as program,
    ):
        await program.ended()
    return program


async def test_the_articles_echo_program(tmp_path: Path) -> None:
    program = await ended("gemini_echo", "echo", tmp_path)
    said = "\n".join(program.lines)  # two threads print, and may do so on one line
    assert sorted(re.findall(r"Sent:\s+([0-4])", said)) == [str(n) for n in range(5)]
    assert sorted(re.findall(r"Received: ([0-4])(?!\d)", said)) == [str(n) for n in range(5)]


async def test_the_articles_rest_timer(tmp_path: Path) -> None:
    [line] = (await ended("gemini_rest_timer", "gemini", tmp_path)).lines
    assert re.fullmatch(r"Latency is \d+\.\d+ ms", line)


async def test_the_articles_five_message_client(tmp_path: Path) -> None:
    program = await ended("gemini_five_messages", "gemini", tmp_path)
    frames = [json.decode(line.removeprefix("Received: ")) for line in program.lines]
    assert len(frames) >= 5
    assert [frame["socket_sequence"] for frame in frames] == list(range(len(frames)))
    bid, ask = frames[0]["events"]
    assert (bid["side"], ask["side"]) == ("bid", "ask")
    assert float(bid["price"]) < float(ask["price"])
    later = [event for frame in frames[1:] for event in frame["events"]]
    assert {(event["reason"], event["side"]) for event in later} == {("top-of-book", "ask")}


async def test_the_articles_crawler(tmp_path: Path) -> None:
    crawler = cut("gemini_crawler", tmp_path)
    written = tmp_path / "BTCUSD.txt"

    def lines() -> list[str]:
        return written.read_text().splitlines()[:-1] if written.exists() else []

    async with (
        simulated("gemini", "--rate", "5") as url,
        running(ARTICLE, crawler, cwd=tmp_path, gemini=url) as program,
    ):
        await program.until(lambda: len(lines()) >= 50)
    books = [json.decode(line) for line in lines()]
    for book in books:
        assert book["bids"] == sorted(book["bids"], reverse=True)
        assert book["asks"] == sorted(book["asks"])
        assert len(book["bids"]) <= 10 >= len(book["asks"])
    # Only the first is right for certain: the program leaves out what trades have changed.
    assert len(books[0]["bids"]) == len(books[0]["asks"]) == 10
    assert books[0]["bids"][0][0] < books[0]["asks"][0][0]


@pytest.mark.parametrize("client", CLIENTS)
async def test_v1_is_read_by(client: str, tmp_path: Path) -> None:
    async with (
        simulated("gemini") as url,
        running(ARTICLE, f"clients/{client}", f"{url}/v1/marketdata/BTCUSD", cwd=tmp_path) as program,
    ):
        await program.until(lambda: len(program.lines) >= 50)
    frames = decoded(program)
    assert [frame["socket_sequence"] for frame in frames] == list(range(len(frames)))
    assert {event["reason"] for event in frames[0]["events"]} == {"initial"}
    book: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    for frame in frames:
        changes = [event for event in frame["events"] if event["type"] == "change"]
        if frame is not frames[0]:
            for change in changes:  # delta is what remaining has changed by
                before = book[change["side"]].get(float(change["price"]), 0.0)
                assert float(change["remaining"]) - before == pytest.approx(float(change["delta"]), abs=1e-7)
        assert_applied(book, [(e["side"], e["price"], e["remaining"]) for e in changes])
    assert all(is_now(frame["timestampms"], 1_000_000) for frame in frames[1:])
    ids = [frame["eventId"] for frame in frames]
    assert ids == sorted(ids)
    assert len(set(ids[1:])) == len(ids) - 1
    reasons = {e["reason"] for frame in frames[1:] for e in frame["events"] if e["type"] == "change"}
    assert reasons <= {"place", "cancel", "trade"}
    assert len(reasons) > 1


@pytest.mark.parametrize("client", CLIENTS)
async def test_v2_is_read_by(client: str, tmp_path: Path) -> None:
    wish = '{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD","ETHUSD"]}]}'
    async with (
        simulated("gemini") as url,
        running(ARTICLE, f"clients/{client}", f"{url}/v2/marketdata", wish, cwd=tmp_path) as program,
    ):
        await program.until(lambda: len(program.lines) >= 100 and '"heartbeat"' in "".join(program.lines))
    frames = [frame for frame in decoded(program) if "symbol" in frame]
    assert {frame["type"] for frame in frames} == {"l2_updates", "trade"}
    for symbol in ("BTCUSD", "ETHUSD"):
        first, *later = (f for f in frames if (f["symbol"], f["type"]) == (symbol, "l2_updates"))
        assert "trades" in first
        assert not any("trades" in frame for frame in later)
        book: dict[str, dict[float, float]] = {"buy": {}, "sell": {}}
        for frame in (first, *later):
            assert_applied(book, frame["changes"])


async def test_what_the_simulator_says_of_nonsense_is_read(tmp_path: Path) -> None:
    wish = '{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["NOSUCH"]}]}'
    async with (
        simulated("gemini") as url,
        running(ARTICLE, f"clients/{CLIENTS[0]}", f"{url}/v2/marketdata", wish, "{", cwd=tmp_path) as program,
    ):
        await program.until(lambda: len(program.lines) >= 2)
    reasons = [frame.get("reason") for frame in decoded(program)]
    assert reasons[:2] == ["NoValidTradingPairs", "InvalidJson"]


def decoded(program: Program) -> list[Any]:
    return [json.decode(line) for line in program.lines]


def assert_applied(book: dict[str, dict[float, float]], changes: list[Any]) -> None:
    """The book has both sides after ``changes``, and does not cross itself."""
    for side, price, remaining in changes:
        if float(remaining):
            book[side][float(price)] = float(remaining)
        else:
            book[side].pop(float(price), None)
    bids, asks = book.values()
    assert max(bids) < min(asks)
