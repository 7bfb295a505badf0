"""``livetape verify`` and ``livetape rebuild`` (floor 5)."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import json

from ..calendars import phase_of
from ..core.decimals import nearest
from ..core.errors import ConfigError
from ..feeds.replay import Replay
from ..store.rebuilding import Wish, rebuild
from ..store.recataloguing import recatalog
from ..store.schema import COLUMNS
from ..store.verifying import verify
from .bar import bar
from .upkeep import seen

_DAMAGED = 5
_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch


def check(store: Path, *, as_json: bool) -> int:
    """Read the whole tape and print what is wrong with it; returns the exit code."""
    with bar() as progress:
        findings = list(verify(store, progress))
    for finding in findings:
        if as_json:
            sys.stdout.buffer.write(json.encode(finding) + b"\n")
        else:
            remedy = f" ({finding.remedy})" if finding.remedy else ""
            sys.stdout.write(f"{finding.path}: {finding.problem}{remedy}\n")
    damaged = sum(finding.damaged for finding in findings)
    sys.stderr.write(f"{damaged} damages were found\n" if damaged else "the tape is as it was written\n")
    return _DAMAGED if damaged else 0


def catalogue_again(store: Path) -> None:
    """Make the catalogue of a tape again from its files."""
    with bar() as progress:
        made = recatalog(store, progress)
    for path in made.left_out:
        sys.stdout.write(f"{path}: is damaged, or its rows are in another file\n")
    sys.stderr.write(
        f"{made.files} files with {made.rows} rows and {made.segments} segments are on the tape\n"
    )


def make_again(store: Path, tables: Sequence[str], dates: Sequence[str]) -> None:
    """Make what is damaged again from raw frames, and compare with them what else is named."""
    for table in tables:
        if table not in COLUMNS or table == "raw":
            typed = [name for name in COLUMNS if name != "raw"]
            allowed = nearest(table, typed) or typed
            raise ConfigError(f"{table!r} is not made from raw frames", where="--table", allowed=allowed)
    for date in dates:
        if not _day(date):
            raise ConfigError(f"{date!r} is not a day", where="--date", example="2026-11-21")
    seen(store)
    with bar() as progress:
        done = rebuild(
            store,
            lambda records: Replay(records, phase=phase_of),
            Wish(tuple(tables), tuple(dates)),
            progress,
        )
    for each in done:
        said = (
            f"{each.made} rows made again, {each.kept} kept"
            if each.made or each.lost
            else "is as the raw frames"
        )
        lost = f", {each.lost} lost, which came without raw frames" if each.lost else ""
        sys.stderr.write(f"{each.folder.table} of {each.folder.venue}, {each.folder.date}: {said}{lost}\n")
    if not done:
        sys.stderr.write("nothing is damaged\n")
