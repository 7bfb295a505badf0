"""A store is copied while it is recorded; the copy is a store, read once before it counts."""

import os
import shutil
from pathlib import Path

import pytest

from livetape.core.errors import StoreError
from livetape.store import locks
from livetape.store.backup import backup, restore
from livetape.store.catalog import Catalog
from livetape.store.journal import Journal, renew
from livetape.store.plan import Keep, Rules
from livetape.store.upkeep import keep_up

from .sealed import left_over, tape_of
from .tape import frame, segments, trade, until, written
from .test_seal import OLD, OLD_RAW, begin, old_store

ALL = Rules()


def both_halves(directory: Path) -> None:
    """A store with sealed files, and a segment."""
    written(directory, begin(1, "kraken"), trade(1), frame(1))
    keep_up(directory, ALL)
    written(directory, trade(2), frame(2))


def contents(directory: Path) -> dict[str, tuple[int, int]]:
    """Which Parquet files there are, and when each was written."""
    files = {path: path.stat() for path in directory.rglob("*.parquet")}
    return {path.name: (status.st_ino, status.st_mtime_ns) for path, status in files.items()}


def test_a_backup_is_a_store_and_becomes_one_elsewhere(tmp_path: Path) -> None:
    store, copy, again = tmp_path / "store", tmp_path / "copy", tmp_path / "again"
    both_halves(store)
    before = tape_of(store)
    backup(store, copy)
    shutil.rmtree(store)
    assert tape_of(copy) == before
    assert left_over(copy) == set()
    restore(copy, again)
    assert tape_of(again) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "copy"]
    journal = Journal(again)
    journal.record(trade(3))
    journal.close()
    keep_up(again, ALL)
    assert tape_of(again)[0] == [trade(1), trade(2), trade(3)]


def test_what_is_committed_when_it_begins_is_in_it_though_the_recorder_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "store"
    both_halves(store)
    journal = Journal(store)
    for n in range(10, 2_000):
        journal.record(trade(n))
        if n == 1_000:
            until(lambda: journal.watermark.committed == journal.rows + 5)
            renew(store)
        if n % 500 == 0:
            committed = journal.watermark.committed
            backup(store, tmp_path / f"copy{n}")
            events, raw = tape_of(tmp_path / f"copy{n}")
            assert len(events) + len(raw) >= committed
            assert [int(event.id or 0) for event in events[2:]] == list(range(10, 8 + len(events)))
    journal.close()
    assert len(tape_of(store)[0]) == 1_992


def test_a_second_backup_copies_only_what_is_new(tmp_path: Path) -> None:
    store, copy = tmp_path / "store", tmp_path / "copy"
    both_halves(store)
    backup(store, copy)
    first = contents(copy)
    keep_up(store, Rules(compact=False))
    written(store, trade(3))
    backup(store, copy)
    assert tape_of(copy) == tape_of(store)
    assert first.items() <= contents(copy).items()
    assert len(contents(copy)) > len(first)
    keep_up(store, Rules(keep={"raw": Keep(days=0.001)}))
    backup(store, copy)
    assert tape_of(copy) == tape_of(store)
    assert contents(copy).keys() == contents(store).keys()
    assert segments(copy) == [copy / "journal" / path.name for path in segments(store)]
    assert left_over(copy) == set()


def test_sealed_files_may_be_shared(tmp_path: Path) -> None:
    store, copy = tmp_path / "store", tmp_path / "copy"
    both_halves(store)
    backup(store, copy, link=True)
    assert contents(copy) == contents(store)
    written(store, trade(3))
    keep_up(store, Rules(keep={"trades": Keep(days=0.001)}))
    assert tape_of(copy)[0] == [trade(1), trade(2)]


def test_nothing_is_unlinked_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, copy = tmp_path / "store", tmp_path / "copy"
    both_halves(store)
    before = tape_of(store)
    copied = shutil.copyfileobj

    def meanwhile(*arguments: object) -> None:
        keep_up(store, Rules(keep={"trades": Keep(days=0.001), "raw": Keep(days=0.001)}))
        copied(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shutil, "copyfileobj", meanwhile)
    backup(store, copy)
    assert tape_of(copy) == before
    assert tape_of(store) == ([], [])
    with locks.without_readers(store) as alone:
        assert alone


def test_what_is_damaged_is_no_backup(tmp_path: Path) -> None:
    store, copy = tmp_path / "store", tmp_path / "copy"
    both_halves(store)
    backup(store, copy)
    before = tape_of(copy)
    written(store, trade(3))
    keep_up(store, ALL)
    [file] = [file for file in Catalog(store).view().files if file.table == "trades"]
    damaged = bytearray((store / file.path).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (store / file.path).write_bytes(damaged)
    with pytest.raises(StoreError, match=Path(file.path).name):
        backup(store, copy)
    assert tape_of(copy) == before
    with pytest.raises(StoreError, match="venue=kraken"):
        restore(store, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_store_without_a_catalogue_is_copied_too(tmp_path: Path) -> None:
    old_store(tmp_path / "store")
    backup(tmp_path / "store", tmp_path / "copy")
    assert not (tmp_path / "store" / "catalog.sqlite").exists()
    keep_up(tmp_path / "copy", ALL)
    events, raw = tape_of(tmp_path / "copy")
    assert events[:6] == OLD
    assert raw[:2] == OLD_RAW
    assert (len(events), len(raw)) == (8, 4)


def test_a_backup_goes_nowhere_where_something_else_is(tmp_path: Path) -> None:
    store, other = tmp_path / "store", tmp_path / "other"
    both_halves(store)
    both_halves(other)
    with pytest.raises(StoreError, match="the store itself"):
        backup(store, tmp_path / "x" / ".." / "store")
    with pytest.raises(StoreError, match="another store"):
        backup(store, other)
    journal = Journal(tmp_path / "busy")
    with pytest.raises(StoreError, match="recorded into"):
        backup(store, tmp_path / "busy")
    journal.close()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo").touch()
    with pytest.raises(StoreError, match="neither empty nor a backup"):
        backup(store, tmp_path / "mine")
    with pytest.raises(StoreError, match="no recorded tape"):
        backup(tmp_path / "mine", tmp_path / "copy")
    with pytest.raises(StoreError, match="is there already"):
        restore(store, other)
    with pytest.raises(StoreError, match="no whole backup"):
        restore(tmp_path / "mine", tmp_path / "copy")
    assert os.listdir(tmp_path / "mine") == ["photo"]
    backup(store, other / "new")
    assert tape_of(other / "new") == tape_of(store)
