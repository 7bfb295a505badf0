"""What waits to be written: numbered without a hole, bounded, shared by threads (floor 3).

Rule 1: ``put`` takes no longer than appending does, and never raises. What does not fit is counted, and told
        by a gap before the next record that does.
Rule 2: a batch leaves in the order of its numbers, and only once it is on the disk.
"""

from collections import deque
from threading import Lock

from msgspec import Struct

from .. import clock
from ..core.events import Gap
from .schema import Record

BATCH_BYTES = 1 << 20  #: more goes into the next batch, so that encoding never holds Python's lock for long
RECORD_BYTES, LEVEL_BYTES = 500, 200  #: what a record, and a level in it, take in memory, roughly
_OWN = "store"  #: the channel of the journal's own gaps


class Batch(Struct):
    """Records with the numbers ``first``, ``first + 1`` …, which are committed together."""

    first: int
    records: list[Record]
    bytes: int = 0


class Buffer:
    """See the module. ``dropped`` counts the records that were lost."""

    def __init__(self, most_bytes: int, first_n: int) -> None:
        self.dropped = 0
        self.trouble = ""  #: why nothing leaves just now
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._filling, self._filling_bytes = Batch(first_n, []), 0
        self._sealed: deque[Batch] = deque()
        self._sealed_bytes = 0
        self._last_ns = 0  # of what has left
        self._lost, self._lost_after_ns, self._lost_because = 0, 0, ""

    @property
    def last_n(self) -> int:
        """The last number that a record got."""
        filling = self._filling
        return filling.first + len(filling.records) - 1

    def put(self, record: Record, size: int) -> None:
        """Take ``record``, which takes ``size`` bytes in memory, or count it as lost."""
        with self._lock:
            filling_bytes = self._filling_bytes + size
            if self._sealed_bytes + filling_bytes > self._most_bytes:
                self._lose(record.recv_ns)
                return
            if self._lost:
                self._tell_loss(record.recv_ns)
                filling_bytes += RECORD_BYTES
            self._filling.records.append(record)
            self._filling_bytes = filling_bytes
            if filling_bytes >= BATCH_BYTES:
                self._seal()

    def seal(self) -> int:
        """Make a batch of what has gathered. Returns the last number in any batch."""
        with self._lock:
            self._seal()
            return self.last_n

    def oldest(self) -> Batch | None:
        """The batch to be written next."""
        return self._sealed[0] if self._sealed else None

    def written(self) -> None:
        """The oldest batch is on the disk."""
        with self._lock:
            batch = self._sealed.popleft()
            self._sealed_bytes -= batch.bytes
            self._last_ns = batch.records[-1].recv_ns

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
                gap = Gap(_OWN, now_ns, now_ns, cause, missing=1, recv_ns=now_ns, seq=batch.first)
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
            self._filling = Batch(self.last_n + 1, [])
            self.dropped += left
            return left + self._lost

    # With the lock

    def _seal(self) -> None:
        if self._filling.records:
            self._filling.bytes = self._filling_bytes
            self._sealed.append(self._filling)
            self._sealed_bytes += self._filling_bytes
            self._filling, self._filling_bytes = Batch(self.last_n + 1, []), 0

    def _lose(self, recv_ns: int) -> None:
        if not self._lost:
            waiting = [batch.records[-1] for batch in (*self._sealed, self._filling) if batch.records]
            self._lost_after_ns = waiting[-1].recv_ns if waiting else self._last_ns or recv_ns
            self._lost_because = "the disk could not keep up"
        self._lost_because = self.trouble or self._lost_because
        self._lost += 1
        self.dropped += 1

    def _tell_loss(self, until_ns: int) -> None:
        bounds = (self._lost_after_ns, until_ns)
        gap = Gap(
            _OWN, *bounds, self._lost_because, missing=self._lost, recv_ns=until_ns, seq=self.last_n + 1
        )
        self._filling.records.append(gap)
        self._filling_bytes += RECORD_BYTES
        self._lost = 0
