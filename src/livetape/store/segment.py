"""One file of a tape, opened for reading (floor 3)."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from os import W_OK, access
from pathlib import Path
from typing import Any

import apsw

from ..core.errors import DamageError, StoreError
from .schema import COLUMNS

_BUSY_MS = 5_000  #: a recorder that begins or ends holds a lock for a moment


@contextmanager
def reading(segment: Path) -> Iterator[apsw.Connection]:
    """A connection to ``segment`` that only reads. Raises StoreError for what goes wrong meanwhile.

    What a crash has interrupted is taken back, where that may be.
    """
    interrupted = Path(f"{segment}-journal").exists() and access(segment.parent, W_OK)
    flags = apsw.SQLITE_OPEN_READWRITE if interrupted else apsw.SQLITE_OPEN_READONLY
    try:
        with closing(apsw.Connection(str(segment), flags=flags)) as db:
            db.set_busy_timeout(_BUSY_MS)
            yield db
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise DamageError(str(segment), str(error)) from error
    except apsw.Error as error:
        raise StoreError(str(segment), str(error)) from error


def rows(
    segments: Iterable[Path], query: str, arguments: tuple[object, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """What ``query`` finds in each of ``segments``."""
    for segment in segments:
        with reading(segment) as db:
            yield from db.execute(query, arguments)


def tables(db: apsw.Connection) -> set[str]:
    """Those of a segment; one of an older version has fewer."""
    return {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def column_names(db: apsw.Connection, table: str) -> set[str]:
    """Those of a table of a segment; none where an older version wrote no such table."""
    return {str(name) for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))}


def bounds(db: apsw.Connection) -> tuple[int, int] | None:
    """The first and the last number of a segment, as it counts; None where it has no records."""
    found: list[int] = []
    for table in COLUMNS.keys() & tables(db):
        for which in ("min", "max"):  # one at a time each is a look-up, both together a scan
            found += [int(str(n)) for (n,) in db.execute(f"SELECT {which}(n) FROM {table}") if n is not None]
    return (min(found), max(found)) if found else None


def last_recv(segment: Path) -> int | None:
    """When the last record of ``segment`` was received; None when it has none."""
    found: list[tuple[int, int]] = []
    with reading(segment) as db:
        for table in COLUMNS.keys() & tables(db):
            found += db.execute(f"SELECT n, recv FROM {table} ORDER BY n DESC LIMIT 1")
    return max(found)[1] if found else None


def opened_ns(segment: Path) -> int:
    """When the recording of ``segment`` began."""
    [[ns]] = rows([segment], "SELECT value FROM meta WHERE key = 'opened_ns'")
    return int(str(ns))
