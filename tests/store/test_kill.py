"""The recorder is killed at any moment; what its watermark promised is there, without hole or double."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livetape.core.errors import StoreError
from livetape.store.journal import Journal, read_watermark
from livetape.store.reader import open_store

from .tape import numbers, segments, select, trade

RECORDER = Path(__file__).with_name("recorder.py")


@contextmanager
def recorder(directory: Path, *, until: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A recorder that has said ``until``."""
    process = subprocess.Popen([sys.executable, RECORDER, directory], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        while (line := process.stdout.readline()).strip() != until:
            assert line, "it died by itself"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_kill_leaves_no_hole_and_takes_nothing_below_the_watermark(tmp_path: Path, seed: int) -> None:
    with recorder(tmp_path, until=b"records") as process:
        time.sleep(random.Random(seed).uniform(0.2, 1.0))
        before = read_watermark(tmp_path)
        process.kill()
        process.wait()
    after = read_watermark(tmp_path)
    [segment] = segments(tmp_path)
    assert select(segment, "PRAGMA integrity_check") == [("ok",)]
    found = numbers(segment)
    assert found == list(range(1, len(found) + 1))
    assert 0 < before.committed <= after.committed <= len(found)
    assert after.synced <= after.committed

    trades = select(segment, "SELECT number, price_text, size_text FROM trades ORDER BY n")
    assert trades == [(n, f"{n}.50", "1e-8") for n in range(len(trades))]
    frames = list(open_store(tmp_path).raw())
    assert [raw.payload for raw in frames] == [str(n).encode() * (n % 200) for n in range(len(frames))]
    assert len(trades) - len(frames) in (0, 1)
    assert len(trades) + len(frames) == len(found)


def test_the_next_recorder_goes_on_beside_what_a_killed_one_left(tmp_path: Path) -> None:
    with recorder(tmp_path, until=b"records"):
        with pytest.raises(StoreError, match="another recorder") as caught:
            Journal(tmp_path)
        assert caught.value.exit_code == 6
        time.sleep(0.3)
    left = len(numbers(segments(tmp_path)[0]))
    assert left
    journal = Journal(tmp_path)
    journal.record(trade(1))
    journal.close()
    first, second = segments(tmp_path)
    assert second == journal.path
    assert (len(numbers(first)), len(numbers(second))) == (left, 1)
    counts = open_store(tmp_path).counts()
    assert counts == {"a:B-C/trade": len(select(first, "SELECT n FROM trades")), "kraken:BTC-USD/trade": 1}


def test_a_kill_while_the_recorder_opens_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    for seed in range(6):
        with recorder(tmp_path, until=b"begins"):
            time.sleep(random.Random(seed).uniform(0, 0.03))
        found = [n for segment in segments(tmp_path) for n in numbers(segment)]
        assert found == list(range(1, len(found) + 1))
    Journal(tmp_path).close()
    assert open_store(tmp_path).counts().keys() <= {"a:B-C/trade"}
