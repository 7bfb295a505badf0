"""What the commands share: configuration, the loop, signals and exit codes (floor 5)."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from ..config import Config, load
from ..core.errors import ConfigError
from ..stream import loop_factory


def configure(
    path: str | None, settings: list[str] | None, sources: list[str] | None, depth: int | None = None
) -> Config:
    """The configuration with the sources of the command line, each of them checked as far as that goes."""
    config = load(path, settings or [])
    config = config.with_sources(sources or config.sources)
    wanted = config.channels_of(config.sources)
    if not wanted:
        raise ConfigError("nothing to do: name a source", example="kraken:BTC-USD")
    for venue in {channel.venue for channel in config.behind(wanted)}:
        config.venue(venue).endpoint(venue)
        if depth is not None:
            config.venues[venue] = config.venue(venue).with_option("depth", depth)
    return config.with_sources(list(map(str, wanted)))


def run(main: Callable[[asyncio.Event], Awaitable[int]], duration_s: float = 0) -> int:
    """Run ``main`` until it returns the exit code.

    Its event is set after ``duration_s`` (0: never) and by the first Ctrl-C or SIGTERM; a second one ends the
    process at once.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_supervise(main, duration_s))


async def _supervise(main: Callable[[asyncio.Event], Awaitable[int]], duration_s: float) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    times = 0

    def asked() -> None:
        nonlocal times
        times += 1
        if times > 1:
            os._exit(130)
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, asked)
    if duration_s:
        loop.call_later(duration_s, stop.set)
    return await main(stop)


class Lines:
    """Lines for stdout, written once a turn of the loop; ``broken`` is called when nobody reads any more."""

    def __init__(self, broken: Callable[[], None]) -> None:
        self._lines: list[bytes] = []
        self._broken = broken

    def put(self, line: bytes) -> None:
        """Write ``line`` and its end, soon."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(line + b"\n")

    def flush(self) -> None:
        """Write what waits, now."""
        data, self._lines = b"".join(self._lines), []
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._broken()
