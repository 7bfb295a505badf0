"""``livetape record`` (floor 5)."""

import asyncio
import sys
from pathlib import Path

from ..app import App
from ..config import Config
from ..core.errors import ConnectError
from .running import channels_of
from .watch import Denials


async def keep(config: Config, store: Path, stop: asyncio.Event) -> int:
    """Record the sources of ``config`` into ``store`` until ``stop``."""
    app, channels = App(config), channels_of(config.sources)
    journal = app.record(store)
    denials = Denials(app, channels, stop)
    app.bus.subscribe(None, denials.put)
    sys.stderr.write(f"recording {', '.join(map(str, channels))} into {store}; Ctrl-C ends it\n")
    try:
        app.hub.want(channels)
        await stop.wait()
    finally:
        never = [line for line in app.hub.lines if not line.ever_connected]
        lines = len(app.hub.lines)
        await denials.settle()
        await app.close()
        sys.stderr.write(f"{journal.rows} records written, {journal.dropped} lost\n")
    denials.raise_if_all()
    if never and len(never) == lines:
        raise ConnectError(never[0].session.adapter.venue, never[0].last_error or "no connection yet")
    return 0
