"""A disk that is full or may only be read, and a clock that is set back, also for what seals and compacts."""

import logging
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livetape import clock
from livetape.core.errors import StoreError
from livetape.core.times import SECOND
from livetape.store import journal as journal_module
from livetape.store.attendant import Attendant
from livetape.store.catalog import Catalog
from livetape.store.journal import Journal, read_watermark
from livetape.store.plan import Rules
from livetape.store.reader import open_store
from livetape.store.upkeep import keep_up

from ..disk import mounted
from ..sealed import left_over, tape_of
from ..tape import until, written
from .numbered import check, record
from .recorder import put

ROWS = 12_000
KB = 1 << 10


def made(directory: Path) -> Path:
    """A store of two segments, of which days can be compacted."""
    for first in (1, ROWS // 2 + 1):
        written(directory, *map(record, range(first, first + ROWS // 2)))
    return directory


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process may become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def filled(disk: Path, free_kb: int) -> Iterator[None]:
    """So much is left on ``disk``."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - free_kb * KB))
    try:
        yield
    finally:
        filler.unlink()


def fails(store: Path) -> bool:
    """Whether upkeep fails, as it may; nothing is lost by it."""
    failed = False
    try:
        keep_up(store, Rules())
    except StoreError as error:
        assert str(store) in str(error)
        failed = True
    return failed


def test_upkeep_on_a_full_disk_loses_nothing_and_goes_on_later(tmp_path: Path) -> None:
    before = made(tmp_path / "before")
    with mounted(tmp_path / "disk", 4 * KB) as disk:
        free_kb, failed, failures = 0, True, 0
        while failed:
            store = shutil.copytree(before, disk / "store")
            with filled(disk, free_kb):
                failed = fails(store)
                assert check(store).last == ROWS
            failures += failed
            assert not fails(store)
            assert (check(store).last, left_over(store)) == (ROWS, set())
            shutil.rmtree(store)
            free_kb += 4 if free_kb < 64 else 24
    assert failures > 5


def test_upkeep_whose_files_may_not_grow_loses_nothing_and_goes_on_later(tmp_path: Path) -> None:
    before = made(tmp_path / "before")
    size, failed = 0, True
    while failed:
        store = shutil.copytree(before, tmp_path / "store")
        with limited(size):
            failed = fails(store)
        assert check(store).last == ROWS
        assert not fails(store)
        assert (check(store).last, left_over(store)) == (ROWS, set())
        shutil.rmtree(store)
        size += 6 * KB
    assert size > 30 * KB


def test_a_segment_that_finds_no_room_leaves_nothing_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)
    monkeypatch.setattr(journal_module, "SEGMENT_ROWS", 1)
    journal = Journal(tmp_path)
    before = {path.name for path in journal.path.parent.iterdir()}
    with limited(0):
        journal._segment.rows = 1  # as if the last record had just been committed
        until(lambda: "this one goes on" in caplog.text)
        time.sleep(0.1)  # it goes on trying
        assert {path.name for path in journal.path.parent.iterdir()} == before
    until(lambda: len(Catalog(tmp_path).view().segments) == 2)
    put(journal, 1)
    journal.close()
    assert check(tmp_path).last == 1
    assert caplog.text.count("this one goes on") == 1


def test_what_upkeep_cannot_do_is_told_and_done_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mounted(tmp_path / "disk", 4 * KB) as disk:
        store = made(disk / "store")
        closed = Attendant(store, Rules(), [])
        with filled(disk, 0), caplog.at_level(logging.ERROR, "livetape.store"):
            closed.start()
            closed.wake()
            until(lambda: caplog.messages, 60)
            assert check(store).last == ROWS
        [told] = caplog.messages
        assert "space" in told or "full" in told
        closed.wake()
        until(lambda: not Catalog(store).view().segments, 60)
        closed.close()
        assert check(store).last == ROWS


def test_a_disk_that_may_only_be_read_is_read_and_refuses_a_recorder(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 8 * KB) as disk:
        for name, upkeep in (("hot", False), ("sealed", True)):
            made(disk / name)
            if upkeep:
                keep_up(disk / name, Rules())
        expected = [tape_of(disk / name) for name in ("hot", "sealed")]
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for name, tape in zip(("hot", "sealed"), expected, strict=True):
            assert check(disk / name).last == ROWS
            assert tape_of(disk / name) == tape
            assert open_store(disk / name).counts()
            with pytest.raises(StoreError, match=r"journal/.*unable to open"):
                Journal(disk / name)
        with pytest.raises(StoreError, match="cannot be written"):
            keep_up(disk / "hot", Rules())
        with pytest.raises(StoreError, match="cannot be written"):
            Journal(disk / "new")


def test_a_clock_that_is_set_back_bends_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_ROWS", 500)
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)
    real, back = clock.now_ns, 0
    monkeypatch.setattr(clock, "now_ns", lambda: real() - back)
    last = 0
    for _ in range(2):  # a second recorder begins at what is an earlier time
        journal = Journal(tmp_path)
        for n in range(last + 1, last + 2_001):
            put(journal, n)
            if n % 200 == 0:
                until(lambda: read_watermark(tmp_path).committed == journal.rows + last)  # noqa: B023
            if n % 1_000 == 0:
                back += 3_600 * SECOND
        journal.close()
        last += 2_000
        assert check(tmp_path).last == last == read_watermark(tmp_path).synced
    segments = Catalog(tmp_path).view().segments
    assert len(segments) > 4
    assert [s.first_n for s in segments] == sorted(s.first_n for s in segments)
    assert segments[-1].opened_ns < segments[0].opened_ns
    keep_up(tmp_path, Rules())
    assert check(tmp_path).last == last
    journal = Journal(tmp_path)
    put(journal, last + 1)
    journal.close()
    assert check(tmp_path).last == last + 1
