"""Builds everything from a Config; the only file that knows all (floor 4)."""

from pathlib import Path

from .config import Config
from .core.bus import Bus
from .core.raw import RawRecord
from .feeds.feed import Feed
from .feeds.hub import Hub
from .feeds.rest import Rest
from .store.journal import Journal


class App:
    """The bus, the feeds and, once asked for, the recorder. Use it on one running loop; ``close`` it at the end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bus = Bus()
        self.hub = Hub(self._make_feed)
        self.journal: Journal | None = None

    def record(self, directory: str | Path) -> Journal:
        """Record everything from now on. Raises StoreError when the directory cannot be written."""
        self.journal = Journal(directory, buffer_bytes=self.config.store.buffer_bytes)
        self.bus.subscribe(None, self.journal.record)
        return self.journal

    async def close(self) -> None:
        """Stop the feeds, then write what is left. Raises StoreError when rows could not be written."""
        await self.hub.close()
        if self.journal is not None:
            self.journal.close()

    def _make_feed(self, venue: str, rest: Rest) -> Feed:
        chosen = self.config.venue(venue)
        return Feed(
            venue,
            chosen.endpoint(venue),
            rest,
            publish=self.bus.publish,
            tap=self._tap,
            api=chosen.api,
            options=chosen.options,
        )

    def _tap(self, raw: RawRecord) -> None:
        if self.journal is not None and self.config.store.raw:
            self.journal.tap(raw)
