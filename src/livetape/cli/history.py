"""``livetape history``, ``bars``, ``book``, ``sql``: rows of a tape on the screen or in a file (floor 5)."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal, NamedTuple

import pyarrow as pa

from ..calendars import days_of
from ..core.errors import ConfigError
from ..core.instruments import Channel, split_source
from ..core.wire import event_json
from ..store.reader import Store, open_store
from ..store.result import Result

Format = Literal["table", "csv", "json", "parquet", "arrow"]

#: What a table on the screen leaves out, and how wide its columns are at most.
_COMMON = ("session", "seq", "venue", "symbol", "trust", "origin", "method", "depth", "since")
_WIDEST = 60


class Output(NamedTuple):
    """How rows are written and where; without a file to stdout."""

    form: Format
    file: Path | None = None


def tape(directory: Path) -> Store:
    """The store in ``directory``. Raises StoreError when there is none."""
    return open_store(directory, days_of)


def put(result: Result, output: Output) -> None:
    """Write ``result``. Raises ConfigError when that cannot be."""
    if not len(result):
        sys.stderr.write("nothing was found\n")
    writers: dict[Format, Callable[[Result, IO[bytes]], None]] = {
        "table": _put_table,
        "csv": _put_csv,
        "json": _put_json,
        "parquet": _put_parquet,
        "arrow": _put_arrow,
    }
    _write(output, lambda file: writers[output.form](result, file))


def ask(store: Store, query: str) -> Result:
    """What DuckDB answers. Python does not hear of a Ctrl-C before it has, so that one ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return store.sql(query)


def put_book(store: Store, channel: str, at: str, depth: int, output: Output) -> None:
    """Write the best ``depth`` levels of a book. Raises ConfigError when that cannot be."""
    venue, symbol, kind = split_source(channel)
    update = store.book_update_at(str(Channel(venue, symbol, kind or "book")), at or None)
    if output.form == "json":
        _write(output, lambda file: file.write(event_json(update, depth) + b"\n"))
        return
    sides = {"bid": update.book.bids.top(depth), "ask": update.book.asks.top(depth)}
    levels = [(side, *level) for side, ladder in sides.items() for level in ladder]
    columns = zip(*levels, strict=True) if levels else ((), (), ())
    rows = pa.table([pa.array(column, pa.string()) for column in columns], ["side", "price", "size"])
    put(Result(rows), output)


def _write(output: Output, put: Callable[[IO[bytes]], object]) -> None:
    if output.file is None:
        if output.form in ("parquet", "arrow") and sys.stdout.isatty():
            raise ConfigError(f"{output.form} is nothing for a screen", remedy="name a file with -o")
        put(sys.stdout.buffer)
        return
    try:
        with output.file.open("wb") as file:
            put(file)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(output.file)) from error


def _put_json(result: Result, file: IO[bytes]) -> None:
    file.writelines(line + b"\n" for line in result.json_lines())


def _put_csv(result: Result, file: IO[bytes]) -> None:
    from pyarrow.csv import write_csv

    write_csv(result.exact(), file)


def _put_parquet(result: Result, file: IO[bytes]) -> None:
    from pyarrow.parquet import write_table

    write_table(result.arrow(), file, compression="zstd")


def _put_arrow(result: Result, file: IO[bytes]) -> None:
    rows = result.arrow()
    with pa.ipc.new_stream(file, rows.schema) as stream:
        stream.write_table(rows)


def _put_table(result: Result, file: IO[bytes]) -> None:
    """Without the columns in which nothing stands, and without those that all events have but their times."""
    rows = result.exact()
    columns: list[list[str]] = []
    for name in rows.column_names:
        texts = ["" if value is None else value for value in rows[name].cast(pa.string()).to_pylist()]
        if not (result.table and (name in _COMMON or {*texts} <= {"", "[]"})):
            columns.append([text[:_WIDEST] for text in (name, *texts)])
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        file.write(f"{line.rstrip()}\n".encode())
