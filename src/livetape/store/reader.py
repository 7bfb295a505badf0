"""Reading a recorded tape: its counts, gaps and raw frames (floor 3)."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw

from ..core.errors import StoreError
from ..core.raw import Direction, RawRecord
from .schema import VERSION

_GAP = ("recv", "venue", "symbol", "kind", "start", "end", "cause", "healed", "missing")
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
        for table, kind in (("trades", "trade"), ("quotes", "quote"), ("books", "book"), ("bars", "bar")):
            interval = "|| '.' || interval" if table == "bars" else ""
            query = f"SELECT venue || ':' || symbol || '/{kind}' {interval}, count(*) FROM {table} GROUP BY 1"
            for channel, n in self._rows(query):
                found[channel] = found.get(channel, 0) + n
        return found

    def gaps(self) -> list[dict[str, object]]:
        """The gap ledger: each gap once, as it stands now, oldest first."""
        names = ", ".join(f'"{column}"' for column in _GAP)
        latest: dict[tuple[object, ...], dict[str, Any]] = {}
        for row in self._rows(f"SELECT {names} FROM gaps ORDER BY n"):
            gap = dict(zip(_GAP, row, strict=True))
            latest[gap["venue"], gap["symbol"], gap["kind"], gap["start"]] = gap
        return sorted(latest.values(), key=lambda gap: gap["start"])

    def raw(self) -> Iterator[RawRecord]:
        """Every raw record, in the order of receiving."""
        for segment in self.segments:
            after = 0
            while page := self._page(segment, after):
                for n, session, recv_ns, direction, payload, note in page:
                    yield RawRecord(session, recv_ns, Direction(direction), payload, note)
                    after = n

    def _page(self, segment: Path, after: int) -> list[tuple[Any, ...]]:
        query = "SELECT n, session, recv, direction, payload, note FROM raw WHERE n > ? ORDER BY n LIMIT ?"
        with _reading(segment) as db:
            return list(db.execute(query, (after, _PAGE)))

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        for segment in self.segments:
            with _reading(segment) as db:
                yield from db.execute(query)


@contextmanager
def _reading(segment: Path) -> Iterator[apsw.Connection]:
    try:
        with closing(apsw.Connection(str(segment), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            yield db
    except apsw.Error as error:
        raise StoreError(str(segment), str(error)) from error


def _check_version(segment: Path) -> None:
    with _reading(segment) as db:
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
