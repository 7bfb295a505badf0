"""Records numbered records as fast as it is told, in short segments, until it is killed.

python -m tests.store.torture.recorder DIRECTORY RATE SEGMENT_ROWS

Into DIRECTORY/../taken it writes, as eight bytes, the number of the last record that was taken.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

from livetape.core.raw import RawRecord
from livetape.store import journal as journal_module
from livetape.store import writing as writing_module
from livetape.store.journal import Journal

from .numbered import record

TAKEN = struct.Struct("<q")


def put(journal: Journal, n: int) -> None:
    """Have record ``n`` recorded."""
    made = record(n)
    if isinstance(made, RawRecord):
        journal.tap(made)
    else:
        journal.record(made)


def taken_below(directory: Path) -> int:
    """The number of the last record that a recorder took before it died."""
    return int(TAKEN.unpack((directory.parent / "taken").read_bytes())[0])


def main(directory: Path, rate: int, segment_rows: int) -> None:
    journal_module.SEGMENT_ROWS = segment_rows
    writing_module.CHECKPOINT_BYTES = 4 << 20
    taken = directory.parent / "taken"
    with taken.open("w+b") as file:
        file.write(TAKEN.pack(0))
        file.flush()
        counter = mmap.mmap(file.fileno(), TAKEN.size)
    journal = Journal(directory)
    n = first = journal.watermark.committed + 1
    print(first, flush=True)
    began = time.monotonic()
    while True:
        while n - first < (time.monotonic() - began) * rate:
            put(journal, n)
            TAKEN.pack_into(counter, 0, n)
            n += 1
        time.sleep(0.001)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
