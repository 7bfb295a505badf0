"""``livetape ship`` (floor 5)."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.decimals import nearest
from ..core.errors import ConfigError
from ..store.schema import COLUMNS
from ..store.sinks import Shipping, Sink, Wish
from .bar import bar
from .upkeep import seen


def wish_for(tables: Sequence[str], patience_s: float, *, follow: bool, prune: bool) -> Wish:
    """What the options ask for. Raises ConfigError for an unknown table."""
    for table in tables:
        if table not in COLUMNS:
            allowed = nearest(table, COLUMNS) or list(COLUMNS)
            raise ConfigError(f"there is no table {table!r}", where="--table", allowed=allowed)
    return Wish(frozenset(tables), follow, prune, patience_s)


async def bring(store: Path, sink: Sink, wish: Wish, stop: asyncio.Event) -> int:
    """Ship the sealed files of ``store`` to ``sink`` until all are there, or until ``stop``."""
    view = seen(store)
    shipping = Shipping(store, sink, wish, stop)
    try:
        with bar() as progress:
            await shipping.run(progress)
    finally:
        done = shipping.done
        removed = f", {done.pruned} replaced ones removed" if wish.prune else ""
        sys.stderr.write(f"{sink.name}: {done.files} files with {done.rows} rows shipped{removed}\n")
    if view.segments:
        sys.stderr.write(f"not sealed yet, so not shipped: {len(view.segments)} segments\n")
    return 0
