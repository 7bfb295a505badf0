"""Tapes to ship, in as many segments as a test wants, and the command that ships them."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from livetape.core.events import MarketEvent, Trade
from livetape.core.raw import RawRecord
from livetape.store.catalog import Catalog, View
from livetape.store.plan import Rules
from livetape.store.upkeep import keep_up

from ..tape import NOW, written

SEALED = Rules(compact=False)


def record(directory: Path, *recordings: Iterable[MarketEvent | RawRecord]) -> None:
    """Add recordings to a store, and seal each of them."""
    for records in recordings:
        written(directory, *records)
        keep_up(directory, SEALED)


def compact(directory: Path) -> None:
    """Make one file of each folder, as happens when its day is over."""
    keep_up(directory, Rules())


def view(directory: Path) -> View:
    return Catalog(directory).view()


def trades(first: int, n: int, venue: str = "kraken") -> list[Trade]:
    """Different ones, whose sizes add up to ``sum(range(first, first + n))``."""
    return [
        Trade(
            *(f"{venue}:BTC-USD/trade", NOW + i, f"{60_000 + i % 7}.{i % 10}0", str(i), "buy", str(i), i),
            recv_ns=NOW + i * 1_000,
            session=NOW,
            seq=i,
        )
        for i in range(first, first + n)
    ]


def start(*arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "livetape", "ship", *map(str, arguments)]
    everything = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"} | (env or {})
    return subprocess.Popen(
        command, env=everything, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ship(*arguments: str | Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code of ``livetape ship``, and what it said."""
    with start(*arguments, env=env) as process:
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out + err
