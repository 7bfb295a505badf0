"""No damage is read as data, and each is named."""

import os
import random
import re
from pathlib import Path

import apsw
import pyarrow as pa
import pytest
from msgspec import json

from livetape.core.errors import StoreError
from livetape.core.raw import Direction, RawRecord
from livetape.store import locks, parquet
from livetape.store.catalog import Catalog, SealedFile, Segment, View
from livetape.store.journal import Journal
from livetape.store.parquet import Reader
from livetape.store.plan import Rules
from livetape.store.scan import Wanted, visible
from livetape.store.upkeep import keep_up
from livetape.store.verifying import Finding, damage, verify

from ..cli.running import livetape
from .tape import NOW, SAMPLES, trade, written

FLIPS = int(os.environ.get("LIVETAPE_FLIPS", "300"))  #: in sealed files, of which none may be read as data


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A sealed segment, and a hot one that goes on from it."""
    frames = [RawRecord(7, NOW + n, Direction.IN, b"x" * (n % 97)) for n in range(300)]
    written(tmp_path, *SAMPLES, *map(trade, range(2_000)), *frames)
    keep_up(tmp_path, Rules())
    written(tmp_path, *map(trade, range(2_000, 2_500)))
    return tmp_path


def sealed(tape: Path, table: str = "trades", venue: str = "kraken") -> SealedFile:
    [file] = [file for file in Catalog(tape).view().files if (file.table, file.venue) == (table, venue)]
    return file


def problems(tape: Path) -> list[tuple[str, str]]:
    return [(finding.path, finding.problem) for finding in verify(tape) if finding.damaged]


def change_catalog(tape: Path, statement: str) -> None:
    db = apsw.Connection(str(tape / "catalog.sqlite"))
    db.execute(statement)
    db.close()


def test_a_whole_tape_is_without_findings(tape: Path) -> None:
    assert list(verify(tape)) == []


def read(tape: Path, table: str) -> pa.Table | None:
    """All rows that a reader sees of ``table``; None where it is told of damage instead."""
    try:
        with visible(tape) as view:
            return pa.concat_tables(view.scan(Wanted(table)))
    except StoreError:
        return None


def test_no_flipped_bit_is_read_as_data(tape: Path) -> None:
    rng = random.Random(1)
    files = Catalog(tape).view().files
    whole = {file.table: read(tape, file.table) for file in files}
    ranges = 0
    for _ in range(FLIPS):
        file = rng.choice(files)
        path = tape / file.path
        content = bytearray(path.read_bytes())
        at, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        content[at] ^= bit
        path.write_bytes(content)
        where = f"bit {bit} of byte {at} of {file.path}"
        assert read(tape, file.table) in (None, whole[file.table]), where
        found = list(damage(tape, file))
        assert found, where
        ranges += any(
            re.fullmatch(r"rows \d+ to \d+ of the column [\w.]+ are damaged", each) for each in found
        )
        content[at] ^= bit
        path.write_bytes(content)
    assert ranges > FLIPS / 10
    assert problems(tape) == []


def test_a_missing_and_a_cut_file_are_named(tape: Path) -> None:
    trades, quotes = sealed(tape), sealed(tape, "quotes", "gemini")
    (tape / trades.path).unlink()
    os.truncate(tape / quotes.path, quotes.bytes - 1)
    assert [path for path, _ in problems(tape)].count(trades.path) == 1
    assert (quotes.path, f"has {quotes.bytes - 1} bytes instead of {quotes.bytes}") in problems(tape)
    [remedy] = {finding.remedy for finding in verify(tape)}
    assert f"livetape rebuild {tape} --from-raw" in remedy


def test_a_file_in_the_place_of_another_is_noticed(tape: Path) -> None:
    trades, raw = sealed(tape), sealed(tape, "raw", "unknown")
    (tape / trades.path).write_bytes((tape / raw.path).read_bytes())
    assert any(f"instead of {trades.rows} of trades" in problem for _, problem in problems(tape))


@pytest.mark.parametrize(
    ("column", "part"),
    [
        ("first_recv = first_recv - 1", "its times are not those in the catalogue"),
        ("last_ns = last_ns + 1", "its times are not those in the catalogue"),
        ("rows = rows + 1", "rows of trades"),
        ("venue = 'gemini'", "are not all of gemini"),
        ("date = '2026-01-01'", "are not all of 2026-01-01"),
    ],
)
def test_what_the_catalogue_says_is_compared(column: str, part: str, tape: Path) -> None:
    change_catalog(tape, f"UPDATE files SET {column} WHERE path = '{sealed(tape).path}'")
    assert any(part in problem for path, problem in problems(tape) if path == sealed_path(tape))


def sealed_path(tape: Path) -> str:
    return next(
        file.path for file in Catalog(tape).view().files if file.path.startswith("trades/") and file.rows > 5
    )


def test_rows_in_another_order_are_noticed(tape: Path) -> None:
    file = sealed(tape)
    rows = Reader(tape / file.path).read()
    indices = list(range(rows.num_rows))
    indices[700], indices[701] = 701, 700
    parquet.write(tape / file.path, "trades", rows.take(pa.array(indices)))
    change_catalog(
        tape, f"UPDATE files SET bytes = {(tape / file.path).stat().st_size} WHERE path = '{file.path}'"
    )
    assert problems(tape) == [(file.path, f"rows 0 to {file.rows - 1} are not in order")]


def test_records_that_are_missing_or_doubled_are_counted(tape: Path) -> None:
    change_catalog(tape, f"DELETE FROM files WHERE path = '{sealed(tape).path}'")
    [(path, problem)] = problems(tape)
    assert path == "catalog.sqlite"
    assert re.search(r"\d+ records were sealed, and \d+ are in files or were removed", problem)
    [stranger] = [finding for finding in verify(tape) if not finding.damaged]
    assert (stranger.problem, stranger.path.split("/")[0]) == ("is no part of the tape", "trades")


def test_a_hole_between_segments_is_named(tape: Path) -> None:
    change_catalog(tape, "UPDATE segments SET rows = rows - 1 WHERE rows IS NOT NULL")
    assert any("those from" in problem for path, problem in problems(tape) if path == "catalog.sqlite")


def test_a_hole_in_a_segment_is_named(tape: Path) -> None:
    [segment] = Catalog(tape).view().segments
    db = apsw.Connection(str(segment.path))
    [[gone]] = db.execute("DELETE FROM trades WHERE id = '2100' RETURNING n")
    db.close()
    assert (
        f"journal/{segment.path.name}",
        f"after record {int(str(gone)) - 1} comes {int(str(gone)) + 1}",
    ) in problems(tape)


def test_a_damaged_segment_is_named(tape: Path) -> None:
    [segment] = Catalog(tape).view().segments
    content = bytearray(segment.path.read_bytes())
    content[4_096 : len(content) // 2] = bytes(len(content) // 2 - 4_096)
    segment.path.write_bytes(content)
    assert f"journal/{segment.path.name}" in [path for path, _ in problems(tape)]


def test_a_damaged_catalogue_is_named(tape: Path) -> None:
    (tape / "catalog.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5_000))
    [finding] = verify(tape)
    assert finding.path == "catalog.sqlite"
    assert "--catalog" in finding.remedy


def test_a_tape_that_is_being_written_is_whole(tape: Path) -> None:
    journal = Journal(tape)
    for n in range(100):
        journal.record(trade(n))
    assert problems(tape) == []
    journal.close()
    assert problems(tape) == []


def test_files_that_are_about_to_be_shown_are_no_strangers(tape: Path) -> None:
    keep_up(tape, Rules(compact=False))
    found: list[Finding] = []
    unnamed = set[str]()

    def look(*_: object) -> None:
        unnamed.update(set(files_of(tape)) - {file.path for file in Catalog(tape).view().files})
        found.extend(verify(tape))

    keep_up(tape, Rules(), look)
    assert unnamed, "it was never looked at between a file and its catalogue"
    assert found == []
    assert list(verify(tape)) == []


def files_of(tape: Path) -> list[str]:
    return [path.relative_to(tape).as_posix() for path in tape.glob("*/date=*/venue=*/*")]


def test_a_segment_that_is_about_to_be_shown_is_no_stranger(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[Finding]] = []

    def add_segment(catalog: Catalog, segment: Segment) -> None:
        assert segment.path.exists()
        found.append([*verify(tape)])
        added(catalog, segment)

    added = Catalog.add_segment
    monkeypatch.setattr(Catalog, "add_segment", add_segment)
    Journal(tape).close()
    assert found == [[]]


def test_what_lies_there_is_a_stranger_unless_somebody_is_at_work(tape: Path) -> None:
    (tape / "journal" / "1.sqlite").write_bytes(b"?")
    (tape / sealed_path(tape)).with_name("mine.parquet").write_bytes(b"?")
    assert {Path(finding.path).name for finding in verify(tape)} == {"1.sqlite", "mine.parquet"}
    with locks.upkeep(tape):
        assert list(verify(tape)) == []


def test_a_retention_meanwhile_is_no_damage(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Catalog(tape).view().files[:3]

    def view_of(catalog: Catalog) -> View:
        nonlocal left
        found = view(catalog)
        gone, left = left[:1], left[1:]
        if gone:
            catalog.replace(gone, [], why="removed by retention")
        return found

    view = Catalog.view
    monkeypatch.setattr(Catalog, "view", view_of)
    assert problems(tape) == []
    assert len(Catalog(tape).removed()) == 3


async def test_the_command_tells_by_its_exit_code(tape: Path) -> None:
    _, err, code = await livetape("verify", str(tape))
    assert (code, err.strip()) == (0, "the tape is as it was written")
    os.truncate(tape / sealed(tape).path, 1_000)
    out, err, code = await livetape("verify", str(tape), "--json")
    assert code == 5
    findings = [json.decode(line, type=Finding) for line in out.splitlines()]
    assert {finding.path for finding in findings} == {sealed_path(tape)}
    assert f"{len(findings)} damages" in err
    assert (await livetape("verify", "nosuch"))[2] == 6
