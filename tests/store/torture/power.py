"""A disk that remembers each change in order, and can tell what a power cut would have left of it.

What it may keep, whatever else: of a file what was synced, of a folder the names that were there when it was
synced. What came later it may have written too, in any order, and halves of it.
"""

import io
import os
import random
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple
from unittest.mock import patch

import apsw
import pyarrow as pa
import pyarrow.parquet as pq

from livetape.store import writing

SECTOR = 512
_NEW_LOG = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


class Name(NamedTuple):
    """From now on ``path`` is file ``file``; None is no file, 0 a folder."""

    path: Path
    file: int | None


class Rename(NamedTuple):
    old: Path
    new: Path


class Write(NamedTuple):
    """``data`` at ``offset`` of ``file``; without data it ends there."""

    file: int
    offset: int
    data: bytes | None


class Sync(NamedTuple):
    """What was changed of ``what`` before change number ``until`` is on the disk."""

    what: int | Path
    until: int
    at_s: float


Change = Name | Rename | Write | Sync


class Log:
    """The changes below ``root``, of which nothing is there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changes: list[Change] = []
        self._lock = RLock()
        self._files: dict[Path, int] = {}
        self._made = 0
        self._real = {name: getattr(os, name) for name in ("fsync", "open")}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Meanwhile all changes are noted, whoever makes them in this process."""
        with ExitStack() as hooked:
            for name in ("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "open", "fsync"):
                hook = partial(getattr(self, f"_{name}"), getattr(os, name))
                hooked.enter_context(patch.object(os, name, hook))
            for module in ("builtins", "io"):
                hooked.enter_context(patch(f"{module}.open", partial(self._open_file, open)))
            hooked.enter_context(patch.object(writing, "FileIO", partial(_File, self)))
            hooked.enter_context(patch.object(pq, "ParquetWriter", _parquet_writer(self)))
            hooked.callback(_Disk(self).unregister)
            yield

    def file(self, path: Path) -> int:
        """The number of the file ``path``, which is new if it is not known yet."""
        with self._lock:
            if path not in self._files:
                self._made += 1
                self._files[path] = self._made
                self.changes.append(Name(path, self._made))
            return self._files[path]

    def change(self, change: Change, make: Callable[[], Any]) -> Any:
        """Do what ``change`` says, and note it."""
        with self._lock:
            made = make()
            self.changes.append(change)
            return made

    def gone(self, path: Path, unlink: Callable[[], Any]) -> None:
        with self._lock:
            self.change(Name(path, None), unlink)
            self._files.pop(path, None)

    def sync(self, what: int | Path, sync: Callable[[], Any]) -> None:
        until = len(self.changes)
        sync()
        with self._lock:
            self.changes.append(Sync(what, until, time.monotonic()))

    def _rename(self, real: Callable[..., None], old: Any, new: Any) -> None:
        with self._lock:
            self.change(Rename(Path(old), Path(new)), lambda: real(old, new))
            self._files[Path(new)] = self._files.pop(Path(old))

    _replace = _rename

    def _unlink(self, real: Callable[..., None], path: Any) -> None:
        self.gone(Path(path), lambda: real(path))

    _remove = _rmdir = _unlink

    def _mkdir(self, real: Callable[..., None], path: Any, *mode: Any) -> None:
        self.change(Name(Path(path), 0), lambda: real(path, *mode))

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **named: Any) -> int:
        with self._lock:
            descriptor = real(path, flags, *rest, **named)
            if flags & os.O_CREAT:
                self.file(Path(path))
            return descriptor

    def _fsync(self, real: Callable[[int], None], descriptor: int) -> None:
        path, status = Path(os.readlink(f"/proc/self/fd/{descriptor}")), os.fstat(descriptor)
        if status.st_nlink:
            what = path if stat.S_ISDIR(status.st_mode) else self._files[path]
            self.sync(what, lambda: real(descriptor))

    def _open_file(
        self, real: Callable[..., Any], file: Any, mode: str = "r", *rest: Any, **named: Any
    ) -> Any:
        if (
            not set("wxa+") & set(mode)
            or not isinstance(file, str | Path)
            or self.root not in Path(file).parents
        ):
            return real(file, mode, *rest)
        assert "b" in mode, "the store writes bytes"
        raw = _File(self, file, mode.replace("b", ""))
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw, 1 << 20)


class _File(io.FileIO):
    def __init__(self, log: Log, path: str | Path, mode: str) -> None:
        super().__init__(path, mode)
        self._log, self._number = log, log.file(Path(path))
        if "w" in mode:
            log.change(Write(self._number, 0, None), lambda: None)

    def write(self, data: Any) -> int:
        copy = bytes(data)
        written = super().write
        return int(self._log.change(Write(self._number, self.tell(), copy), lambda: written(copy)))


class _Disk(apsw.VFS):
    """All databases are on it."""

    def __init__(self, log: Log) -> None:
        self.log, self.real = log, apsw.vfs_names()[0]
        super().__init__("power", self.real, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        assert name is not None
        return _Database(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        path, delete = Path(name), super().xDelete
        self.log.gone(path, lambda: delete(name, sync_folder))
        if sync_folder:
            self.log.sync(path.parent, lambda: None)


class _Database(apsw.VFSFile):
    def __init__(self, disk: _Disk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__(disk.real, name, flags)
        self._path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._log = disk.log
        self._number = disk.log.file(self._path)
        self._syncs_folder = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _NEW_LOG)

    def xLock(self, level: int) -> None:
        try:
            super().xLock(level)
        except apsw.IOError as error:  # one that only reads asks at its end for what it cannot have
            raise apsw.BusyError from error

    def xWrite(self, data: bytes, offset: int) -> None:
        write = super().xWrite
        self._log.change(Write(self._number, offset, bytes(data)), lambda: write(data, offset))

    def xTruncate(self, size: int) -> None:
        truncate = super().xTruncate
        self._log.change(Write(self._number, size, None), lambda: truncate(size))

    def xSync(self, flags: int) -> None:
        sync = super().xSync
        self._log.sync(self._number, lambda: sync(flags))
        if self._syncs_folder:  # as SQLite's own files do with a new log, once
            self._syncs_folder = False
            self._log.sync(self._path.parent, lambda: None)


def _parquet_writer(log: Log) -> type[pq.ParquetWriter]:
    class Writer(pq.ParquetWriter):  # type: ignore[misc]
        """Writes through our file, not through Arrow's own."""

        def __init__(self, where: Any, *arguments: Any, **named: Any) -> None:
            self._below = io.BufferedWriter(_File(log, where, "w"), 1 << 20)
            super().__init__(pa.PythonFile(self._below, "w"), *arguments, **named)

        def close(self) -> None:
            super().close()
            self._below.close()

    return Writer


# What is left


class Content:
    """A file: what is on the disk for sure, and the changes that may be."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.pending: list[tuple[int, Write]] = []

    def sync(self, until: int) -> None:
        for number, write in self.pending:
            if number < until:
                _apply(self.safe, write)
        self.pending = [(number, write) for number, write in self.pending if number >= until]

    def after_cut(self, chance: random.Random | None) -> bytes:
        """What is left; with ``chance`` some of what was not synced, and halves of it."""
        left = bytearray(self.safe)
        for _, write in self.pending if chance else ():
            assert chance is not None
            match chance.randrange(3):
                case 0:
                    _apply(left, write)
                case 1 if write.data:
                    torn = chance.randrange(-(-len(write.data) // SECTOR)) * SECTOR
                    _apply(left, write._replace(data=write.data[:torn]))
        return bytes(left)


def _apply(content: bytearray, write: Write) -> None:
    content.extend(bytes(max(write.offset - len(content), 0)))
    if write.data is None:
        del content[write.offset :]
    else:
        content[write.offset : write.offset + len(write.data)] = write.data


Names = dict[Path, int]


class Remains:
    """What a power cut leaves of ``root``: let it ``take`` the changes one after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._contents: dict[int, Content] = {}
        self._safe: Names = {}
        self._pending: list[tuple[int, Name | Rename]] = []
        self._taken = 0

    def take(self, change: Change) -> None:
        match change:
            case Name() | Rename():
                self._pending.append((self._taken, change))
                if isinstance(change, Name) and change.file:
                    self._contents[change.file] = Content()
            case Write(file):
                self._contents[file].pending.append((self._taken, change))
            case Sync(Path() as folder, until):
                self._sync(folder, until)
            case Sync(int() as file, until):
                self._contents[file].sync(until)
        self._taken += 1

    def _sync(self, folder: Path, until: int) -> None:
        left = []
        for number, change in self._pending:
            path = change.path if isinstance(change, Name) else change.new
            if path.parent == folder and number < until:
                _rename(self._safe, change)
            else:
                left.append((number, change))
        self._pending = left

    def put(self, copy: Path, names: str, chance: random.Random | None) -> None:
        """Make ``copy`` as ``root`` would be: with the names of synced folders, with ``all``, or ``some``."""
        known, count = dict(self._safe), len(self._pending)
        if names == "some":
            assert chance is not None
            count = chance.randint(0, count)
        for _, change in self._pending[: 0 if names == "synced" else count]:
            _rename(known, change)
        copy.mkdir()
        for path, file in sorted(known.items()):
            place = copy / path.relative_to(self.root)
            if place.parent.is_dir():  # else a folder above it was lost
                if file:
                    place.write_bytes(self._contents[file].after_cut(chance))
                else:
                    place.mkdir()


def _rename(names: Names, change: Name | Rename) -> None:
    match change:
        case Name(path, None):
            names.pop(path, None)
        case Name(path, int() as file):
            names[path] = file
        case Rename(old, new):
            if old in names:
                names[new] = names.pop(old)
