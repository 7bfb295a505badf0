"""A timed piece of ``tape.py`` in a process of its own.

    python bench/tape_livetape.py PIECE DIRECTORY    (or tape_peers.py)

prepares, works, and prints what that took as JSON.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Protocol

from msgspec import Struct, json

CHANNEL = "coinbase:SOL-USDT/trade"  #: the instrument that is asked for, 2.8 % of all trades

#: What is timed; returns how many rows it worked on, and what it found, the same on all sides.
Work = Callable[[], tuple[int, object]]


class Measured(Struct):
    """One run of a piece."""

    seconds: float
    cpu_s: float
    rows: int
    found: object = None
    bytes: int = 0


def run_piece(pieces: Mapping[str, Callable[[Path], Work]]) -> None:
    """Be the process of the piece that the command line names."""
    name, place = sys.argv[1:]
    work = pieces[name](Path(place))
    gc.collect()
    gc.freeze()
    spent, began = cpu_s(), perf_counter()
    rows, found = work()
    seconds, spent = perf_counter() - began, cpu_s() - spent
    print(json.encode(Measured(seconds, spent, rows, found)).decode())


class Priced(Protocol):
    """Something with a price."""

    @property
    def price(self) -> float: ...


def read_through(trades: Iterable[Priced]) -> tuple[int, object]:
    """Read every trade's price, as whoever replays does at least."""
    rows, total = 0, 0.0
    for trade in trades:
        rows += 1
        total += trade.price
    return rows, total


def cpu_s() -> float:
    """CPU seconds of this process, all threads."""
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
