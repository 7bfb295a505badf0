"""``Stream``: the object a Python user holds (floor 5)."""

import asyncio
import contextlib
import inspect
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from .app import App
from .config import Config, load
from .core.errors import MisuseError
from .core.events import Bar, BookUpdate, Gap, MarketEvent, Quote, Status, Trade
from .core.instruments import Channel, parse_source

QUEUE = 10_000  #: events that may wait for one async handler or iterator before the oldest are dropped
_KINDS: dict[str, type] = {
    "trade": Trade,
    "quote": Quote,
    "book": BookUpdate,
    "bar": Bar,
    "status": Status,
    "gap": Gap,
}
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
    runs. ``config`` is a Config or the path of a TOML file. Raises ConfigError for a source it cannot read.
    """

    def __init__(self, *sources: str, config: Config | str | None = None) -> None:
        self.dropped = 0  #: events that an async handler or iterator was too slow for
        self.failures = 0  #: exceptions raised by handlers
        self._config = config if isinstance(config, Config) else load(config)
        self._channels = _channels(sources)
        self._handlers: list[tuple[Callable[[MarketEvent], bool], Handler]] = []
        self._hooks: dict[str, list[Handler]] = {"open": [], "error": [], "close": [], "gap": []}
        self._app: App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._paused = False
        self._thread: threading.Thread | None = None
        self._queued: list[_Queued] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._iterators: list[asyncio.Queue[MarketEvent | None]] = []

    # Handlers

    def on(self, pattern: str) -> Callable[[_H], _H]:
        """Call the decorated function for events of a kind, or of channels whose name matches.

        ``pattern`` is ``trade``, ``quote``, ``book``, ``bar``, ``status`` or ``gap``, or a regular expression
        on the whole channel name, such as ``r"gemini:.+/book"``. An async function gets a queue of its own;
        its ``BookUpdate.book`` may be newer than the update.
        """
        matches = _matcher(pattern)

        def decorate(handler: _H) -> _H:
            self._handlers.append((matches, self._direct(handler)))
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

    def subscribe(self, *sources: str) -> None:
        """Add sources, also while running. Raises ConfigError when one cannot be had by its name."""
        channels = _channels(sources)

        def add(app: App | None) -> None:
            new = [channel for channel in channels if channel not in self._channels]
            if app is not None:
                app.hub.want(new)
            self._channels += new

        self._do(add)

    def unsubscribe(self, *sources: str) -> None:
        """Take sources away, also while running."""
        channels = _channels(sources)

        def take(app: App | None) -> None:
            gone = [channel for channel in channels if channel in self._channels]
            self._channels = [channel for channel in self._channels if channel not in gone]
            if app is not None:
                app.hub.drop(gone)

        self._do(take)

    def pause(self) -> None:
        """Close the connections and keep the subscriptions; what is missed meanwhile is a gap."""
        self._set_paused(True, lambda app: app.hub.pause())

    def resume(self) -> None:
        """Connect again after ``pause``."""
        self._set_paused(False, lambda app: app.hub.resume())

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
                runner.run(self._main(ready))

        self._thread = threading.Thread(target=target, name="livetape-stream", daemon=True)
        self._thread.start()
        ready.result()
        return self

    async def __aenter__(self) -> Self:
        self._open()
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
        finally:
            self._iterators.remove(queue)

    async def _main(self, ready: "Future[None] | None" = None) -> None:
        try:
            self._open()
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

    def _open(self) -> None:
        if self._app is not None:
            raise MisuseError("this stream runs already")
        app = App(self._config)
        app.bus.subscribe(None, self._dispatch)
        app.hub.want(self._channels)
        if self._paused:
            app.hub.pause()
        self._app, self._loop, self._ended = app, asyncio.get_running_loop(), asyncio.Event()
        for each in self._queued:
            self._tasks.append(each.start(self))

    def _end(self) -> None:
        if self._ended is not None:
            self._ended.set()
        for queue in self._iterators:
            queue.put_nowait(None)

    async def _close(self) -> None:
        app, self._app, self._loop = self._app, None, None
        self._end()
        if app is not None:
            await app.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _set_paused(self, paused: bool, action: Callable[[App], None]) -> None:
        def change(app: App | None) -> None:
            self._paused = paused
            if app is not None:
                action(app)

        self._do(change)

    def _do(self, action: Callable[[App | None], None]) -> None:
        """Carry ``action`` out on the stream's loop, when there is one, and hand its error to the caller."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            action(self._app)
            return

        async def there() -> None:
            action(self._app)

        asyncio.run_coroutine_threadsafe(there(), loop).result()

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
        queued = _Queued(handler)
        self._queued.append(queued)
        if self._app is not None:
            self._do(lambda _: self._tasks.append(queued.start(self)))
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
                _log.warning("%d events dropped: an async handler or iterator is too slow", self.dropped)
        queue.put_nowait(event)


class _Queued:
    """An async handler and what waits for it; each run has a queue and a task of its own."""

    def __init__(self, handler: Handler) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self._handler = handler

    def start(self, stream: Stream) -> asyncio.Task[None]:
        self.queue = asyncio.Queue()
        return asyncio.get_running_loop().create_task(self._drain(stream, self.queue))

    async def _drain(self, stream: Stream, queue: "asyncio.Queue[Any]") -> None:
        while True:
            event = await queue.get()
            try:
                await self._handler(event)
            except Exception as error:  # a user's mistake must not end the feed
                stream._failed(error, event)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where there is one, else the standard loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _channels(sources: Iterable[str]) -> list[Channel]:
    return list(dict.fromkeys(channel for source in sources for channel in parse_source(source)))


def _matcher(pattern: str) -> Callable[[MarketEvent], bool]:
    if kind := _KINDS.get(pattern):
        return lambda event: isinstance(event, kind)
    try:
        match = re.compile(pattern).fullmatch
    except re.error as error:
        raise MisuseError(f"{pattern!r} is neither a kind nor a regular expression: {error}") from error
    return lambda event: not isinstance(event, Status | Gap) and match(event.channel) is not None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
