"""``livetape simulate`` (floor 5)."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from .. import clock
from ..core.errors import ConfigError
from ..simulator.market import LISTINGS, Market
from ..simulator.server import Vendor


class Options(Struct, frozen=True):
    """What the command line chose."""

    venues: list[str]
    port: int
    seed: int
    rate: float
    ledger: Path | None


async def serve(options: Options, stop: asyncio.Event) -> int:
    """Serve each venue on a port of its own until ``stop``."""
    if twice := [venue for venue in options.venues if options.venues.count(venue) > 1]:
        raise ConfigError(f"{twice[0]!r} is named twice", where="simulate")
    if options.port + len(options.venues) - 1 > 65535:
        raise ConfigError("the last venue's port would be above 65535", where="--port", example="--port 9400")
    if options.ledger is not None:
        _check_writable(options.ledger)
    async with AsyncExitStack() as stack:
        for n, venue in enumerate(options.venues):
            vendor = make_vendor(venue, options.seed, options.rate, options.ledger)
            port = options.port + n if options.port else 0
            try:
                await stack.enter_async_context(vendor.serving(port))
            except OSError as error:
                problem = f"cannot listen on port {port}: {error.strerror}"
                raise ConfigError(problem, where=venue, example="--port 0") from error
            sys.stdout.write(f"export LIVETAPE_{venue.upper()}_WS_URL={vendor.ws_url}\n")
        sys.stdout.flush()
        sys.stderr.write("simulated vendors are up; Ctrl-C ends them\n")
        await stop.wait()
    return 0


def _check_writable(ledger: Path) -> None:
    try:
        ledger.open("ab").close()
    except OSError as error:
        raise ConfigError(f"{ledger} cannot be written: {error.strerror}", where="--ledger") from error


def make_vendor(venue: str, seed: int, rate: float = 1.0, ledger: Path | None = None) -> Vendor:
    """A vendor whose market repeats itself for the same ``seed``. Raises ConfigError for an unknown venue."""
    own_seed = crc32(f"{seed} {venue}".encode())  # two venues are not to print the same tape
    return Vendor(venue, Market(LISTINGS, own_seed, clock.now_ns(), venue, rate=rate), ledger)
