"""Sealed files: Parquet in which every damaged byte is noticed (floor 3).

A file is ordinary Parquet that any tool reads. Its page checksums leave the footer and the headers of pages
unproved. So there are checksums of all column chunks and of the footer, where other readers see a gap::

    "PAR1" | column chunks | page index | checksums | seal | footer | its length | "PAR1"

Rule: nothing of a file is used that was not verified before.
"""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from struct import Struct as Layout
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct, json

from ..core.errors import DamageError, StoreError
from .columns import DIVERSE, TIME, complete, schema
from .schema import VERSION

GROUP_ROWS = 65_536  #: at most, in a row group
_LONG_RUN, _NEWEST = 8_192, 4_096
_PARQUET, _MAGIC = b"PAR1", b"livetape"
_TAIL = Layout("<I4s")  # the footer's length, _PARQUET
_SEAL = Layout("<QII8s")  # how many checksums, the CRC-32 of these and of all behind the seal, _MAGIC
_CHECKSUM = np.dtype("<u4")  # CRC-32 of each column chunk in the order of the file, and of the page index


class Run(Struct, frozen=True, array_like=True):
    """A stretch of rows of one key: the symbol, in raw files the session. Times are ns UTC."""

    key: str | int
    first_row: int
    rows: int
    first_recv: int
    last_recv: int


class _About(Struct):
    """What a file says of itself, as ``livetape`` in its footer."""

    version: int
    table: str
    runs: list[Run]


def write(path: Path, table: str, rows: pa.Table, *, level: int = 3) -> list[Run]:
    """Write ``rows`` of ``table``, sorted by key, as the file ``path``, and sync it. Raises StoreError."""
    runs = _runs(rows, "session" if table == "raw" else "symbol")
    about = json.encode(_About(VERSION, table, runs))
    try:
        _write(path, rows.combine_chunks(), runs, about, level)
        _seal(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(str(path), str(error)) from error
    return runs


class Reader:
    """A sealed file, opened for reading. What is damaged raises StoreError, which names it.

    ``starts`` are the first rows of its row groups, and how many rows there are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._source = pa.OSFile(str(path))
        except OSError as error:
            raise StoreError(str(path), str(error)) from error
        metadata = self._unseal()
        self._metadata = metadata
        about = json.decode(metadata.metadata[b"livetape"], type=_About)
        if about.version > VERSION:
            problem = f"schema version {about.version} is newer than this livetape's {VERSION}"
            raise StoreError(str(path), problem)
        self.table, self.runs = about.table, about.runs
        self._schema = schema(self.table)
        self._file = pq.ParquetFile(
            self._source,
            metadata=metadata,
            read_dictionary=_repeating_texts(self._schema),
            page_checksum_verification=True,
        )
        self.rows: int = metadata.num_rows
        groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
        self.starts = np.cumsum([0, *(group.num_rows for group in groups)]).tolist()
        self._leaves = _leaves(metadata)

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        run: Run | None = None,
        last: int | None = None,
        first_row: int = 0,
        rows: int | None = None,
    ) -> pa.Table:
        """The ``columns`` of the file, or of one ``run`` of it.

        Of its rows those from ``first_row``, at most ``rows``, and of these the ``last``. Raises StoreError.
        """
        start, end = (0, self.rows) if run is None else (run.first_row, run.first_row + run.rows)
        start = min(start + first_row, end)
        end = end if rows is None else min(start + rows, end)
        start = start if last is None else max(start, end - last)
        groups = range(bisect_right(self.starts, start) - 1, bisect_left(self.starts, end))
        names = self._schema.names if columns is None else list(columns)
        for problem in self._problems(groups, names):
            raise DamageError(
                str(self.path), f"{problem}; livetape verify shows all, livetape rebuild mends it"
            )
        try:
            table = self._file.read_row_groups(groups, columns=[n for n in names if n in self._leaves])
        except (OSError, pa.ArrowException) as error:
            raise StoreError(str(self.path), str(error)) from error
        at = start - self.starts[groups.start]
        return complete(self.table, table.slice(at, end - start), names)

    def problems(self) -> Iterator[str]:
        """What is damaged anywhere in the file."""
        yield from self._problems(range(len(self.starts) - 1), self._leaves)
        start = _chunks_end(self._metadata)
        if crc32(self._bytes(start, self._sums_start - start)) != self._sums[-1]:
            yield "the page index is damaged"
        if self._bytes(0, len(_PARQUET)) != _PARQUET:
            yield "the first bytes are damaged"

    def _unseal(self) -> pq.FileMetaData:
        """What the footer says; it and the checksums are right. Raises StoreError."""
        size = self._source.size()
        length, _ = _TAIL.unpack(self._bytes(size - _TAIL.size, _TAIL.size))
        start = size - _TAIL.size - length
        footer = self._bytes(start, size - start)
        count, sums_sum, footer_sum, magic = _SEAL.unpack(self._bytes(start - _SEAL.size, _SEAL.size))
        if magic != _MAGIC or crc32(footer) != footer_sum:
            raise DamageError(str(self.path), "the footer is damaged")
        self._sums_start = start - _SEAL.size - count * _CHECKSUM.itemsize
        sums = self._bytes(self._sums_start, count * _CHECKSUM.itemsize)
        if crc32(sums) != sums_sum:
            raise DamageError(str(self.path), "the checksums are damaged")
        self._sums = np.frombuffer(sums, _CHECKSUM)
        return pq.read_metadata(pa.BufferReader(footer))

    def _bytes(self, start: int, size: int) -> bytes:
        """Raises StoreError when there are not as many."""
        try:
            data: bytes = self._source.read_at(size, start) if start >= 0 else b""
        except OSError as error:
            raise StoreError(str(self.path), str(error)) from error
        if len(data) < size:
            raise DamageError(str(self.path), "is no sealed file, or a part of it is missing")
        return data

    def _problems(self, groups: Iterable[int], names: Collection[str]) -> Iterator[str]:
        wanted = [leaf for leaf, name in enumerate(self._leaves) if name in names]
        for group in groups:
            chunks = self._metadata.row_group(group)
            for leaf in wanted:
                data = self._bytes(*_span(chunks.column(leaf)))
                if crc32(data) != self._sums[group * len(self._leaves) + leaf]:
                    rows = f"{self.starts[group]} to {self.starts[group + 1] - 1}"
                    yield f"rows {rows} of the column {self._leaves[leaf]} are damaged"


def _runs(rows: pa.Table, key: str) -> list[Run]:
    if not rows.num_rows:
        return []
    keys, recv = rows[key].combine_chunks(), rows["recv"].combine_chunks().view(pa.int64()).to_numpy()
    changes = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist(), len(keys)]
    return [
        Run(keys[start].as_py(), start, end - start, int(recv[start]), int(recv[end - 1]))
        for start, end in pairwise(starts)
    ]


def _cuts(runs: Sequence[Run], rows: int) -> list[int]:
    """Where row groups begin, and ``rows``.

    A long run has its own, and the last of them is short, since the newest rows are asked for most.
    """
    edges = {0, rows}
    for run in runs:
        if run.rows >= _LONG_RUN:
            end = run.first_row + run.rows
            edges |= {run.first_row, end - _NEWEST, end}
    stretches = pairwise(sorted(edges))
    return [*(at for start, end in stretches for at in range(start, end, GROUP_ROWS)), rows]


def _write(path: Path, rows: pa.Table, runs: Sequence[Run], about: bytes, level: int) -> None:
    deltas = {field.name: encoding for field in rows.schema if (encoding := _delta(field))}
    repeating = [field for field in rows.schema if field.name not in deltas and field.type != pa.binary()]
    with pq.ParquetWriter(
        path,
        rows.schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=[_leaf(field) for field in repeating],
        column_encoding=deltas,
        write_page_checksum=True,
        write_page_index=True,
        store_schema=False,
    ) as writer:
        for start, end in pairwise(_cuts(runs, len(rows))):
            writer.write_table(rows.slice(start, end - start), GROUP_ROWS)
        writer.add_key_value_metadata({"livetape": about})


def _delta(field: pa.Field) -> str | None:
    """The encoding of columns in which values are close to the one before, but seldom the same."""
    if field.type in (pa.int64(), TIME):
        return "DELTA_BINARY_PACKED"
    return "DELTA_BYTE_ARRAY" if field.name in DIVERSE else None


def _leaf(field: pa.Field) -> str:
    """The path of a field in Parquet's words."""
    return f"{field.name}.list.{field.type.value_field.name}" if pa.types.is_list(field.type) else field.name


def _seal(path: Path) -> None:
    """Put the checksums in front of the footer of ``path``, and sync it."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - _TAIL.size)
        length, _ = _TAIL.unpack(file.read())
        start = size - _TAIL.size - length
        file.seek(start)
        footer = file.read()
        metadata = pq.read_metadata(pa.BufferReader(footer))
        spans = [
            _span(metadata.row_group(i).column(j))
            for i in range(metadata.num_row_groups)
            for j in range(metadata.num_columns)
        ]
        end = _chunks_end(metadata)
        sums = []
        for at, size in (*spans, (end, start - end)):
            file.seek(at)
            sums.append(crc32(file.read(size)))
        data = np.array(sums, _CHECKSUM).tobytes()
        file.seek(start)
        file.write(data + _SEAL.pack(len(sums), crc32(data), crc32(footer), _MAGIC) + footer)
        file.flush()
        os.fsync(file.fileno())


def _span(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Where a column chunk begins, and its size."""
    return chunk.dictionary_page_offset or chunk.data_page_offset, chunk.total_compressed_size


def _chunks_end(metadata: pq.FileMetaData) -> int:
    if not metadata.num_row_groups:
        return len(_PARQUET)
    last = metadata.row_group(metadata.num_row_groups - 1).column(metadata.num_columns - 1)
    return sum(_span(last))


def _repeating_texts(fields: pa.Schema) -> list[str]:
    """What is faster read as a dictionary."""
    return [field.name for field in fields if field.type == pa.string() and field.name not in DIVERSE]


def _leaves(metadata: pq.FileMetaData) -> list[str]:
    """The column that each column chunk of a row group belongs to; lists have a longer path."""
    return [metadata.schema.column(i).path.split(".")[0] for i in range(metadata.num_columns)]
