"""What waits to be written: numbered without a hole, bounded, shared by threads (floor 3).

Rule 1: ``put`` takes no longer than appending does, and never raises. What does not fit is counted, and told
        by a gap before the next record that does.
Rule 2: a batch leaves in the order of its numbers, and only once it is on the disk.
"""

from collections import deque
from threading import Lock

from msgspec import Struct

from .. import clock
from ..core.events import BookUpdate, Gap
from ..core.raw import RawRecord
from .schema import Record

BATCH_BYTES = 1 << 20  #: more goes into the next batch, so that encoding never holds Python's lock for long
_RECORD_BYTES, _LEVEL_BYTES = 500, 200  #: what a record, and a level in it, take in memory, roughly
_OWN = "store"  #: the channel of the journal's own gaps


class Batch(Struct):
    """Records with the numbers ``first``, ``first + 1`` …, which are committed together."""

    first: int
    records: list[Record]
    bytes: int = 0


class Buffer:
    """See the module. ``rows`` counts the records that got a number, ``dropped`` those that were lost."""

    def __init__(self, most_bytes: int) -> None:
        self.rows = self.dropped = 0
        self.trouble = ""  #: why nothing leaves just now
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._filling = Batch(1, [])
        self._sealed: deque[Batch] = deque()
        self._bytes = 0
        self._last_ns = 0
        self._lost, self._lost_after_ns, self._lost_because = 0, 0, ""

    def put(self, record: Record) -> None:
        """Take ``record``, or count it as lost."""
        size = _size(record)
        with self._lock:
            if self._bytes + size > self._most_bytes:
                self._lose(record.recv_ns)
                return
            if self._lost:
                self._tell_loss(record.recv_ns)
            self._append(record, size)

    def seal(self) -> None:
        """Make a batch of what has gathered."""
        with self._lock:
            self._seal()

    def oldest(self) -> Batch | None:
        """The batch to be written next."""
        return self._sealed[0] if self._sealed else None

    def written(self) -> None:
        """The oldest batch is on the disk."""
        with self._lock:
            self._bytes -= self._sealed.popleft().bytes

    def isolate(self, error: Exception) -> None:
        """The oldest batch can never be written: try its records alone; a lone one gives way to a gap.

        Raises ``error`` when that gap itself cannot be written.
        """
        with self._lock:
            batch = self._sealed.popleft()
            [record, *others] = batch.records
            if others:
                parts = [Batch(n, [each]) for n, each in enumerate(batch.records, batch.first)]
                parts[0].bytes = batch.bytes
            elif isinstance(record, Gap) and record.channel == _OWN:
                self._sealed.appendleft(batch)
                raise error
            else:
                now_ns = clock.now_ns()
                cause = f"a {type(record).__name__} cannot be written: {error!r:.200}"
                gap = Gap(_OWN, now_ns, now_ns, cause, missing=1, recv_ns=now_ns)
                parts = [Batch(batch.first, [gap], batch.bytes)]
                self.dropped += 1
            self._sealed.extendleft(reversed(parts))

    def tell_loss(self) -> None:
        """Tell what was lost and is not told yet."""
        with self._lock:
            if self._lost:
                self._tell_loss(clock.now_ns())

    def close(self) -> int:
        """Take nothing more. Returns how many records were not written, nor told as lost."""
        with self._lock:
            self._most_bytes = 0
            left = sum(len(batch.records) for batch in (*self._sealed, self._filling))
            self._sealed.clear()
            self._filling = Batch(self.rows + 1, [])
            self.dropped += left
            return left + self._lost

    # With the lock

    def _append(self, record: Record, size: int) -> None:
        batch = self._filling
        batch.records.append(record)
        batch.bytes += size
        self._bytes += size
        self._last_ns = record.recv_ns
        self.rows += 1
        if batch.bytes >= BATCH_BYTES:
            self._seal()

    def _seal(self) -> None:
        if self._filling.records:
            self._sealed.append(self._filling)
            self._filling = Batch(self.rows + 1, [])

    def _lose(self, recv_ns: int) -> None:
        if not self._lost:
            self._lost_after_ns, self._lost_because = self._last_ns or recv_ns, "the disk could not keep up"
        self._lost_because = self.trouble or self._lost_because
        self._lost += 1
        self.dropped += 1

    def _tell_loss(self, until_ns: int) -> None:
        gap = Gap(
            *(_OWN, self._lost_after_ns, until_ns, self._lost_because), missing=self._lost, recv_ns=until_ns
        )
        self._lost = 0
        self._append(gap, _RECORD_BYTES)


def _size(record: Record) -> int:
    if isinstance(record, RawRecord):
        return _RECORD_BYTES + len(record.payload)
    if isinstance(record, BookUpdate):
        return _RECORD_BYTES + _LEVEL_BYTES * (len(record.bids) + len(record.asks))
    return _RECORD_BYTES
