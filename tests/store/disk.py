"""A disk for SQLite that can be full, slow, or lose its power."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os.path import samestat
from pathlib import Path
from stat import S_ISDIR
from unittest.mock import patch

import apsw
import pytest


class Disk(apsw.VFS):
    """While it is in use, every database opened is on it. Underneath is the real one."""

    def __init__(self) -> None:
        self.full = False
        self.write_s = self.sync_s = 0.0  #: how long a write takes, and a sync
        self.syncs = 0
        self._safe: dict[Path, bytes] = {}
        self.real = apsw.vfs_names()[0]
        super().__init__("test-disk", self.real, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return DiskFile(self, name, flags)

    def xDelete(self, name: str, sync_directory: bool) -> None:
        super().xDelete(name, sync_directory)
        self._safe.pop(Path(name), None)

    def keep(self, path: Path) -> None:
        """From now on a power cut leaves ``path`` as it is now."""
        self.syncs += 1
        self._safe[path] = path.read_bytes()

    def fsync(self, descriptor: int) -> None:
        """What ``os.fsync`` does on this disk."""
        status = os.fstat(descriptor)
        if S_ISDIR(status.st_mode):
            return
        [path] = [path for path in list(self._safe) if path.exists() and samestat(path.stat(), status)]
        self.keep(path)

    def after_power_cut(self, directory: Path, copy: Path) -> None:
        """Put into ``copy`` what would be left of ``directory`` if the power went now."""
        copy.mkdir(parents=True)
        for path, content in list(self._safe.items()):
            if path.parent == directory:
                (copy / path.name).write_bytes(content)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        super().__init__(disk.real, name, flags)
        with suppress(OSError):  # the database may have been synced under another name
            disk.keep(self._path)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.full:
            raise apsw.FullError("no space left on the test's disk")
        time.sleep(self._disk.write_s)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        time.sleep(self._disk.sync_s)
        self._disk.keep(self._path)


@contextmanager
def disk() -> Iterator[Disk]:
    made = Disk()
    with patch.object(os, "fsync", made.fsync):
        try:
            yield made
        finally:
            made.unregister()


@contextmanager
def mounted(directory: Path, size_kb: int) -> Iterator[Path]:
    """A disk of its own at ``directory``.

    To mount it takes a right that a developer may lack: other limits are tried everywhere. CI has it, and
    does not skip.
    """
    directory.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(directory)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must be able to mount a small disk")
        pytest.skip("only root may mount a small disk")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
