"""What a query gives: rows, in the form that suits their reader (floor 3).

All times are UTC, to the nanosecond where the tape has them so.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import json

from ..core.errors import ConfigError
from ..core.events import MarketEvent
from ..core.wire import event_json
from . import columns

if TYPE_CHECKING:
    import pandas
    import polars

_BATCH = 10_000
_SIDES = ("bid_price", "bid_size", "ask_price", "ask_size")


class Result:
    """Rows of ``table``, which can be events again, or of a query. ``len`` is how many there are."""

    def __init__(self, rows: pa.Table, table: str = "", names: Sequence[str] | None = None) -> None:
        self._rows, self.table = rows, table
        self._names = names or (columns.public_names(table) if table else rows.column_names)

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __iter__(self) -> Iterator[MarketEvent]:
        """The events."""
        for start in range(0, len(self), _BATCH):
            yield from self._events(self._rows.slice(start, _BATCH))

    def events(self) -> list[MarketEvent]:
        """The events, as exact as they were recorded; an update of a book comes without its book.

        Raises ConfigError where columns of the tape are missing, as after ``sql``.
        """
        return self._events(self._rows)

    def arrow(self) -> pa.Table:
        """The rows with numbers as floats; where columns were named, with the exact texts among them."""
        return _zoned(columns.public(self.table, self._rows, self._names) if self.table else self._rows)

    def polars(self) -> "polars.DataFrame":
        """As ``arrow``, a data frame of polars."""
        from polars import DataFrame

        return DataFrame(self.arrow())

    def pandas(self) -> "pandas.DataFrame":
        """As ``arrow``, a data frame of pandas."""
        frame: pandas.DataFrame = self.arrow().to_pandas()
        return frame

    def exact(self) -> pa.Table:
        """As ``arrow``, for files of text: the venue's text in place of each number, lists as JSON."""
        if not self.table:
            return _flat(_zoned(self._rows))
        texts = dict(_exact(self.table, name) for name in self._names)
        rows = columns.public(self.table, self._rows, list(texts.values()))
        return _flat(_zoned(rows.rename_columns(list(texts))))

    def json_lines(self) -> Iterator[bytes]:
        """The events as JSON lines without their ends; other rows as one object each, their times in ns."""
        if self._is_whole():
            yield from map(event_json, self)
            return
        rows = columns.public(self.table, self._rows, self._names) if self.table else self._rows
        counted = pa.table([_counted(column) for column in rows.columns], rows.column_names)
        for batch in counted.to_batches(_BATCH):
            yield from map(json.encode, batch.to_pylist())

    def _is_whole(self) -> bool:
        return bool(self.table) and set(columns.schema(self.table).names) <= set(self._rows.column_names)

    def _events(self, rows: pa.Table) -> list[MarketEvent]:
        if not self._is_whole():
            raise ConfigError("events are made of all columns of a table, and some are not here")
        return columns.events(self.table, rows)


def _exact(table: str, name: str) -> tuple[str, str]:
    """What ``name`` is called in a text, and the column that has its exact text."""
    if table == "books" and name in _SIDES:
        return "levels", "levels_text"
    text = f"{name}_text"
    return name, text if text in columns.schema(table).names else name


def _zoned(rows: pa.Table) -> pa.Table:
    """With the zone that all times have."""
    fields = (
        field.with_type(pa.timestamp(field.type.unit, "UTC"))
        if pa.types.is_timestamp(field.type) and field.type.tz is None
        else field
        for field in rows.schema
    )
    return rows.cast(pa.schema(fields))


def _flat(rows: pa.Table) -> pa.Table:
    return pa.table([_flattened(column) for column in rows.columns], rows.column_names)


def _flattened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_nested(column.type) or pa.types.is_binary(column.type)):
        return column
    texts = [None if value is None else json.encode(value).decode() for value in column.to_pylist()]
    return pa.chunked_array([texts], pa.string())


def _counted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
