"""Reading a recorded tape: its counts, gaps, raw frames and charts (floor 3)."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from ..core.errors import StoreError
from ..core.instruments import Channel
from ..core.raw import Direction, RawRecord
from .ledger import Completeness, completeness, gaps
from .schema import VERSION
from .segment import reading, tables

_DATA = {
    **{"trades": "trade", "quotes": "quote", "best_quotes": "quote", "books": "book", "bars": "bar"},
    **{"summaries": "summary", "marks": "mark", "auctions": "auction", "lulds": "luld", "news": "news"},
}
_PAGE = 500  #: raw records read at once; while a read lasts, the recorder cannot reuse its log


class Store:
    """A store directory, opened for reading; it may be written meanwhile. Raises StoreError."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.segments = sorted((self.directory / "journal").glob("*.sqlite"))
        if not self.segments:
            raise StoreError(str(directory), "there is no recorded tape here")
        for segment in self.segments:
            _check_version(segment)

    def counts(self) -> dict[str, int]:
        """Events recorded by channel, for the kinds that are data."""
        found: dict[str, int] = {}
        for segment in self.segments:
            with reading(segment) as db:
                for table in _DATA.keys() & tables(db):
                    interval = "|| '.' || interval" if table == "bars" else ""
                    name = f"venue || ':' || symbol || '/{_DATA[table]}' {interval}"
                    for channel, n in db.execute(f"SELECT {name}, count(*) FROM {table} GROUP BY 1"):
                        found[str(channel)] = found.get(str(channel), 0) + int(str(n))
        return found

    def gaps(self) -> list[dict[str, object]]:
        """The gap ledger: each gap once, as it stands now, and the time between recordings; oldest first."""
        return gaps(self.segments)

    def completeness(self, channel: str, day: date | str) -> Completeness:
        """How much of ``channel`` the tape has of a UTC day, such as ``2026-11-21``. Raises ConfigError."""
        return completeness(self.segments, Channel.parse(channel), day)

    def raw(self) -> Iterator[RawRecord]:
        """Every raw record, in the order of receiving."""
        for segment in self.segments:
            after = 0
            while page := self._page(segment, after):
                for n, session, recv_ns, direction, payload, note in page:
                    yield RawRecord(session, recv_ns, Direction(direction), payload, note)
                    after = n

    def plot(
        self,
        channel: str,
        *,
        style: str = "",
        interval: str = "",
        start_ns: int | None = None,
        end_ns: int | None = None,
        last_ns: int | None = None,
        out: str | Path | None = None,
    ) -> Path:
        """Draw ``channel`` into the PNG or SVG file ``out``, else one named by the channel; returns the file.

        ``style`` is ``line``, ``candle``, ``depth`` or ``spread``, else what suits the kind; ``interval`` is
        a candle's, such as ``1m``. ``last_ns`` is a length of time before ``end_ns``. Raises ConfigError.
        """
        from .plot import Chart, plot

        return plot(self, channel, Chart(style, interval, start_ns, end_ns, last_ns), out)

    def _page(self, segment: Path, after: int) -> list[tuple[Any, ...]]:
        query = "SELECT n, session, recv, direction, payload, note FROM raw WHERE n > ? ORDER BY n LIMIT ?"
        with reading(segment) as db:
            return list(db.execute(query, (after, _PAGE)))


def _check_version(segment: Path) -> None:
    with reading(segment) as db:
        versions = [value for (value,) in db.execute("SELECT value FROM meta WHERE key = 'schema_version'")]
    if not versions or not isinstance(versions[0], int):
        raise StoreError(str(segment), "is no segment of a tape: it has no schema version")
    if versions[0] > VERSION:
        raise StoreError(
            str(segment), f"schema version {versions[0]} is newer than this livetape's {VERSION}"
        )


def open_store(directory: str | Path) -> Store:
    """Open a recorded tape. Raises StoreError when there is none or it cannot be read."""
    return Store(directory)
