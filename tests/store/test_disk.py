"""The disk fills, crawls and loses its power; the feed goes on, and what was lost is told."""

import resource
import time
import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from livetape.core.errors import StoreError
from livetape.core.events import BookUpdate
from livetape.store import journal as journal_module
from livetape.store import writing as writing_module
from livetape.store.journal import Journal, read_watermark
from livetape.store.reader import open_store

from .disk import Disk, disk, mounted
from .tape import NOW, frame, numbers, segments, select, trade, until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(journal_module, "RETRY_S", 0.02)


class Space(ABC):
    """Room on a disk that can be taken away and given back."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def take(self, journal: Journal) -> None:
        """Leave none."""

    @abstractmethod
    def give(self) -> None:
        """Let there be room again."""


class Limit(Space):
    """No file of this process may grow."""

    def take(self, journal: Journal) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        most = max(path.stat().st_size for path in journal.path.parent.iterdir()) + 8192
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))

    def give(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


class Tmpfs(Space):
    """A file system of four megabytes, and a file that takes what is left."""

    def take(self, journal: Journal) -> None:
        with (self.directory / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 12):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def give(self) -> None:
        (self.directory / "filler").unlink(missing_ok=True)


class Fake(Space):
    """The test's own disk."""

    disk: Disk

    def take(self, journal: Journal) -> None:
        self.disk.full = True

    def give(self) -> None:
        self.disk.full = False


@pytest.fixture(params=["limit", "tmpfs", "fake"])
def space(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Space]:
    match request.param:
        case "limit":
            limit = Limit(tmp_path)
            yield limit
            limit.give()
        case "tmpfs":
            with mounted(tmp_path, 4 << 10):
                yield Tmpfs(tmp_path)
        case _:
            with disk() as made:
                fake = Fake(tmp_path)
                fake.disk = made
                yield fake


def test_a_full_disk_stops_no_feed_and_what_was_lost_is_told(space: Space) -> None:
    journal = Journal(space.directory / "tape", buffer_bytes=200_000)
    for n in range(100):
        journal.record(trade(n))
    until(lambda: journal.watermark.committed == 100)
    space.take(journal)
    n = 100
    while journal.dropped < 500 or not journal.failure:
        journal.record(trade(n))
        journal.tap(frame(n, bytes(1000)))
        n += 1
        if n % 50 == 0:
            time.sleep(0.001)
    assert journal.rows - journal.watermark.committed < 200_000 / 500
    space.give()
    journal.record(trade(n))
    until(lambda: not journal.failure)
    until(lambda: journal.watermark.committed == journal.rows)
    journal.close()

    assert numbers(journal.path) == list(range(1, journal.rows + 1))
    gaps = open_store(space.directory / "tape").gaps()
    assert {gap["venue"] for gap in gaps} == {"store"}
    assert sum(int(str(gap["missing"])) for gap in gaps) == journal.dropped
    assert journal.rows + journal.dropped == 100 + 2 * (n - 100) + 1 + len(gaps)
    first, last = gaps[0], gaps[-1]
    assert NOW + 100 <= int(str(first["start"])) <= NOW + n
    assert int(str(last["end"])) >= NOW + n - 1
    assert journal.path.name not in str(first["cause"])
    assert any(word in str(first["cause"]) for word in ("full", "I/O", "no space"))


def test_a_loss_is_told_even_if_nothing_comes_after_it(tmp_path: Path) -> None:
    with disk() as fake:
        journal = Journal(tmp_path, buffer_bytes=10_000)
        journal.record(trade(1))
        until(lambda: journal.watermark.committed == 1)
        fake.full = True
        for n in range(100):
            journal.record(trade(n))
        fake.full = False
        until(lambda: journal.watermark.committed == journal.rows > 20)
        [gap] = open_store(tmp_path).gaps()
        assert gap["missing"] == journal.dropped == 100 - 20
        journal.close()


def test_a_loss_just_before_the_end_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path, buffer_bytes=10_000)
    for n in range(100):
        journal.record(trade(n))
    journal.close()
    assert sum(int(str(gap["missing"])) for gap in open_store(tmp_path).gaps()) == journal.dropped > 0
    assert journal.watermark.synced == journal.rows == len(numbers(journal.path))


def test_a_record_too_large_for_the_buffer_is_lost_and_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path, buffer_bytes=10_000)
    journal.tap(frame(1, bytes(20_000)))
    journal.record(trade(2))
    journal.close()
    [gap] = open_store(tmp_path).gaps()
    assert (gap["missing"], gap["start"], gap["end"]) == (1, NOW + 1, NOW + 2)
    assert journal.rows == 2


def test_closing_on_a_full_disk_says_what_is_not_written(tmp_path: Path) -> None:
    with disk() as fake:
        journal = Journal(tmp_path, buffer_bytes=50_000)
        for n in range(10):
            journal.record(trade(n))
        until(lambda: journal.watermark.synced == 10)
        fake.full = True
        for n in range(200):
            journal.record(trade(n))
        until(lambda: journal.failure)
        with pytest.raises(StoreError, match="200 records could not be written: no space") as caught:
            journal.close()
        assert caught.value.exit_code == 6
        assert journal.dropped == 200
        journal.record(trade(1))  # the feed may still be at it
        assert journal.dropped == 201
        journal.close()
        fake.full = False
        assert numbers(journal.path) == list(range(1, 11))


def test_nothing_is_lost_or_doubled_when_a_disk_is_full_for_a_moment_again_and_again(tmp_path: Path) -> None:
    with disk() as fake:
        journal = Journal(tmp_path)
        for n in range(3_000):
            journal.record(trade(n))
            journal.tap(frame(n, b"%d" % n))
            if n % 100 == 0:
                fake.full = not fake.full
                time.sleep(0.01)
        fake.full = False
        journal.close()
    assert numbers(journal.path) == list(range(1, 6_001))
    assert [raw.payload for raw in open_store(tmp_path).raw()] == [b"%d" % n for n in range(3_000)]
    assert journal.dropped == 0


def test_a_slow_disk_costs_neither_the_caller_time_nor_more_memory_than_agreed(tmp_path: Path) -> None:
    update = BookUpdate("a:B/book", NOW, False, [(f"{p}.12345", "1.5") for p in range(20)], [], recv_ns=NOW)
    bound = 4 << 20
    with disk() as fake:
        journal = Journal(tmp_path, buffer_bytes=bound)
        fake.write_s = 0.01
        tracemalloc.start()
        slowest = 0.0
        for n in range(3_000):
            began = time.perf_counter()
            levels = [(f"{p}.{n}", f"0.{n}{p}") for p in range(20)]
            journal.record(BookUpdate("a:B/book", NOW, False, levels, [], n, n, n, recv_ns=NOW + n))
            slowest = max(slowest, time.perf_counter() - began)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        fake.write_s = 0.0
        assert journal.dropped > 0
        assert peak < 1.5 * bound
        assert slowest < 0.1
        journal.record(update)
        journal.close()
    assert numbers(journal.path) == list(range(1, journal.rows + 1))
    missing = sum(int(str(gap["missing"])) for gap in open_store(tmp_path).gaps())
    assert missing == journal.dropped
    assert len(select(journal.path, "SELECT n FROM books")) + missing == 3_001


@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_takes_nothing_that_was_called_synced(tmp_path: Path, seed: int) -> None:
    with disk() as fake:
        journal = Journal(tmp_path / "tape")
        n = 0
        while journal.watermark.synced < 100 * (seed + 1):
            for _ in range(10):
                journal.record(trade(n))
                journal.tap(frame(n, bytes(n % 3000)))
                n += 1
            time.sleep(0.002)
        mark = journal.watermark
        fake.after_power_cut(journal.path.parent, tmp_path / "after" / "journal")
        journal.close()
    [segment] = segments(tmp_path / "after")
    assert select(segment, "PRAGMA integrity_check") == [("ok",)]
    found = numbers(segment)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= mark.synced


def test_what_is_recorded_is_synced_even_if_nothing_comes_after_it(tmp_path: Path) -> None:
    with disk() as fake:
        journal = Journal(tmp_path)
        for n in range(3):
            journal.record(trade(n))
            until(lambda: journal.watermark.committed == journal.rows)
        until(lambda: journal.watermark.synced == 3)
        assert read_watermark(tmp_path) == journal.watermark
        synced = fake.syncs
        time.sleep(0.5)
        assert fake.syncs == synced, "an idle disk is left alone"
        journal.close()


def test_the_log_does_not_grow_without_end_though_syncs_are_slower_than_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(journal_module, "SYNC_S", 0.02)
    with disk() as fake:
        journal = Journal(tmp_path)
        log = journal.path.with_name(journal.path.name + "-wal")
        fake.sync_s = 0.04
        for n in range(800):
            journal.tap(frame(n, bytes(5_000)))
            time.sleep(0.002)
        fake.sync_s = 0.0
        assert log.stat().st_size < 2_500_000
        journal.close()
    assert not log.exists()
    assert journal.path.stat().st_size > 4_000_000
