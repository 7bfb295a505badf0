"""``Stream``: the object a Python user holds (floor 5)."""

import asyncio
import contextlib
import inspect
import logging
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast, get_args

from msgspec.structs import replace

from . import clock
from .app import App
from .calendars import Hours, calendar_hours, hours_of
from .config import Config, load
from .core.errors import ConfigError, ConnectError, MisuseError
from .core.events import Amendment, BookUpdate, Gap, MarketEvent, Status
from .core.times import iso
from .feeds.line import Retry

QUEUE = 10_000  #: events that may wait for one async handler or iterator before the oldest are dropped
HOURS_S = 1.0  #: how often the market's hours are looked at; a machine that slept is late by no more
_KINDS: dict[str, type[MarketEvent]] = {kind.__struct_config__.tag: kind for kind in get_args(MarketEvent)}
_HOOKS = {
    "connected": "open",
    "disconnected": "close",
    "unreachable": "error",
    "denied": "error",
    "undecodable": "error",
}
_log = logging.getLogger("livetape.stream")

Handler = Callable[..., Any]
_H = TypeVar("_H", bound=Handler)


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
        self.dropped = 0  #: events that a queued handler or iterator was too slow for
        self.failures = 0  #: exceptions raised by handlers
        loaded = config if isinstance(config, Config) else load(config)
        self._config = loaded if retry is None else replace(loaded, retry=retry)
        self._store = store
        self._gave_up: ConnectError | None = None
        self._channels = self._config.channels_of(sources)
        self._handlers: list[tuple[Callable[[MarketEvent], bool], Handler]] = []
        self._hooks: dict[str, list[Handler]] = {"open": [], "error": [], "close": [], "gap": []}
        self._app: App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._pauses: set[str] = set()  # why there is no connection: "paused", "closed"
        self._hours: Callable[[], set[Hours]] | None = None
        self._look_again: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._queued: list[_Queued] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._iterators: list[asyncio.Queue[MarketEvent | None]] = []

    # Handlers

    def on(self, pattern: str, *, run_in: str = "loop", workers: int = 1) -> Callable[[_H], _H]:
        """Call the decorated function for events of a kind, or of channels whose name matches.

        ``pattern`` is ``trade``, ``quote``, ``book``, ``bar``, ``summary`` or another kind of event,
        or a regular expression on the whole channel name, such as ``r"gemini:.+/book"``. An expression does
        not match what is about a channel: its states, gaps and amendments.

        Heavy work goes elsewhere: ``run_in="thread"`` or ``"process"`` calls the function in a pool of
        ``workers``; with more than one, events overtake each other. A function of a process must be
        importable by its name, and its book updates come without ``book``. An async function and one in a
        pool have a queue of their own; a ``BookUpdate.book`` may be newer than the update there.
        """
        matches = _matcher(pattern)
        if run_in not in ("loop", "thread", "process"):
            raise MisuseError(f"run_in is loop, thread or process, not {run_in!r}")

        def decorate(handler: _H) -> _H:
            called = self._direct(handler) if run_in == "loop" else self._pooled(handler, run_in, workers)
            self._handlers.append((matches, called))
            return handler

        return decorate

    def on_open(self, handler: _H) -> _H:
        """Call ``handler(status)`` when a connection has opened."""
        return self._hook("open", handler)

    def on_close(self, handler: _H) -> _H:
        """Call ``handler(status)`` when a connection has ended; ``status.detail`` says why."""
        return self._hook("close", handler)

    def on_error(self, handler: _H) -> _H:
        """Call ``handler(problem)``: a Status of a refusal or a bad frame, or a handler's exception."""
        return self._hook("error", handler)

    def on_gap(self, handler: _H) -> _H:
        """Call ``handler(gap)`` when a gap opens and when it has ended."""
        return self._hook("gap", handler)

    # Control, from anywhere

    def subscribe(self, *sources: str, wait: bool = False) -> None:
        """Add sources, also while running. Raises ConfigError when one cannot be had by its name.

        Where the vendor's limits leave no room, raises LimitReached; with ``wait`` the sources wait for it.
        """
        channels = self._config.channels_of(sources)

        def add(app: App | None) -> None:
            new = [channel for channel in channels if channel not in self._channels]
            if app is not None:
                app.hub.want(new, queue=wait)
            self._channels += new

        self._do(add)

    def unsubscribe(self, *sources: str) -> None:
        """Take sources away, also while running."""
        channels = self._config.channels_of(sources)

        def take(app: App | None) -> None:
            gone = [channel for channel in channels if channel in self._channels]
            self._channels = [channel for channel in self._channels if channel not in gone]
            if app is not None:
                app.hub.drop(gone)

        self._do(take)

    def pause(self) -> None:
        """Close the connections and keep the subscriptions; what is missed meanwhile is a gap."""
        self._do(lambda app: self._pause(app, "paused"))

    def resume(self) -> None:
        """Connect again after ``pause``."""
        self._do(lambda app: self._resume(app, "paused"))

    def follow_hours(self, calendar: str | Hours | None = None, *, extended: bool = False) -> None:
        """Pause whenever the market is closed, and resume when it opens.

        ``calendar`` is ``forex``, an exchange such as ``XNYS``, or hours of your own; without it, the markets
        of the sources decide, and one that is open is enough. ``extended`` adds the time before and after the
        regular session of US stocks. Raises ConfigError. Call it before the stream runs: to load the calendar
        of an exchange takes a moment.
        """

        def hours() -> set[Hours]:
            if isinstance(calendar, Hours):
                return {calendar}
            if calendar is not None:
                return {calendar_hours(calendar, extended=extended)}
            return {hours_of(channel.venue, channel.symbol, extended=extended) for channel in self._channels}

        for each in hours():
            each.is_open(clock.now_ns())
        self._hours = hours
        self._do(self._keep_hours)

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
        queue: asyncio.Queue[MarketEvent | None] = asyncio.Queue()
        self._iterators.append(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
            if self._gave_up is not None:
                raise self._gave_up
        finally:
            self._iterators.remove(queue)

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
            app.bus.subscribe(None, self._dispatch)
            if self._pauses:
                app.hub.pause()
            app.hub.want(self._channels)
            self._keep_hours(app)
        except BaseException:
            self._app = self._loop = None
            await app.close()
            raise
        for each in self._queued:
            self._tasks += each.start(self)

    def _end(self) -> None:
        if self._ended is not None:
            self._ended.set()
        for queue in self._iterators:
            queue.put_nowait(None)

    async def _close(self) -> None:
        app, self._app, self._loop = self._app, None, None
        self._end()
        if self._look_again is not None:
            self._look_again.cancel()
        if app is not None:
            await app.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for each in self._queued:
            self.dropped += each.queue.qsize()
            each.end()

    def _pause(self, app: App | None, why: str) -> None:
        self._pauses.add(why)
        if app is not None:
            app.hub.pause()

    def _resume(self, app: App | None, why: str) -> None:
        self._pauses.discard(why)
        if app is not None and not self._pauses:
            app.hub.resume()

    def _keep_hours(self, app: App | None) -> None:
        """Pause or resume by the hours that are followed, now and from now on."""
        if app is None or self._hours is None:
            return
        if self._look_again is not None:
            self._look_again.cancel()
        now_ns = clock.now_ns()
        try:
            hours = self._hours()
            is_open = not hours or any(each.is_open(now_ns) for each in hours)
        except ConfigError as error:  # a new symbol's hours, or a new year's, are not known
            _log.error("the market's hours are no longer followed: %s", error)
            self._resume(app, "closed")
            return
        if is_open == ("closed" in self._pauses):
            names = ", ".join(sorted({each.name for each in hours}))
            opens_ns = min((ns for each in hours if (ns := each.next_open(now_ns))), default=None)
            until = f" until {iso(opens_ns)}" if opens_ns else ""
            _log.info("%s: %s", names, "open" if is_open else f"closed, no connection{until}")
            (self._resume if is_open else self._pause)(app, "closed")
        self._look_again = asyncio.get_running_loop().call_later(HOURS_S, self._keep_hours, app)

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

    # Dispatch

    def _dispatch(self, event: MarketEvent) -> None:
        for matches, handler in self._handlers:
            if matches(event):
                self._call(handler, event)
        for queue in self._iterators:
            self._offer(queue, event)
        if isinstance(event, Gap):
            self._call_hooks("gap", event)
        elif isinstance(event, Status):
            self._call_hooks(_HOOKS.get(event.state, ""), event)
            if event.state == "unreachable" and self._app is not None and self._app.hub.gave_up:
                self._gave_up = ConnectError(event.channel, event.detail)
                self._end()

    def _call(self, handler: Handler, argument: object) -> None:
        try:
            handler(argument)
        except Exception as error:  # a user's mistake must not end the feed
            self._failed(error, argument)

    def _call_hooks(self, name: str, argument: object) -> None:
        for hook in self._hooks.get(name, ()):
            try:
                hook(argument)
            except Exception:  # as above; a hook has no hook
                self.failures += 1
                _log.exception("the %s hook failed on %s", name, argument)

    def _hook(self, name: str, handler: _H) -> _H:
        self._hooks[name].append(self._direct(handler))
        return handler

    def _direct(self, handler: Handler) -> Handler:
        """``handler`` itself, or for an async one the way into its queue."""
        if not inspect.iscoroutinefunction(handler):
            return handler
        return self._into(_Queued(handler))

    def _pooled(self, handler: Handler, run_in: str, workers: int) -> Handler:
        """The way into the queue of a handler that runs in a pool."""
        kind = ThreadPoolExecutor if run_in == "thread" else ProcessPoolExecutor
        return self._into(_Queued(handler, workers, kind))

    def _into(self, queued: "_Queued") -> Handler:
        self._queued.append(queued)

        def start(app: App | None) -> None:
            if app is not None:
                self._tasks += queued.start(self)

        self._do(start)
        return lambda event: self._offer(queued.queue, event)

    def _failed(self, error: Exception, event: object) -> None:
        self.failures += 1
        _log.error("a handler failed on %s", event, exc_info=error)
        self._call_hooks("error", error)

    def _offer(self, queue: "asyncio.Queue[Any]", event: Any) -> None:
        if queue.qsize() >= QUEUE:
            queue.get_nowait()
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:
                _log.warning("%d events dropped: a handler or iterator is too slow", self.dropped)
        queue.put_nowait(event)


class _Queued:
    """A handler that is awaited, or runs in a ``pool``, and what waits for it; each run has its own queue."""

    def __init__(
        self, handler: Handler, workers: int = 1, pool: Callable[[int], Executor] | None = None
    ) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self._handler, self._workers, self._make_pool = handler, workers, pool
        self._pool: Executor | None = None

    def start(self, stream: Stream) -> list[asyncio.Task[None]]:
        self.queue = asyncio.Queue()
        self._pool = self._make_pool(self._workers) if self._make_pool else None
        loop = asyncio.get_running_loop()
        return [loop.create_task(self._drain(stream, self.queue)) for _ in range(self._workers)]

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _drain(self, stream: Stream, queue: "asyncio.Queue[Any]") -> None:
        while True:
            event = await queue.get()
            try:
                await self._call(event)
            except Exception as error:  # a user's mistake must not end the feed
                stream._failed(error, event)

    def _call(self, event: Any) -> Awaitable[None]:
        if self._pool is None:
            return cast("Awaitable[None]", self._handler(event))
        if isinstance(event, BookUpdate) and isinstance(self._pool, ProcessPoolExecutor):
            event = replace(event, _book=None)
        return asyncio.get_running_loop().run_in_executor(self._pool, self._handler, event)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where there is one, else the standard loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _matcher(pattern: str) -> Callable[[MarketEvent], bool]:
    if kind := _KINDS.get(pattern):
        return lambda event: isinstance(event, kind)
    try:
        match = re.compile(pattern).fullmatch
    except re.error as error:
        raise MisuseError(f"{pattern!r} is neither a kind nor a regular expression: {error}") from error
    return lambda event: _is_data(event) and match(event.channel) is not None


def _is_data(event: MarketEvent) -> bool:
    """Whether ``event`` is what its channel is for, not something about it."""
    return not isinstance(event, Status | Gap | Amendment) or event.kind == "status"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
