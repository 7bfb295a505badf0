"""Segments follow each other, and the catalogue says which are visible."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from livetape.core.errors import StoreError
from livetape.core.raw import Direction, RawRecord
from livetape.store import catalog as catalog_module
from livetape.store import journal as journal_module
from livetape.store.catalog import Catalog, SealedFile, count
from livetape.store.journal import Journal, is_recording, lock_directory, renew

from .tape import NOW, numbers, select, trade, until, written


def sealed_file(path: str, first_n: int, last_n: int, recv_ns: int = NOW) -> SealedFile:
    rows = last_n - first_n + 1
    bounds = (recv_ns, recv_ns, recv_ns, recv_ns)
    return SealedFile(path, "trades", "2026-11-20", "kraken", rows, 1, *bounds, 0, first_n, last_n)


def test_a_full_segment_gives_way_to_the_next_without_hole_or_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_ROWS", 500)
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)
    closed: list[int] = []
    journal = Journal(tmp_path, on_closed=lambda: closed.append(threading.get_ident()))
    for n in range(3_000):
        journal.record(trade(n))
        if n % 100 == 0:
            until(lambda n=n: journal.watermark.committed > n)  # type: ignore[misc]
    until(lambda: len(closed) >= 3)
    assert threading.get_ident() not in closed
    journal.close()
    segments = Catalog(tmp_path).view().segments
    assert len(segments) > 3
    assert [n for segment in segments for n in numbers(segment.path)] == [*range(1, 3_001)]
    assert [segment.first_n for segment in segments] == [
        min(numbers(s.path), default=3_001) for s in segments
    ]
    assert {segment.recording for segment in segments} == {segments[0].opened_ns}
    assert journal.watermark.committed == journal.watermark.synced == 3_000
    assert all(not Path(f"{segment.path}-wal").exists() for segment in segments)


def test_numbers_go_on_over_recordings(tmp_path: Path) -> None:
    first = written(tmp_path, trade(1), trade(2))
    second = written(tmp_path, trade(3))
    assert (numbers(first), numbers(second)) == ([1, 2], [3])
    view = Catalog(tmp_path).view()
    assert [(s.path, s.first_n, s.recording) for s in view.segments] == [
        (first, 1, int(first.stem)),
        (second, 3, int(second.stem)),
    ]
    assert Catalog(tmp_path).next_n() == 4


def test_a_segment_is_renewed_when_somebody_asks(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert is_recording(tmp_path)
    renew(tmp_path)
    assert len(Catalog(tmp_path).view().segments) == 1, "an empty segment is not worth closing"
    journal.record(trade(1))
    until(lambda: journal.watermark.committed == 1)
    renew(tmp_path)
    [old, new] = Catalog(tmp_path).view().segments
    assert (numbers(old.path), numbers(new.path)) == ([1], [])
    journal.close()
    assert not is_recording(tmp_path)
    renew(tmp_path)
    assert len(Catalog(tmp_path).view().segments) == 2


def test_a_catalogue_that_cannot_be_written_lets_the_segment_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)
    journal = Journal(tmp_path)
    journal.record(trade(1))
    until(lambda: journal.watermark.committed == 1)
    with monkeypatch.context() as broken:
        broken.setattr(Catalog, "add_segment", refuse)
        (tmp_path / "journal" / "renew").touch()
        until(lambda: "this one goes on" in caplog.text)
        journal.record(trade(2))
        until(lambda: journal.watermark.committed == 2)
    until(lambda: len(Catalog(tmp_path).view().segments) == 2)
    journal.record(trade(3))
    journal.close()
    [old, new] = Catalog(tmp_path).view().segments
    assert (numbers(old.path), numbers(new.path)) == ([1, 2], [3])
    assert caplog.text.count("this one goes on") == 1


def refuse(*_: object) -> None:
    raise StoreError("catalog.sqlite", "the disk is full")


def test_a_store_of_before_catalogues_is_seen_and_gets_one(tmp_path: Path) -> None:
    first, second = written(tmp_path, trade(1), trade(2)), written(tmp_path, trade(3))
    before = Catalog(tmp_path).view()
    (tmp_path / "catalog.sqlite").unlink()
    assert [segment.path for segment in Catalog(tmp_path).view().segments] == [first, second]
    assert [(s.path, s.first_n) for s in Catalog.writable(tmp_path).view().segments] == [
        (s.path, s.first_n) for s in before.segments
    ]
    (tmp_path / "catalog.sqlite").unlink()
    (tmp_path / "catalog.sqlite").touch()  # as a crash in its first moment leaves it
    assert len(Catalog(tmp_path).view().segments) == 2


def test_what_was_sealed_is_garbage_until_it_is_forgotten(tmp_path: Path) -> None:
    path = written(tmp_path, trade(1), trade(2))
    catalog = Catalog.writable(tmp_path)
    [segment] = catalog.view().segments
    file = sealed_file("trades/a.parquet", 1, 2)
    catalog.seal(segment, count(path), [file], {7: "kraken"})
    view = catalog.view()
    assert (view.segments, view.files) == ((), (file,))
    assert [(s.name, s.rows, s.last_recv) for s in view.sealed] == [(path.stem, 2, NOW)]
    assert catalog.sessions() == {7: "kraken"}
    assert catalog.garbage() == [f"journal/{path.name}"]
    catalog.forget(catalog.garbage())
    assert (catalog.garbage(), catalog.next_n()) == ([], 3)


def test_files_give_way_to_one_file_or_to_nothing(tmp_path: Path) -> None:
    catalog = Catalog.writable(tmp_path)
    parts = [sealed_file(f"trades/{n}.parquet", n, n) for n in (1, 2)]
    whole = sealed_file("trades/day.parquet", 1, 2)
    catalog.replace([], parts)
    catalog.replace(parts, [whole])
    assert catalog.view().files == (whole,)
    assert catalog.removed() == []
    catalog.replace([whole], [], why="older than 30 days")
    assert catalog.view().files == ()
    assert [(r.table, r.rows, r.why) for r in catalog.removed()] == [("trades", 2, "older than 30 days")]
    assert catalog.garbage() == ["trades/1.parquet", "trades/2.parquet", "trades/day.parquet"]


def test_a_change_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    catalog = Catalog.writable(tmp_path)
    one = sealed_file("trades/1.parquet", 1, 1)
    catalog.replace([], [one])
    with pytest.raises(StoreError, match="UNIQUE"):
        catalog.replace([], [sealed_file("trades/2.parquet", 2, 2), one])
    assert catalog.view().files == (one,)


def test_a_newer_or_a_broken_catalogue_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(catalog_module, "_FIRST", [s.replace(", 1)", ", 99)") for s in catalog_module._FIRST])
        Catalog.writable(tmp_path)
    for use in (Catalog(tmp_path).view, lambda: Catalog.writable(tmp_path), lambda: Journal(tmp_path)):
        with pytest.raises(StoreError, match="version 99 is newer"):
            use()
    (tmp_path / "catalog.sqlite").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(StoreError, match=r"catalog\.sqlite"):
        Catalog(tmp_path).view()


def test_the_journal_says_in_its_rows_what_the_catalogue_says(tmp_path: Path) -> None:
    path = written(tmp_path, trade(1))
    [segment] = Catalog(tmp_path).view().segments
    [(opened,)] = select(path, "SELECT value FROM meta WHERE key = 'opened_ns'")
    assert segment.opened_ns <= opened


def test_a_segment_is_renewed_though_the_feed_never_lets_the_writer_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_S", 0.01)
    stop = threading.Event()
    journal = Journal(tmp_path)

    def feed() -> None:
        n = 0
        while not stop.is_set():
            journal.tap(RawRecord(1, NOW + n, Direction.IN, bytes(200_000)))
            n += 1

    feeding = threading.Thread(target=feed)
    feeding.start()
    until(lambda: journal.watermark.committed)
    (tmp_path / "journal" / "renew").touch()
    try:
        until(lambda: len(Catalog(tmp_path).view().segments) == 2)
    finally:
        stop.set()
        feeding.join()
        journal.close()


def test_a_store_without_segments_has_nothing_to_renew(tmp_path: Path) -> None:
    with closing(lock_directory(tmp_path)):
        Catalog.writable(tmp_path)
        assert is_recording(tmp_path)
        renew(tmp_path)


def test_a_damaged_lock_is_an_error_that_names_it(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    (tmp_path / "lock.sqlite").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(StoreError, match=r"lock\.sqlite"):
        is_recording(tmp_path)
