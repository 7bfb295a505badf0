"""A part of a tape as a file of others: exact, whole or not there, and gone on with after any end."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from livetape import clock
from livetape.core.book import Book
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import BookUpdate, MarketEvent, Proof, Quote, Trade
from livetape.core.wire import event_json
from livetape.store import merge
from livetape.store.exporting import FORMS, Wish, export
from livetape.store.importing import importing
from livetape.store.plan import Rules
from livetape.store.tabular import JsonLines, Said, Table, read_csv, read_parquet
from livetape.store.upkeep import keep_up

from ..cli.running import finish, livetape, start
from .sealed import tape_of
from .tape import SAMPLES, frame, trade, written

TRADES, QUOTES = "kraken:BTC-USD/trade", "kraken:BTC-USD/quote"
NOW = clock.now_ns()  # what is hot was received not long ago
SIZES = ("1e-8", "0.50", "63004.1000000000000000001", "0", "7")


def updates() -> Iterator[MarketEvent]:
    """A book of three levels a side, whose venue keeps no more."""
    levels = [(f"{price}.50", "1.0") for price in (102, 101, 100)]
    yield BookUpdate(
        *("kraken:BTC-USD/book", NOW, True, levels, [("103", "2"), ("104", "2"), ("105", "2")]),
        recv_ns=NOW + 2_000_000,
        session=5,
        seq=1,
        proof=Proof("crc32", 3, NOW),
    )
    for n in range(2, 60):
        bids = [(f"10{n % 4}.50", str(n % 5))]
        yield BookUpdate(
            *("kraken:BTC-USD/book", None, False, bids, []), recv_ns=NOW + n * 1_000_000, session=5, seq=n
        )


def ticks() -> Iterator[MarketEvent]:
    for n in range(1, 3_001):
        place: dict[str, Any] = {"recv_ns": NOW + n // 3, "session": 1, "seq": n}
        if n % 2:
            yield Quote(QUOTES, NOW - n, "1.10", SIZES[n % 5], None, None, n, **place)
        else:
            yield replace(
                trade(n),
                **place,
                size_text=SIZES[n % 5],
                conditions=("@", "I") if n % 4 else (),
                excluded=("last",) if n % 4 else (),
            )


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of it sealed, half of it hot."""
    directory = tmp_path_factory.mktemp("tape")
    events = [*ticks()]
    written(directory, *SAMPLES, frame(1), *events[:1_800])
    keep_up(directory, Rules())
    written(directory, *events[1_800:], *updates())
    return directory


def recorded(tape: Path, *channels: str) -> list[MarketEvent]:
    return [event for event in tape_of(tape)[0] if not channels or event.channel in channels]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(("channel", "table"), [(TRADES, "trades"), (QUOTES, "quotes")])
def test_what_is_exported_can_be_imported_again(
    form: str, channel: str, table: str, tape: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"out.{form}"
    rows = export(tape, Wish(form, (table,), (channel,)), out)
    source = (
        JsonLines(out, Said())
        if form == "jsonl"
        else Table(out, Said(), {"csv": read_csv}.get(form, read_parquet))
    )
    with importing(tmp_path / "again") as importer:
        importer.add(source)
    ours = [event for event in recorded(tape, channel) if isinstance(event, Trade | Quote)]
    theirs = recorded(tmp_path / "again", channel)
    assert rows == len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        unknown = {"number": None} if form == "jsonl" and isinstance(a, Trade) else {}
        same = {name: getattr(b, name) for name in ("session", "seq", "trust", "origin")}
        assert replace(a, **same, **unknown, proof=None) == b


def test_json_lines_are_those_of_watch_in_the_order_of_the_tape(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export(tape, Wish("jsonl"), out) == len(recorded(tape))
    lines = out.read_bytes().splitlines()
    assert sorted(lines) == sorted(map(event_json, recorded(tape)))
    times = [json.loads(line)["recv"] for line in lines]
    assert times == sorted(times)


def test_order_books_are_lines_of_the_best_levels(tape: Path, tmp_path: Path) -> None:
    export(tape, Wish("orderbook-jsonl", ("books",), ("kraken:BTC-USD/book",), depth=2), tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()][-59:]
    book = Book()
    for line, update in zip(lines, list(updates()), strict=True):
        assert isinstance(update, BookUpdate)
        book.apply(update.bids, update.asks, depth=3)
        bids, asks = book.top(2)
        assert line == {
            "bids": list(map(list, bids)),
            "asks": list(map(list, asks)),
            "ts": update.recv_ns // 1_000_000,
        }


def test_any_tool_reads_the_sqlite_file(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.sqlite"
    assert export(tape, Wish("sqlite"), out) == len(recorded(tape))
    with sqlite3.connect(out) as db:
        query = (
            "SELECT recv, price_text, size_text, price, conditions FROM trades WHERE symbol = ? AND venue = ?"
        )
        found = db.execute(f"{query} ORDER BY row", ("BTC-USD", "kraken")).fetchall()
        times = db.execute("SELECT julianday(timestamp), timestamp FROM trades").fetchall()
    db.close()
    ours = [event for event in recorded(tape, TRADES) if isinstance(event, Trade)]
    assert found == [
        (e.recv_ns, e.price_text, e.size_text, e.price, json.dumps(e.conditions, separators=(",", ":")))
        for e in ours
    ]
    assert all(abs(day - 2461000) < 1_000 for day, _ in times)


def test_all_tables_become_a_directory(tape: Path, tmp_path: Path) -> None:
    rows = export(tape, Wish("parquet"), tmp_path / "out")
    files = sorted((tmp_path / "out").iterdir())
    assert sum(pq.read_metadata(file).num_rows for file in files) == rows == len(recorded(tape))
    assert {"trades.parquet", "quotes.parquet", "gaps.parquet"} <= {file.name for file in files}
    with pytest.raises(ConfigError, match="is there already"):
        export(tape, Wish("parquet"), tmp_path / "out")


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_export_goes_on(
    form: str, tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "WINDOW_ROWS", 8)
    monkeypatch.setattr(merge, "MOST_WINDOW_ROWS", 16)
    tables = {"csv": ("trades",), "parquet": ("trades",), "orderbook-jsonl": ("books",)}
    wish = Wish(form, tables.get(form, ("trades", "quotes", "books")), end_ns=NOW + 10**15)
    export(tape, wish, tmp_path / "whole")
    turns = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            raise Interrupted

    out = tmp_path / "out"
    for _ in range(2):
        turns = 0
        with pytest.raises(Interrupted):
            export(tape, wish, out, progress)
        assert not out.exists()
        if form not in ("sqlite", "parquet"):
            with (tmp_path / "out.part").open("ab") as part:
                part.write(b"the process was killed here")
    export(tape, wish, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
    if form == "sqlite":
        query = "SELECT * FROM trades UNION ALL SELECT * FROM trades ORDER BY row"
        whole, made = ([*sqlite3.connect(tmp_path / name).execute(query)] for name in ("whole", "out"))
        assert whole == made
    else:
        assert out.read_bytes() == (tmp_path / "whole").read_bytes()


def interrupted_before(table: str, tape: Path, wish: Wish, out: Path) -> None:
    """Leave an export of several tables in which those before ``table`` are whole."""

    def progress(what: str, done: int, total: int) -> None:
        if what == f"exporting {table}.{wish.form}":
            raise Interrupted

    with pytest.raises(Interrupted):
        export(tape, wish, out, progress)
    assert list(out.with_name(f"{out.name}.part").glob(f"*.{wish.form}"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "other",
    [
        {"start_ns": NOW + 100},
        {"end_ns": NOW + 200},
        {"channels": (QUOTES, TRADES)},
        {"form": "parquet"},
        {"tables": ("quotes", "books")},
    ],
)
def test_what_was_begun_for_another_wish_is_not_gone_on_with(
    other: dict[str, Any], tape: Path, tmp_path: Path
) -> None:
    wish = Wish("csv", end_ns=NOW + 10**15)
    interrupted_before("books", tape, wish, tmp_path / "out")
    wish = replace(wish, **other)
    rows = export(tape, wish, tmp_path / "out")
    assert rows == export(tape, wish, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "whole"}


def test_all_tables_of_an_export_end_at_the_same_time(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    events = [*ticks()]
    written(tape, *events)
    interrupted_before("quotes", tape, Wish("csv"), out)
    now = clock.now_ns()
    written(tape, *(replace(event, recv_ns=now) for event in events[:10]))
    assert export(tape, Wish("csv"), out) == len(events)
    lines = sum(path.read_bytes().count(b"\n") - 1 for path in out.iterdir())
    assert lines == len(events)


def test_a_database_that_only_lacks_its_name_gets_it(
    tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left")

    wish = Wish("sqlite", ("trades",), end_ns=NOW + 10**15)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="no space left"):
            export(tape, wish, tmp_path / "out")
    assert export(tape, wish, tmp_path / "out") == export(tape, wish, tmp_path / "whole")
    query = "SELECT * FROM trades ORDER BY row"
    whole, made = ([*sqlite3.connect(tmp_path / name).execute(query)] for name in ("whole", "out"))
    assert whole == made


def test_only_a_time_is_exported(tape: Path, tmp_path: Path) -> None:
    wish = Wish("jsonl", ("trades",), (TRADES,), start_ns=NOW + 100, end_ns=NOW + 200)
    export(tape, wish, tmp_path / "out")
    times = [json.loads(line)["recv"] for line in (tmp_path / "out").read_text().splitlines()]
    assert times == [
        e.recv_ns
        for e in recorded(tape, TRADES)
        if isinstance(e, Trade) and NOW + 100 <= e.recv_ns < NOW + 200
    ]


def test_a_full_disk_is_told_and_the_export_goes_on_later(tape: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "livetape", "export", "--all", "--format", "jsonl"),
        "--store",
        str(tape),
    ]
    command += ["-o", str(tmp_path / "out.jsonl")]

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = subprocess.run(command, preexec_fn=no_room, capture_output=True, text=True, check=False)
    assert full.returncode == 6, full.stderr
    assert "out.jsonl: cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == len(recorded(tape))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["-o", "x"], "name a channel"),
        ([TRADES], "where it is to be written"),
        ([TRADES, "--format", "cvs", "-o", "x"], "did you mean csv"),
        (["kraken:BTC-UST/trade", "-o", "x"], "BTC-USD"),
        ([TRADES, "--format", "orderbook-jsonl", "-o", "x"], "order books are of one channel"),
    ],
)
async def test_a_mistake_is_explained(arguments: list[str], part: str, tape: Path, tmp_path: Path) -> None:
    _, err, code = await livetape("export", *arguments, "--store", str(tape), cwd=tmp_path)
    assert code == 2
    assert part in " ".join(err.split())


async def test_ctrl_c_ends_it_with_its_own_code(tape: Path, tmp_path: Path) -> None:
    process = await start(
        "export", "--all", "--store", str(tape), "--format", "csv", "-o", str(tmp_path / "out")
    )
    while not (tmp_path / "out.part").exists():
        await asyncio.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err, code = await finish(process)
    assert "Traceback" not in err
    assert code == (0 if (tmp_path / "out").exists() else 130)
