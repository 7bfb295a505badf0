"""``livetape record`` (floor 5)."""

import asyncio
import sys
from pathlib import Path

from ..app import App
from ..config import Config
from .following import following
from .upkeep import outlook


async def keep(config: Config, store: Path, stop: asyncio.Event) -> int:
    """Record the sources of ``config`` into ``store`` until ``stop``."""
    app, channels = App(config), config.channels_of(config.sources)
    taking = outlook(store, config.store, channels)
    journal = app.record(store)
    sys.stderr.write(f"recording {', '.join(map(str, channels))} into {store}; Ctrl-C ends it\n{taking}\n")
    try:
        async with following(app, channels, stop):
            await stop.wait()
    finally:
        sys.stderr.write(f"{journal.rows} records written, {journal.dropped} lost\n")
    return 0
