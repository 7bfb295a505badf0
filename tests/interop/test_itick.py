"""The program of the iTick article, and others against today's API, on ``livetape simulate itick``."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from .articles import cut
from .environments import ARTICLE
from .running import running, simulated
from .tap import tapped
from .truth import is_now

RECEIVED = "Received data: Symbol {symbol}, Price {price}, Volume {volume}"  # the article prints it like this
KEY = "your_api_key"


async def test_the_articles_client_authenticates_receives_and_heartbeats(tmp_path: Path) -> None:
    client = cut("itick_client", tmp_path)
    async with (
        simulated("itick") as url,
        tapped(url) as tap,
        running(ARTICLE, client, cwd=tmp_path, itick=tap.url) as program,
    ):
        await program.until(lambda: program.lines.count(RECEIVED) >= 30)
        # It beats every ten seconds: the connection outlives its first beat's answer, and there is a second.
        await program.until(lambda: heartbeats(tap.asked) >= 2)
        heard = len(tap.told)
        await program.until(lambda: len(tap.told) >= heard + 10)
    assert set(program.lines) == {RECEIVED}
    assert tap.connections == 1
    asked, told = ([json.decode(message) for message in messages] for messages in (tap.asked, tap.told))
    assert [message["ac"] for message in asked[:3]] == ["auth", "subscribe", "heartbeat"]
    assert [message["msg"] for message in told[:2]] == ["Connected Successfully", "authenticated"]
    assert [m["code"] for m in told if m.get("resAc") == "subscribe"] == [1]
    data = [message["data"] for message in told if "type" in message.get("data", {})]
    assert {(each["s"], each["type"]) for each in data} == {
        (symbol, kind) for symbol in ("EURUSD", "HKDUSD") for kind in ("depth", "quote")
    }
    assert_plausible(data)


async def test_the_articles_client_tries_again_until_the_vendor_is_there(tmp_path: Path) -> None:
    client = cut("itick_client", tmp_path)
    async with simulated("itick") as url:
        port = int(url.rpartition(":")[2])
    async with running(ARTICLE, client, cwd=tmp_path, itick=url) as program:
        await program.until(lambda: "Connection failed" in "".join(program.errors))
        assert program.lines == []
        async with simulated("itick", port=port):
            await program.until(lambda: program.lines.count(RECEIVED) >= 10)


@pytest.mark.parametrize("client", ["with_websocket_client.py", "with_websockets.py"])
async def test_todays_api_is_read_by(client: str, tmp_path: Path) -> None:
    wish = '{"ac":"subscribe","params":"EURUSD$GB,GBPUSD$GB","types":"tick,quote,depth"}'
    ping = '{"ac":"ping","params":"1731688569840"}'
    async with (
        simulated("itick") as url,
        running(
            ARTICLE, f"clients/{client}", f"{url}/forex?token={KEY}", wish, ping, cwd=tmp_path
        ) as program,
    ):
        await program.until(lambda: len(program.lines) >= 50)
    frames = [json.decode(line) for line in program.lines]
    assert [frame["msg"] for frame in frames[:2]] == ["Connected Successfully", "authenticated"]
    assert [f["data"]["params"] for f in frames if f.get("resAc") == "pong"] == ["1731688569840"]
    data = [frame["data"] for frame in frames if "type" in frame.get("data", {})]
    assert {(each["s"], each["r"]) for each in data} == {("EURUSD", "GB"), ("GBPUSD", "GB")}
    assert {each["type"] for each in data} == {"tick", "quote", "depth"}
    assert_plausible(data)


def heartbeats(messages: list[str]) -> int:
    return sum(json.decode(message)["ac"] == "heartbeat" for message in messages)


def assert_plausible(data: list[dict[str, Any]]) -> None:
    """It is of now; a book is in order with its best bid below its best ask; a quote lies within its day."""
    for each in data:
        if each["type"] == "depth":
            assert each["b"][0]["p"] < each["a"][0]["p"]
            for side in (each["b"], each["a"]):
                assert [level["po"] for level in side] == list(range(1, len(side) + 1))
                assert all(level["v"] > 0 for level in side)
        else:
            assert is_now(each["t"], 1_000_000)
            assert each["v"] > 0
        if each["type"] == "quote":
            assert each["l"] <= each["ld"] <= each["h"]
            assert each["l"] <= each["o"] <= each["h"]
            assert each["tu"] > 0
    volumes = {each["v"] for each in data if each["type"] == "quote"}
    assert len(volumes) > 1
