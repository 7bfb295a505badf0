"""Reading a recorded tape: its counts, gaps and raw frames (floor 3)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from ..core.errors import StoreError
from ..core.raw import Direction, RawRecord
from .schema import COLUMNS, VERSION


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
                found[str(channel)] = found.get(str(channel), 0) + int(str(n))
        return found

    def gaps(self) -> list[dict[str, object]]:
        """The gap ledger: each gap once, as it stands now, oldest first."""
        columns = [c for c in COLUMNS["gaps"] if c not in ("n", "session", "seq", "ts", "trust", "origin")]
        names = ", ".join(f'"{c}"' for c in columns)
        latest: dict[tuple[object, ...], dict[str, object]] = {}
        for row in self._rows(f"SELECT {names} FROM gaps ORDER BY n"):
            gap = dict(zip(columns, row, strict=True))
            latest[gap["venue"], gap["symbol"], gap["kind"], gap["start"]] = gap
        return sorted(latest.values(), key=lambda gap: int(str(gap["start"])))

    def raw(self) -> Iterator[RawRecord]:
        """Every raw record, in the order of receiving."""
        for session, recv_ns, direction, note, payload in self._rows(
            "SELECT session, recv, direction, note, payload FROM raw ORDER BY n"
        ):
            data = payload if isinstance(payload, bytes) else b""
            yield RawRecord(int(str(session)), int(str(recv_ns)), Direction(str(direction)), data, str(note))

    def _rows(self, query: str) -> Iterator[tuple[object, ...]]:
        for segment in self.segments:
            yield from _select(segment, query)


def _select(segment: Path, query: str) -> Iterator[tuple[object, ...]]:
    try:
        with closing(apsw.Connection(str(segment), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            yield from db.execute(query)
    except apsw.Error as error:
        raise StoreError(str(segment), str(error)) from error


def _check_version(segment: Path) -> None:
    [[version]] = _select(segment, "SELECT value FROM meta WHERE key = 'schema_version'")
    if not isinstance(version, int) or version > VERSION:
        raise StoreError(str(segment), f"schema version {version} is newer than this livetape's {VERSION}")


def open_store(directory: str | Path) -> Store:
    """Open a recorded tape. Raises StoreError when there is none or it cannot be read."""
    return Store(directory)
