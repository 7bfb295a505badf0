"""``livetape simulate`` as a process, and ``livetape watch`` on what it prints."""

import re
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from msgspec import json

from ..cli.running import finish, livetape, start

EXPORT = re.compile(r"export (LIVETAPE_(?:KRAKEN|GEMINI)_WS_URL)=(ws://127\.0\.0\.1:\d+)\n").fullmatch


async def test_what_simulate_prints_is_all_that_watch_needs(tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    vendors = await start("simulate", "kraken", "gemini", "--port", "0", "--ledger", str(ledger))
    assert vendors.stdout is not None
    exports = [EXPORT((await vendors.stdout.readline()).decode()) for _ in range(2)]
    env = {export[1]: export[2] for export in exports if export}
    assert len(set(env.values())) == 2
    lines, errors, ended = await livetape("watch", "kraken:BTC-USD", "--json", "--count", "20", env=env)
    vendors.terminate()
    out, _, code = await finish(vendors)
    assert (out, code) == ("", 0)
    events = [json.decode(line) for line in lines.splitlines()]
    data = [event for event in events if event["type"] in ("trade", "book")]
    assert (len(data), errors, ended) == (20, "", 0)
    assert {event["trust"] for event in events if event["type"] == "book"} == {"verified"}
    sent = Counter(json.decode(line)["channel"] for line in ledger.read_bytes().splitlines())
    assert sent.keys() == {"kraken:BTC-USD/trade", "kraken:BTC-USD/book"}
    assert sent >= Counter(event["channel"] for event in events if event["type"] in ("trade", "book"))


async def test_simulate_ends_by_itself() -> None:
    out, _, code = await livetape("simulate", "kraken", "gemini", "--port", "0", "--duration", "0.3")
    assert [bool(EXPORT(line)) for line in out.splitlines(keepends=True)] == [True, True]
    assert code == 0


async def exports(*arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
    out, _, code = await livetape("simulate", *arguments, "--port", "0", "--duration", "0.1", env=env or {})
    assert code == 0
    lines = [line.removeprefix("export ").partition("=") for line in out.splitlines()]
    return {name: value for name, _, value in lines if not name.startswith("LIVETAPE_")}


async def test_keys_are_made_up_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "FINNHUB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    made_up = {"APCA_API_KEY_ID": "simulated", "APCA_API_SECRET_KEY": "simulated"}
    assert await exports("alpaca", "kraken") == made_up
    assert await exports("alpaca", env={"APCA_API_KEY_ID": "mine", "APCA_API_SECRET_KEY": "mine"}) == {}
    asked = await exports("alpaca", "finnhub", "--key", "K:a $b", "--key", "L")
    assert asked == {"APCA_API_KEY_ID": "K", "APCA_API_SECRET_KEY": "'a $b'", "FINNHUB_API_KEY": "K"}


async def test_a_deep_book_begins_as_the_real_one_with_thousands_of_levels() -> None:
    vendor = await start("simulate", "gemini", "--port", "0", "--depth", "20")
    assert vendor.stdout is not None
    url = (await vendor.stdout.readline()).decode().strip().partition("=")[2]
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/v1/marketdata/btcusd") as ws:
        first, second = await ws.receive_json(), await ws.receive_json()
    vendor.terminate()
    assert (await finish(vendor))[2] == 0
    assert (first["socket_sequence"], second["socket_sequence"]) == (0, 1)
    assert len(first["events"]) >= 3_000
    assert {event["reason"] for event in first["events"]} == {"initial"}
    assert len({(event["side"], event["price"]) for event in first["events"]}) == len(first["events"])


async def test_faults_are_those_of_all_venues_and_keys_are_checked() -> None:
    arguments = ("--fault", "cap=1", "--fault", "drop:after=5s", "--key", "K")
    vendors = await start("simulate", "finnhub", "kraken", "--port", "0", *arguments)
    assert vendors.stdout is not None
    url = (await vendors.stdout.readline()).decode().strip().partition("=")[2]
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/?token=K") as ws:
            for symbol in ("AAPL", "MSFT"):
                await ws.send_json({"type": "subscribe", "symbol": symbol})
            messages = [message async for message in ws if "error" in message.data]
            assert [message.json()["msg"] for message in messages] == ["Subscribing to too many symbols"]
            assert ws.close_code == 1001
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{url}/?token=L")
        assert refused.value.status == 401
    vendors.terminate()
    assert (await finish(vendors))[2] == 0


async def test_echo_says_again_what_it_is_told() -> None:
    process = await start("simulate", "echo", "--port", "0")
    assert process.stdout is not None
    name, _, url = (await process.stdout.readline()).decode().strip().partition("=")
    assert name == "export LIVETAPE_ECHO_WS_URL"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
        await ws.send_str("é")
        await ws.send_bytes(b"\xff")
        assert (await ws.receive_str(), await ws.receive_bytes()) == ("é", b"\xff")
    process.terminate()
    assert (await finish(process))[2] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kraken", "--fault", "drip"), "--fault: 'drip' is no fault; did you mean drop"),
        (("kraken", "--fault", "cap=1"), "--fault: 'cap' is no fault"),
        (("echo", "--fault", "drop"), "--fault: echo has no faults"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    out, errors, code = await livetape("simulate", *arguments, "--port", "0")
    assert (out, code) == ("", 2)
    assert said in errors
    assert errors.count("\n") == 1
