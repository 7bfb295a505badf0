"""``livetape compact``, ``backup`` and ``restore``, and what a recording will take (floor 5)."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..config import StoreConfig
from ..core.errors import StoreError
from ..core.instruments import Channel
from ..store import backup
from ..store.catalog import NO_TAPE, Catalog, View
from ..store.estimate import estimate
from ..store.journal import renew
from ..store.upkeep import keep_up
from .bar import bar


def compact(store: Path, config: StoreConfig, *, closed_only: bool) -> None:
    """Seal what is recorded, or only what no recorder writes any more, and do what the rules want."""
    before = seen(store)
    if not closed_only:
        renew(store)
    with bar() as progress:
        keep_up(store, config.rules, progress)
    after = seen(store)
    sys.stdout.write(f"{_said(before)} became {_said(after)}\n")


def copy(store: Path, target: Path, *, link: bool) -> None:
    """Make ``target`` a backup of ``store``, or bring it up to date."""
    with bar() as progress:
        view = backup.backup(store, target, link=link, progress=progress)
    sys.stderr.write(f"{target} has {_said(view)}, all of them read again\n")


def restore(source: Path, store: Path) -> None:
    """Make the new store ``store`` of a backup."""
    with bar() as progress:
        view = backup.restore(source, store, progress=progress)
    sys.stderr.write(f"{store} has {_said(view)}, all of them read again\n")


def outlook(store: Path, config: StoreConfig, channels: Sequence[Channel]) -> str:
    """How much disk a recording will take, and for how long there is room."""
    expected = estimate(channels, Catalog(store).view(), config.rules, raw=config.raw)
    usage = shutil.disk_usage(next(each for each in (store, *store.absolute().parents) if each.exists()))
    since = f"as in its last {expected.hours:.1f} hours" if expected.hours else "a guess for busy markets"
    room = config.raw_below * (usage.used + usage.free) - usage.used
    days = max(room, 0) / max(expected.bytes_a_day, 1)
    return f"about {_size(expected.bytes_a_day)} a day ({since}); there is room for {days:,.0f} days"


def seen(store: Path) -> View:
    """What is visible of a tape. Raises StoreError when there is none."""
    view = Catalog(store).view()
    if not (view.segments or view.sealed):
        raise StoreError(str(store), NO_TAPE)
    return view


def _said(view: View) -> str:
    sealed = sum(file.bytes for file in view.files)
    segments, files = _number(len(view.segments), "segment"), _number(len(view.files), "sealed file")
    return f"{segments} and {files} of {_size(sealed)}"


def _number(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
