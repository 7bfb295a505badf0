"""``Stream``: the object a Python user holds (floor 5)."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from .app import App
from .calendars import Hours
from .config import Config, load
from .core.errors import ConnectError, MisuseError
from .core.events import MarketEvent, Status
from .feeds.line import Retry
from .handlers import H, Handlers
from .hours import HoursWatch, hours_for

QUEUE = 10_000  #: events that may wait for one async handler or iterator before the oldest are dropped
HOURS_S = 1.0  #: how often the market's hours are looked at; a machine that slept is late by no more
_log = logging.getLogger("livetape.stream")


class Stream:
    """Live events of ``sources`` (``venue:SYMBOL[/kind]``), handed to your functions or iterated over.

    ::

        stream = Stream("gemini:BTC-USD/book", "kraken:BTC-USD/trade")

        @stream.on("trade")
        def show(trade):
            print(trade.symbol, trade.price, trade.size)

        stream.run()

    Every method may be called from any thread, from a handler and in a notebook, before and while the stream
    runs. ``config`` is a Config or the path of a TOML file; ``retry`` says how to dial again, and how often;
    everything is recorded into the directory ``store``, if one is given.
    Raises ConfigError for a source it cannot read; ``run`` and iteration raise ConnectError when every
    connection has been given up.
    """

    def __init__(
        self,
        *sources: str,
        config: Config | str | None = None,
        retry: Retry | None = None,
        store: str | Path | None = None,
    ) -> None:
        loaded = config if isinstance(config, Config) else load(config)
        self._config = loaded.with_sources(list(sources))
        if retry is not None:
            self._config = replace(self._config, retry=retry)
        self._store = store
        self._gave_up: ConnectError | None = None
        self._channels = self._config.channels_of(sources)
        self._handlers = Handlers(QUEUE, self._if_running)
        self._handlers.hook("unreachable", self._give_up)
        self._app: App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._paused = False
        self._hours = HoursWatch(HOURS_S, lambda: self._steer(self._app))
        self._thread: threading.Thread | None = None

    # Handlers

    def on(self, pattern: str, *, run_in: str = "loop", workers: int = 1) -> Callable[[H], H]:
        """Call the decorated function for events of a kind, or of channels whose name matches.

        ``pattern`` is ``trade``, ``quote``, ``book``, ``bar``, ``summary`` or another kind of event,
        or a regular expression on the whole channel name, such as ``r"gemini:.+/book"``. An expression does
        not match what is about a channel: its states, gaps and amendments.

        Heavy work goes elsewhere: ``run_in="thread"`` or ``"process"`` calls the function in a pool of
        ``workers``; with more than one, events overtake each other. A function of a process must be
        importable by its name, and its book updates come without ``book``. An async function and one in a
        pool have a queue of their own; a ``BookUpdate.book`` may be newer than the update there.
        """
        return self._handlers.on(pattern, run_in, workers)

    def on_open(self, handler: H) -> H:
        """Call ``handler(status)`` when a connection has opened."""
        return self._handlers.hook("open", handler)

    def on_close(self, handler: H) -> H:
        """Call ``handler(status)`` when a connection has ended; ``status.detail`` says why."""
        return self._handlers.hook("close", handler)

    def on_error(self, handler: H) -> H:
        """Call ``handler(problem)``: a Status of a refusal or a bad frame, or a handler's exception."""
        return self._handlers.hook("error", handler)

    def on_gap(self, handler: H) -> H:
        """Call ``handler(gap)`` when a gap opens and when it has ended."""
        return self._handlers.hook("gap", handler)

    @property
    def dropped(self) -> int:
        """How many events a queued handler or iterator was too slow for."""
        return self._handlers.dropped

    @property
    def failures(self) -> int:
        """How many exceptions handlers have raised."""
        return self._handlers.failures

    # Control, from anywhere

    def subscribe(self, *sources: str, wait: bool = False) -> None:
        """Add sources, also while running. Raises ConfigError when one cannot be had by its name.

        Where the vendor's limits leave no room, raises LimitReached; with ``wait`` the sources wait for it.
        """
        channels = self._config.channels_of(sources)

        def add(app: App | None) -> None:
            new = [channel for channel in channels if channel not in self._channels]
            if app is not None:
                app.want(new, queue=wait)
            self._channels += new

        self._do(add)

    def unsubscribe(self, *sources: str) -> None:
        """Take sources away, also while running."""
        channels = self._config.channels_of(sources)

        def take(app: App | None) -> None:
            gone = [channel for channel in channels if channel in self._channels]
            self._channels = [channel for channel in self._channels if channel not in gone]
            if app is not None:
                app.drop(gone)

        self._do(take)

    def pause(self) -> None:
        """Close the connections and keep the subscriptions; what is missed meanwhile is a gap."""
        self._paused = True
        self._do(self._steer)

    def resume(self) -> None:
        """Connect again after ``pause``."""
        self._paused = False
        self._do(self._steer)

    def follow_hours(self, calendar: str | Hours | None = None, *, extended: bool = False) -> None:
        """Pause whenever the market is closed, and resume when it opens.

        ``calendar`` is ``forex``, an exchange such as ``XNYS``, or hours of your own; without it, the markets
        of the sources decide, and one that is open is enough. ``extended`` adds the time before and after the
        regular session of US stocks. Raises ConfigError. Call it before the stream runs: to load the calendar
        of an exchange takes a moment.
        """
        self._hours.follow(lambda: hours_for(calendar, self._channels, extended=extended))
        self._if_running(self._hours.look)

    def stop(self) -> None:
        """End the stream; from another thread than its own, wait until a started one has ended."""
        loop, thread = self._loop, self._thread
        if loop is None:
            return
        if _running_loop() is loop:
            self._end()
            return
        loop.call_soon_threadsafe(self._end)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # Running

    def run(self) -> None:
        """Run until ``stop`` or Ctrl-C. Raises MisuseError where a loop already runs, as in a notebook."""
        if _running_loop() is not None:
            raise MisuseError("an event loop already runs here: use stream.start() or `async with stream`")
        with (
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=loop_factory()) as runner,
        ):
            runner.run(self._main())

    def start(self) -> Self:
        """Run in a thread of its own, and return once it is up."""
        ready: Future[None] = Future()

        def target() -> None:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                try:
                    runner.run(self._main(ready))
                except ConnectError as error:
                    _log.error("the stream has ended: %s", error)

        self._thread = threading.Thread(target=target, name="livetape-stream", daemon=True)
        self._thread.start()
        ready.result()
        return self

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._close()

    async def __aiter__(self) -> AsyncIterator[MarketEvent]:
        if self._app is None:
            raise MisuseError("iterate inside `async with stream`")
        with self._handlers.iterator() as queue:
            while (event := await queue.get()) is not None:
                yield event
            if self._gave_up is not None:
                raise self._gave_up

    async def _main(self, ready: "Future[None] | None" = None) -> None:
        try:
            await self._open()
        except BaseException as error:
            if ready is None:
                raise
            ready.set_exception(error)
            return
        if ready is not None:
            ready.set_result(None)
        assert self._ended is not None
        try:
            await self._ended.wait()
        finally:
            await self._close()
        if self._gave_up is not None:
            raise self._gave_up

    async def _open(self) -> None:
        if self._app is not None:
            raise MisuseError("this stream runs already")
        app = App(self._config)
        self._app, self._loop, self._ended = app, asyncio.get_running_loop(), asyncio.Event()
        self._gave_up = None
        try:
            if self._store is not None:
                app.record(self._store)
            self._handlers.unasked = app.unasked
            app.bus.subscribe(None, self._handlers.dispatch)
            self._steer(app)
            app.want(self._channels)
            self._hours.look()
        except BaseException:
            self._app = self._loop = None
            await app.close()
            raise
        self._handlers.start()

    def _end(self) -> None:
        if self._ended is not None:
            self._ended.set()
        self._handlers.end_iterators()

    async def _close(self) -> None:
        app, self._app, self._loop = self._app, None, None
        self._end()
        self._hours.end()
        if app is not None:
            await app.close()
        await self._handlers.end()

    def _give_up(self, status: Status) -> None:
        """End when the last connection has been given up."""
        if self._app is not None and self._app.hub.gave_up:
            self._gave_up = ConnectError(status.channel, status.detail)
            self._end()

    def _steer(self, app: App | None) -> None:
        """Connect, unless the user has paused or the market is closed."""
        if app is None:
            return
        if self._paused or not self._hours.is_open:
            app.hub.pause()
        else:
            app.hub.resume()

    def _if_running(self, action: Callable[[], None]) -> None:
        """Carry ``action`` out on the stream's loop; not when there is none."""
        self._do(lambda app: None if app is None else action())

    def _do(self, action: Callable[[App | None], None]) -> None:
        """Carry ``action`` out on the stream's loop, when there is one, and hand its error to the caller."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            action(self._app)
            return

        done: Future[None] = Future()

        def there() -> None:
            try:
                action(self._app)
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        try:
            loop.call_soon_threadsafe(there)
        except RuntimeError:  # the loop has just ended
            action(None)
            return
        done.result()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where there is one, else the standard loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
