"""The hot half of the store: one SQLite file a recording (floor 3).

Rule 1: ``record`` and ``tap`` never wait for the disk and never raise; see buffer.py.
Rule 2: one thread commits what has gathered about every 20 ms. Another one syncs five times a second, so that
        a disk which is slow to sync delays no commit.
Rule 3: ``watermark`` is published last: what it calls committed survives the death of the process, what it
        calls synced a power cut.
"""

import logging
import os
import struct
import threading
from collections import deque
from contextlib import ExitStack, closing, suppress
from io import FileIO
from pathlib import Path
from time import monotonic

import apsw
from msgspec import Struct

from .. import __version__, clock
from ..core.errors import StoreError
from ..core.events import BookUpdate, MarketEvent
from ..core.raw import RawRecord
from .buffer import LEVEL_BYTES, RECORD_BYTES, Batch, Buffer
from .schema import INSERT_BATCH, VERSION, batch_values, create_statements, inbox_statements

COMMIT_S = 0.02
SYNC_S = 0.2
RETRY_S = 0.5
BUSY_MS = 1_000
CHECKPOINT_BYTES = 64 << 20  #: of records in memory; after so many SQLite's log is moved into its file
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_WATERMARK = struct.Struct("<qqq")
#: The fault is the record's: the next try would fail as well.
_UNWRITABLE = (apsw.ConstraintError, apsw.TooBigError, ValueError, TypeError, LookupError)
_log = logging.getLogger("livetape.store")


class Watermark(Struct, frozen=True):
    """How far the tape is safe: record numbers committed and synced, and the receive time of the former."""

    committed: int
    synced: int
    recv_ns: int


class Journal:
    """Records events and raw frames below ``directory``. Raises StoreError when it cannot be written.

    ``lags_ns`` are the newest times from receive to commit, each of the oldest record of its commit.
    """

    def __init__(self, directory: str | Path, *, buffer_bytes: int = 64 << 20) -> None:
        self.directory = Path(directory)
        self.path = self.directory / "journal" / f"{clock.now_ns()}.sqlite"
        self.watermark = Watermark(0, 0, 0)
        self.lags_ns: deque[int] = deque(maxlen=100_000)
        self._buffer = Buffer(buffer_bytes)
        self._synced, self._sync_failed = 0, False
        self._written_bytes = self._reported = 0
        self._checkpoint_due = False
        self._stopping = threading.Event()
        with ExitStack() as opened:
            opened.enter_context(closing(_lock_directory(self.directory)))
            self._db = opened.enter_context(closing(_open_segment(self.path)))
            self._log_file = opened.enter_context(_open_file(Path(f"{self.path}-wal")))
            self._watermark_file = opened.enter_context(_open_file(self.directory / "watermark"))
            self._opened = opened.pop_all()
        self._publish(0, 0)
        works = {"livetape-commit": self._commit_on, "livetape-sync": self._sync_on}
        self._threads = [threading.Thread(target=works[name], name=name, daemon=True) for name in works]
        for thread in self._threads:
            thread.start()

    def record(self, event: MarketEvent) -> None:
        """Keep ``event``."""
        size = RECORD_BYTES
        if isinstance(event, BookUpdate):
            size += LEVEL_BYTES * (len(event.bids) + len(event.asks))
        self._buffer.put(event, size)

    def tap(self, raw: RawRecord) -> None:
        """Keep a raw record."""
        self._buffer.put(raw, RECORD_BYTES + len(raw.payload))

    @property
    def rows(self) -> int:
        """How many records were taken, raw ones and the journal's own gaps included."""
        return self._buffer.rows

    @property
    def dropped(self) -> int:
        """How many records were not taken, or could not be written."""
        return self._buffer.dropped

    @property
    def failure(self) -> str:
        """Why nothing can be written just now; empty while all is well."""
        return self._buffer.trouble

    def close(self) -> None:
        """Write what is left, sync it and end. Raises StoreError when something could not be written."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._sync()
        self._publish(self.watermark.committed, self.watermark.recv_ns)
        self._log_file.close()
        with suppress(apsw.Error):  # a reader or a full disk leaves the file in two parts, which is as good
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._opened.close()
        if unwritten := self._buffer.close():
            cause = self.failure or "the writer has died"
            raise StoreError(str(self.path), f"{unwritten} records could not be written: {cause}")

    # The thread that commits

    def _commit_on(self) -> None:
        due_s = monotonic()
        while not self._stopping.wait(max(0.001, due_s - monotonic())):
            # Counted from when it was due: beside a busy loop the thread always begins late.
            due_s = max(due_s + COMMIT_S, monotonic()) if self._flush() else monotonic() + RETRY_S
        for _ in ("what is left", "what that told of losses"):
            self._flush()

    def _flush(self) -> bool:
        """Commit what has gathered; False when the disk refuses."""
        buffer = self._buffer
        buffer.seal()
        try:
            while batch := buffer.oldest():
                self._commit(batch)
            if self._checkpoint_due:  # the rest; when all is moved, SQLite begins its log anew
                self._checkpoint_due = False
                self._db.execute(_CHECKPOINT)
        except (apsw.Error, MemoryError) as error:
            if not buffer.trouble:
                _log.error("%s cannot be written: %s; keeping on trying", self.path, error)
            buffer.trouble = str(error) or repr(error)
            return False
        if buffer.trouble:
            _log.warning("%s is written again", self.path)
            buffer.trouble = ""
        buffer.tell_loss()
        if (lost := buffer.dropped - self._reported) > 0:
            _log.error("records lost: %d; livetape gaps says why", lost)
            self._reported += lost
        if self._synced > self.watermark.synced:
            self._publish(self.watermark.committed, self.watermark.recv_ns)
        return True

    def _commit(self, batch: Batch) -> None:
        try:
            self._db.execute(INSERT_BATCH, batch_values(batch.first, batch.records))
        except _UNWRITABLE as error:
            self._buffer.isolate(error)
            return
        self._buffer.written()
        self._written_bytes += batch.bytes
        self.lags_ns.append(clock.now_ns() - batch.records[0].recv_ns)
        self._publish(batch.first + len(batch.records) - 1, batch.records[-1].recv_ns)

    def _publish(self, committed: int, recv_ns: int) -> None:
        self.watermark = mark = Watermark(committed, self._synced, recv_ns)
        with suppress(OSError):  # a file that lags behind says nothing false; the next commit tries again
            self._watermark_file.seek(0)
            self._watermark_file.write(_WATERMARK.pack(mark.committed, mark.synced, mark.recv_ns))

    # The thread that syncs

    def _sync_on(self) -> None:
        moved_bytes = 0
        with closing(apsw.Connection(str(self.path))) as db:
            while not self._stopping.wait(SYNC_S):
                self._sync()
                if self._written_bytes - moved_bytes >= CHECKPOINT_BYTES:
                    moved_bytes = self._written_bytes
                    with suppress(apsw.Error):  # of a full disk, the other thread tells
                        db.execute(_CHECKPOINT)
                        self._checkpoint_due = True

    def _sync(self) -> None:
        committed = self.watermark.committed
        if committed == self._synced or self._sync_failed:
            return
        try:
            os.fsync(self._log_file.fileno())
        except OSError as error:  # what it did not write, no later call would
            self._sync_failed = True
            _log.error("%s is no longer synced: %s", self.path, error)
        else:
            self._synced = committed


def read_watermark(directory: str | Path) -> Watermark:
    """What a recording below ``directory`` has published. Raises StoreError when there is none."""
    path = Path(directory) / "watermark"
    try:
        return Watermark(*_WATERMARK.unpack(path.read_bytes()))
    except (OSError, struct.error) as error:
        raise StoreError(str(path), f"no watermark: {error}") from error


def _lock_directory(directory: Path) -> apsw.Connection:
    """One recorder a directory: an exclusive transaction that ends with the process, however it ends."""
    try:
        (directory / "journal").mkdir(parents=True, exist_ok=True)
        lock = apsw.Connection(str(directory / "lock.sqlite"))
        lock.execute("BEGIN EXCLUSIVE")
    except apsw.BusyError as error:
        raise StoreError(
            str(directory), "another recorder is writing here; stop it or choose another --store"
        ) from error
    except OSError as error:
        raise StoreError(str(directory), f"cannot be written: {error.strerror}") from error
    except apsw.Error as error:
        raise StoreError(str(directory), f"cannot be written: {error}") from error
    return lock


def _open_segment(path: Path) -> apsw.Connection:
    """A new segment, which has its name only once it has its tables: a reader never finds half of it."""
    unborn = path.with_suffix(".new")
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


def _open_file(path: Path) -> FileIO:
    """``path`` to be written in place: never cut short, so that a reader finds it whole."""
    try:
        path.touch()
        return FileIO(path, "r+")
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}") from error
