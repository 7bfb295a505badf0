"""PostgreSQL as a copy of the sealed tape, in the schema ``livetape`` (floor 3).

Rule 1: a sealed file is one transaction: its rows, and its line in ``livetape.files``. However a run ends,
        the next one finds a file there whole or not at all.
Rule 2: a file that may be made of others adds what is not there yet. Which rows these are is told from the
        rows themselves, in the transaction, so nothing that befell the store can double or lose any.
Rule 3: a number is a ``numeric`` with the venue's digits, a time the ns UTC that were recorded.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pyarrow as pa

from ...core.errors import ConfigError, ConnectError, StoreError
from .. import columns, parquet
from ..catalog import Removed, SealedFile, View
from ..schema import COLUMNS
from .rows import csv_of, names_of
from .target import Target

Database: TypeAlias = asyncpg.Connection

BATCH_ROWS = 65_536
CONNECT_S = 15
STALLED_S = 60  #: as long as the server may take no rows
#: Classes of SQLSTATE that pass: connections, rolled back, resources, intervention, system.
_PASSING = ("08", "40", "53", "57", "58")
_FILES = """
CREATE TABLE livetape.files (
  path text, first_recv bigint, "table" text NOT NULL, date date NOT NULL, venue text NOT NULL,
  rows bigint NOT NULL, first_n bigint NOT NULL, last_n bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (path, first_recv))
"""
_KEPT = """
INSERT INTO livetape.files (path, first_recv, "table", date, venue, rows, first_n, last_n)
VALUES ($1, $2, $3, $4::text::date, $5, $6, $7, $8)
"""
#: Files of the same folder that may hold rows of a new one.
_RELATED = """
SELECT path, first_recv FROM livetape.files
WHERE "table" = $1 AND date = $2::text::date AND venue = $3
"""
_KNOWN = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND NOT attisdropped"
#: The time in the market, to the microsecond, for people and their tools.
_TIME = "timestamptz GENERATED ALWAYS AS (to_timestamp({} / 1000 / 1e6)) STORED"
_TYPES: dict[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    columns.TIME: "bigint",
    pa.float64(): "numeric",
    pa.string(): "text",
    pa.binary(): "bytea",
}


class PostgresSink:
    """A database. Raises ConnectError for what may pass, else ConfigError."""

    tables = frozenset(COLUMNS) - {"raw"}

    def __init__(self, target: Target) -> None:
        self.name = target.name
        self._target = target
        self._db: Database | None = None
        self._made: set[str] = set()

    async def missing(self, files: Sequence[SealedFile]) -> list[SealedFile]:
        """Those of ``files`` that are not there."""
        with self._told():
            db = await self._connected()
            there = {tuple(row) for row in await db.fetch("SELECT path, first_recv FROM livetape.files")}
        return [file for file in files if (file.path, file.first_recv) not in there]

    async def ship(self, file: SealedFile, path: Path, visible: Collection[str]) -> bool:
        """Add the rows of ``file``, which lies at ``path``; the store's files are the ``visible`` ones."""
        reader = await asyncio.to_thread(parquet.Reader, path)
        with self._told():
            db = await self._connected()
            await self._make(db, file.table)
            async with db.transaction():
                await _alone(db, f"{file.table} {file.date} {file.venue}")
                place = (file.table, file.date, file.venue)
                related = {tuple(row) for row in await db.fetch(_RELATED, *place)}
                if (file.path, file.first_recv) in related:
                    return False
                if all(other in visible for other, _ in related):
                    await _copy(db, reader, file, f"livetape.{file.table}")
                else:
                    await _add_missing(db, reader, file)
                about = (file.path, file.first_recv, *place, file.rows, file.first_n, file.last_n)
                await db.execute(_KEPT, *about)
        return True

    async def prune(self, view: View, removed: Sequence[Removed]) -> int:
        """Nothing is there twice."""
        return 0

    async def close(self) -> None:
        """End the connection."""
        self._hang_up()

    async def _connected(self) -> Database:
        if self._db is None or self._db.is_closed():
            try:
                self._db = await asyncpg.connect(self._target.url, timeout=CONNECT_S)
            except ValueError as error:
                raise ConfigError(self._target.mask(str(error)), where=self.name) from None
            async with self._db.transaction():
                await _alone(self._db, "schema")
                if not await self._db.fetchval("SELECT to_regnamespace('livetape')"):
                    await self._db.execute("CREATE SCHEMA livetape")
                if not await self._db.fetchval("SELECT to_regclass('livetape.files')"):
                    await self._db.execute(_FILES)
        return self._db

    async def _make(self, db: Database, table: str) -> None:
        """Give the database ``table`` with all its columns; where it has them, lock nobody out."""
        if table in self._made:
            return
        async with db.transaction():
            await _alone(db, "schema")
            known = {name for (name,) in await db.fetch(_KNOWN, f"livetape.{table}")}
            if not known.issuperset(names_of(table)):
                for statement in create_statements(table):
                    await db.execute(statement)
        self._made.add(table)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors in plain words, without the password."""
        try:
            yield
        except asyncpg.PostgresError as error:
            text = self._target.mask(str(error))
            if (error.sqlstate or "")[:2] in _PASSING:
                raise ConnectError(self.name, text) from None
            raise ConfigError(text, where=self.name) from None
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self._hang_up()
            text = getattr(error, "strerror", "") or str(error) or "it does not answer"
            raise ConnectError(self.name, self._target.mask(text)) from None

    def _hang_up(self) -> None:
        if self._db is not None:
            self._db.terminate()


def create_statements(table: str) -> list[str]:
    """The SQL that makes ``table``, or adds what an older livetape did not know."""
    names = ", ".join(f'ADD COLUMN IF NOT EXISTS "{name}" {_type(table, name)}' for name in names_of(table))
    when = "recv" if table == "raw" else "coalesce(ts, recv)"
    statements = [
        f"CREATE TABLE IF NOT EXISTS livetape.{table} ()",
        f"ALTER TABLE livetape.{table} {names}, ADD COLUMN IF NOT EXISTS time {_TIME.format(when)}",
        f"CREATE INDEX IF NOT EXISTS {table}_recv ON livetape.{table} USING brin (recv)",
    ]
    if "symbol" in COLUMNS[table]:
        statements.append(
            f"CREATE INDEX IF NOT EXISTS {table}_symbol_time ON livetape.{table} (symbol, venue, time)"
        )
    return statements


def _type(table: str, name: str) -> str:
    kind = columns.schema(table).field(name).type
    return f"{_TYPES[kind.value_type]}[]" if pa.types.is_list(kind) else _TYPES[kind]


async def _alone(db: Database, what: str) -> None:
    """Wait until no other transaction works on ``what``."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"livetape {what}")


async def _add_missing(db: Database, reader: parquet.Reader, file: SealedFile) -> None:
    """Add the rows of ``file`` that other files have not brought: the difference of two multisets."""
    names = ", ".join(f'"{name}"' for name in names_of(file.table))
    await db.execute(f"CREATE TEMP TABLE arriving (LIKE livetape.{file.table}) ON COMMIT DROP")
    await _copy(db, reader, file, "pg_temp.arriving")
    await db.execute(
        f"INSERT INTO livetape.{file.table} ({names}) SELECT {names} FROM pg_temp.arriving"
        f" EXCEPT ALL SELECT {names} FROM livetape.{file.table} WHERE recv BETWEEN $1 AND $2",
        file.first_recv,
        file.last_recv,
    )


async def _copy(db: Database, reader: parquet.Reader, file: SealedFile, into: str) -> None:
    schema, _, table = into.partition(".")
    async with asyncio.timeout(STALLED_S) as limit:

        async def batches() -> AsyncIterator[bytes]:
            for first in range(0, reader.rows, BATCH_ROWS):
                rows = await asyncio.to_thread(reader.read, first_row=first, rows=BATCH_ROWS)
                yield await asyncio.to_thread(csv_of, file.table, rows)
                limit.reschedule(asyncio.get_running_loop().time() + STALLED_S)

        done = await db.copy_to_table(
            table, source=batches(), columns=names_of(file.table), schema_name=schema, format="csv"
        )
    if done != f"COPY {file.rows}":
        raise StoreError(file.path, f"has other than the {file.rows} rows that the catalogue names: {done}")
