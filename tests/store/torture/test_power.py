"""The power is cut before each sync of a recording, which is sealed, compacted and thinned meanwhile.

``LIVETAPE_POWER_S=10 pytest -s tests/store/torture/test_power.py`` is the long run.
"""

import os
import random
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from livetape.store import journal as journal_module
from livetape.store import writing as writing_module
from livetape.store.journal import Journal
from livetape.store.plan import Keep, Rules
from livetape.store.upkeep import keep_up

from .numbered import check
from .power import Change, Log, Name, Remains, Sync, Write
from .recorder import put

SECONDS = float(os.environ.get("LIVETAPE_POWER_S", "0.6"))
RATE = 3_000
RULES = Rules(keep={"raw": Keep(bytes=10_000)})


class Run(NamedTuple):
    """What a recording did to its disk, and when it took record 1, 2, …, in seconds."""

    root: Path
    changes: list[Change]
    taken_s: list[float]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("disk")
    log, taken_s = Log(root), []
    with pytest.MonkeyPatch.context() as short, log.watching():
        short.setattr(journal_module, "SEGMENT_ROWS", RATE // 4)
        short.setattr(writing_module, "CHECKPOINT_BYTES", 200_000)
        journal = Journal(root / "store")
        began = time.monotonic()
        while (now := time.monotonic()) - began < SECONDS:
            while len(taken_s) < (now - began) * RATE:
                taken_s.append(time.monotonic())
                put(journal, len(taken_s))
            if len(taken_s) % 10 == 0:
                keep_up(root / "store", RULES)
            time.sleep(0.001)
        journal.close()
        keep_up(root / "store", RULES)
    return Run(root, log.changes, taken_s)


@pytest.mark.parametrize("kept", ["synced", "all", "some"])
def test_a_power_cut_takes_nothing_that_was_called_synced(run: Run, tmp_path: Path, kept: str) -> None:
    chance = random.Random(1) if kept == "some" else None
    copy, oldest_s, lost, cuts = tmp_path / "copy", 0.0, 0, 0
    for cut in cuts_of(run):
        shutil.rmtree(copy, ignore_errors=True)
        cut.remains.put(copy, kept, chance)
        last = found_in(copy / "store", cut.synced)
        assert last >= cut.synced, f"before change {cut.number}"
        if last < len(run.taken_s) and run.taken_s[last] < cut.at_s:
            oldest_s = max(oldest_s, cut.at_s - run.taken_s[last])
            lost = max(lost, sum(taken < cut.at_s for taken in run.taken_s[last:]))
        if cuts % 8 == 0:
            goes_on(copy / "store", last)
        cuts += 1
    print(
        f"{kept}: {cuts} cuts; at most {lost} rows lost, the oldest {1000 * oldest_s:.0f} ms before the cut"
    )


class Cut(NamedTuple):
    """What may remain when the power goes before change ``number``, a sync, at ``at_s``."""

    remains: Remains
    number: int
    at_s: float
    synced: int


def cuts_of(run: Run) -> Iterator[Cut]:
    remains, watermark, synced = Remains(run.root), 0, 0
    for number, change in enumerate(run.changes):
        if isinstance(change, Sync):
            yield Cut(remains, number, change.at_s, synced)
        if isinstance(change, Name) and change.path.name == "watermark":
            watermark = change.file or 0
        if isinstance(change, Write) and change.file == watermark and change.data:
            _, synced, _ = struct.unpack("<qqq", change.data)
        remains.take(change)


def found_in(store: Path, synced: int) -> int:
    """The last record in ``store``; it may be missing as long as nothing of it was promised."""
    if not (store / "journal").exists() and not synced:
        return 0
    return check(store).last


def goes_on(store: Path, last: int) -> None:
    """The next recorder takes over, and what the last one left is sealed."""
    journal = Journal(store)
    for n in range(last + 1, last + 4):
        put(journal, n)
    journal.close()
    assert check(store).last == last + 3
    keep_up(store, RULES)
    assert check(store).last == last + 3
