"""Who may work on a store at the same time; every lock ends with its process, however that ends (floor 3).

``lock.sqlite``   one recorder; see journal.py
``upkeep.lock``   one that seals, compacts, removes
``readers.lock``  shared by all who read; what is no longer visible is unlinked by who holds it alone
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..core.errors import StoreError

_UPKEEP, _READERS = "upkeep.lock", "readers.lock"


@contextmanager
def upkeep(directory: Path) -> Iterator[None]:
    """Be the only one that changes which files a store has. Raises StoreError when another one does."""
    with _locked(directory / _UPKEEP, fcntl.LOCK_EX | fcntl.LOCK_NB) as mine:
        if not mine:
            raise StoreError(str(directory), "is being compacted or cleaned up by another process")
        yield


@contextmanager
def readers(directory: Path) -> Iterator[None]:
    """While it lasts, no file is unlinked that was visible since: enter it before you ask the catalogue."""
    with ExitStack() as held:
        if (directory / "journal").exists():  # else it is no store, and stays as it is
            with suppress(StoreError):  # who may not write here, and finds no lock, waits for nobody
                held.enter_context(_locked(directory / _READERS, fcntl.LOCK_SH))
        yield


@contextmanager
def without_readers(directory: Path) -> Iterator[bool]:
    """Whether nobody reads, and nobody begins to until the end."""
    with _locked(directory / _READERS, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        yield alone


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
