"""A recorder is killed again and again while its store is sealed, compacted and thinned by children that are
killed as well. ``LIVETAPE_KILLS=200 pytest -s tests/store/torture/test_kills.py`` is the long run.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livetape.store.catalog import Catalog
from livetape.store.journal import Journal, read_watermark
from livetape.store.plan import Rules
from livetape.store.scan import visible
from livetape.store.segment import reading
from livetape.store.upkeep import keep_up

from ..sealed import left_over
from ..tape import segments
from .numbered import check
from .recorder import taken_below

KILLS = int(os.environ.get("LIVETAPE_KILLS", "20"))
EACH = 5  #: kills of one store
RATE, SEGMENT_ROWS, RAW_BYTES = 20_000, 5_000, 30_000


@contextmanager
def running(module: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", f"tests.store.torture.{module}", *map(str, arguments)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[bytes]) -> list[int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "it died by itself"
    return [int(word) for word in line.split()]


@pytest.mark.parametrize("seed", range(-(-KILLS // EACH)))
def test_kills_leave_a_prefix_without_hole_or_double(tmp_path: Path, seed: int) -> None:
    chance, store = random.Random(seed), tmp_path / "store"
    last, unwritten, beyond = 0, 0, 0
    Journal(store).close()
    with running("caretaker", store, seed, RAW_BYTES) as caretaker:
        for kill in range(min(EACH, KILLS - seed * EACH)):
            with running("recorder", store, RATE, SEGMENT_ROWS) as recorder:
                assert said(recorder) == [last + 1]
                time.sleep(chance.uniform(0.02, 0.8))
                if kill == EACH // 2:
                    mark = read_watermark(store)
                    assert check(store).last >= mark.committed
                recorder.kill()
                recorder.wait()
            mark, taken = read_watermark(store), taken_below(store)
            found = check(store)
            assert mark.synced <= mark.committed <= found.last <= max(taken, last) + 1
            check_segments(store)
            last = found.last
            unwritten, beyond = max(unwritten, taken - last), max(beyond, last - mark.committed)
        assert caretaker.stdin is not None
        caretaker.stdin.close()
        children, killed = said(caretaker)
    Journal(store).close()
    keep_up(store, Rules())
    found = check(store)
    view = Catalog(store).view()
    assert (found.last, found.first_raw, segments(store)) == (last, 2 * found.removed + 1, [])
    assert left_over(store) <= {"lock.sqlite-journal"}, "which a killed recorder leaves beside its lock"
    print(
        f"seed {seed}: {last:,} rows, {len(view.sealed)} segments, {len(view.files)} files,"
        f" {found.removed:,} rows removed; {killed} of {children} children killed;"
        f" taken and not written at most {unwritten:,} rows, beyond the watermark at most {beyond:,}"
    )


def check_segments(store: Path) -> None:
    with visible(store) as tape:
        for segment in tape.view.segments:
            with reading(segment.path) as db:
                assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
