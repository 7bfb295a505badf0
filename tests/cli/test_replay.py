"""``livetape replay`` as users run it."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace

from livetape.core.events import BookUpdate, Trade
from livetape.core.times import SECOND

from ..live import live
from ..store.tape import NOW, written
from .running import finish, livetape, start

TRADES = [
    Trade("kraken:BTC-USD/trade", NOW, "63004.10", "1", "buy", str(n), n, recv_ns=NOW + n, session=1, seq=n)
    for n in range(1, 6)
]
BOOKS = [
    BookUpdate(
        *("kraken:BTC-USD/book", NOW, n == 6, [(f"{n}.0", "1")], []), recv_ns=NOW + n, session=1, seq=n
    )
    for n in range(6, 9)
]


@pytest.fixture
def tape(tmp_path: Path) -> str:
    written(tmp_path, *TRADES, *BOOKS)
    return str(tmp_path)


async def test_without_options_it_counts_and_ends_with_the_digest(tape: str) -> None:
    out, err, code = await livetape("replay", tape)
    assert (out.split(), code) == (["3", "kraken:BTC-USD/book", "5", "kraken:BTC-USD/trade"], 0)
    assert "of 8 events of 1 sessions" in err


async def test_the_last_json_line_is_the_digest(tape: str) -> None:
    out, err, code = await livetape("replay", tape, "--json", "--depth", "2", "--speed", "100")
    *lines, digest = map(json.decode, out.splitlines())
    assert (code, err) == (0, "")
    assert [line["seq"] for line in lines] == list(range(1, 9))
    assert {line["origin"] for line in lines} == {"replayed"}
    assert lines[-1]["bids"] == [[8.0, 1], [7.0, 1]]
    assert digest["type"] == "digest"
    assert (digest["events"], digest["sessions"], digest["speed"]) == (8, 1, 100)
    assert 0 <= digest["late"]["mean"] <= digest["late"]["most"]
    again, _, _ = await livetape("replay", tape, "--json")
    assert json.decode(again.splitlines()[-1])["digest"] == digest["digest"]


async def test_a_part_of_it(tape: str) -> None:
    out, _, _ = await livetape("replay", tape, "--channel", "kraken:BTC-USD/trade", "--json")
    assert len(out.splitlines()) == 5 + 1
    _, err, code = await livetape("replay", tape, "--from", "2027-01-01")
    assert (err, code) == ("nothing was recorded of that\n", 0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--speed", "fast"], "'fast' is no speed"),
        (["--speed", "0.01"], "speed must be from 0.1 to 1000, or max"),
        (["--from", "yesterday"], "'yesterday' is not a time"),
        (["--from", "2026-11-22", "--to", "2026-11-21"], "is not before"),
        (["--channel", "kraken:BTC-USDT/trade"], "did you mean kraken:BTC-USD/trade"),
        (["--source", "both"], "did you mean typed or raw?"),
        (["--as", "gemini"], "nothing of gemini is on this tape; did you mean kraken?"),
        (["--as", "nosuch"], "'nosuch' cannot be simulated"),
    ],
)
async def test_what_cannot_be_is_said_at_once(tape: str, options: list[str], complaint: str) -> None:
    out, err, code = await livetape("replay", tape, *options)
    assert (out, code) == ("", 2)
    assert complaint in err
    assert "Traceback" not in err


async def test_served_as_a_vendor_it_begins_with_its_first_client_and_ends(tape: str) -> None:
    process = await start("replay", tape, "--as", "kraken", "--port", "0")
    assert process.stdout is not None
    name, _, url = (await process.stdout.readline()).decode().removeprefix("export ").strip().partition("=")
    assert name == "LIVETAPE_KRAKEN_WS_URL"
    async with live(["kraken:BTC-USD/trade"], "kraken", url) as running:
        await running.until(lambda: len(running.trades) == len(TRADES))
        assert [trade.id for trade in running.trades] == [trade.id for trade in TRADES]
    _, err, code = await finish(process)
    assert code == 0
    assert "digest" in err


async def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    late = replace(TRADES[0], recv_ns=NOW + 999 * SECOND, seq=9)
    written(tmp_path, *TRADES, late)
    process = await start("replay", str(tmp_path), "--json", "--speed", "1")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, _, code = await finish(process)
    assert code == 0


async def test_the_space_bar_pauses(tmp_path: Path) -> None:
    late = replace(TRADES[0], recv_ns=NOW + 2 * SECOND, seq=9)
    written(tmp_path, *TRADES, late)
    terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", terminal, sys.executable, "-m", "livetape", "replay", str(tmp_path)),
        *("--json", "--speed", "1"),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readuntil(b'"seq":5')
        process.stdin.write(b" ")
        await process.stdout.readuntil(b"paused at 2026-11-18T")
        process.stdin.write(b" ")
        await process.stdout.readuntil(b"going on")
        rest = await process.stdout.readuntil(b'"type":"digest"')
        assert b'"seq":9' in rest
        await process.communicate()
    assert process.returncode == 0
