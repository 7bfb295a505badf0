"""Following the hours of markets while a Stream runs (floor 4)."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from . import clock
from .calendars import Hours, calendar_hours, hours_of
from .core.errors import ConfigError
from .core.instruments import Channel
from .core.times import iso

_log = logging.getLogger("livetape.stream")


class HoursWatch:
    """Whether a market that is followed ``is_open``: looked at every ``every_s``, told by ``changed``.

    One open market is enough. It is open, too, while nothing is followed or the hours are not known.
    """

    def __init__(self, every_s: float, changed: Callable[[], None]) -> None:
        self.is_open = True
        self._every_s, self._changed = every_s, changed
        self._hours: Callable[[], set[Hours]] | None = None
        self._look_again: asyncio.TimerHandle | None = None

    def follow(self, hours: Callable[[], set[Hours]]) -> None:
        """Follow ``hours()`` from the next look on. Raises ConfigError when they are not known."""
        for each in hours():
            each.is_open(clock.now_ns())
        self._hours = hours

    def look(self) -> None:
        """Look now and, on the running loop, from now on; not while nothing is followed."""
        if self._hours is None:
            return
        self.end()
        now_ns = clock.now_ns()
        try:
            hours = self._hours()
            is_open = not hours or any(each.is_open(now_ns) for each in hours)
        except ConfigError as error:  # a new symbol's hours, or a new year's, are not known
            _log.error("the market's hours are no longer followed: %s", error)
            self.is_open = True
            self._changed()
            return
        if is_open != self.is_open:
            names = ", ".join(sorted({each.name for each in hours}))
            opens_ns = min((ns for each in hours if (ns := each.next_open(now_ns))), default=None)
            until = f" until {iso(opens_ns)}" if opens_ns else ""
            _log.info("%s: %s", names, "open" if is_open else f"closed, no connection{until}")
            self.is_open = is_open
            self._changed()
        self._look_again = asyncio.get_running_loop().call_later(self._every_s, self.look)

    def end(self) -> None:
        """Look no more, until the next ``look``."""
        if self._look_again is not None:
            self._look_again.cancel()


def hours_for(calendar: str | Hours | None, channels: Iterable[Channel], *, extended: bool) -> set[Hours]:
    """The hours of ``calendar``; without one, those of the markets of ``channels``. Raises ConfigError."""
    if isinstance(calendar, Hours):
        return {calendar}
    if calendar is not None:
        return {calendar_hours(calendar, extended=extended)}
    return {hours_of(channel.venue, channel.symbol, extended=extended) for channel in channels}
