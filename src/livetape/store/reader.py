"""A recorded tape, opened for reading: what it has, and what can be asked of it (floor 3)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from .. import clock
from ..core.book import Book
from ..core.errors import StoreError
from ..core.events import BookUpdate
from ..core.instruments import Channel
from ..core.raw import RawRecord
from . import ledger, merge, query
from .catalog import NO_TAPE
from .ledger import Completeness
from .query import DaysOf, Moment, Span, Wish, days_at, moment_ns, utc_days
from .result import Result
from .scan import Tape, visible
from .schema import VERSION
from .segment import reading

if TYPE_CHECKING:
    import pyarrow as pa

    from ..player import Player


class Store:
    """A store directory, opened for reading; it may be written meanwhile. Raises StoreError.

    ``days_of`` says of a venue's symbol when the days of its market begin.
    """

    def __init__(self, directory: str | Path, days_of: DaysOf = utc_days) -> None:
        self.directory = Path(directory)
        self._days_of = days_of
        with self._visible() as tape:
            if not (tape.view.segments or tape.view.files or tape.view.sealed):
                raise StoreError(str(directory), NO_TAPE)
            for segment in tape.view.segments:
                _check_version(segment.path)

    def history(
        self,
        channel: str,
        start: Moment = None,
        end: Moment = None,
        *,
        last: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Result:
        """The events of ``channel`` from ``start`` until before ``end``, in the order of the tape.

        Their time is the venue's where it gave one, else that of receiving. A moment is a datetime or a date,
        in UTC where it has no zone, ISO text, ns since 1970, or a time before now, such as ``-1h``. With
        ``last`` only so many come, the newest; with ``columns`` only those, such as ``price`` or
        ``price_text``. Raises ConfigError for a channel that is not on the tape, and for what is no time.
        """
        with self._visible() as tape:
            return query.history(tape, channel, self._span(start, end), last, columns)

    def bars(
        self,
        channel: str,
        interval: str = "",
        start: Moment = None,
        end: Moment = None,
        *,
        last: int | None = None,
        of: str = "",
        zone: str = "",
        day: str = "",
    ) -> Result:
        """The bars of ``interval``, such as ``1m`` or ``1d``, that begin from ``start`` until before ``end``.

        ``channel`` is a symbol, as ``kraken:BTC-USD``, or one with a kind. Its bars are those that were
        recorded, where there are any and nothing else is asked for; else they are made from trades, else from
        the mids of quotes. ``of`` is ``trade``, ``mid``, ``bid`` or ``ask``. Bars of up to a day are counted
        anew when a day of the market begins, or at ``day``, such as ``17:00``, in ``zone``. A trade sets what
        its conditions allow, and what was amended counts as amended. Raises ConfigError.
        """
        days_of = days_at(day or "00:00", zone or "UTC") if zone or day else self._days_of
        wish = Wish(interval, of, last, days_of, bool(zone or day))
        with self._visible() as tape:
            return query.bars(tape, channel, wish, self._span(start, end))

    def book_at(self, channel: str, at: Moment = None) -> Book:
        """The order book as it stood when all that was received until ``at``, or until now, had been applied.

        Raises ConfigError where there was none.
        """
        return self.book_update_at(channel, at).book

    def book_update_at(self, channel: str, at: Moment = None) -> BookUpdate:
        """The last update received until ``at``, whose ``book`` is the book after it. Raises ConfigError."""
        now_ns = clock.now_ns()
        at_ns = moment_ns(at, now_ns)
        with self._visible() as tape:
            return query.book_at(tape, channel, now_ns if at_ns is None else at_ns)

    def sql(self, query: str) -> Result:
        """What DuckDB answers to one SELECT over the tables of the tape, and the view ``book_levels``.

        All tables have a ``date``, the UTC day of receiving; naming it, or ``venue``, makes a query fast.
        Times are ns UTC without a zone. Nothing but the tape can be read, and nothing written.
        Raises ConfigError with what DuckDB says.
        """
        from .sql import select

        with self._visible() as tape:
            return select(tape, query)

    def counts(self) -> dict[str, int]:
        """Events recorded by channel, for the kinds that are data."""
        with self._visible() as tape:
            return ledger.counts(tape)

    def gaps(self) -> list[dict[str, object]]:
        """The gap ledger: each gap once, as it stands now, and the time between recordings; oldest first."""
        with self._visible() as tape:
            return ledger.gaps(tape)

    def completeness(self, channel: str, day: date | str) -> Completeness:
        """How much of ``channel`` the tape has of a UTC day, such as ``2026-11-21``. Raises ConfigError."""
        with self._visible() as tape:
            return ledger.completeness(tape, Channel.parse(channel), day)

    def raw(self) -> Iterator[RawRecord]:
        """Every raw record, in the order of recording."""
        return merge.records(self.directory)

    def replay(
        self,
        channels: Iterable[str] | None = None,
        start: Moment = None,
        end: Moment = None,
        *,
        speed: float | None = None,
        source: str = "typed",
        books: bool = False,
        digest: bool = False,
    ) -> "Player":
        """The tape again, event by event, in the order of receiving: iterate over it, with ``async`` or not.

        ``channels`` are sources such as ``kraken:BTC-USD/trade``. ``source`` is ``typed``, the events as they
        were recorded, or ``raw``, made again from the raw frames. ``speed`` is 0.1 to 1000 times as fast as
        it was, None as fast as events are taken. With ``books`` updates have their ``book``; with ``digest``
        the player has one of what it played. Raises ConfigError.
        """
        from ..player import play, selected

        selection = merge.Selection(*self._span(start, end), selected(self.directory, channels or ()))
        return play(self.directory, selection, source, speed=speed, books=books, digest=digest)

    def batches(
        self, channels: Iterable[str] | None = None, start: Moment = None, end: Moment = None
    ) -> Iterator[tuple[str, "pa.Table"]]:
        """The same events as Arrow tables with the names of their kinds, in pieces that go on in time.

        In a piece the rows of each kind are in the order of receiving. Raises ConfigError.
        """
        from ..player import selected

        selection = merge.Selection(*self._span(start, end), selected(self.directory, channels or ()))
        return merge.batches(self.directory, selection)

    def plot(
        self,
        channel: str,
        *,
        style: str = "",
        interval: str = "",
        start_ns: int | None = None,
        end_ns: int | None = None,
        last_ns: int | None = None,
        out: str | Path | None = None,
    ) -> Path:
        """Draw ``channel`` into the PNG or SVG file ``out``, else one named by the channel; returns the file.

        ``style`` is ``line``, ``candle``, ``depth`` or ``spread``, else what suits the kind; ``interval`` is
        a candle's, such as ``1m``. ``last_ns`` is a length of time before ``end_ns``. Raises ConfigError.
        """
        from .plot import Chart, plot

        return plot(self, channel, Chart(style, interval, start_ns, end_ns, last_ns), out)

    def _visible(self) -> AbstractContextManager[Tape]:
        return visible(self.directory)

    def _span(self, start: Moment, end: Moment) -> Span:
        return Span.of(start, end, clock.now_ns())


def open_store(directory: str | Path, days_of: DaysOf = utc_days) -> Store:
    """Open a recorded tape. Raises StoreError when there is none or it cannot be read."""
    return Store(directory, days_of)


def _check_version(segment: Path) -> None:
    with reading(segment) as db:
        versions = [value for (value,) in db.execute("SELECT value FROM meta WHERE key = 'schema_version'")]
    if not versions or not isinstance(versions[0], int):
        raise StoreError(str(segment), "is no segment of a tape: it has no schema version")
    if versions[0] > VERSION:
        raise StoreError(
            str(segment), f"schema version {versions[0]} is newer than this livetape's {VERSION}"
        )
