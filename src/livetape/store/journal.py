"""The hot half of the store: one SQLite file a recording, written by a thread of its own (floor 3).

Rule 1: ``record`` never blocks and never raises; it appends to a buffer of bounded size. What does not fit is
        counted, and written down as a gap as soon as the disk takes rows again.
Rule 2: the thread commits what has gathered about every 20 ms, and every tenth commit is synced. ``watermark``
        is published only after its commit; whatever it covers survives the death of the process.
Rule 3: one statement a table and batch: Python must not take and leave its lock for each row.
"""

import logging
import mmap
import struct
import threading
from collections import deque
from pathlib import Path

import apsw
from msgspec import Struct, json

from .. import __version__, clock
from ..core.errors import StoreError
from ..core.events import BookUpdate, Gap, MarketEvent
from ..core.raw import RawRecord
from .schema import COLUMNS, VERSION, Row, create_statements, insert_statement, row_of

COMMIT_S = 0.02
SYNC_EVERY = 10
RETRY_S = 0.5
_ROW_BYTES, _LEVEL_BYTES = 300, 60  #: what a typed row and a level in it cost in memory, roughly
_WATERMARK = struct.Struct("<qqq")
_log = logging.getLogger("livetape.store")


class Watermark(Struct, frozen=True):
    """How far the tape is safe: record numbers committed and synced, and the receive time of the former."""

    committed: int
    synced: int
    recv_ns: int


class Batch:
    """Rows that wait for the next commit, by table."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
        self.payloads: list[bytes] = []
        self.offset = 0
        self.bytes = 0
        self.last_n = 0
        self.last_recv_ns = 0
        self.first_recv_ns = 0


class Journal:
    """Records events and raw frames below ``directory``. Raises StoreError when it cannot be written."""

    def __init__(self, directory: str | Path, *, buffer_bytes: int = 64 << 20) -> None:
        self.directory = Path(directory)
        self.dropped = 0
        self.failure = ""
        self.lags_ns: deque[int] = deque(
            maxlen=100_000
        )  #: from receive to commit, of the first row of a commit
        self._buffer_bytes = buffer_bytes
        self._batch = Batch()
        self._n = 0
        self._overflow: tuple[int, int] | None = None  # when it began, rows lost
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._commits = 0
        self._lock_file = _lock_directory(self.directory)
        self.path = self.directory / "journal" / f"{clock.now_ns()}.sqlite"
        self._db = self._open(self.path)
        self._mark = _publish_file(self.directory / "watermark")
        self._publish(Watermark(0, 0, 0))
        self._thread = threading.Thread(target=self._write, name="livetape-journal", daemon=True)
        self._thread.start()

    def record(self, event: MarketEvent) -> None:
        """Keep ``event``."""
        table, row = row_of(event)
        size = _ROW_BYTES
        if isinstance(event, BookUpdate):
            size += _LEVEL_BYTES * (len(event.bids) + len(event.asks))
        with self._lock:
            self._add(table, row, event.recv_ns, size)

    def tap(self, raw: RawRecord) -> None:
        """Keep a raw record."""
        with self._lock:
            batch = self._batch
            row = (raw.session, raw.recv_ns, raw.direction, raw.note, batch.offset, len(raw.payload))
            if self._add("raw", row, raw.recv_ns, _ROW_BYTES + len(raw.payload)):
                batch.payloads.append(raw.payload)
                batch.offset += len(raw.payload)

    @property
    def rows(self) -> int:
        """How many records were taken, raw ones included."""
        return self._n

    @property
    def watermark(self) -> Watermark:
        """What is safe by now; ``read_watermark`` reads the same from outside the process."""
        return read_watermark(self.directory)

    def close(self) -> None:
        """Write what is left, sync it and end. Raises StoreError when rows could not be written."""
        self._stopping.set()
        self._thread.join()
        self._db.close()
        self._mark.close()
        self._lock_file.close()
        if self.failure:
            raise StoreError(str(self.path), self.failure)

    # On the caller's thread

    def _add(self, table: str, row: Row, recv_ns: int, size: int) -> bool:
        batch = self._batch
        if batch.bytes + size > self._buffer_bytes:
            since_ns, lost = self._overflow or (recv_ns, 0)
            self._overflow = (since_ns, lost + 1)
            self.dropped += 1
            return False
        if self._overflow is not None:
            self._note_overflow(batch, recv_ns)
        self._put(batch, table, row, recv_ns, size)
        return True

    def _put(self, batch: Batch, table: str, row: Row, recv_ns: int, size: int) -> None:
        self._n += 1
        batch.rows[table].append((self._n, *row))
        batch.bytes += size
        batch.last_n, batch.last_recv_ns = self._n, recv_ns
        batch.first_recv_ns = batch.first_recv_ns or recv_ns

    def _note_overflow(self, batch: Batch, recv_ns: int) -> None:
        since_ns, lost = self._overflow or (recv_ns, 0)
        self._overflow = None
        gap = Gap("store", since_ns, recv_ns, "the disk could not keep up", missing=lost, recv_ns=recv_ns)
        table, row = row_of(gap)
        self._put(batch, table, row, recv_ns, _ROW_BYTES)
        _log.error("%d records were not written: %s", lost, self.failure or "the disk could not keep up")

    # On the writer's thread

    def _write(self) -> None:
        while not self._stopping.wait(COMMIT_S):
            self._flush(sync=(self._commits + 1) % SYNC_EVERY == 0)
        self._flush(sync=True)
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except apsw.Error as error:
            self.failure = str(error)

    def _flush(self, *, sync: bool) -> None:
        with self._lock:
            batch, self._batch = self._batch, Batch()
        if not batch.last_n:
            return
        while True:
            try:
                self._commit(batch, sync=sync)
            except apsw.Error as error:
                if not self.failure:
                    _log.error("%s cannot be written: %s; keeping on trying", self.path, error)
                self.failure = str(error)
                if self._stopping.wait(RETRY_S):
                    return
                continue
            self.failure = ""
            self._commits += 1
            before = self.watermark
            synced = batch.last_n if sync else before.synced
            self._publish(Watermark(batch.last_n, synced, batch.last_recv_ns))
            self.lags_ns.append(clock.now_ns() - batch.first_recv_ns)
            return

    def _commit(self, batch: Batch, *, sync: bool) -> None:
        self._db.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        with self._db:
            for table, rows in batch.rows.items():
                if rows:
                    payload = (b"".join(batch.payloads),) if table == "raw" else ()
                    self._db.execute(insert_statement(table), (json.encode(rows).decode(), *payload))

    def _publish(self, mark: Watermark) -> None:
        _WATERMARK.pack_into(self._mark, 0, mark.committed, mark.synced, mark.recv_ns)

    def _open(self, path: Path) -> apsw.Connection:
        try:
            db = apsw.Connection(str(path))
            db.execute("PRAGMA journal_mode=WAL")
            with db:
                for statement in create_statements():
                    db.execute(statement)
                meta = {"schema_version": VERSION, "livetape": __version__, "opened_ns": clock.now_ns()}
                for item in meta.items():
                    db.execute("INSERT INTO meta VALUES (?, ?)", item)
        except (apsw.Error, OSError) as error:
            raise StoreError(str(path), str(error)) from error
        return db


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
    except (apsw.Error, OSError) as error:
        raise StoreError(str(directory), f"cannot be written: {error}") from error
    return lock


def _publish_file(path: Path) -> mmap.mmap:
    try:
        with path.open("w+b") as file:
            file.truncate(_WATERMARK.size)
            return mmap.mmap(file.fileno(), _WATERMARK.size)
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}") from error
