"""``livetape simulate`` (floor 5)."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from shlex import quote
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from .. import adapters, clock, dialects
from ..core.dialect import House
from ..core.errors import ConfigError
from ..core.times import SECOND
from ..simulator.echo import Echo
from ..simulator.faults import Faults, read
from ..simulator.listings import listed
from ..simulator.market import Market
from ..simulator.server import Vendor

ECHO = "echo"
KEY = "simulated"  #: good anywhere, unless other keys are asked for


class Options(Struct, frozen=True):
    """What the command line chose."""

    venues: list[str]
    port: int
    seed: int
    rate: float
    ledger: Path | None
    depth: float = 1.0
    faults: list[str] = []
    keys: list[str] = []  #: ``KEY`` or ``KEY:SECRET``


async def serve(options: Options, stop: asyncio.Event) -> int:
    """Serve each venue on a port of its own until ``stop``."""
    if twice := [venue for venue in options.venues if options.venues.count(venue) > 1]:
        raise ConfigError(f"{twice[0]!r} is named twice", where="simulate")
    if options.port + len(options.venues) - 1 > 65535:
        raise ConfigError("the last venue's port would be above 65535", where="--port", example="--port 9400")
    if options.ledger is not None:
        _check_writable(options.ledger)
    servers = _servers(options)
    async with AsyncExitStack() as stack:
        for n, (venue, server) in enumerate(servers.items()):
            port = options.port + n if options.port else 0
            try:
                await stack.enter_async_context(server.serving(port))
            except OSError as error:
                problem = f"cannot listen on port {port}: {error.strerror}"
                raise ConfigError(problem, where=venue, example="--port 0") from error
            sys.stdout.writelines(exports(venue, server.ws_url, options.keys))
        sys.stdout.flush()
        sys.stderr.write("simulated vendors are up; Ctrl-C ends them\n")
        await stop.wait()
    return 0


def make_vendor(
    venue: str,
    seed: int,
    rate: float = 1.0,
    ledger: Path | None = None,
    *,
    depth: float = 1.0,
    faults: Sequence[str] = (),
    keys: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
) -> Vendor:
    """A vendor whose market repeats itself for the same ``seed``; ``depth`` is how much deeper books are.

    Switches among the ``faults`` that only the venues ``elsewhere`` have are passed over. Raises ConfigError
    for an unknown venue or fault.
    """
    own_seed = crc32(f"{seed} {venue}".encode())  # two venues are not to print the same tape
    named, chosen = read(faults, switches(venue), [name for other in elsewhere for name in switches(other)])
    wrong = Faults(named, own_seed)
    start_ns = clock.now_ns() + round(wrong.skew_s * SECOND)
    listings = [replace(listing, depth=depth) for listing in listed(venue)]
    market = Market(listings, own_seed, start_ns, venue, rate=rate, closed=wrong.closed)
    house = House(chosen, dict(_key(key, venue) for key in keys) or None)
    return Vendor(venue, market, ledger, house, wrong)


def switches(venue: str) -> Mapping[str, Sequence[str]]:
    """What can be chosen in all APIs of ``venue``, and the values; the usual one first."""
    found: dict[str, list[str]] = {}
    for dialect in dialects.of(venue):
        for name, values in dialect.switches.items():
            found[name] = list(dict.fromkeys([*found.get(name, ()), *values]))
    return found


def _servers(options: Options) -> dict[str, Vendor | Echo]:
    vendors = [venue for venue in options.venues if venue != ECHO]
    if options.faults and not vendors:
        raise ConfigError(f"{ECHO} has no faults", where="--fault")
    return {
        venue: Echo()
        if venue == ECHO
        else make_vendor(
            venue,
            options.seed,
            options.rate,
            options.ledger,
            depth=options.depth,
            faults=options.faults,
            keys=options.keys,
            elsewhere=[other for other in vendors if other != venue],
        )
        for venue in options.venues
    }


def exports(venue: str, ws_url: str, keys: Sequence[str] = ()) -> Iterator[str]:
    """The lines for a shell that point ``venue`` to a server of ours."""
    yield f"export LIVETAPE_{venue.upper()}_WS_URL={ws_url}\n"
    for name, value in _keys(venue, keys):
        yield f"export {name}={value}\n"


def _keys(venue: str, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The variables of a key that is let in; where none was asked for, those that are not set."""
    names = () if venue == ECHO else adapters.find(venue).key_names
    key, secret = _key(keys[0], venue) if keys and names else (KEY, KEY)
    for name, value in zip(names, (key, secret or KEY), strict=False):
        if keys or name not in os.environ:
            yield name, quote(value)


def _key(text: str, venue: str) -> tuple[str, str]:
    """The key and the secret in ``text``; a venue that knows no secrets has none."""
    key, _, secret = text.partition(":")
    return key, secret if len(adapters.find(venue).key_names) > 1 else ""


def _check_writable(ledger: Path) -> None:
    try:
        ledger.open("ab").close()
    except OSError as error:
        raise ConfigError(f"{ledger} cannot be written: {error.strerror}", where="--ledger") from error
