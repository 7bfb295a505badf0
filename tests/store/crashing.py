"""Ends a process at its k-th change of a file, for every k, and looks at what is left.

python -m tests.store.crashing JOB DIRECTORY
"""

import builtins
import gc
import io
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import apsw
import pyarrow as pa
import pyarrow.parquet as pq

from livetape import clock
from livetape.core.events import BookUpdate, MarketEvent, Trade
from livetape.core.raw import Direction, RawRecord, Recipe
from livetape.store.backup import backup
from livetape.store.catalog import Catalog
from livetape.store.plan import DAY_NS, Keep, Rules
from livetape.store.upkeep import keep_up

from .sealed import left_over, tape_of
from .tape import written

CRASHED = 77


# Counting


class Points:
    """The changes of files, counted; the process ends just before number ``last``, or in the middle of it."""

    def __init__(self, last: int) -> None:
        self.last, self.passed = last, 0

    def crashes(self) -> bool:
        self.passed += 1
        return self.passed == self.last

    def before(self) -> None:
        if self.crashes():
            os._exit(CRASHED)

    def install(self) -> None:
        """From now on every change of a file counts, whoever makes it."""
        for name in ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "link", "truncate"):
            setattr(os, name, self._counted(getattr(os, name)))
        os.fsync = self._counted(lambda descriptor: None)  # only the process ends, not the power
        builtins.open = io.open = self._open  # type: ignore[assignment]
        pq.ParquetWriter = self._parquet_writer()  # type: ignore[misc]
        self._disk = CountingDisk(self)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.before()
            return call(*arguments, **named)

        return counted

    def _open(self, file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if not set("wxa+") & set(mode):
            return _real_open(file, mode, *rest, **named)
        assert "b" in mode, "the store writes bytes"
        self.before()
        raw = CountingFile(self, file, mode.replace("b", ""))
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw, 1 << 20)

    def _parquet_writer(self) -> type[pq.ParquetWriter]:
        opened = self._open

        class Writer(pq.ParquetWriter):  # type: ignore[misc]
            """Writes through our file, not through Arrow's own."""

            def __init__(self, where: Any, *arguments: Any, **named: Any) -> None:
                self._below = opened(where, "wb")
                super().__init__(pa.PythonFile(self._below, "w"), *arguments, **named)

            def close(self) -> None:
                super().close()
                self._below.close()

        return Writer


_real_open = open


class CountingFile(io.FileIO):
    def __init__(self, points: Points, file: Any, mode: str) -> None:
        self._points = points
        super().__init__(file, mode)

    def write(self, data: Any) -> int:
        self._points.before()
        if self._points.crashes():
            super().write(bytes(data)[: len(data) // 2])
            os._exit(CRASHED)
        return super().write(data) or 0


class CountingDisk(apsw.VFS):
    """What SQLite changes counts, too."""

    def __init__(self, points: Points) -> None:
        self.points, self.real = points, apsw.vfs_names()[0]
        super().__init__("counting", self.real, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if flags[0] & apsw.SQLITE_OPEN_CREATE:
            self.points.before()
        return CountingDiskFile(self, name, flags)

    def xDelete(self, name: str, sync_directory: bool) -> None:
        self.points.before()
        super().xDelete(name, sync_directory)


class CountingDiskFile(apsw.VFSFile):
    def __init__(self, disk: CountingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._points = disk.points
        super().__init__(disk.real, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._points.before()
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._points.before()
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._points.before()


# What is done

DAY = clock.now_ns() // DAY_NS * DAY_NS - 3 * DAY_NS
SEAL, COMPACT = Rules(compact=False), Rules()
REMOVE = Rules(keep={"raw": Keep(days=1), "books": Keep(bytes=0)})
FIRST = (10, 20)  #: what the segments begin with


def records(first: int) -> list[MarketEvent | RawRecord]:
    """Some of each kind, from ``first`` on."""
    made: list[MarketEvent | RawRecord] = [
        RawRecord(first, DAY + first, Direction.BEGIN, note=Recipe("kraken").encode())
    ]
    for n in range(first, first + 6):
        ns, book = DAY + n, "kraken:BTC-USD/book"
        made += [
            Trade("kraken:BTC-USD/trade", ns, f"{n}.50", "1e-8", "buy", str(n), n, recv_ns=ns, seq=3 * n),
            BookUpdate(book, ns, n % 2 == 0, [(f"{n}.1", "0")], [], n, n, recv_ns=ns, seq=3 * n + 1),
            RawRecord(first, ns, Direction.IN, bytes([n]) * n),
        ]
    return made


ALL = [record for first in FIRST for record in records(first)]
EXPECTED = (
    [record for record in ALL if not isinstance(record, RawRecord)],
    [record for record in ALL if isinstance(record, RawRecord)],
)


def make(directory: Path, job: str) -> None:
    """The store that ``job`` begins with."""
    for first in FIRST:
        written(directory, *records(first))
    if job in ("compact", "remove"):
        keep_up(directory, SEAL)
    if job == "remove":
        keep_up(directory, COMPACT)


def work(directory: Path, job: str) -> None:
    match job:
        case "seal":
            keep_up(directory, SEAL)
        case "compact":
            keep_up(directory, COMPACT)
        case "remove":
            keep_up(directory, REMOVE)
        case "index":
            keep_up(directory, Rules("sqlite"))
        case "backup":
            backup(directory, directory / "copy")


def check(directory: Path, job: str, *, done: bool) -> None:
    """Every row is there once, but for what was removed on purpose."""
    events, raw = EXPECTED
    found = tape_of(directory)
    if job == "remove":
        removed = {each.table for each in Catalog(directory).removed()}
        assert removed <= {"raw", "books"}
        assert not done or removed == {"raw", "books"}
        events = [event for event in events if "books" not in removed or not isinstance(event, BookUpdate)]
        raw = [] if "raw" in removed else raw
    assert found == (events, raw)
    if job == "backup":
        if done or (directory / "copy" / "catalog.sqlite").exists():
            assert tape_of(directory / "copy") == (events, raw)
    elif done:
        assert left_over(directory) == set()


# Every k


def forked(task: Callable[[], None]) -> int:
    """The exit code of ``task`` in a process of its own."""
    process = os.fork()
    if not process:
        code = 1
        try:
            task()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class WithoutPandas(MetaPathFinder):
    """Arrow would import it in each process, which takes longer than all the rest."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def crash(directory: Path, job: str, last: int) -> None:
    Points(last).install()
    work(directory, job)


def recover(directory: Path, job: str) -> None:
    check(directory, job, done=False)
    work(directory, job)
    check(directory, job, done=True)


def main(job: str, directory: Path) -> None:
    logging.disable()
    sys.meta_path.insert(0, WithoutPandas())
    pa.set_cpu_count(1)
    before, after = directory / "before", directory / "after"
    make(before, job)
    shutil.copytree(before, after)
    recover(after, job)  # what is done for the first time takes longer: once here, and not in each process
    gc.disable()
    last = 0
    code = CRASHED
    while code == CRASHED:
        last += 1
        shutil.rmtree(after, ignore_errors=True)
        shutil.copytree(before, after)
        code = forked(partial(crash, after, job, last))
        assert code in (0, CRASHED), f"point {last}"
        assert forked(partial(recover, after, job)) == 0, f"point {last}"
    print(last - 1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
