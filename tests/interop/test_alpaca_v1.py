"""The programs of the Alpaca article, by alpaca-trade-api 0.53, against ``livetape simulate alpaca``.

Where the main thread sleeps between its steps, that is shortened from outside: the programs are as printed.
"""

import re
from ast import literal_eval
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import json

from .articles import cut
from .environments import ALPACA_LEGACY
from .running import Program, running, simulated
from .tap import Tap, tapped
from .truth import is_now

ENTITY = re.compile(r"^(quote|trade|bars) (?:Quote|Trade|Agg)\((\{.*?\})\)$", re.MULTILINE | re.DOTALL)
GOOG = "alpacadatav1/Q.GOOG"


@asynccontextmanager
async def hurried(name: str, directory: Path, *options: str) -> AsyncIterator[tuple[Program, Tap]]:
    """The program of that name with its sleeps shortened, on a tap, against ``simulate alpaca``."""
    path = cut(name, directory)
    async with (
        simulated("alpaca", *options) as url,
        tapped(url) as tap,
        running(ALPACA_LEGACY, "clients/hurried.py", path, cwd=directory, alpaca=tap.url) as program,
    ):
        yield program, tap


def printed(program: Program, what: str) -> list[dict[str, Any]]:
    """The ``quote``, ``trade`` or ``bars`` that were printed; each may take some lines."""
    found = ENTITY.findall("\n".join(program.lines))
    return [literal_eval(raw) for name, raw in found if name == what]


def assert_quotes_of_google(program: Program) -> None:
    for quote in printed(program, "quote"):
        assert quote["symbol"] == "GOOG"
        assert 0 < quote["bidprice"] < quote["askprice"]
        assert quote["bidsize"] > 0 < quote["asksize"]
        assert is_now(quote["timestamp"])
    times = [quote["timestamp"] for quote in printed(program, "quote")]
    assert times == sorted(times)
    assert len(set(times)) > 1


def wishes(asked: list[str]) -> list[list[str]]:
    messages = [json.decode(message) for message in asked]
    return [message["data"]["streams"] for message in messages if message["action"] == "listen"]


async def test_the_basic_example_prints_quotes(tmp_path: Path) -> None:
    client = cut("alpaca_basic", tmp_path)
    async with (
        simulated("alpaca") as url,
        running(ALPACA_LEGACY, client, cwd=tmp_path, alpaca=url) as program,
    ):
        await program.until(lambda: len(printed(program, "quote")) >= 10)
    assert_quotes_of_google(program)


async def test_the_reconnecting_client_goes_on_after_drops(tmp_path: Path) -> None:
    async with hurried("alpaca_reconnect", tmp_path) as (program, tap):
        for _ in range(3):
            heard = len(printed(program, "quote"))
            await program.until(lambda: len(printed(program, "quote")) >= heard + 5)  # noqa: B023
            tap.cut()
        await program.until(lambda: len(printed(program, "quote")) >= heard + 10)
    assert_quotes_of_google(program)
    assert tap.connections >= 4
    assert wishes(tap.asked).count([GOOG]) >= 4


async def test_the_client_that_pauses_resumes(tmp_path: Path) -> None:
    async with hurried("alpaca_pause", tmp_path, "--rate", "5") as (program, tap):
        await program.until(lambda: tap.connections >= 2)
        # The thread of the first connection has died of being stopped; nobody reads what that one still gets.
        assert [line for line in program.errors if "CancelledError" in line] != []
        heard = len(printed(program, "quote"))
        await program.until(lambda: len(printed(program, "quote")) >= heard + 5)
    assert heard > 0
    assert wishes(tap.asked)[:2] == [[GOOG], [GOOG]]
    assert_quotes_of_google(program)


async def test_the_subscription_is_changed_without_reconnecting(tmp_path: Path) -> None:
    """Bars come once a minute, so this takes up to a minute and some seconds."""
    async with hurried("alpaca_subscriptions", tmp_path) as (program, tap):
        kinds = ("quote", "trade", "bars")
        await program.until(lambda: all(printed(program, kind) for kind in kinds), within_s=90)
    assert tap.connections == 1
    assert wishes(tap.asked)[:4] == [[GOOG], ["alpacadatav1/AM.TSLA"], [GOOG], ["alpacadatav1/T.AAPL"]]
    assert_quotes_of_google(program)
    for trade in printed(program, "trade"):
        assert trade["symbol"] == "AAPL"
        assert trade["price"] > 0 < trade["size"]
        assert is_now(trade["timestamp"])
    for bar in printed(program, "bars"):
        assert bar["symbol"] == "TSLA"
        assert bar["low"] <= bar["open"] <= bar["high"]
        assert bar["low"] <= bar["close"] <= bar["high"]
        assert bar["end"] - bar["start"] == 60_000
        assert is_now(bar["end"], 1_000_000)
        assert 0 < bar["volume"] <= bar["totalvolume"]
        assert bar["low"] <= bar["vwap"] <= bar["high"]
