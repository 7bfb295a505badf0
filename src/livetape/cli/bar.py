"""How far long work is, shown on a terminal; and its end by Ctrl-C (floor 5)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..store.progress import Progress, quiet


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar where stderr is a terminal. Ctrl-C ends the process with code 130."""
    try:
        if not sys.stderr.isatty():
            yield quiet
            return
        with _shown() as progress:
            yield progress
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from here\n")
        sys.exit(130)


@contextmanager
def _shown() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield show
