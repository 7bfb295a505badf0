"""Reading a recorded tape: its counts, gaps, raw frames and charts (floor 3)."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw

from ..core.errors import StoreError
from ..core.raw import Direction, RawRecord
from .schema import COLUMNS, VERSION

_GAP = ("recv", "venue", "symbol", "kind", "start", "end", "cause", "healed", "missing")
_DATA = {
    **{"trades": "trade", "quotes": "quote", "books": "book", "bars": "bar", "summaries": "summary"},
    **{"marks": "mark", "auctions": "auction", "lulds": "luld", "news": "news"},
}
_BUSY_MS = 5_000  #: a recorder that begins or ends holds a lock for a moment
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
                for table in _DATA.keys() & _tables(db):
                    interval = "|| '.' || interval" if table == "bars" else ""
                    name = f"venue || ':' || symbol || '/{_DATA[table]}' {interval}"
                    for channel, n in db.execute(f"SELECT {name}, count(*) FROM {table} GROUP BY 1"):
                        found[str(channel)] = found.get(str(channel), 0) + int(str(n))
        return found

    def gaps(self) -> list[dict[str, object]]:
        """The gap ledger: each gap once, as it stands now, and the time between recordings; oldest first."""
        names = ", ".join(f'"{column}"' for column in _GAP)
        latest: dict[tuple[object, ...], dict[str, Any]] = {}
        for row in self._rows(f"SELECT {names} FROM gaps ORDER BY n"):
            gap = dict(zip(_GAP, row, strict=True))
            latest[gap["venue"], gap["symbol"], gap["kind"], gap["start"]] = gap
        return sorted([*latest.values(), *self._unrecorded()], key=lambda gap: gap["start"])

    def _unrecorded(self) -> Iterator[dict[str, Any]]:
        """The time between one recording's last record and the next one's beginning."""
        for earlier, later in pairwise(self.segments):
            last_ns, begun_ns = _last_recv(earlier), _opened(later)
            if last_ns is not None:
                about = {"recv": begun_ns, "venue": "store", "start": last_ns, "end": begun_ns}
                yield (
                    dict.fromkeys(_GAP) | about | {"symbol": "", "kind": "", "cause": "nothing was recorded"}
                )

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

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        for segment in self.segments:
            with reading(segment) as db:
                yield from db.execute(query)


def _last_recv(segment: Path) -> int | None:
    """When the last record of ``segment`` was received; None when it has none."""
    found: list[tuple[int, int]] = []
    with reading(segment) as db:
        for table in COLUMNS.keys() & _tables(db):
            found += db.execute(f"SELECT n, recv FROM {table} ORDER BY n DESC LIMIT 1")
    return max(found)[1] if found else None


def _tables(db: apsw.Connection) -> set[str]:
    """Those of a segment; one of an older version has fewer."""
    return {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _opened(segment: Path) -> int:
    with reading(segment) as db:
        [[opened_ns]] = db.execute("SELECT value FROM meta WHERE key = 'opened_ns'")
    return int(str(opened_ns))


@contextmanager
def reading(segment: Path) -> Iterator[apsw.Connection]:
    """A connection to ``segment`` that only reads. Raises StoreError for what goes wrong meanwhile."""
    try:
        with closing(apsw.Connection(str(segment), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            db.set_busy_timeout(_BUSY_MS)
            yield db
    except apsw.Error as error:
        raise StoreError(str(segment), str(error)) from error


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
