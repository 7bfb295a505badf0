"""Every simulated vendor at once for half an hour, with the line cut every 30 s: what grows, what leaks.

    python bench/soak.py [--minutes N] [--rate N]

The vendors run in a process of their own. This one follows and records all channels and prints, every ten
seconds, the messages received, its memory, open files and tasks. It ends with 1 when memory has grown by more
than 5 MiB after the first two minutes, or when a task or socket is left over.
"""

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from livetape.adapters import channels_of, find
from livetape.app import App
from livetape.config import load
from livetape.core.events import Gap, MarketEvent
from livetape.stream import loop_factory

VENUES = ("kraken", "gemini", "itick", "alpaca", "finnhub")
SOURCES = (
    *("kraken:BTC-USD", "kraken:ETH-USD", "kraken:SOL-USD", "kraken:XRP-USD"),
    *("gemini:BTC-USD", "gemini:ETH-USD", "gemini:SOL-USD", "gemini:DOGE-USD"),
    *("itick:EUR-USD", "itick:EUR-USD/summary", "itick:GBP-USD", "itick:SPX", "itick:AAPL", "itick:BTC-USDT"),
    *(
        "alpaca:AAPL",
        "alpaca:AAPL/bar.1m",
        "alpaca:MSFT",
        "alpaca:TSLA",
        "alpaca:BTC-USD",
        "alpaca:AAPL/news",
    ),
    *("finnhub:AAPL", "finnhub:MSFT", "finnhub:EUR-USD", "finnhub:BTC-USDT"),
)
WARM_S = 120.0
GROWTH = 5 << 20
CLOSING_S = 1.0  #: for dials that were under way to end


@asynccontextmanager
async def simulated(rate: float, cut_s: float) -> AsyncIterator[None]:
    """All vendors, their addresses and keys in the environment."""
    command = [sys.executable, "-m", "livetape", "simulate", *VENUES, "--port", "0", "--rate", str(rate)]
    fault = f"drop:after={cut_s:g}s,every={cut_s:g}s"
    process = await asyncio.create_subprocess_exec(
        *command, "--fault", fault, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    wanted = {f"LIVETAPE_{venue.upper()}_WS_URL" for venue in VENUES}
    wanted |= {name for venue in VENUES for name in find(venue).key_names if name not in os.environ}
    try:
        while wanted:
            name, _, value = (await process.stdout.readline()).decode().strip().partition("=")
            os.environ[name.removeprefix("export ")] = value
            wanted.discard(name.removeprefix("export "))
        yield
    finally:
        process.terminate()
        await process.wait()


class Tally:
    """Counts events and the gaps that opened and closed."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.opened = self.ended = 0

    def put(self, event: MarketEvent) -> None:
        if isinstance(event, Gap):
            self.opened += event.end_ns is None
            self.ended += event.end_ns is not None
        else:
            self.events[event.venue] += 1


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def soak(minutes: float, rate: float, cut_s: float) -> int:
    with tempfile.TemporaryDirectory() as store:
        before = files(), len(asyncio.all_tasks())
        async with simulated(rate, cut_s):
            files_apart = files() - before[0]  # of the vendors' process
            app, tally = App(load()), Tally()
            app.bus.subscribe(None, tally.put)
            app.record(store)
            app.hub.want(channels_of(SOURCES))
            grown = await watch(app, tally, minutes)
            await app.close()
            await asyncio.sleep(CLOSING_S)
            gc.collect()
            left = files() - before[0] - files_apart, len(asyncio.all_tasks()) - before[1]
    print(f"left over: {left[0]} files, {left[1]} tasks; grown by {grown / 2**20:.1f} MiB")
    return int(grown > GROWTH or left[0] > 0 or left[1] > 0)


async def watch(app: App, tally: Tally, minutes: float) -> int:
    """Print what happens; how much memory has grown since the warm-up, by the means of two minutes each."""
    start_s, sizes = time.monotonic(), list[tuple[float, int]]()
    frames_before = 0
    print(
        f"{'s':>6}{'msg/s':>8}{'events':>10}{'MiB':>8}{'files':>7}{'tasks':>7}{'dials':>7}{'gaps':>7}{'open':>6}"
    )
    while (now_s := time.monotonic() - start_s) < minutes * 60:
        await asyncio.sleep(10)
        frames = sum(line.session.frames for line in app.hub.lines)
        sizes.append((now_s, resident()))
        dials = sum(line.dials for line in app.hub.lines)
        print(
            f"{now_s + 10:6.0f}{(frames - frames_before) / 10:8.0f}{tally.events.total():10}"
            f"{sizes[-1][1] / 2**20:8.1f}{files():7}{len(asyncio.all_tasks()):7}{dials:7}"
            f"{tally.opened:7}{tally.opened - tally.ended:6}",
            flush=True,
        )
        frames_before = frames
    print(dict(tally.events))
    warm = [size for s, size in sizes if WARM_S <= s < 2 * WARM_S]
    end = [size for s, size in sizes if s >= minutes * 60 - WARM_S]
    return sum(end) // len(end) - sum(warm) // len(warm) if warm and end else 0


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 30,
    rate: Annotated[float, typer.Option(help="How much busier than usual the vendors are.")] = 5,
    cut: Annotated[float, typer.Option(help="Seconds between two cuts of a line.")] = 30,
) -> None:
    os.environ["NO_PROXY"] = "*"
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        raise typer.Exit(runner.run(soak(minutes, rate, cut)))


if __name__ == "__main__":
    typer.run(main)
