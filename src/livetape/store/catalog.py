"""Which segments and files of a store are visible: each change is one transaction (floor 3).

Rule 1: a row of the tape is visible exactly once. A segment becomes files, and files become one file, in a
        transaction of one SQLite database, which is on the disk before anything is unlinked.
Rule 2: what is no longer visible is garbage: named here until it is unlinked, which readers may delay.
Rule 3: a store without a catalogue, as older versions wrote it, shows all that lies in ``journal/``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import W_OK, access
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct
from msgspec.structs import astuple, replace

from ..core.errors import DamageError, StoreError
from .segment import bounds, opened_ns, reading

NAME = "catalog.sqlite"
NO_TAPE = "there is no recorded tape here; livetape record kraken:BTC-USD --store DIR makes one"
VERSION = 1
_BUSY_MS = 10_000
_FIRST = [
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema_version', {VERSION})",
    "CREATE TABLE segments (name TEXT PRIMARY KEY, first_n INTEGER NOT NULL, recording INTEGER NOT NULL,"
    " opened_ns INTEGER NOT NULL, rows INTEGER, last_recv INTEGER) STRICT",
    'CREATE TABLE files (path TEXT PRIMARY KEY, "table" TEXT, date TEXT, venue TEXT, rows INTEGER,'
    " bytes INTEGER, first_recv INTEGER, last_recv INTEGER, first_ns INTEGER, last_ns INTEGER,"
    " generation INTEGER, first_n INTEGER, last_n INTEGER, footer TEXT) STRICT",
    "CREATE TABLE sessions (session INTEGER PRIMARY KEY, venue TEXT NOT NULL) STRICT",
    "CREATE TABLE garbage (path TEXT PRIMARY KEY) STRICT",
    'CREATE TABLE removed ("table" TEXT, date TEXT, venue TEXT, rows INTEGER, first_recv INTEGER,'
    " last_recv INTEGER, why TEXT) STRICT",
]


class Segment(Struct, frozen=True):
    """A visible segment of the journal.

    Its first record has the number ``first_n`` of the store; ``recording`` is when the recording began that
    it is a part of, ``opened_ns`` when the segment did.
    """

    path: Path
    first_n: int
    recording: int
    opened_ns: int

    @property
    def name(self) -> str:
        return self.path.stem


class Sealed(Struct, frozen=True):
    """A segment that became files: it held ``rows`` records, the last received at ``last_recv`` if any."""

    name: str
    first_n: int
    recording: int
    opened_ns: int
    rows: int
    last_recv: int | None


class SealedFile(Struct, frozen=True):
    """A Parquet file: the rows of one table that one venue gave on one UTC day of receiving.

    ``path`` is relative to the store. ``first_recv`` and ``last_recv`` bound the time of receiving,
    ``first_ns`` and ``last_ns`` the time in the market: the venue's, where it gave one. It was made of the
    records from ``first_n`` to ``last_n``; ``footer`` is the digest of the file's description of itself.
    """

    path: str
    table: str
    date: str
    venue: str
    rows: int
    bytes: int
    first_recv: int
    last_recv: int
    first_ns: int
    last_ns: int
    generation: int
    first_n: int
    last_n: int
    footer: str = ""


class Removed(Struct, frozen=True):
    """Rows that were taken off the tape, and ``why``."""

    table: str
    date: str
    venue: str
    rows: int
    first_recv: int
    last_recv: int
    why: str


class View(Struct, frozen=True):
    """What was visible at one instant, and which segments had been sealed; oldest first."""

    segments: tuple[Segment, ...]
    files: tuple[SealedFile, ...]
    sealed: tuple[Sealed, ...] = ()


Part = tuple[Segment, int, Sequence[SealedFile]]  #: a segment, how many records it held, what they became


class Catalog:
    """The catalogue below ``directory``. Raises StoreError when it cannot be read or written."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.path = self.directory / NAME

    @classmethod
    def writable(cls, directory: str | Path) -> "Catalog":
        """The catalogue, made where there is none yet, of the segments that are there."""
        catalog = cls(directory)
        with catalog._writing() as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                for statement in _FIRST:
                    db.execute(statement)
                for segment in catalog._uncatalogued():
                    _add(db, segment)
        return catalog

    def view(self) -> View:
        """What is visible now."""
        with self._reading() as db:
            if db is None:
                return View(tuple(self._uncatalogued()), ())
            hot = db.execute(
                "SELECT name, first_n, recording, opened_ns FROM segments"
                " WHERE rows IS NULL ORDER BY first_n, rowid"
            )
            segments = tuple(Segment(self._path(str(name)), *_ints(rest)) for name, *rest in hot)
            files = db.execute('SELECT * FROM files ORDER BY "table", date, venue, first_n')
            sealed = db.execute(
                "SELECT name, first_n, recording, opened_ns, rows, last_recv FROM segments"
                " WHERE rows IS NOT NULL ORDER BY first_n, rowid"
            )
            return View(
                segments,
                tuple(SealedFile(*row) for row in files),
                tuple(Sealed(*row) for row in sealed),
            )

    def next_n(self) -> int:
        """The number of the record after the last one. No segment may be written meanwhile."""
        view = self.view()
        after = [part.first_n + part.rows for part in view.sealed]
        after += [segment.first_n + count(segment.path) for segment in view.segments[-1:]]
        return max(after, default=1)

    def add_segment(self, segment: Segment) -> None:
        """Make a new segment visible."""
        with self._writing() as db:
            _add(db, segment)

    def seal(
        self, segment: Segment, rows: int, files: Sequence[SealedFile], sessions: Mapping[int, str]
    ) -> None:
        """Show ``files`` instead of ``segment``, which held ``rows`` records.

        ``sessions`` are those that began in it, with their venues.
        """
        with self._writing() as db:
            _seal(db, segment, rows, files)
            _know(db, sessions)
            _discard(db, [segment.path.relative_to(self.directory).as_posix()])

    def adopt(
        self, parts: Iterable[Part], sessions: Mapping[int, str], removed: Iterable[Removed] = ()
    ) -> None:
        """Show the files of segments that were not visible themselves; the rest is as with ``seal``.

        ``removed`` is what is not among the files.
        """
        with self._writing() as db:
            for segment, rows, files in parts:
                _add(db, segment)
                _seal(db, segment, rows, files)
            _know(db, sessions)
            _remove(db, removed)

    def replace(self, old: Sequence[SealedFile], new: Sequence[SealedFile], *, why: str = "") -> None:
        """Show ``new`` instead of ``old``, of the same folder; with ``why``, fewer rows, or none."""
        with self._writing() as db:
            db.executemany("DELETE FROM files WHERE path = ?", [(file.path,) for file in old])
            _insert(db, new)
            _discard(db, [file.path for file in old])
            if why:
                removed = [
                    Removed(f.table, f.date, f.venue, f.rows, f.first_recv, f.last_recv, why) for f in old
                ]
                _remove(db, _less(removed, sum(file.rows for file in new)))

    def sessions(self) -> dict[int, str]:
        """The venues of the sessions whose beginning was sealed."""
        return {int(session): str(venue) for session, venue in self._all("SELECT * FROM sessions")}

    def removed(self) -> list[Removed]:
        """What was taken off the tape, in that order."""
        return [Removed(*row) for row in self._all("SELECT * FROM removed ORDER BY rowid")]

    def garbage(self) -> list[str]:
        """Paths relative to the store of what is no longer visible and not known to be unlinked."""
        return [str(path) for (path,) in self._all("SELECT path FROM garbage ORDER BY path")]

    def forget(self, paths: Iterable[str]) -> None:
        """These pieces of garbage are unlinked."""
        with self._writing() as db:
            db.executemany("DELETE FROM garbage WHERE path = ?", [(path,) for path in paths])

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with self._reading() as db:
            return list(db.execute(query)) if db is not None else []

    def _path(self, name: str) -> Path:
        return self.directory / "journal" / f"{name}.sqlite"

    def _uncatalogued(self) -> Iterator[Segment]:
        """The segments of a store of before there were catalogues, each a recording of its own.

        Raises DamageError where there are sealed files, for they had one.
        """
        if next(self.directory.glob("*/date=*/venue=*/*.parquet"), None) is not None:
            problem = "is missing, and with it all that was sealed; livetape rebuild --catalog makes it again"
            raise DamageError(str(self.path), problem)
        first_n = 1
        for path in sorted((self.directory / "journal").glob("*.sqlite")):
            begun_ns = opened_ns(path)
            yield Segment(path, first_n, begun_ns, begun_ns)
            first_n += count(path)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection | None]:
        """None where there is no catalogue. What a crashed writer began is taken back, where that may be."""
        if not self.path.exists():
            yield None
            return
        flags = apsw.SQLITE_OPEN_READWRITE if access(self.directory, W_OK) else apsw.SQLITE_OPEN_READONLY
        with self._open(flags) as db:
            db.execute("BEGIN")
            row = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
            if row is not None:
                self._check_version(db)
            yield db if row is not None else None
            db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """One transaction, which is on the disk when it has ended."""
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        with self._open(flags) as db:
            db.execute("PRAGMA synchronous=EXTRA")
            db.execute("BEGIN IMMEDIATE")
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                self._check_version(db)
            yield db
            db.execute("COMMIT")

    @contextmanager
    def _open(self, flags: int) -> Iterator[apsw.Connection]:
        try:
            with closing(apsw.Connection(str(self.path), flags=flags)) as db:
                db.set_busy_timeout(_BUSY_MS)
                yield db
        except (apsw.NotADBError, apsw.CorruptError) as error:
            problem = f"{error}; livetape rebuild --catalog makes it again"
            raise DamageError(str(self.path), problem) from error
        except apsw.Error as error:
            raise StoreError(str(self.path), str(error)) from error

    def _check_version(self, db: apsw.Connection) -> None:
        [[version]] = db.execute("SELECT value FROM meta WHERE key = 'schema_version'")
        if not isinstance(version, int) or version > VERSION:
            raise StoreError(str(self.path), f"version {version} is newer than this livetape's {VERSION}")


def count(path: Path) -> int:
    """How many records the segment at ``path`` has."""
    with reading(path) as db:
        found = bounds(db)
    return found[1] - found[0] + 1 if found else 0


def _add(db: apsw.Connection, segment: Segment) -> None:
    row = (segment.name, segment.first_n, segment.recording, segment.opened_ns)
    db.execute("INSERT INTO segments (name, first_n, recording, opened_ns) VALUES (?, ?, ?, ?)", row)


def _seal(db: apsw.Connection, segment: Segment, rows: int, files: Sequence[SealedFile]) -> None:
    last_recv = max((file.last_recv for file in files), default=None)
    db.execute("UPDATE segments SET rows = ?, last_recv = ? WHERE name = ?", (rows, last_recv, segment.name))
    _insert(db, files)


def _know(db: apsw.Connection, sessions: Mapping[int, str]) -> None:
    db.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?)", sessions.items())


def _insert(db: apsw.Connection, files: Iterable[SealedFile]) -> None:
    marks = ", ".join("?" * len(SealedFile.__struct_fields__))
    db.executemany(f"INSERT INTO files VALUES ({marks})", map(astuple, files))


def _remove(db: apsw.Connection, removed: Iterable[Removed]) -> None:
    db.executemany("INSERT INTO removed VALUES (?, ?, ?, ?, ?, ?, ?)", map(astuple, removed))


def _less(removed: Iterable[Removed], left: int) -> Iterator[Removed]:
    """What was removed, where of the rows so many are left."""
    for each in removed:
        kept = min(left, each.rows)
        left -= kept
        if each.rows > kept:
            yield replace(each, rows=each.rows - kept)


def _discard(db: apsw.Connection, paths: Iterable[str]) -> None:
    db.executemany("INSERT INTO garbage VALUES (?)", [(path,) for path in paths])


def _ints(values: Iterable[object]) -> list[int]:
    return [int(str(value)) for value in values]
