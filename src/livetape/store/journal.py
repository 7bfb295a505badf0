"""The hot half of the store: SQLite files, one after the other (floor 3).

Rule 1: ``record`` and ``tap`` never wait for the disk and never raise; see buffer.py.
Rule 2: one thread commits what has gathered about every 20 ms. Another one syncs six times a second, so that
        a disk which is slow to sync delays no commit. It also opens the next segment and closes the last one;
        the first one syncs only when it begins a segment, which all before it has to precede on the disk.
Rule 3: ``watermark`` is published last: what it calls committed survives the death of the process, what it
        calls synced a power cut.
"""

import logging
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import monotonic, sleep

import apsw
from msgspec import Struct

from .. import clock
from ..core.errors import StoreError
from ..core.events import BookUpdate, MarketEvent
from ..core.raw import RawRecord
from ..core.times import SECOND
from .buffer import LEVEL_BYTES, RECORD_BYTES, Batch, Buffer
from .catalog import Catalog, count
from .files import make_folder, unlink
from .writing import BUSY_MS, Writing, open_file

COMMIT_S = 0.02
SYNC_S = 0.15
RETRY_S = 0.5
SEGMENT_S = 3_600.0  #: a new segment begins with each hour,
SEGMENT_ROWS = 2_000_000  #: after so many records,
SEGMENT_BYTES = 512 << 20  #: or after so many of their bytes in memory
_REQUEST = Path("journal") / "renew"
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
    ``on_closed`` is called, by a thread, when a segment was closed because the next one has begun.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        buffer_bytes: int = 64 << 20,
        segment_s: float = SEGMENT_S,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = Path(directory)
        self._segment_ns = int(segment_s * SECOND)
        self.lags_ns: deque[int] = deque(maxlen=100_000)
        self._on_closed = on_closed
        self._sync_failed = self._renew_failed = False
        self._reported = 0
        self._stopping = threading.Event()
        with ExitStack() as opened:
            opened.enter_context(closing(lock_directory(self.directory)))
            self._catalog = Catalog.writable(self.directory)
            _sweep(self._catalog)
            self._first_n = self._catalog.next_n()
            self._segment = Writing(self.directory)
            opened.callback(lambda: self._segment.close())
            self._recording = self._segment.opened_ns
            self._catalog.add_segment(self._segment.segment(self._first_n, self._recording))
            self._watermark_file = opened.enter_context(open_file(self.directory / "watermark"))
            self._opened = opened.pop_all()
        self._next: Writing | None = None  # opened, and not begun
        self._ended: deque[Writing] = deque()  # not synced yet, and not closed
        self._buffer = Buffer(buffer_bytes, self._first_n)
        self._synced = self._first_n - 1
        self._publish(self._synced, 0)
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
    def path(self) -> Path:
        """The segment that is being written."""
        return self._segment.path

    @property
    def rows(self) -> int:
        """How many records were taken, raw ones and the journal's own gaps included."""
        return self._buffer.last_n - self._first_n + 1

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
        for unused in filter(None, [self._next]):
            unused.close()
            unused.path.unlink()
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
        last_n = buffer.seal()
        try:
            while (batch := buffer.oldest()) and batch.first <= last_n:
                self._commit(batch)
            self._segment.finish_moving()
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
        if self._next is not None:
            self._begin(self._next)
        if self._synced > self.watermark.synced:
            self._publish(self.watermark.committed, self.watermark.recv_ns)
        return True

    def _commit(self, batch: Batch) -> None:
        try:
            self._segment.commit(batch)
        except _UNWRITABLE as error:
            self._buffer.isolate(error)
            return
        self._buffer.written()
        self.lags_ns.append(clock.now_ns() - batch.records[0].recv_ns)
        self._publish(batch.first + len(batch.records) - 1, batch.records[-1].recv_ns)

    def _begin(self, segment: Writing) -> None:
        """Go on in ``segment``: visible before it has a record, but after all earlier ones are synced."""
        self._sync_all(self._segment)
        try:
            self._catalog.add_segment(segment.segment(self.watermark.committed + 1, self._recording))
        except StoreError as error:
            self._tell_renew_failed(error)
        else:
            self._ended.append(self._segment)
            self._segment, self._next = segment, None
            self._renew_failed = False

    def _publish(self, committed: int, recv_ns: int) -> None:
        self.watermark = mark = Watermark(committed, self._synced, recv_ns)
        with suppress(OSError):  # a file that lags behind says nothing false; the next commit tries again
            self._watermark_file.seek(0)
            self._watermark_file.write(_WATERMARK.pack(mark.committed, mark.synced, mark.recv_ns))

    # The thread that syncs

    def _sync_on(self) -> None:
        due_s = monotonic()
        while not self._stopping.wait(max(0.001, due_s - monotonic())):
            due_s = max(due_s + SYNC_S, monotonic())
            self._sync()
            self._segment.begin_moving()
            if self._next is None and self._is_full():
                self._open_next()

    def _sync(self) -> None:
        """Sync what is committed, and close the segments that have ended: nothing of them is awaited."""
        committed = self.watermark.committed
        ended = [*self._ended]
        if committed != self._synced and self._sync_all(*ended, self._segment):
            self._synced = committed
        for segment in ended:
            self._ended.popleft()
            segment.close()
        if ended:
            self._on_closed()

    def _sync_all(self, *segments: Writing) -> bool:
        """Sync; False when that fails, or has failed: what it did not write, no later call would."""
        if not self._sync_failed:
            try:
                for segment in segments:
                    segment.sync()
            except OSError as error:
                self._sync_failed = True
                _log.error("%s is no longer synced: %s", self.path, error)
        return not self._sync_failed

    def _is_full(self) -> bool:
        """Whether the segment has to end; an empty one never has to."""
        segment = self._segment
        return segment.rows > 0 and (
            clock.now_ns() // self._segment_ns != segment.opened_ns // self._segment_ns
            or segment.rows >= SEGMENT_ROWS
            or segment.bytes >= SEGMENT_BYTES
            or (self.directory / _REQUEST).exists()
        )

    def _open_next(self) -> None:
        try:
            (self.directory / _REQUEST).unlink(missing_ok=True)
            self._next = Writing(self.directory)
        except (StoreError, OSError) as error:
            self._tell_renew_failed(error)

    def _tell_renew_failed(self, error: Exception) -> None:
        if not self._renew_failed:
            _log.error("no new segment: %s; this one goes on", error)
        self._renew_failed = True


def read_watermark(directory: str | Path) -> Watermark:
    """What a recording below ``directory`` has published. Raises StoreError when there is none."""
    path = Path(directory) / "watermark"
    try:
        return Watermark(*_WATERMARK.unpack(path.read_bytes()))
    except (OSError, struct.error) as error:
        raise StoreError(str(path), f"no watermark: {error}") from error


def is_recording(directory: Path) -> bool:
    """Whether a recorder is writing below ``directory``. Raises StoreError when that cannot be known."""
    lock = directory / "lock.sqlite"
    if not lock.exists():
        return False
    try:
        with closing(apsw.Connection(str(lock), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except apsw.BusyError:
        return True
    except apsw.Error as error:
        raise StoreError(str(lock), str(error)) from error
    return False


def renew(directory: Path, *, wait_s: float = 5.0) -> None:
    """Have a recorder close its segment, where one is writing records; returns when the next has begun."""
    catalog = Catalog(directory)
    before = catalog.view().segments
    if not before or not is_recording(directory) or not count(before[-1].path):
        return
    (directory / _REQUEST).touch()
    until_s = monotonic() + wait_s
    while is_recording(directory) and monotonic() < until_s:
        if catalog.view().segments[-1:] != before[-1:]:
            break
        sleep(SYNC_S / 4)
    (directory / _REQUEST).unlink(missing_ok=True)


def _sweep(catalog: Catalog) -> None:
    """Unlink what killed recorders left of segments that never became visible: they have no records."""
    view = catalog.view()
    known = {*(hot.name for hot in view.segments), *(sealed.name for sealed in view.sealed)}
    folder = catalog.directory / "journal"
    for path in [*folder.glob("*.new"), *folder.glob("*.sqlite")]:
        if path.suffix == ".new" or (path.stem not in known and not count(path)):
            unlink(path)


def lock_directory(directory: Path) -> apsw.Connection:
    """One recorder a directory: an exclusive transaction that ends with the process, however it ends.

    Raises StoreError when there is one, or when the directory cannot be written.
    """
    try:
        make_folder(directory / "journal")
        lock = apsw.Connection(str(directory / "lock.sqlite"))
        lock.set_busy_timeout(BUSY_MS)  # who asks whether there is a recorder holds it for a moment
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
