"""finnhub-python, and a client of websocket-client, against ``livetape simulate finnhub``."""

from pathlib import Path

from msgspec import json

from .environments import FINNHUB
from .running import running, simulated


async def test_finnhub_python_is_answered(tmp_path: Path) -> None:
    async with (
        simulated("finnhub") as url,
        running(FINNHUB, "clients/finnhub_rest.py", cwd=tmp_path, finnhub=url) as program,
    ):
        await program.ended()
    [line] = program.lines
    answers = json.decode(line)
    assert answers["search"]["count"] == len(answers["search"]["result"])
    assert "AAPL" in [found["symbol"] for found in answers["search"]["result"]]
    for kind, symbol in (("stocks", "AAPL"), ("forex", "OANDA:EUR_USD"), ("crypto", "BINANCE:BTCUSDT")):
        assert symbol in [listed["symbol"] for listed in answers[kind]]
        assert all(listed["description"] and listed["displaySymbol"] for listed in answers[kind])
    quote = answers["quote"]
    assert 0 < quote["l"] <= quote["c"] <= quote["h"]
    assert quote["l"] <= quote["o"] <= quote["h"]
    assert round(quote["c"] - quote["pc"], 2) == round(quote["d"], 2)


CANDLES = {"AAPL", "OANDA:EUR_USD", "BINANCE:BTCUSDT"}


async def test_candles_are_for_keys_that_may_have_them(tmp_path: Path) -> None:
    for fault, granted in (("candles=refused", False), ("candles=granted", True)):
        async with (
            simulated("finnhub", "--fault", fault) as url,
            running(FINNHUB, "clients/finnhub_candles.py", cwd=tmp_path, finnhub=url) as program,
        ):
            await program.ended()
        [line] = program.lines
        answers = json.decode(line)
        assert answers.keys() == CANDLES
        for found in answers.values():
            if not granted:
                assert found == {"status": 403, "message": "You don't have access to this resource."}
                continue
            assert found["s"] == "ok"
            assert len({len(found[name]) for name in "ohlcvt"}) == 1
            assert found["t"] == sorted(set(found["t"]))
            assert all(at % 3600 == 0 for at in found["t"])
            for low, first, last, high in zip(found["l"], found["o"], found["c"], found["h"], strict=True):
                assert 0 < low <= min(first, last) <= max(first, last) <= high


async def test_trades_of_every_kind_come_over_the_socket(tmp_path: Path) -> None:
    symbols = {"AAPL", "BINANCE:BTCUSDT", "OANDA:EUR_USD"}
    async with (
        simulated("finnhub") as url,
        running(FINNHUB, "clients/finnhub_socket.py", *symbols, cwd=tmp_path, finnhub=url) as program,
    ):
        await program.until(
            lambda: len(program.lines) >= 20 and all(s in "".join(program.lines) for s in symbols)
        )
    frames = [json.decode(line) for line in program.lines]
    assert {frame["type"] for frame in frames} <= {"trade", "ping"}
    prints = [each for frame in frames if frame["type"] == "trade" for each in frame["data"]]
    assert {each["s"] for each in prints} == symbols
    for each in prints:
        assert each["p"] > 0 <= each["v"]
        assert each["t"] > 1_700_000_000_000


async def test_a_symbol_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    async with (
        simulated("finnhub") as url,
        running(FINNHUB, "clients/finnhub_socket.py", "NO SUCH:1", cwd=tmp_path, finnhub=url) as program,
    ):
        await program.until(lambda: bool(program.lines))
    assert json.decode(program.lines[0]) == {"type": "error", "msg": "Invalid symbol NO SUCH:1"}
