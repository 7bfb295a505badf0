"""Files of others, opened as they are: plain, gzip or zip; how far they are read is known (floor 3)."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

from ..core.errors import ConfigError


class Meter:
    """How many bytes of a file are read."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._ended = 0

    @property
    def position(self) -> int:
        return self._ended if self._file is None else self._file.tell()

    @contextmanager
    def opened(self, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
        """The name and the bytes of ``path``, or of the only file in it. Raises ConfigError."""
        try:
            with path.open("rb") as self._file:
                try:
                    yield from self._inside(path, self._file)
                finally:
                    self._ended, self._file = self._file.tell(), None
        except (OSError, EOFError, BadZipFile, ZlibError) as error:
            raise ConfigError(f"cannot be read: {error}", where=str(path)) from error

    def _inside(self, path: Path, file: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
        match path.suffix.lower():
            case ".gz":
                with gzip.GzipFile(fileobj=file) as content:
                    yield path.stem, cast("IO[bytes]", content)  # typeshed does not call it that
            case ".zip":
                with ZipFile(file) as archive:
                    names = [name for name in archive.namelist() if not name.endswith("/")]
                    if len(names) != 1:
                        raise ConfigError(f"holds {len(names)} files; unpack it first", where=str(path))
                    with archive.open(names[0]) as content:
                        yield names[0], content
            case _:
                yield path.name, file
