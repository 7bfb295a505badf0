"""alpaca-py, as it is, against ``livetape simulate alpaca``."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import json

from .environments import ALPACA_PY
from .running import Program, running, simulated

CLIENT = "clients/alpaca_py.py"
Items = list[dict[str, Any]]


def items(program: Program, kind: str = "") -> Items:
    decoded = map(json.decode, program.lines)
    return [item for item in decoded if not kind or item["is"] == kind]


@asynccontextmanager
async def reading(tmp_path: Path, market: str, *wishes: str) -> AsyncIterator[Program]:
    async with (
        simulated("alpaca") as url,
        running(ALPACA_PY, CLIENT, market, *wishes, cwd=tmp_path, alpaca=url) as program,
    ):
        yield program
    assert not [line for line in program.errors if line.startswith(("ERROR", "Traceback"))], program


def some(program: Program, **wanted: int) -> Callable[[], bool]:
    return lambda: all(len(items(program, kind)) >= n for kind, n in wanted.items())


def assert_quotes(quotes: Items, *symbols: str) -> None:
    assert {quote["symbol"] for quote in quotes} == set(symbols)
    for quote in quotes:
        assert 0 < quote["bid_price"] < quote["ask_price"]


def assert_trades(trades: Items, *symbols: str) -> None:
    assert {trade["symbol"] for trade in trades} == set(symbols)
    for symbol in symbols:
        own = [trade for trade in trades if trade["symbol"] == symbol]
        assert len({(trade["exchange"], trade["id"]) for trade in own}) == len(own)
        assert [trade["timestamp"] for trade in own] == sorted(trade["timestamp"] for trade in own)


async def test_stocks(tmp_path: Path) -> None:
    async with reading(tmp_path, "stocks", "trades=AAPL,GOOG", "quotes=AAPL,GOOG") as program:
        await program.until(some(program, Trade=20, Quote=20))
    assert_trades(items(program, "Trade"), "AAPL", "GOOG")
    assert_quotes(items(program, "Quote"), "AAPL", "GOOG")


async def test_bars_of_every_stock(tmp_path: Path) -> None:
    """They come once a minute."""
    async with reading(tmp_path, "stocks", "bars=*") as program:
        await program.until(lambda: len({bar["symbol"] for bar in items(program, "Bar")}) >= 3, within_s=75)
    for bar in items(program, "Bar"):
        assert bar["low"] <= bar["open"] <= bar["high"]
        assert bar["low"] <= bar["close"] <= bar["high"]
        assert bar["timestamp"].endswith(":00Z")


async def test_the_test_stream_has_fakepaca(tmp_path: Path) -> None:
    async with reading(tmp_path, "test", "quotes=FAKEPACA") as program:
        await program.until(some(program, Quote=2))
    assert_quotes(items(program, "Quote"), "FAKEPACA")


async def test_crypto(tmp_path: Path) -> None:
    async with reading(
        tmp_path, "crypto", "trades=BTC/USD", "quotes=BTC/USD,ETH/USD", "orderbooks=BTC/USD"
    ) as program:
        await program.until(some(program, Trade=5, Quote=20, Orderbook=50))
    assert_trades(items(program, "Trade"), "BTC/USD")
    assert_quotes(items(program, "Quote"), "BTC/USD", "ETH/USD")
    books = items(program, "Orderbook")
    assert [book["reset"] for book in books[:2]] == [True, False]
    held: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    for book in books:
        for side, levels in held.items():
            if book["reset"]:
                levels.clear()
            levels.update((level["price"], level["size"]) for level in book[side])
        bids, asks = ([price for price, size in side.items() if size] for side in held.values())
        assert max(bids) < min(asks)


async def test_news(tmp_path: Path) -> None:
    async with reading(tmp_path, "news", "news=*") as program:
        await program.until(some(program, News=1))
    for news in items(program, "News"):
        assert news["headline"]
        assert news["created_at"] <= news["updated_at"]


async def test_options(tmp_path: Path) -> None:
    async with reading(tmp_path, "options", "trades=*") as program:
        await program.until(some(program, Trade=1))
    contracts = {trade["symbol"] for trade in items(program, "Trade")}
    assert all(re.fullmatch(r"[A-Z]{1,6}\d{6}[CP]\d{8}", contract) for contract in contracts)
    contract = contracts.pop()
    async with reading(tmp_path, "options", f"quotes={contract}") as program:
        await program.until(some(program, Quote=5))
    assert_quotes(items(program, "Quote"), contract)
