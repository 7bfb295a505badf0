"""The hot half of the store: one SQLite file a recording, written by a thread of its own (floor 3).

Rule 1: ``record`` and ``tap`` never wait for the disk and never raise. They keep the record in a buffer of
        bounded size; what does not fit is counted, and told as a gap as soon as rows can be written again.
Rule 2: the thread commits what has gathered about every 20 ms and syncs five times a second. The watermark is
        published afterwards: what it calls committed survives the death of the process, what it calls synced
        a power cut.
Rule 3: a record that cannot be written yet is tried again, in its order; one that can never be written gives
        its number to a gap. So the numbers on disk have no hole and no double.
"""

import logging
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
from ..core.events import BookUpdate, Gap, MarketEvent
from ..core.raw import RawRecord
from .schema import INSERT_BATCH, VERSION, Record, batch_values, create_statements, inbox_statements

COMMIT_S = 0.02
SYNC_S = 0.2
RETRY_S = 0.5
BATCH_BYTES = 1 << 20  #: more goes into the next batch, so that encoding never holds Python's lock for long
CHECKPOINT_BYTES = 64 << 20  #: of records; moving them from SQLite's log to its file holds up the next commit
_RECORD_BYTES, _LEVEL_BYTES = 500, 200  #: what a record, and a level in it, take in memory, roughly
_OWN = "store"  #: the channel of the journal's own gaps
_WATERMARK = struct.Struct("<qqq")
#: The fault is the record's: the next try would fail as well.
_UNWRITABLE = (apsw.ConstraintError, apsw.TooBigError, ValueError, TypeError, LookupError)
_log = logging.getLogger("livetape.store")


class Watermark(Struct, frozen=True):
    """How far the tape is safe: record numbers committed and synced, and the receive time of the former."""

    committed: int
    synced: int
    recv_ns: int


class Batch:
    """Records with the numbers ``first``, ``first + 1`` …, which are committed together."""

    def __init__(self, first: int, records: list[Record], size: int) -> None:
        self.first, self.records, self.bytes = first, records, size


class Loss:
    """Records that found no room, since the last that did."""

    def __init__(self, after_ns: int) -> None:
        self.after_ns, self.records, self.cause = after_ns, 0, "the disk could not keep up"


class Journal:
    """Records events and raw frames below ``directory``. Raises StoreError when it cannot be written.

    ``rows`` counts the records taken, raw ones and the journal's own gaps included, and ``dropped`` those
    that were not. ``failure`` says why nothing can be written just now. ``lags_ns`` are the newest times from
    receive to commit, each of the oldest record of its commit.
    """

    def __init__(self, directory: str | Path, *, buffer_bytes: int = 64 << 20) -> None:
        self.directory = Path(directory)
        self.rows = self.dropped = 0
        self.failure = ""
        self.watermark = Watermark(0, 0, 0)
        self.lags_ns: deque[int] = deque(maxlen=100_000)
        self._buffer_bytes = buffer_bytes
        self._lock = threading.Lock()  # of the counts above, and of the buffer:
        self._filling = Batch(1, [], 0)
        self._waiting: deque[Batch] = deque()  # the first of them may be on its way to the disk
        self._bytes = 0
        self._last_ns = 0
        self._loss: Loss | None = None
        self._synced_s = monotonic()
        self._logged_bytes = 0
        self._stopping = threading.Event()
        with ExitStack() as opened:
            opened.enter_context(closing(_lock_directory(self.directory)))
            self.path = self.directory / "journal" / f"{clock.now_ns()}.sqlite"
            self._db = opened.enter_context(closing(_open_segment(self.path)))
            self._watermark_file = opened.enter_context(_open_watermark(self.directory))
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._write, name="livetape-journal", daemon=True)
        self._thread.start()

    def record(self, event: MarketEvent) -> None:
        """Keep ``event``."""
        size = _RECORD_BYTES
        if isinstance(event, BookUpdate):
            size += _LEVEL_BYTES * (len(event.bids) + len(event.asks))
        self._take(event, size)

    def tap(self, raw: RawRecord) -> None:
        """Keep a raw record."""
        self._take(raw, _RECORD_BYTES + len(raw.payload))

    def close(self) -> None:
        """Write what is left, sync it and end. Raises StoreError when something could not be written."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join()
        with suppress(apsw.Error):  # a reader or a full disk leaves the file in two parts, which is as good
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._opened.close()
        with self._lock:
            self._buffer_bytes = 0  # whatever still comes is counted as lost
            unwritten = sum(len(batch.records) for batch in (*self._waiting, self._filling))
            untold = self._loss.records if self._loss else 0
            self.dropped += unwritten
            self._waiting.clear()
            self._filling, self._loss = Batch(0, [], 0), None
        if unwritten or untold:
            cause = self.failure or "the writer has died"
            raise StoreError(str(self.path), f"{unwritten + untold} records could not be written: {cause}")

    # On the caller's thread, with the lock

    def _take(self, record: Record, size: int) -> None:
        with self._lock:
            if self._bytes + size > self._buffer_bytes:
                self._lose(record.recv_ns)
                return
            if self._loss is not None:
                self._tell_loss(self._loss, record.recv_ns)
            self._put(record, size)

    def _put(self, record: Record, size: int) -> None:
        batch = self._filling
        batch.records.append(record)
        batch.bytes += size
        self._bytes += size
        self.rows += 1
        self._last_ns = record.recv_ns
        if batch.bytes >= BATCH_BYTES:
            self._close_batch()

    def _close_batch(self) -> None:
        if self._filling.records:
            self._waiting.append(self._filling)
            self._filling = Batch(self.rows + 1, [], 0)

    def _lose(self, recv_ns: int) -> None:
        if self._loss is None:
            self._loss = Loss(self._last_ns or recv_ns)
        self._loss.records += 1
        self._loss.cause = self.failure or self._loss.cause
        self.dropped += 1

    def _tell_loss(self, loss: Loss, until_ns: int) -> None:
        self._loss = None
        gap = Gap(_OWN, loss.after_ns, until_ns, loss.cause, missing=loss.records, recv_ns=until_ns)
        self._put(gap, _RECORD_BYTES)

    # On the writer's thread

    def _write(self) -> None:
        due_s = monotonic()
        while not self._stopping.wait(max(0.001, due_s - monotonic())):
            # Counted from when it was due: beside a busy loop the thread always begins late.
            due_s = max(due_s + COMMIT_S, monotonic()) if self._flush() else monotonic() + RETRY_S
        for _ in ("what is left", "what that told of losses"):
            self._synced_s = -SYNC_S
            self._flush()

    def _flush(self) -> bool:
        """Commit what has gathered, and sync when it is time; False when the disk refuses."""
        with self._lock:
            self._close_batch()
        try:
            while self._waiting:
                self._commit(self._waiting[0])
            if self.watermark.synced < self.watermark.committed and monotonic() - self._synced_s >= SYNC_S:
                self._sync()
        except apsw.Error as error:
            if not self.failure:
                _log.error("%s cannot be written: %s; keeping on trying", self.path, error)
            self.failure = str(error)
            return False
        if self.failure:
            _log.warning("%s is written again", self.path)
            self.failure = ""
        with self._lock:
            if self._loss is not None:
                _log.error("%d records were lost: %s", self._loss.records, self._loss.cause)
                self._tell_loss(self._loss, clock.now_ns())
        return True

    def _commit(self, batch: Batch) -> None:
        try:
            self._db.execute(INSERT_BATCH, batch_values(batch.first, batch.records))
        except _UNWRITABLE as error:
            self._isolate(batch, error)
            return
        with self._lock:
            self._waiting.popleft()
            self._bytes -= batch.bytes
        self._logged_bytes += batch.bytes
        now_ns = clock.now_ns()
        self.lags_ns.append(now_ns - batch.records[0].recv_ns)
        committed = batch.first + len(batch.records) - 1
        self._publish(Watermark(committed, self.watermark.synced, batch.records[-1].recv_ns))

    def _isolate(self, batch: Batch, error: Exception) -> None:
        """Have the records of ``batch`` written one by one; in the place of one that cannot be, a gap."""
        [record, *others] = batch.records
        if others:
            parts = [Batch(n, [each], 0) for n, each in enumerate(batch.records, batch.first)]
        elif isinstance(record, Gap) and record.channel == _OWN:
            raise error
        else:
            now_ns, cause = clock.now_ns(), f"a {type(record).__name__} cannot be written: {error!r:.200}"
            _log.error("%s", cause)
            parts = [Batch(batch.first, [Gap(_OWN, now_ns, now_ns, cause, missing=1, recv_ns=now_ns)], 0)]
        parts[0].bytes = batch.bytes
        with self._lock:
            self.dropped += not others
            self._waiting.popleft()
            self._waiting.extendleft(reversed(parts))

    def _sync(self) -> None:
        """SQLite syncs with a commit only, so commit the number up to which it syncs."""
        committed = self.watermark.committed
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'synced'", (committed,))
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._publish(Watermark(committed, committed, self.watermark.recv_ns))
        self._synced_s = monotonic()
        if self._logged_bytes >= CHECKPOINT_BYTES:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._logged_bytes = 0

    def _publish(self, mark: Watermark) -> None:
        self.watermark = mark
        with suppress(OSError):  # a file that lags behind says nothing false; the next commit tries again
            self._watermark_file.seek(0)
            self._watermark_file.write(_WATERMARK.pack(mark.committed, mark.synced, mark.recv_ns))


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
            db.execute("PRAGMA journal_mode=WAL")
            with db:
                for statement in create_statements():
                    db.execute(statement)
                meta = ("schema_version", VERSION), ("livetape", __version__), ("opened_ns", clock.now_ns())
                db.executemany("INSERT INTO meta VALUES (?, ?)", (*meta, ("synced", 0)))
        unborn.rename(path)
        db = apsw.Connection(str(path))
        for statement in ("PRAGMA synchronous=NORMAL", "PRAGMA wal_autocheckpoint=0", *inbox_statements()):
            db.execute(statement)
    except (apsw.Error, OSError) as error:
        raise StoreError(str(path), str(error)) from error
    return db


def _open_watermark(directory: Path) -> FileIO:
    """The file of ``read_watermark``, set to nothing; never cut short, so that a reader finds it whole."""
    path = directory / "watermark"
    try:
        path.touch()
        file = FileIO(path, "r+")
        file.write(_WATERMARK.pack(0, 0, 0))
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}") from error
    return file
