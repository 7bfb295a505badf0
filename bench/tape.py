"""The tape beside what others write and read by hand: one table of ratios, each with what it should be.

    python bench/tape.py [--rows N] [--rounds N] [--dir DIRECTORY]

README.md says what is measured and how. This process only asks: each timed piece works in a process of its
own, one at a time, in turns. ``DIRECTORY`` keeps the data of each number of rows, 5 GB for 10 million.
"""

import platform
import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from statistics import median
from subprocess import DEVNULL, PIPE, run
from tempfile import gettempdir
from time import perf_counter
from typing import Annotated, NamedTuple

import apsw
import typer
from msgspec import json
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sides import HERE, peer_python, show, version_of
from tape_piece import CHANNEL, Measured
from tape_postgres import Postgres, postgres

from livetape import __version__

DIRECTORY = Path(gettempdir()) / "livetape-bench"
PEER = "cryptofeed[postgres]==2.4.1"
QUEUED = {1: 1_000, 100: 20_000, 1_000: 40_000}  #: trades that cryptofeed has queued at once: of how many
START_UPS = 5  #: in a round
HEAVY = {"duckdb", "matplotlib", "numpy", "pandas", "polars", "pyarrow"}

Found = dict[str, list[Measured]]  #: what the pieces took, by round


class Figure(NamedTuple):
    """What is compared; ``less`` tells whether less is better."""

    unit: str
    of: Callable[[Measured], float]
    less: bool = False


SPEED = Figure("rows/s", lambda m: m.rows / m.seconds)
PER_CORE = Figure("rows/s/core", lambda m: m.rows / m.cpu_s)
TIME = Figure("ms", lambda m: 1e3 * m.seconds, less=True)
SIZE = Figure("bytes/row", lambda m: m.bytes / m.rows, less=True)


class Row(NamedTuple):
    """A line of the table: a piece of livetape and a peer's; ``gate`` is what the ratio should reach."""

    title: str
    peer_name: str
    figure: Figure
    ours: str
    peer: str
    gate: float | None = None

    def ratios(self, found: Found) -> list[float]:
        """How many times better livetape is, by round."""
        pairs = zip(found[self.ours], found[self.peer], strict=True)
        ratios = [self.figure.of(ours) / self.figure.of(peer) for ours, peer in pairs]
        return [1 / ratio for ratio in ratios] if self.figure.less else ratios

    def cpu_ratio(self, found: Found) -> float | None:
        """The median of how many times less CPU time a row takes, where that was measured."""
        pairs = [*zip(found[self.ours], found[self.peer], strict=True)]
        if not all(each.cpu_s for pair in pairs for each in pair):
            return None
        return median(PER_CORE.of(ours) / PER_CORE.of(peer) for ours, peer in pairs)

    def passes(self, found: Found) -> bool:
        return self.gate is None or median(self.ratios(found)) >= self.gate


ROWS = [
    Row("write", "executemany", SPEED, "write", "write_executemany", 0.7),
    Row("write", "article", SPEED, "write", "write_article"),
    Row("write", "CSV by pandas", SPEED, "write", "write_csv"),
    Row("write", "cryptofeed, by 1", PER_CORE, "write", "cryptofeed_1"),
    Row("write", "cryptofeed, by 100", PER_CORE, "write", "cryptofeed_100"),
    Row("write", "cryptofeed, by 1,000", PER_CORE, "write", "cryptofeed_1000", 10),
    Row("size", "article's SQLite", SIZE, "store", "article.sqlite", 9),
    Row("size", "… without index", SIZE, "store", "no index"),
    Row("size", "Parquet by default", SIZE, "store", "plain", 1 / 0.75),
    Row("size", "… with Snappy", SIZE, "store", "snappy"),
    Row("size", "CSV", SIZE, "store", "trades.csv"),
    Row("minute bars", "article and pandas", TIME, "bars", "bars_article", 10),
    Row("minute bars", "CSV and pandas", TIME, "bars", "bars_csv"),
    Row("replay, objects", "article's cursor", SPEED, "replay", "replay_cursor", 5),
    Row("replay, objects", "heapq.merge", SPEED, "replay", "replay_merge", 8),
    Row("replay, batches", "article's cursor", SPEED, "replay_batches", "replay_cursor", 20),
    Row("last 1,000", "indexed SQLite", TIME, "history", "history_sqlite", 1 / 3),
    Row("last 1,000, events", "indexed SQLite", TIME, "history_events", "history_sqlite"),
    Row("--help", "python -c pass", TIME, "start_help", "start_python"),
    Row("history --last 5", "python -c pass", TIME, "start_history", "start_python"),
]
#: Pieces that must find the same.
ALIKE = [
    ("bars", "bars_article", "bars_csv"),
    ("replay", "replay_cursor", "replay_merge"),
    ("history", "history_events", "history_sqlite"),
]


# The pieces


def pieces(place: Path) -> dict[str, Callable[[], Measured]]:
    """What is timed, by name; what is compared stands together."""
    ours = ("write", "bars", "replay", "replay_batches", "history", "history_events")
    peers = {
        "write": ("write_executemany", "write_article", "write_csv"),
        "bars": ("bars_article", "bars_csv"),
        "replay_batches": ("replay_cursor", "replay_merge"),
        "history_events": ("history_sqlite",),
    }
    made: dict[str, Callable[[], Measured]] = {}
    for name in ours:
        made[name] = partial(piece, "tape_livetape.py", name, place)
        made |= {peer: partial(piece, "tape_peers.py", peer, place) for peer in peers.get(name, ())}
    livetape = (sys.executable, "-m", "livetape")
    last = ("history", CHANNEL, "--store", place / "store", "--last", "5")
    return made | {
        "start_python": partial(start, sys.executable, "-c", "pass"),
        "start_help": partial(start, *livetape, "--help"),
        "start_history": partial(start, *livetape, *last),
    }


def piece(script: str, name: str, place: Path) -> Measured:
    """Run a piece of ``script`` in a process of its own."""
    done = run([sys.executable, HERE / script, name, place], stdout=PIPE)
    if done.returncode:
        raise SystemExit(f"{name} gave up; its error is above")
    return json.decode(done.stdout, type=Measured)


def cryptofeed(python: Path, server: Postgres, place: Path, queued: int) -> Measured:
    """Let cryptofeed write; CPU seconds are those of its process and of the server."""
    before = server.cpu_s()
    command: list[str | Path] = [python, "-I", HERE / "tape_cryptofeed.py", place / "cryptofeed.json"]
    command += map(str, (QUEUED[queued], server.port, queued))
    measured = json.decode(run(command, stdout=PIPE, check=True).stdout, type=Measured)
    return replace(measured, cpu_s=measured.cpu_s + server.cpu_s() - before)


def start(*command: str | Path) -> Measured:
    """The median of some starts of ``command``."""
    taken = []
    for _ in range(START_UPS):
        began = perf_counter()
        if run(command, stdout=DEVNULL).returncode:
            raise SystemExit(f"{command} gave up; its error is above")
        taken.append(perf_counter() - began)
    return Measured(median(taken), 0, 1)


def imported() -> set[str]:
    """Which heavy modules ``livetape --help`` imports."""
    code = (
        "import sys; from livetape.cli import main; sys.argv = ['livetape', '--help']\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True)
    return HEAVY & {*done.stderr.split()}


# The measurement


def prepared(directory: Path, rows: int) -> Path:
    """Where the data of so many rows are, all of it in the page cache."""
    place = directory / str(rows)
    (place / "scratch").mkdir(parents=True, exist_ok=True)
    run([sys.executable, HERE / "tape_data.py", place, str(rows)], check=True)
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
    return place


def measured(place: Path, rounds: int, notes: list[str]) -> Found:
    """Ask every piece once a round, every other round in the opposite order."""
    timed = pieces(place)
    with ExitStack() as stack:
        try:
            python = peer_python(str(place.parent / "cryptofeed"), PEER, "cryptofeed.backends.postgres")
            server = stack.enter_context(postgres())
        except LookupError as missing:
            notes.append(f"{missing}. cryptofeed is left out.")
        else:
            notes.append(f"cryptofeed {version_of('cryptofeed', python)}, PostgreSQL {server.version}.")
            timed |= {f"cryptofeed_{n}": partial(cryptofeed, python, server, place, n) for n in QUEUED}
        found: Found = {name: [] for name in timed}
        for turn in range(rounds):
            for name in [*timed][:: -1 if turn % 2 else 1]:
                found[name].append(timed[name]())
    return found


def sizes(place: Path, rows: int) -> dict[str, Measured]:
    """What each form takes on disk."""
    found = {name: (place / name).stat().st_size for name in ("article.sqlite", "trades.csv")}
    for name in ("store", "plain", "snappy"):
        found[name] = sum(path.stat().st_size for path in (place / name).glob("trades/**/*.parquet"))
    pages = "SELECT pgsize FROM dbstat WHERE aggregate = 1 AND name = 'forex_data'"
    with closing(apsw.Connection(str(place / "article.sqlite"))) as db:
        [[found["no index"]]] = db.execute(pages)
    return {name: Measured(0, 0, rows, bytes=size) for name, size in found.items()}


def check(found: Found) -> None:
    """Raise SystemExit unless livetape and the peers found the same."""
    for names in ALIKE:
        each = [(name, measured.found) for name in names for measured in found[name]]
        for name, what in each:
            if what != each[0][1]:
                raise SystemExit(f"{each[0][0]} and {name} disagree: {each[0][1]!s:.200}, {what!s:.200}")


def table(compared: list[Row], found: Found) -> Table:
    """The result, medians over the rounds."""
    result = Table("what", "peer", "unit", "livetape", "peer's", "ratio", "gate", "", "CPU", box=SIMPLE_HEAD)
    for column in (*result.columns[3:7], result.columns[8]):
        column.justify = "right"
    for row in compared:
        figures = [median(map(row.figure.of, found[name])) for name in (row.ours, row.peer)]
        numbers = [f"{figure:,.{0 if figure >= 1_000 else 1}f}" for figure in figures]
        numbers.append(f"{median(row.ratios(found)):.2f}")
        verdict = "" if row.gate is None else "PASS" if row.passes(found) else "FAIL"
        gate = "" if row.gate is None else f"{row.gate:.2f}"
        cpu = "" if (ratio := row.cpu_ratio(found)) is None else f"{ratio:.2f}"
        result.add_row(row.title, row.peer_name, row.figure.unit, *numbers, gate, verdict, cpu)
    return result


def main(
    rows: Annotated[int, typer.Option(help="How many trades.", min=100_000)] = 10_000_000,
    rounds: Annotated[int, typer.Option(help="How often each piece is asked.", min=1)] = 3,
    directory: Annotated[Path, typer.Option("--dir", help="Where the data are kept.")] = DIRECTORY,
) -> None:
    """How many times better the tape is than a peer; fails when a ratio misses its gate."""
    notes = [
        f"{rows:,} trades, medians of {rounds} rounds; a ratio above 1 says that livetape is better,"
        " CPU by the CPU time of a row.",
        "Bars, replays and the last trades were the same on all sides.",
        f"livetape {__version__} with SQLite {apsw.sqlite_lib_version()}, the peers with"
        f" {sqlite3.sqlite_version}; pyarrow {version('pyarrow')}, pandas {version('pandas')},"
        f" Python {platform.python_version()}.",
    ]
    place = prepared(directory, rows)
    try:
        found = measured(place, rounds, notes)
    finally:
        rmtree(place / "scratch")
    check(found)
    found |= {name: [size] * rounds for name, size in sizes(place, rows).items()}
    compared, heavy = [row for row in ROWS if row.peer in found], imported()
    notes.append(
        f"--help imports {', '.join(sorted(heavy)) or 'no heavy module'}: {'FAIL' if heavy else 'PASS'}"
    )
    show(table(compared, found), *notes)
    if heavy or not all(row.passes(found) for row in compared):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
