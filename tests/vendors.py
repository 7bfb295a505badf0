"""A simulated vendor and livetape on it, in one loop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from livetape.cli.simulate import make_vendor
from livetape.config import Config, VenueConfig
from livetape.simulator.server import Vendor


@asynccontextmanager
async def vendor(
    venue: str = "kraken", *, rate: float = 5.0, ledger: Path | None = None, faults: Sequence[str] = ()
) -> AsyncIterator[Vendor]:
    async with make_vendor(venue, seed=7, rate=rate, ledger=ledger, faults=faults).serving() as serving:
        yield serving


def packaged(directory: Path, module: str, source: str) -> None:
    """Put the adapter ``Acme`` of ``source`` there as an installed package of somebody else's."""
    (directory / f"{module}.py").write_text(source)
    info = directory / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[livetape.adapters]\nacme = {module}:Acme\n")


def config_for(*vendors: Vendor, sources: list[str] | None = None) -> Config:
    return Config(sources or [], {each.venue: VenueConfig(ws_url=each.ws_url) for each in vendors})
