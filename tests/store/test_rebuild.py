"""What is damaged is made again, as it was."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from livetape import clock
from livetape.adapters import find
from livetape.calendars import phase_of
from livetape.core.errors import StoreError
from livetape.core.events import MarketEvent, Origin, Status
from livetape.core.raw import RawRecord, Recipe
from livetape.feeds.replay import Replay
from livetape.store import locks
from livetape.store.catalog import Catalog, SealedFile
from livetape.store.importing import importing
from livetape.store.plan import Rules
from livetape.store.rebuilding import Wish, rebuild
from livetape.store.recataloguing import recatalog
from livetape.store.recordings import Recording, crossbook, hftbacktest
from livetape.store.upkeep import keep_up
from livetape.store.verifying import verify

from ..cli.running import livetape
from .sealed import tape_of
from .tape import trade, written

replaying = partial(Replay, phase=phase_of)


def recorded(recordings: Path) -> list[MarketEvent | RawRecord]:
    """What a live recording of Kraken's book would have written."""
    path = recordings / "kraken" / "crossbook_kraken_btcusd_l2.cbcap.gz"
    source = Recording([path], crossbook, Recipe("kraken"), partial(find("kraken"), {}), phase_of)
    return list(source.records(clock.now_ns()))


@pytest.fixture(scope="module")
def original(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sealed segments, a hot one, an imported recording, and a table that came without raw frames."""
    directory = tmp_path_factory.mktemp("original")
    records = recorded(recordings)
    written(directory, *records[:300], *map(trade, range(40)))
    keep_up(directory, Rules(compact=False))
    written(directory, *records[300:500])
    keep_up(directory, Rules(compact=False))
    path = recordings / "hyperliquid" / "hftbacktest_btcusd_20250126_part1.txt.gz"
    recipe = Recipe("hyperliquid", origin=Origin.BACKFILLED)
    with importing(directory) as importer:
        importer.add(Recording([path], hftbacktest, recipe, partial(find("hyperliquid"), {}), phase_of))
    written(directory, *records[500:])
    return directory


@pytest.fixture
def tape(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tape"))


def files(tape: Path, table: str, venue: str = "kraken") -> list[SealedFile]:
    return [file for file in Catalog(tape).view().files if (file.table, file.venue) == (table, venue)]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 8
    path.write_bytes(content)


def same(tape: Path, original: Path) -> bool:
    """Whether all rows of ``original`` are on ``tape``, each once, and all are whole."""
    return tape_of(tape) == tape_of(original) and not list(verify(tape))


def test_damaged_and_missing_files_are_made_again(tape: Path, original: Path) -> None:
    first, second = files(tape, "books")
    [status] = files(tape, "status")
    flip(tape / first.path)
    (tape / second.path).unlink()
    flip(tape / status.path)
    flip(tape / files(tape, "quotes", "hyperliquid")[0].path) if files(
        tape, "quotes", "hyperliquid"
    ) else None
    flip(tape / files(tape, "books", "hyperliquid")[0].path)
    done = rebuild(tape, replaying, Wish())
    assert all(each.made and not each.lost for each in done)
    assert sum(
        each.made for each in done if each.folder.table == "books" and each.folder.venue == "kraken"
    ) == (first.rows + second.rows)
    assert same(tape, original)
    assert rebuild(tape, replaying, Wish()) == []


def test_what_is_whole_is_compared_with_the_raw_frames(tape: Path, original: Path) -> None:
    before = Catalog(tape).view()
    done = rebuild(tape, replaying, Wish(tables=("books", "status")))
    assert {each.folder.table for each in done} == {"books", "status"}
    assert all((each.made, each.lost) == (0, 0) for each in done)
    assert Catalog(tape).view() == before


def test_what_came_without_raw_frames_is_lost_and_told(tape: Path) -> None:
    [file] = files(tape, "trades")
    flip(tape / file.path)
    [done] = rebuild(tape, replaying, Wish())
    assert (done.made, done.lost) == (0, 40)
    [removed] = Catalog(tape).removed()
    assert (removed.table, removed.rows, removed.first_recv) == ("trades", 40, file.first_recv)
    assert not list(verify(tape))


def test_raw_frames_that_give_other_rows_replace_nothing(tape: Path) -> None:
    flip(tape / files(tape, "books")[0].path)

    def otherwise(records: Iterable[RawRecord]) -> list[MarketEvent]:
        told = list(replaying(records))
        return [
            replace(event, detail="x") if isinstance(event, Status) else replace(event, venue_ns=1)
            for event in told
        ]

    before = Catalog(tape).view()
    with pytest.raises(StoreError, match="do not give the rows that can be read; nothing was replaced"):
        rebuild(tape, otherwise, Wish())
    assert Catalog(tape).view() == before


def test_damaged_raw_frames_are_named(tape: Path) -> None:
    flip(tape / files(tape, "books")[0].path)
    [raw, *_] = files(tape, "raw")
    flip(tape / raw.path)
    with pytest.raises(StoreError, match=raw.path):
        rebuild(tape, replaying, Wish())


def dying(tape: Path, call: int) -> None:
    """Rebuild in a process that ends at its ``call``-th rename or catalogue change."""
    calls = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def then(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == call:
                os._exit(9)
            return real(*args, **kwargs)

        return then

    with (
        patch.object(Path, "rename", counted(Path.rename)),
        patch.object(Path, "unlink", counted(Path.unlink)),
        patch.object(os, "fsync", counted(os.fsync)),
        patch.object(Catalog, "replace", counted(Catalog.replace)),
    ):
        rebuild(tape, replaying, Wish())
    os._exit(0)


def test_wherever_it_is_killed_it_goes_on(original: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    for call in range(1, 200, 5):
        tape = Path(shutil.copytree(original, tmp_path / str(call)))
        for file in files(tape, "books"):
            flip(tape / file.path)
        process = spawn.Process(target=dying, args=(tape, call))
        process.start()
        process.join()
        rebuild(tape, replaying, Wish())
        assert same(tape, original), call
        shutil.rmtree(tape)
        if process.exitcode == 0:
            assert call > 10
            return
    raise AssertionError("it never ended by itself")


async def test_the_command_says_what_it_made(tape: Path, original: Path) -> None:
    assert (await livetape("rebuild", str(tape)))[2] == 2
    assert (await livetape("rebuild", str(tape), "--from-raw", "--table", "raw"))[2] == 2
    first, _ = files(tape, "books")
    flip(tape / first.path)
    assert (await livetape("verify", str(tape)))[2] == 5
    _, err, code = await livetape("rebuild", str(tape), "--from-raw")
    assert code == 0
    assert f"books of kraken, {first.date}: {first.rows} rows made again" in err
    assert (await livetape("verify", str(tape)))[2] == 0
    assert same(tape, original)


def described(tape: Path) -> list[tuple[object, ...]]:
    """What the catalogue says of each file, but for the numbers that only it knew."""
    return [
        (f.path, f.rows, f.bytes, f.first_recv, f.last_recv, f.first_ns, f.last_ns)
        for f in Catalog(tape).view().files
    ]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_lost_catalogue_is_made_again(compacted: bool, tape: Path, original: Path) -> None:
    if compacted:
        keep_up(tape, Rules())
    before, sessions = described(tape), Catalog(tape).sessions()
    (tape / "catalog.sqlite").unlink()
    made = recatalog(tape)
    assert made.left_out == ()
    assert described(tape) == before
    assert sessions.items() <= Catalog(tape).sessions().items()
    assert same(tape, original)
    written(tape, trade(1))
    assert not list(verify(tape))


def test_a_damaged_catalogue_is_made_again(tape: Path, original: Path) -> None:
    (tape / "catalog.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5_000))
    recatalog(tape)
    assert same(tape, original)
    assert (tape / "catalog.sqlite.old").exists()


def test_what_compaction_left_is_not_shown_twice(tape: Path, original: Path) -> None:
    """Readers may delay that files are unlinked; a crash may come before they are replaced."""
    with locks.readers(tape):
        keep_up(tape, Rules())
    (tape / "catalog.sqlite").unlink()
    made = recatalog(tape)
    assert made.left_out
    assert tape_of(tape) == tape_of(original)


def test_half_a_compaction_is_not_shown(tape: Path, original: Path) -> None:
    keep_up(tape, Rules(compact=False))
    with locks.readers(tape), patch.object(Catalog, "replace"):  # the process ends before it is shown
        keep_up(tape, Rules())
    made = list(tape.glob("*/*/*/*-1-0.parquet"))
    made[0].unlink()
    (tape / "catalog.sqlite").unlink()
    recatalog(tape)
    assert tape_of(tape) == tape_of(original)


def test_half_a_sealing_is_not_shown(tape: Path, original: Path) -> None:
    [segment] = Catalog(tape).view().segments
    with patch.object(Catalog, "seal"):
        keep_up(tape, Rules(compact=False))
    for path in [*tape.glob(f"*/*/*/{segment.name}-0-0.parquet")][1:]:
        path.unlink()
    (tape / "catalog.sqlite").unlink()
    recatalog(tape)
    assert [each.name for each in Catalog(tape).view().segments] == [segment.name]
    assert tape_of(tape) == tape_of(original)


async def test_the_command_makes_a_catalogue(tape: Path, original: Path) -> None:
    (tape / "catalog.sqlite").unlink()
    _, err, code = await livetape("rebuild", str(tape), "--catalog")
    assert (code, "1 segments are on the tape" in err) == (0, True)
    assert same(tape, original)
