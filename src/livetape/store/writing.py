"""One file of a tape, opened for writing by the two threads of a journal (floor 3)."""

import os
from contextlib import ExitStack, closing, suppress
from io import FileIO
from pathlib import Path

import apsw

from .. import __version__, clock
from ..core.errors import StoreError
from .buffer import Batch
from .catalog import Segment
from .files import sync_folder, unlink
from .schema import INSERT_BATCH, VERSION, batch_values, create_statements, inbox_statements

CHECKPOINT_BYTES = 64 << 20  #: of records in memory; after so many SQLite's log is moved into its file
BUSY_MS = 1_000
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Writing:
    """A new segment below ``directory``. Raises StoreError when it cannot be made.

    ``rows`` and ``bytes`` are what was committed, the latter as it was in memory.
    """

    def __init__(self, directory: Path) -> None:
        self.opened_ns = clock.now_ns()
        while (path := directory / "journal" / f"{self.opened_ns}.sqlite").exists():
            self.opened_ns += 1  # the clock was set back
        self.path = path
        self.rows = self.bytes = 0
        self._moved_bytes = 0
        self._is_moving = False
        try:
            with ExitStack() as opened:
                self._db = opened.enter_context(closing(_create(self.path)))
                self._log_file = opened.enter_context(open_file(Path(f"{self.path}-wal")))
                _sync_names(self.path.parent)
                self._opened = opened.pop_all()
        except StoreError:
            with suppress(OSError):
                unlink(_unborn(path))
                unlink(path)
            raise

    def segment(self, first_n: int, recording: int) -> Segment:
        """What the catalogue is told."""
        return Segment(self.path, first_n, recording, self.opened_ns)

    # For the thread that commits

    def commit(self, batch: Batch) -> None:
        """Raises what ``apsw`` does, and ValueError or TypeError for what can never be written."""
        self._db.execute(INSERT_BATCH, batch_values(batch.first, batch.records))
        self.rows += len(batch.records)
        self.bytes += batch.bytes

    def finish_moving(self) -> None:
        """Move the rest of SQLite's log; when all is moved, SQLite begins it anew."""
        if self._is_moving:
            self._is_moving = False
            self._db.execute(_CHECKPOINT)

    # For the thread that syncs

    def sync(self) -> None:
        """Raises OSError."""
        os.fsync(self._log_file.fileno())

    def begin_moving(self) -> None:
        """Move SQLite's log into its file when it has grown enough."""
        if self.bytes - self._moved_bytes < CHECKPOINT_BYTES:
            return
        self._moved_bytes = self.bytes
        with suppress(apsw.Error), closing(apsw.Connection(str(self.path))) as db:
            db.execute(_CHECKPOINT)  # of a full disk, the other thread tells
            self._is_moving = True

    def close(self) -> None:
        """Make one file of it. A reader or a full disk leaves it in two parts, which is as good."""
        self._log_file.close()
        with suppress(apsw.Error):
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._opened.close()


def open_file(path: Path) -> FileIO:
    """``path`` to be written in place: never cut short, so that a reader finds it whole."""
    try:
        path.touch()
        return FileIO(path, "r+")
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}") from error


def _sync_names(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise StoreError(str(folder), f"cannot be written: {error.strerror}") from error


def _create(path: Path) -> apsw.Connection:
    """A new segment, which has its name only once it has its tables: a reader never finds half of it."""
    unborn = _unborn(path)
    try:
        with closing(apsw.Connection(str(unborn))) as db:
            [[mode]] = db.execute("PRAGMA journal_mode=WAL")
            if mode != "wal":
                raise StoreError(str(path), "this file system does not let readers and a writer share a file")
            with db:
                for statement in create_statements():
                    db.execute(statement)
                meta = ("schema_version", VERSION), ("livetape", __version__), ("opened_ns", clock.now_ns())
                db.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        unborn.rename(path)
        db = apsw.Connection(str(path))
        db.set_busy_timeout(BUSY_MS)  # a reader that comes or goes holds a lock for a moment
        for statement in ("PRAGMA synchronous=NORMAL", "PRAGMA wal_autocheckpoint=0", *inbox_statements()):
            db.execute(statement)
    except (apsw.Error, OSError) as error:
        raise StoreError(str(path), str(error)) from error
    return db


def _unborn(path: Path) -> Path:
    return path.with_suffix(".new")
