"""``Handlers``: the functions and iterators that a Stream hands events to (floor 3)."""

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast, get_args

from msgspec.structs import replace

from .core.errors import MisuseError
from .core.events import Amendment, BookUpdate, Gap, MarketEvent, Status

_KINDS: dict[str, type[MarketEvent]] = {kind.__struct_config__.tag: kind for kind in get_args(MarketEvent)}
#: The hooks that a state calls, in this order.
_HOOKS = {
    "connected": ("open",),
    "disconnected": ("close",),
    "unreachable": ("error", "unreachable"),
    "denied": ("error",),
    "undecodable": ("error",),
}
_log = logging.getLogger("livetape.stream")

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Handlers:
    """Hands each event to the functions and iterators that want it; none of them can end the feed.

    ``most`` events may wait for one async function, pool or iterator before the oldest are dropped.
    ``if_running`` carries an action out on the running loop, and does nothing when there is none. Register
    from any thread; all else is for the loop.
    """

    def __init__(self, most: int, if_running: Callable[[Callable[[], None]], None]) -> None:
        self.dropped = 0  #: events that a queued handler or iterator was too slow for
        self.failures = 0  #: exceptions raised by handlers
        self.unasked: set[str] = set()  #: channels whose events are for nobody here
        self._most, self._if_running = most, if_running
        self._handlers: list[tuple[Callable[[MarketEvent], bool], Handler]] = []
        names = ("open", "error", "close", "gap", "unreachable")
        self._hooks: dict[str, list[Handler]] = {name: [] for name in names}
        self._queued: list[_Queued] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._iterators: list[asyncio.Queue[MarketEvent | None]] = []

    # Who wants events

    def on(self, pattern: str, run_in: str, workers: int) -> Callable[[H], H]:
        """A decorator for a function that wants the events of ``pattern``. Raises MisuseError."""
        matches = _matcher(pattern)
        if run_in not in ("loop", "thread", "process"):
            raise MisuseError(f"run_in is loop, thread or process, not {run_in!r}")

        def decorate(handler: H) -> H:
            called = self._direct(handler) if run_in == "loop" else self._pooled(handler, run_in, workers)
            self._handlers.append((matches, called))
            return handler

        return decorate

    def hook(self, name: str, handler: H) -> H:
        """Call ``handler`` on ``open``, ``close``, ``gap``, ``error``, or after that on ``unreachable``."""
        self._hooks[name].append(self._direct(handler))
        return handler

    @contextmanager
    def iterator(self) -> Iterator["asyncio.Queue[MarketEvent | None]"]:
        """A queue that every event is put into, and None at the end."""
        queue: asyncio.Queue[MarketEvent | None] = asyncio.Queue()
        self._iterators.append(queue)
        try:
            yield queue
        finally:
            self._iterators.remove(queue)

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
        self._if_running(lambda: self._start(queued))
        return lambda event: self._offer(queued.queue, event)

    # A run

    def start(self) -> None:
        """Begin to work off the queues."""
        for each in self._queued:
            self._start(each)

    def dispatch(self, event: MarketEvent) -> None:
        """Hand ``event`` to everyone who wants it. Never raises an Exception."""
        if event.channel in self.unasked:
            return
        for matches, handler in self._handlers:
            if matches(event):
                self._call(handler, event)
        for queue in self._iterators:
            self._offer(queue, event)
        if isinstance(event, Gap):
            self._call_hooks("gap", event)
        elif isinstance(event, Status):
            for name in _HOOKS.get(event.state, ()):
                self._call_hooks(name, event)

    def end_iterators(self) -> None:
        """Let the iterators end after what they have waiting."""
        for queue in self._iterators:
            queue.put_nowait(None)

    async def end(self) -> None:
        """Stop working off the queues; what still waits there is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for each in self._queued:
            self.dropped += each.queue.qsize()
            each.end()

    def _start(self, queued: "_Queued") -> None:
        self._tasks += queued.start(self._failed)

    def _call(self, handler: Handler, argument: object) -> None:
        try:
            handler(argument)
        except Exception as error:  # a user's mistake must not end the feed
            self._failed(error, argument)

    def _call_hooks(self, name: str, argument: object) -> None:
        for hook in self._hooks[name]:
            try:
                hook(argument)
            except Exception:  # as above; a hook has no hook
                self.failures += 1
                _log.exception("the %s hook failed on %s", name, argument)

    def _failed(self, error: Exception, event: object) -> None:
        self.failures += 1
        _log.error("a handler failed on %s", event, exc_info=error)
        self._call_hooks("error", error)

    def _offer(self, queue: "asyncio.Queue[Any]", event: Any) -> None:
        if queue.qsize() >= self._most:
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

    def start(self, failed: Callable[[Exception, object], None]) -> list[asyncio.Task[None]]:
        self.queue = asyncio.Queue()
        self._pool = self._make_pool(self._workers) if self._make_pool else None
        loop = asyncio.get_running_loop()
        return [loop.create_task(self._drain(self.queue, failed)) for _ in range(self._workers)]

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _drain(self, queue: "asyncio.Queue[Any]", failed: Callable[[Exception, object], None]) -> None:
        while True:
            event = await queue.get()
            try:
                await self._call(event)
            except Exception as error:  # a user's mistake must not end the feed
                failed(error, event)

    def _call(self, event: Any) -> Awaitable[None]:
        if self._pool is None:
            return cast("Awaitable[None]", self._handler(event))
        if isinstance(event, BookUpdate) and isinstance(self._pool, ProcessPoolExecutor):
            event = replace(event, _book=None)
        return asyncio.get_running_loop().run_in_executor(self._pool, self._handler, event)


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
