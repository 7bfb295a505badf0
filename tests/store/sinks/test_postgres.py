"""A tape in PostgreSQL: every digit is there, and every row once, whatever happens meanwhile."""

import asyncio
import io
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from livetape.core.errors import ConnectError
from livetape.store import columns
from livetape.store.catalog import Catalog
from livetape.store.locks import readers
from livetape.store.recataloguing import recatalog
from livetape.store.schema import COLUMNS
from livetape.store.sinks import Shipping, Wish, sink_of
from livetape.store.sinks.postgres import create_statements
from livetape.store.sinks.rows import csv_of, names_of

from ..tape import NOW, SAMPLES, frame, segments, select, written
from .servers import PASSWORD, Postgres
from .tapes import SEALED, compact, keep_up, record, ship, start, trades, view

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
decimals = st.from_regex(r"(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?(1[0-8]|0?[0-9]))?", fullmatch=True)
levels = st.lists(st.tuples(decimals, decimals), max_size=5)


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    db = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await db.fetch(query)]
    finally:
        await db.close()


async def brought(directory: Path, url: str, **wish: Any) -> Shipping:
    """What one run within this process has done."""
    shipping = Shipping(directory, sink_of(url), Wish(**wish), asyncio.Event())
    await shipping.run()
    return shipping


async def sums(url: str) -> tuple[Any, ...]:
    """Rows, different rows, and the sum of sizes."""
    [found] = await fetch(url, "SELECT count(*), count(DISTINCT seq), sum(size) FROM livetape.trades")
    return found


def expected(first: int, n: int) -> tuple[Any, ...]:
    return n, n, Decimal(sum(range(first, first + n)))


# What arrives


async def test_every_kind_of_event_and_frame_arrives_with_every_digit(tmp_path: Path, database: str) -> None:
    segment = written(tmp_path, *SAMPLES, frame(1, b"\x00\xff"), frame(2))
    said = {table: sorted(map(repr, recorded(segment, table))) for table in COLUMNS}
    keep_up(tmp_path, SEALED)
    await brought(tmp_path, database, tables=frozenset(COLUMNS))
    for table in COLUMNS:
        names = ", ".join(f'"{name}"' for name in names_of(table))
        rows = await fetch(database, f"SELECT {names} FROM livetape.{table}")
        assert rows and sorted(map(repr, rows)) == said[table], table


def recorded(segment: Path, table: str) -> Iterator[tuple[object, ...]]:
    """The rows of a journal as a database should have them."""
    names = columns.hot_names(table)
    quoted = ", ".join(f'"{name}"' for name in names)
    for values in select(segment, f"SELECT {quoted} FROM {table}"):
        yield tuple(part for name, value in zip(names, values, strict=True) for part in read(name, value))


def read(name: str, value: Any) -> list[object]:
    if name in ("bids", "asks"):
        return [[Decimal(level[i]) for level in json.decode(value)] for i in (0, 1)]
    if name in ("conditions", "excluded", "symbols"):
        return [json.decode(value)]
    if name in ("snapshot", "closed", "success") and value is not None:
        return [bool(value)]
    if name.endswith("_text") and value is not None:
        return [Decimal(f"{Decimal(value):f}")]  # with the scale that is written, but never an exponent
    return [value.replace("\0", "␀") if isinstance(value, str) else value]


@settings(max_examples=20)
@given(
    st.lists(st.tuples(levels, levels), min_size=1), st.lists(st.tuples(texts, st.lists(texts)), min_size=1)
)
def test_any_number_and_any_text_is_what_the_database_has(
    database_server: Postgres,
    books: list[tuple[list[tuple[str, str]], list[tuple[str, str]]]],
    news: list[tuple[str, list[str]]],
) -> None:
    hot_books = [
        hot("books", recv=i, snapshot=1, bids=json.encode(bids).decode(), asks=json.encode(asks).decode())
        for i, (bids, asks) in enumerate(books)
    ]
    hot_news = [
        hot("news", recv=i, headline=text, symbols=json.encode(some).decode())
        for i, (text, some) in enumerate(news)
    ]

    async def there_and_back() -> None:
        db = await asyncpg.connect(database_server.url)
        try:
            async with db.transaction():
                await check(db)
                raise Undone
        except Undone:
            pass
        finally:
            await db.close()

    async def check(db: Any) -> None:
        await db.execute("DROP SCHEMA IF EXISTS livetape CASCADE")
        await db.execute("CREATE SCHEMA livetape")
        for table, rows in (("books", hot_books), ("news", hot_news)):
            for statement in create_statements(table):
                await db.execute(statement)
            sent = io.BytesIO(csv_of(table, columns.from_hot(table, rows)))
            into = {"columns": names_of(table), "schema_name": "livetape", "format": "csv"}
            await db.copy_to_table(table, source=sent, **into)
        names = "bid_price, bid_size, ask_price, ask_size"
        found = await db.fetch(f"SELECT {names} FROM livetape.books ORDER BY recv")
        wanted = [
            [[Decimal(level[i]) for level in side] for side in sides for i in (0, 1)] for sides in books
        ]
        assert [list(row) for row in found] == wanted
        found = await db.fetch("SELECT headline, symbols FROM livetape.news ORDER BY recv")
        shown = [(text.replace("\0", "␀"), [each.replace("\0", "␀") for each in some]) for text, some in news]
        assert [tuple(row) for row in found] == shown

    asyncio.run(there_and_back())


class Undone(Exception):
    pass


def hot(table: str, **known: object) -> tuple[object, ...]:
    """A row of a journal."""
    usual = {"session": 1, "seq": 1, "venue": "v", "symbol": "S", "trust": "live", "origin": "live"}
    return tuple((usual | known).get(name) for name in columns.hot_names(table))


async def test_people_find_the_time_and_the_file(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 3))
    await brought(tmp_path, database)
    [row] = await fetch(
        database, "SELECT time, (extract(epoch FROM time) * 1000000)::bigint FROM livetape.trades LIMIT 1"
    )
    assert row[0].utcoffset() is not None and row[1] == NOW // 1000
    [file] = await fetch(database, 'SELECT path, "table", date, venue, rows FROM livetape.files')
    [sealed] = view(tmp_path).files
    assert file == (sealed.path, "trades", file[2], "kraken", 3)
    assert file[2].isoformat() == sealed.date


# Once


async def test_a_second_run_adds_nothing_and_a_new_segment_only_itself(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 1_000))
    assert (await brought(tmp_path, database)).done.rows == 1_000
    assert (await brought(tmp_path, database)).done.rows == 0
    record(tmp_path, trades(1_000, 500))
    assert (await brought(tmp_path, database)).done.rows == 500
    assert await sums(database) == expected(0, 1_500)


@pytest.mark.parametrize("before", [0, 1, 2, 3])
async def test_compaction_doubles_nothing_however_much_was_shipped_before(
    tmp_path: Path, database: str, before: int
) -> None:
    for n in range(3):
        record(tmp_path, trades(n * 100, 100))
        if n < before:
            await brought(tmp_path, database)
    compact(tmp_path)
    assert len(view(tmp_path).files) == 1
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 300)
    record(tmp_path, trades(300, 100))
    compact(tmp_path)
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 400)


async def test_who_saw_the_store_before_compaction_adds_nothing_after_it(
    tmp_path: Path, database: str
) -> None:
    record(tmp_path, trades(0, 10), trades(10, 10))
    before = view(tmp_path).files
    with readers(tmp_path):  # so that the old files stay
        compact(tmp_path)
        await brought(tmp_path, database)
        sink = sink_of(database)
        assert await sink.missing(before) == list(before)
        for file in before:
            assert await sink.ship(file, tmp_path / file.path, {file.path for file in before})
            assert not await sink.ship(file, tmp_path / file.path, {file.path for file in before})
        await sink.close()
    assert await sums(database) == expected(0, 20)


async def test_equal_rows_stay_as_many_as_they_are(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(7, 1) * 3, trades(7, 1) * 2)
    await brought(tmp_path, database)
    compact(tmp_path)
    await brought(tmp_path, database)
    assert (await sums(database))[0] == 5


async def test_what_retention_removes_stays_in_the_database(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 10))
    await brought(tmp_path, database)
    catalog = Catalog(tmp_path)
    catalog.replace(view(tmp_path).files, [], why="removed by retention")
    record(tmp_path, trades(10, 10))
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 20)


async def test_a_catalogue_that_was_made_again_doubles_nothing(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(900, 50))
    Catalog(tmp_path).replace(view(tmp_path).files, [], why="removed by retention")
    record(tmp_path, trades(0, 10), trades(10, 10))
    before = [file.first_n for file in view(tmp_path).files]
    await brought(tmp_path, database)
    compact(tmp_path)
    recatalog(tmp_path)
    [file] = view(tmp_path).files
    assert file.last_n < min(before), "the numbers are still the same"
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 20)


async def test_two_stores_share_a_database(tmp_path: Path, database: str) -> None:
    for n, name in enumerate(("one", "other")):
        record(tmp_path / name, trades(n * 100, 100))
    for name in ("one", "other"):
        await brought(tmp_path / name, database)
    compact(tmp_path / "one")
    await brought(tmp_path / "one", database)
    assert await sums(database) == expected(0, 200)


async def test_two_runs_at_the_same_time_ship_every_row_once(tmp_path: Path, database: str) -> None:
    record(tmp_path, *[trades(n * 50, 50) for n in range(8)])
    runs = await asyncio.gather(*[brought(tmp_path, database) for _ in range(3)])
    assert await sums(database) == expected(0, 400)
    assert sum(run.done.rows for run in runs) == 400


@pytest.mark.parametrize("seed", range(2))
async def test_a_killed_run_is_simply_repeated(tmp_path: Path, database: str, seed: int) -> None:
    record(tmp_path, *[trades(n * 20_000, 20_000) for n in range(6)])
    chance, seen = random.Random(seed), Counter[bool]()
    for n in range(6):
        if n == 3:
            compact(tmp_path)
            record(tmp_path, trades(120_000, 20_000))
        process = start(tmp_path, "--to", database)
        await asyncio.sleep(0.9 + chance.uniform(0, 1.2))
        seen[process.poll() is None] += 1
        process.kill()
        process.communicate()
    assert seen[True], "it was never killed while it worked"
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", database)
    assert code == 0, said
    assert await sums(database) == expected(0, 140_000)


# A server that is not as one would like it


async def test_a_server_that_is_down_is_exit_code_4_and_harms_no_tape(
    tmp_path: Path, database: str, database_server: Postgres
) -> None:
    record(tmp_path, trades(0, 10))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    database_server.crash()
    try:
        code, said = await asyncio.to_thread(ship, tmp_path, "--to", database, "--patience", "0.1")
    finally:
        database_server.start()
    assert code == 4
    assert "Connection refused" in said and PASSWORD not in said and "tape:***@127.0.0.1" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 10)


async def test_a_server_that_restarts_meanwhile_is_waited_for(
    tmp_path: Path, database: str, database_server: Postgres
) -> None:
    record(tmp_path, *[trades(n * 5_000, 5_000) for n in range(12)])
    run = asyncio.create_task(brought(tmp_path, database, patience_s=60.0))
    while not await shipped_files(database):
        await asyncio.sleep(0.01)
    await asyncio.to_thread(database_server.crash)
    assert not run.done(), "it was too quick for this test"
    await asyncio.to_thread(database_server.start)
    await run
    assert await sums(database) == expected(0, 60_000)


async def shipped_files(url: str) -> int:
    try:
        [[n]] = await fetch(url, "SELECT count(*) FROM livetape.files")
    except asyncpg.UndefinedTableError:
        return 0
    return int(n)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (lambda url: url.replace("geheim", "verraten"), "password authentication failed"),
        (lambda url: f"{url}x", "does not exist"),
        (lambda url: url.replace("%2F", "/"), "%2F for /"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.1:x"), ""),
        (lambda url: f"{url}?sslmode=perhaps", "sslmode"),
    ],
)
async def test_a_wrong_address_is_explained_without_the_password(
    tmp_path: Path, database: str, wrong: Any, part: str
) -> None:
    record(tmp_path, trades(0, 1))
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", wrong(database))
    assert code == 2, said
    assert part in said
    for secret in ("geheim", "verraten", "%C2%A7", "§"):
        assert secret not in said


async def test_somebody_without_the_right_is_told_so(tmp_path: Path, database: str) -> None:
    db = await asyncpg.connect(database)
    await db.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    await db.close()
    record(tmp_path, trades(0, 1))
    guest = f"postgresql://guest:guest@{database.rpartition('@')[2]}"
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", guest)
    assert code == 2 and "permission denied" in said
    db = await asyncpg.connect(database)
    await db.execute("CREATE SCHEMA livetape AUTHORIZATION guest")
    await db.close()
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", guest)
    assert code == 0, said
    assert (await sums(database))[0] == 1


async def test_a_table_of_an_older_livetape_gets_its_new_columns(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 5))
    await brought(tmp_path, database)
    await fetch(database, "ALTER TABLE livetape.trades DROP COLUMN conditions, DROP COLUMN method")
    record(tmp_path, trades(5, 5))
    await brought(tmp_path, database)
    assert await sums(database) == expected(0, 10)
    assert await fetch(database, "SELECT DISTINCT conditions FROM livetape.trades ORDER BY 1") == [
        ([],),
        (None,),
    ]


# A store that is not as one would like it


async def test_a_damaged_file_is_named_and_keeps_no_other_from_being_shipped(
    tmp_path: Path, database: str
) -> None:
    record(tmp_path, *[trades(n * 100, 100) for n in range(3)])
    bad = tmp_path / view(tmp_path).files[1].path
    data = bytearray(bad.read_bytes())
    data[len(data) // 3] ^= 1
    bad.write_bytes(data)
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", database)
    assert code == 5 and bad.name in said and "damaged" in said
    assert (await sums(database))[0] == 200


async def test_no_tape_and_no_such_table_are_told(tmp_path: Path, database: str) -> None:
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", database)
    assert code == 6 and "no recorded tape" in said
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", database, "--table", "trade")
    assert code == 2 and "did you mean trades" in said
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", "mysql://a:b@c/d")
    assert code == 2 and "a:***@c" in said


# As it goes


async def test_follow_ships_what_is_sealed_later_until_ctrl_c(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 10))
    written(tmp_path, *trades(10, 5))
    process = start(tmp_path, "--to", database, "--follow", "--table", "trades")
    try:
        await until(lambda: sums(database), expected(0, 10))
        keep_up(tmp_path, SEALED)
        await until(lambda: sums(database), expected(0, 15))
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(process.communicate)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "2 files with 15 rows" in err


async def until(call: Any, wanted: object, timeout_s: float = 60) -> None:
    deadline, found = time.monotonic() + timeout_s, None
    while found != wanted:
        assert time.monotonic() < deadline, found
        try:
            found = await call()
        except asyncpg.UndefinedTableError:
            await asyncio.sleep(0.05)


async def test_what_is_not_sealed_is_said_to_be_missing(tmp_path: Path, database: str) -> None:
    record(tmp_path, trades(0, 10))
    written(tmp_path, *trades(10, 5))
    assert len(segments(tmp_path)) == 1
    code, said = await asyncio.to_thread(ship, tmp_path, "--to", database)
    assert code == 0 and "10 rows" in said and "not sealed yet" in said


async def test_nobody_waits_longer_than_asked(tmp_path: Path) -> None:
    record(tmp_path, trades(0, 1))
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:9"):
        await brought(tmp_path, "postgresql://127.0.0.1:9/none", patience_s=0.0)
