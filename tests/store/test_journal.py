"""The journal as its users meet it: where it may write, who may read, what it publishes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from livetape.core.errors import StoreError
from livetape.store import journal as journal_module
from livetape.store.journal import Journal, Watermark, read_watermark
from livetape.store.reader import open_store
from livetape.store.schema import COLUMNS

from .tape import NOW, frame, numbers, segments, select, trade, until


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path)
    yield made
    made.close()


def test_a_second_recorder_of_one_directory_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.record(trade(1))
    with pytest.raises(StoreError, match="another recorder is writing here") as caught:
        Journal(tmp_path)
    assert caught.value.exit_code == 6
    first.record(trade(2))
    first.close()
    assert numbers(first.path) == [1, 2]
    Journal(tmp_path).close()


def test_missing_directories_are_made(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet" / "there"
    Journal(directory).close()
    assert open_store(directory).counts() == {}


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way_is_a_store_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written") as caught:
        Journal(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


_UNPRIVILEGED = """
import os, sys
from livetape.core.errors import StoreError
from livetape.store.journal import Journal
os.chdir(sys.argv[1])
if not os.geteuid():
    os.seteuid(65534)  # root may write anywhere
try:
    Journal(sys.argv[2])
except StoreError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a directory cannot be made read-only so")
@pytest.mark.parametrize("name", [".", "tape"])
def test_a_read_only_directory_is_a_store_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "journal").mkdir()
    tmp_path.chmod(0o555)
    command = [sys.executable, "-c", _UNPRIVILEGED, str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True)
    tmp_path.chmod(0o755)
    assert (done.returncode, done.stderr) == (6, "")
    assert done.stdout.startswith(f"{name}: cannot be written: ")


def test_a_journal_that_could_not_open_holds_no_lock(tmp_path: Path) -> None:
    (tmp_path / "watermark").mkdir()
    with pytest.raises(StoreError, match="watermark: cannot be written"):
        Journal(tmp_path)
    (tmp_path / "watermark").rmdir()
    Journal(tmp_path).close()


def test_the_watermark_is_published_for_other_processes(journal: Journal, tmp_path: Path) -> None:
    assert read_watermark(tmp_path) == journal.watermark == Watermark(0, 0, 0)
    for n in range(10):
        journal.record(trade(n))
    until(lambda: journal.watermark.synced == 10)
    until(lambda: read_watermark(tmp_path) == Watermark(10, 10, NOW + 9))


def test_a_reader_of_the_watermark_never_finds_half_of_it(tmp_path: Path) -> None:
    """Neither while it is written, nor when the next recorder begins."""
    stop = threading.Event()
    seen: list[Watermark] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(read_watermark(tmp_path))

    Journal(tmp_path).close()
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        journal = Journal(tmp_path)
        for n in range(300):
            journal.record(trade(n))
        journal.close()
    stop.set()
    reader.join()
    assert {mark.recv_ns for mark in seen} <= {0, *(NOW + n for n in range(300))}
    assert all(mark.synced <= mark.committed <= 1_500 for mark in seen)
    assert any(mark.committed == 1_500 for mark in seen)
    assert [mark.committed for mark in seen] == sorted(mark.committed for mark in seen)


def test_no_watermark_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no watermark"):
        read_watermark(tmp_path)
    (tmp_path / "watermark").write_bytes(b"short")
    with pytest.raises(StoreError, match="no watermark"):
        read_watermark(tmp_path)


def test_threads_may_record_and_tap_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    def work(mine: int) -> None:
        for n in range(mine, mine + 2_000):
            journal.tap(frame(n, b"%d" % n * (n % 50)))
            journal.record(trade(n))

    threads = [threading.Thread(target=work, args=(i * 10_000,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert journal.rows == 16_000
    assert numbers(journal.path) == list(range(1, 16_001))
    expected = {n for i in range(4) for n in range(i * 10_000, i * 10_000 + 2_000)}
    assert {n for (n,) in select(journal.path, "SELECT number FROM trades")} == expected
    raw = {record.recv_ns - NOW: record.payload for record in open_store(tmp_path).raw()}
    assert raw == {n: b"%d" % n * (n % 50) for n in expected}


_STDLIB = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
for _ in sys.stdin:
    print(*(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in sys.argv[2:]), flush=True)
"""


def test_another_process_reads_with_the_standard_library_while_it_is_written(journal: Journal) -> None:
    tables = ("raw", "trades", "book_levels")
    command = [sys.executable, "-c", _STDLIB, str(journal.path), *tables]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        seen = []
        for n in range(300):
            journal.tap(frame(n))
            journal.record(trade(n))
            if n % 30 == 0:
                reader.stdin.write("\n")
                reader.stdin.flush()
                seen.append([int(count) for count in reader.stdout.readline().split()])
                time.sleep(0.01)
        until(lambda: journal.watermark.committed == 600)
        reader.stdin.write("\n")
        reader.stdin.flush()
        last = [int(count) for count in reader.stdout.readline().split()]
        reader.stdin.close()
    assert reader.returncode == 0
    assert seen == sorted(seen)
    assert last == [300, 300, 0]
    assert numbers(journal.path) == list(range(1, 601))


def test_a_reader_that_never_ends_its_read_holds_up_nobody(journal: Journal) -> None:
    db = apsw.Connection(str(journal.path), flags=apsw.SQLITE_OPEN_READONLY)
    db.execute("BEGIN; SELECT count(*) FROM trades")
    for n in range(500):
        journal.record(trade(n))
    until(lambda: journal.watermark.synced == 500)
    assert list(db.execute("SELECT count(*) FROM trades")) == [(0,)]
    journal.close()
    db.close()
    assert numbers(journal.path) == list(range(1, 501))


def test_a_closed_segment_is_one_file_that_can_be_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tape")
    journal.record(trade(1))
    journal.close()
    assert sorted(p.name for p in journal.path.parent.iterdir()) == [journal.path.name]
    assert select(journal.path, "PRAGMA journal_mode") == [("delete",)]


def test_another_writer_in_the_segment_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who writes into the segment, against the rules, only delays the recorder."""
    monkeypatch.setattr(journal_module, "BUSY_MS", 20)
    journal = Journal(tmp_path)
    db = apsw.Connection(str(journal.path))
    db.execute("BEGIN IMMEDIATE")
    journal.record(trade(1))
    until(lambda: journal.failure)
    db.execute("ROLLBACK")
    db.close()
    until(lambda: journal.watermark.committed == 1 and not journal.failure)
    journal.close()


def test_lags_are_of_the_oldest_record_of_each_commit(journal: Journal) -> None:
    now_ns = time.time_ns()
    journal.record(replace(trade(1), recv_ns=now_ns - 5_000_000_000))
    journal.record(replace(trade(2), recv_ns=now_ns))
    until(lambda: journal.watermark.committed == 2)
    until(lambda: journal.lags_ns)
    assert 5_000_000_000 <= journal.lags_ns[0] < 15_000_000_000


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.close()
    journal.close()
    assert segments(tmp_path) == [journal.path]
    assert {select(journal.path, f"SELECT count(*) FROM {table}")[0][0] for table in COLUMNS} == {0}
