"""Records written beside the tape, where nobody sees them (floor 3)."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from .buffer import Batch
from .catalog import Segment
from .journal import SEGMENT_ROWS
from .schema import Record
from .writing import Writing


class Staging:
    """Segments below ``folder``, whose records have the numbers from ``first_n`` on.

    Enter it to write; after the end all segments are closed, and ``clear`` removes them.
    """

    def __init__(self, folder: Path, first_n: int = 1, recording: int = 0) -> None:
        self.folder = folder
        self.segments: list[Segment] = []
        self.rows = 0
        self._first_n, self._recording = first_n, recording
        self._opened = ExitStack()
        self._writing: Writing | None = None

    def __enter__(self) -> Self:
        self.clear()
        (self.folder / "journal").mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def write(self, records: Sequence[Record]) -> None:
        """Add ``records``. Raises what ``apsw`` does."""
        first_n = self._first_n + self.rows
        if self._writing is None or self._writing.rows >= SEGMENT_ROWS:
            self._writing = self._opened.enter_context(closing(Writing(self.folder)))
            self.segments.append(self._writing.segment(first_n, self._recording))
        self._writing.commit(Batch(first_n, [*records]))
        self._writing.begin_moving()
        self._writing.finish_moving()
        self.rows += len(records)

    def clear(self) -> None:
        """Remove all that was written."""
        shutil.rmtree(self.folder, ignore_errors=True)
