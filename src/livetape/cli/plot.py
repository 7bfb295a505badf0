"""``livetape plot`` (floor 5)."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import ConfigError
from ..core.times import ns_of
from ..store.plot import Chart, plot
from ..store.reader import open_store
from ..store.series import duration_ns


def draw(store: Path, channel: str, chart: Chart, out: Path | None) -> None:
    """Draw ``channel`` and print the name of the file."""
    sys.stdout.write(f"{plot(open_store(store), channel, chart, out)}\n")


def chart_of(style: str, interval: str, begin: str, end: str, last: str) -> Chart:
    """What the options ask for. Raises ConfigError for a time or a duration that cannot be read."""
    if begin and last:
        raise ConfigError("--from and --last contradict each other; give one of them")
    last_ns = duration_ns(last) if last else None
    return Chart(style, interval, _moment(begin), _moment(end), last_ns)


def _moment(text: str) -> int | None:
    """ISO 8601 as ns, in UTC where it names no zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a time", example="2026-11-21T09:30:00Z") from error
    return ns_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
