"""The sealed files of a day become one (floor 3).

Rule 1: one transaction of the catalogue shows the new file instead of the old ones, once it is on the disk.
Rule 2: memory is bounded by ``MOST_BYTES`` of columns. What is more becomes a second file, of other symbols
        or of later rows.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from ..core.errors import StoreError
from .catalog import Catalog, SealedFile
from .files import Folder
from .parquet import Reader
from .progress import Progress, quiet
from .seal import write

MOST_BYTES = 256 << 20
LEVEL = 9
_SAMPLE = 1_000  #: rows by which the size of all is estimated

Cut = list[int]  #: a row of each file, such that all before come before all from there on


def compact(catalog: Catalog, files: Sequence[SealedFile], progress: Progress = quiet) -> None:
    """Make one file of ``files``, all those of a folder, or few where they are large. Raises StoreError."""
    oldest = min(files, key=lambda file: file.first_n)
    folder = Folder(oldest.table, oldest.date, oldest.venue)
    segment, generation = Path(oldest.path).name.partition("-")[0], max(f.generation for f in files) + 1
    first_n, last_n = oldest.first_n, max(file.last_n for file in files)
    total, done = sum(file.rows for file in files), 0
    made: list[SealedFile] = []
    for part, rows in enumerate(
        _parts([Reader(catalog.directory / file.path) for file in files], folder.table)
    ):
        path = folder.file(segment, generation, part)
        file = write(catalog.directory, path, folder, rows, level=LEVEL)
        made.append(replace(file, generation=generation, first_n=first_n, last_n=last_n))
        done += rows.num_rows
        progress(f"compacting {folder.table} of {folder.venue}, {folder.date}", done, total)
    if done != total:
        raise StoreError(oldest.path, f"and others of its folder have {done} rows instead of {total}")
    catalog.replace(files, made)


def _parts(readers: list[Reader], table: str) -> Iterator[pa.Table]:
    """The rows of all ``readers``; those of one part come before those of the next."""
    for starts, ends in pairwise(_cuts(readers, table)):
        spans = zip(readers, starts, ends, strict=True)
        tables = [
            reader.read(first_row=start, rows=end - start) for reader, start, end in spans if start < end
        ]
        if tables:
            yield pa.concat_tables(tables)


def _cuts(readers: list[Reader], table: str) -> list[Cut]:
    most = _most_rows(readers)
    ends_of = [{run.key: run.first_row + run.rows for run in reader.runs} for reader in readers]
    at = [0] * len(readers)
    cuts, held = [at], 0
    for key in sorted(set().union(*ends_of)):
        ends = [known.get(key, start) for known, start in zip(ends_of, at, strict=True)]
        rows = sum(ends) - sum(at)
        if held and held + rows > most:
            cuts.append(at)
            held = 0
        if rows > most:
            cuts += _within(readers, at, ends, "n" if table == "raw" else "recv", most)
        held += rows
        at = ends
    return [*cuts, at]


def _within(readers: list[Reader], starts: Cut, ends: Cut, order: str, most: int) -> Iterator[Cut]:
    """Cuts of the rows of one key, which each reader has in that order."""
    spans = zip(readers, starts, ends, strict=True)
    values = [
        reader.read([order], first_row=start, rows=end - start)[order].cast(pa.int64()).to_numpy()
        for reader, start, end in spans
    ]
    together = np.sort(np.concatenate(values))
    for bound in together[most::most]:
        yield [start + int(np.searchsorted(each, bound)) for start, each in zip(starts, values, strict=True)]


def _most_rows(readers: list[Reader]) -> int:
    samples = [reader.read(rows=_SAMPLE) for reader in readers]
    row_bytes = max(sample.nbytes / sample.num_rows for sample in samples)
    return max(int(MOST_BYTES / row_bytes), 1)
