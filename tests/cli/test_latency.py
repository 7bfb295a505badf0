"""``livetape latency`` against simulated vendors: what it measures and how often, but never how long."""

import json
from pathlib import Path
from typing import Any

import pytest

from ..live import live
from ..proxies import Proxy
from .running import livetape
from .test_doctor import reaching, told, vendor

FIGURES = ("rest_new_connection", "rest_kept_connection", "event_age", "event_interval", "ping")


async def latency(
    *arguments: str, env: dict[str, str], cwd: Path, code: int = 0
) -> tuple[dict[str, Any], str]:
    """What it measures, and what it says beside."""
    out, err, found = await livetape("latency", *arguments, "--json", env=env, cwd=cwd)
    assert found == code, err
    return json.loads(out), err


def times(measured: dict[str, Any]) -> list[int]:
    """How often each was measured."""
    return [(measured["figures"][name] or {"n": 0})["n"] for name in FIGURES]


@pytest.mark.parametrize(
    ("venue", "symbol"),
    [
        ("kraken", "BTC-USD"),
        ("gemini", "btcusd/trade"),
        ("finnhub", "BTC-USDT"),
        ("alpaca", "AAPL"),
        ("itick", "EURUSD"),
    ],
)
async def test_rest_and_stream_are_measured(venue: str, symbol: str, tmp_path: Path) -> None:
    async with vendor(venue) as serving:
        measured, _ = await latency(venue, symbol, "-n", "5", env=reaching(serving), cwd=tmp_path)
    new, kept, ages, intervals, pings = times(measured)
    assert (new, kept, intervals, pings) == (5, 5, 4, 5)
    assert 0 < ages <= 5
    assert abs(measured["clock_ahead_ms"]) < 10_000
    for figure in measured["figures"].values():
        assert figure["min"] <= figure["p50"] <= figure["p99"] <= figure["max"]
        assert figure["min"] <= figure["mean"] <= figure["max"]


async def test_a_new_connection_is_a_new_one_and_a_kept_one_is_kept(tmp_path: Path) -> None:
    async with vendor("gemini") as gemini, Proxy().running() as proxy:
        env = reaching(gemini) | {"NO_PROXY": "", "no_proxy": ""}
        env["HTTP_PROXY"] = f"http://127.0.0.1:{proxy.port}"
        measured, _ = await latency("gemini", "BTC-USD", "-n", "4", env=env, cwd=tmp_path)
    assert times(measured)[:2] == [4, 4]
    assert len(proxy.targets) == 1 + 4 + 1  # what is kept, what is new, and the stream


async def test_for_people_it_is_a_table(tmp_path: Path) -> None:
    async with vendor("gemini") as gemini:
        out, err, code = await livetape("latency", "gemini", "BTC-USD", "-n", "3", env=reaching(gemini))
    head, *rows = out.splitlines()
    assert head.split() == ["gemini:BTC-USD,", "ms", "n", "p50", "p99", "min", "max", "mean"]
    assert [row.split(",")[0].strip() for row in rows] == ["REST"] * 2 + ["WebSocket"] * 3
    assert "clock is" in err
    assert code == 0


async def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    async with vendor("alpaca") as alpaca:
        fake = ("alpaca", "FAKEPACA", "-n", "1", "--set", "venues.alpaca.options.feed=test")
        measured, err = await latency(*fake, env=reaching(alpaca), cwd=tmp_path)
    assert times(measured)[:2] == [0, 0]
    assert "alpaca has no price of FAKEPACA to ask for over REST" in err
    async with vendor("finnhub", "closed") as finnhub:
        shut = ("finnhub", "AAPL", "-n", "2", "--timeout", "1")
        measured, err = await latency(*shut, env=reaching(finnhub), cwd=tmp_path)
    assert times(measured) == [2, 2, 0, 0, 2]
    assert "finnhub:AAPL/trade: no event came; the market is " in err


async def test_a_clock_that_is_wrong_is_said(tmp_path: Path) -> None:
    async with vendor("kraken", "skew=-20s") as kraken:
        _, err = await latency("kraken", "BTC-USD", "-n", "1", env=reaching(kraken), cwd=tmp_path)
    assert "ages are wrong by as much: let NTP" in err


async def test_a_key_that_another_program_uses_is_suspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with vendor("finnhub") as finnhub:
        env = reaching(finnhub)
        monkeypatch.setenv("FINNHUB_API_KEY", env["FINNHUB_API_KEY"])
        async with live(["finnhub:BTC-USDT/trade"], "finnhub", finnhub.ws_url) as other:
            await other.until(lambda: bool(other.trades))
            said, code = await told("latency", "finnhub", "AAPL", env=env, cwd=tmp_path)
    assert "or use another key in FINNHUB_API_KEY" in said
    assert code == 4


@pytest.mark.parametrize(
    ("venue", "faults", "symbol", "words", "code"),
    [
        ("finnhub", ["auth-reject"], "AAPL", "check FINNHUB_API_KEY", 3),
        ("alpaca", ["auth-reject"], "AAPL", "check APCA_API_KEY_ID and APCA_API_SECRET_KEY", 3),
        ("itick", ["auth-reject"], "EUR-USD", "check ITICK_API_KEY", 3),
        ("finnhub", ["plan=free"], "AAPL/news", "the plan of FINNHUB_API_KEY does not include it", 3),
        ("finnhub", ["cap=0"], "AAPL", "add another key to FINNHUB_API_KEY", 3),
        ("finnhub", [], "APPL", "did you mean AAPL", 2),
        ("gemini", [], "BTX-USD", "did you mean BTC-USD", 2),
        ("kraken", ["http429:for=60s,retry=7s"], "BTC-USD", "try again after 7 s", 4),
        ("kraken", [], "BTC-USD/luld", "has no 'luld'", 2),
    ],
)
async def test_what_goes_wrong_is_said_with_what_to_do(
    venue: str, faults: list[str], symbol: str, words: str, code: int, tmp_path: Path
) -> None:
    async with vendor(venue, *faults) as serving:
        said, found = await told("latency", venue, symbol, "-n", "2", env=reaching(serving), cwd=tmp_path)
    assert [line for line in said.splitlines() if line.startswith("livetape: ") and words in line], said
    assert found == code
