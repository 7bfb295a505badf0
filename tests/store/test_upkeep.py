"""Finished days become one file, old rows go by rule; the recorder sees to it by itself."""

import logging
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from livetape import clock
from livetape.app import App
from livetape.cli.bar import bar
from livetape.config import Config, StoreConfig, load
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import BookUpdate, MarketEvent, Trade
from livetape.core.instruments import Channel
from livetape.store import attendant as attendant_module
from livetape.store import compact as compact_module
from livetape.store import locks
from livetape.store.attendant import Attendant
from livetape.store.catalog import Catalog, SealedFile, View
from livetape.store.estimate import estimate
from livetape.store.journal import Journal, renew
from livetape.store.locks import readers
from livetape.store.parquet import Reader
from livetape.store.plan import DAY_NS, Disk, Keep, Rules, date_of, finished, removals
from livetape.store.upkeep import is_due, keep_up

from .sealed import left_over, tape_of
from .tape import NOW, frame, segments, select, trade, until, written
from .test_seal import begin

SEAL, ALL = Rules(compact=False), Rules()


def recorded(directory: Path, *, first: int = 0, times: int = 3) -> None:
    """Some segments, one after the other, of one finished day."""
    for n in range(first, first + times):
        written(directory, begin(1, "kraken"), trade(n), trade(n + 100), frame(n), book(n))


def book(n: int) -> BookUpdate:
    return BookUpdate("kraken:BTC-USD/book", None, True, [(f"{n}.10", "2")], [], n, n, recv_ns=NOW + n, seq=n)


# Compaction


def test_the_files_of_a_finished_day_become_one(tmp_path: Path) -> None:
    recorded(tmp_path)
    keep_up(tmp_path, SEAL)
    before = tape_of(tmp_path)
    assert len(Catalog(tmp_path).view().files) == 9
    assert is_due(tmp_path, ALL)
    keep_up(tmp_path, ALL)
    assert not is_due(tmp_path, ALL)
    files = Catalog(tmp_path).view().files
    assert [(file.table, file.rows, file.generation) for file in files] == [
        ("books", 3, 1),
        ("raw", 6, 1),
        ("trades", 6, 1),
    ]
    assert tape_of(tmp_path) == before
    assert left_over(tmp_path) == set()
    keep_up(tmp_path, ALL)
    assert Catalog(tmp_path).view().files == files


def test_what_comes_late_is_added_to_the_day(tmp_path: Path) -> None:
    recorded(tmp_path)
    keep_up(tmp_path, ALL)
    recorded(tmp_path, first=50, times=1)
    before = tape_of(tmp_path)
    keep_up(tmp_path, ALL)
    assert {(file.table, file.generation) for file in Catalog(tmp_path).view().files} == {
        ("books", 2),
        ("raw", 2),
        ("trades", 2),
    }
    assert tape_of(tmp_path) == before


def test_a_day_is_finished_when_nothing_can_be_added_to_it(tmp_path: Path) -> None:
    now_ns = clock.now_ns()
    for ns in (now_ns - DAY_NS, now_ns):
        written(tmp_path, Trade("a:B-C/trade", None, "1", "1", None, None, recv_ns=ns))
    keep_up(tmp_path, SEAL)
    view = Catalog(tmp_path).view()
    [[yesterday]] = finished(view, now_ns)
    assert yesterday.date == date_of(now_ns - DAY_NS)
    assert list(finished(view, now_ns - DAY_NS)) == []
    assert len(list(finished(view, now_ns + DAY_NS))) == 2
    written(tmp_path, trade(1))
    hot = Catalog(tmp_path).view()
    assert len(list(finished(hot, now_ns + DAY_NS))) == 1, "a segment of today may have more of today"


def test_memory_is_bounded_and_the_order_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[MarketEvent] = [
        Trade(f"kraken:{symbol}-USD/trade", None, "1.5", "2", None, str(n), recv_ns=NOW + n, seq=n)
        for n in range(900)
        for symbol in ("BTC" if n % 9 else "ADA", "XRP")
    ]
    raw = [begin(1, "kraken"), *(frame(n, bytes(100)) for n in range(900))]
    for i in range(3):
        written(tmp_path, *events[i::3], *raw[i * 301 : (i + 1) * 301])
    keep_up(tmp_path, SEAL)
    before = tape_of(tmp_path)
    monkeypatch.setattr(compact_module, "MOST_BYTES", 30_000)
    keep_up(tmp_path, ALL)
    assert tape_of(tmp_path) == before
    view = Catalog(tmp_path).view()
    for table in ("trades", "raw"):
        files = sorted(file.path for file in view.files if file.table == table)
        assert len(files) > 3
        runs = [run for path in files for run in Reader(tmp_path / path).runs]
        bounds = [(str(run.key), run.first_recv, run.last_recv) for run in runs]
        assert bounds == sorted(bounds), "later parts have later symbols, or later rows of the same"


# Retention


def sealed_file(table: str, day: int, size: int = 100) -> SealedFile:
    ns = day * DAY_NS
    name = f"{table}/date={date_of(ns)}/venue=a/{day}-0-0.parquet"
    return SealedFile(name, table, date_of(ns), "a", 1, size, ns, ns, ns, ns, 0, day, day)


def removed(rules: Rules, disk: Disk | None = None, *, now: int = 10) -> list[tuple[str, list[int]]]:
    """What is removed of ten days, and which of them."""
    files = [sealed_file(table, day) for table in ("books", "raw", "trades") for day in range(10)]
    found = removals(View((), tuple(files)), rules, disk, now * DAY_NS)
    return [(removal.files[0].table, [file.first_n for file in removal.files]) for removal in found]


def test_by_default_everything_is_kept() -> None:
    assert removed(Rules()) == []


def test_what_is_older_than_its_table_is_kept_goes() -> None:
    assert removed(Rules(keep={"raw": Keep(days=3), "books": Keep(days=7.5)})) == [
        ("raw", [0, 1, 2, 3, 4, 5, 6]),
        ("books", [0, 1, 2]),
    ]


def test_the_oldest_go_until_the_rest_fits() -> None:
    assert removed(Rules(keep={"trades": Keep(bytes=250)})) == [("trades", [*range(8)])]
    assert removed(Rules(keep={"trades": Keep(days=2, bytes=1_000)})) == [("trades", [*range(8)])]
    assert removed(Rules(keep={"trades": Keep(days=5, bytes=250)})) == [
        ("trades", [*range(5)]),
        ("trades", [5, 6, 7]),
    ]


@pytest.mark.parametrize(
    ("used", "gone"),
    [
        (9_000, []),
        (9_150, [("raw", [0, 1])]),
        (9_700, [("raw", [*range(7)])]),
        (10_000, [("raw", [*range(10)])]),
    ],
)
def test_a_disk_that_fills_costs_raw_frames_first(used: int, gone: list[tuple[str, list[int]]]) -> None:
    assert removed(Rules(), Disk(used, 10_000 - used)) == gone


def test_then_books_and_never_trades() -> None:
    rules = Rules(raw_below=0.5, books_below=0.95)
    assert removed(rules, Disk(10_600, 10)) == [("raw", [*range(10)])]
    assert removed(rules, Disk(106_000, 10)) == [("raw", [*range(10)]), ("books", [*range(10)])]
    rules = Rules(raw_below=0.9, books_below=0.9)
    assert removed(rules, Disk(10_000, 1_000)) == [("raw", [0])]


def test_what_retention_frees_the_guard_need_not() -> None:
    rules = Rules(keep={"raw": Keep(days=5)})
    assert removed(rules, Disk(9_500, 500)) == [("raw", [*range(5)])]


def test_a_removal_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded(tmp_path)
    keep_up(tmp_path, ALL)
    with caplog.at_level(logging.WARNING, "livetape.store"):
        keep_up(tmp_path, Rules(keep={"raw": Keep(days=0.01)}))
    [told] = Catalog(tmp_path).removed()
    assert (told.table, told.venue, told.rows) == ("raw", "kraken", 6)
    assert told.why == "removed by retention: older than 0.01 days"
    assert "(6 rows): removed by retention" in caplog.text
    assert tape_of(tmp_path)[1] == []
    assert len(tape_of(tmp_path)[0]) == 9
    assert left_over(tmp_path) == set()
    assert not (tmp_path / "raw").exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_the_disk_guard_is_a_recorders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path)
    keep_up(tmp_path, ALL)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1_000_000, 980_000, 20_000))
    keep_up(tmp_path, ALL)
    assert Catalog(tmp_path).removed() == []
    journal = Journal(tmp_path)
    assert is_due(tmp_path, ALL)
    keep_up(tmp_path, ALL)
    journal.close()
    assert [(each.table, each.why) for each in Catalog(tmp_path).removed()] == [
        (table, "removed by the disk guard: 98.0 % of the disk were used") for table in ("raw", "books")
    ]
    assert len(tape_of(tmp_path)[0]) == 6


# Files that are no longer visible, or never were


def test_nothing_is_unlinked_while_somebody_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    [segment] = [written(tmp_path, trade(1))]
    with locks.readers(tmp_path):
        keep_up(tmp_path, SEAL)
        assert segment.exists()
        assert tape_of(tmp_path)[0] == [trade(1)]
        waiting = f"{segment.stat().st_size} bytes are freed only once nobody reads"
    assert Catalog(tmp_path).garbage() == [f"journal/{segment.name}"]
    assert waiting in caplog.text
    caplog.clear()
    keep_up(tmp_path, SEAL)
    assert not segment.exists()
    assert Catalog(tmp_path).garbage() == []
    assert not caplog.text


def test_what_a_crash_left_goes_and_what_others_put_there_stays(tmp_path: Path) -> None:
    written(tmp_path, trade(1))
    keep_up(tmp_path, SEAL)
    [file] = Catalog(tmp_path).view().files
    folder = (tmp_path / file.path).parent
    segment = written(tmp_path, trade(2))
    left = [
        folder / f"{segment.stem}-0-0.parquet.tmp",
        folder / f"{segment.stem}-0-7.parquet",
        folder / file.path.rpartition("/")[2].replace("-0-0", "-1-0"),
    ]
    foreign = [folder / "mine.parquet", folder / "123-0-0.parquet"]
    for path in (*left, *foreign):
        path.write_bytes(b"?")
    keep_up(tmp_path, SEAL)
    assert [path.exists() for path in left] == [False] * 3
    assert [path.exists() for path in foreign] == [True] * 2
    assert tape_of(tmp_path)[0] == [trade(1), trade(2)]


def test_one_at_a_time(tmp_path: Path) -> None:
    written(tmp_path, trade(1))
    with locks.upkeep(tmp_path), pytest.raises(StoreError, match="by another process"):
        keep_up(tmp_path, ALL)
    keep_up(tmp_path, ALL)


# A store that stays in SQLite


def test_segments_that_stay_find_their_rows_by_an_index(tmp_path: Path) -> None:
    rules = Rules("sqlite")
    recorded(tmp_path)
    before, there = tape_of(tmp_path), segments(tmp_path)
    assert is_due(tmp_path, rules)
    keep_up(tmp_path, rules)
    assert not is_due(tmp_path, rules)
    assert tape_of(tmp_path) == before
    assert segments(tmp_path) == there
    for segment in there:
        query = "SELECT * FROM trades WHERE venue = 'kraken' AND symbol = 'BTC-USD' AND recv > 5"
        [(_, _, _, plan)] = select(segment, f"EXPLAIN QUERY PLAN {query}")
        assert "INDEX" in plan
    keep_up(tmp_path, ALL)
    assert segments(tmp_path) == []
    assert tape_of(tmp_path) == before


# The recorder


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendant_module, "SOON_S", 0.05)


@pytest.fixture
def attendant(tmp_path: Path, soon: None) -> Iterator[Attendant]:
    made = Attendant(tmp_path, ALL, StoreConfig().settings())
    yield made
    made.close()


def test_a_closed_segment_is_sealed_while_the_recorder_goes_on(tmp_path: Path, attendant: Attendant) -> None:
    written(tmp_path, trade(0))
    journal = Journal(tmp_path, on_closed=attendant.wake)
    attendant.start()
    until(lambda: len(segments(tmp_path)) == 1)
    for n in range(1, 100):
        journal.record(trade(n))
    until(lambda: journal.watermark.committed == 100)
    renew(tmp_path)
    until(lambda: len(segments(tmp_path)) == 1)
    journal.record(trade(100))
    journal.close()
    with readers(tmp_path):  # it may be compacting
        assert tape_of(tmp_path)[0] == [trade(n) for n in range(101)]


def test_when_it_fails_that_is_logged_and_the_recording_goes_on(
    tmp_path: Path, attendant: Attendant, caplog: pytest.LogCaptureFixture
) -> None:
    broken = written(tmp_path, trade(0))
    written(tmp_path, trade(2))
    broken.write_bytes(broken.read_bytes()[:5_000])
    journal = Journal(tmp_path, on_closed=attendant.wake)
    with caplog.at_level(logging.ERROR, "livetape.store"):
        attendant.start()
        until(lambda: broken.name in caplog.text)
    journal.record(trade(1))
    until(lambda: journal.watermark.committed == 3)
    attendant.close()
    journal.close()
    assert select(journal.path, "SELECT id FROM trades") == [("1",)]


async def test_an_app_looks_after_what_it_records(tmp_path: Path, soon: None) -> None:
    written(tmp_path, trade(0))
    app = App(Config())
    app.record(tmp_path)
    until(lambda: len(segments(tmp_path)) == 1)
    await app.close()
    assert tape_of(tmp_path)[0] == [trade(0)]


def test_what_a_recorder_was_told_its_attendant_is_told(tmp_path: Path) -> None:
    store = StoreConfig(
        "a b", 1 << 20, False, "sqlite", 60.5, False, {"raw": Keep(7), "books": Keep(bytes=5)}, 0.5
    )
    assert load(settings=store.settings(), environ={}).store == store
    assert load(settings=StoreConfig().settings(), environ={}).store == StoreConfig()


@pytest.mark.parametrize("setting", ["keep.trade.days=1", "keep.raw.days=0", "format=csv", "raw_below=1.5"])
def test_a_rule_that_cannot_be_is_an_error(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.|store`|keep"):
        load(settings=[f"store.{setting}"], environ={})


# How much disk it will take


def test_an_estimate_is_a_guess_until_the_store_knows_better(tmp_path: Path) -> None:
    channels = [Channel.parse("kraken:BTC-USD/trade"), Channel.parse("kraken:BTC-USD/book")]
    guess = estimate(channels, View((), ()), ALL)
    assert guess.hours == 0
    assert estimate(channels, View((), ()), ALL, raw=False).bytes_a_day < guess.bytes_a_day
    assert estimate(channels[:1], View((), ()), ALL).bytes_a_day < guess.bytes_a_day
    assert estimate(channels, View((), ()), Rules("sqlite")).bytes_a_day == 7 * guess.bytes_a_day


def test_an_estimate_follows_what_was_recorded(tmp_path: Path) -> None:
    hour, start = DAY_NS // 24, NOW
    for n in range(3):
        written(tmp_path, Trade("a:B-C/trade", None, "1", "1", None, None, recv_ns=start + n * hour))
    keep_up(tmp_path, SEAL)
    with closing(apsw.Connection(str(tmp_path / "catalog.sqlite"))) as db:
        for n, (name,) in enumerate(db.execute("SELECT name FROM segments ORDER BY first_n").fetchall()):
            db.execute("UPDATE segments SET opened_ns = ? WHERE name = ?", (start + (n - 1) * hour, name))
    view = Catalog(tmp_path).view()
    seen = estimate([], view, ALL)
    assert seen.hours == 3
    within = 2 * hour  # what was recorded before the oldest row of all counts for nothing
    assert seen.bytes_a_day == round(sum(file.bytes for file in view.files) * DAY_NS / within)


# The commands


def command(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "livetape", *arguments], stderr=subprocess.PIPE)


def on_terminal(*arguments: str) -> str:
    """What the command writes to a terminal."""
    terminal, screen = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "livetape", *arguments], stderr=screen) as process:
        os.close(screen)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while some := os.read(terminal, 1 << 16):
                shown += some
    os.close(terminal)
    assert process.returncode == 0
    return shown.decode()


def test_the_commands_do_it_and_show_how_far_they_are(tmp_path: Path) -> None:
    store, copy, again = (str(tmp_path / name) for name in ("store", "copy", "again"))
    recorded(tmp_path / "store")
    journal = Journal(tmp_path / "store")
    journal.record(trade(7))
    until(lambda: journal.watermark.committed == 16)
    assert "sealing" in on_terminal("compact", store)
    assert command("backup", store, copy).returncode == 0
    journal.close()
    assert command("restore", copy, again).returncode == 0
    assert tape_of(tmp_path / "again") == tape_of(tmp_path / "store")
    assert trade(7) in tape_of(tmp_path / "again")[0]
    done = command("compact", str(tmp_path / "nothing"))
    assert (done.returncode, b"no recorded tape" in done.stderr) == (6, True)


def test_ctrl_c_ends_long_work_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, bar():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert "goes on from here" in capsys.readouterr().err
