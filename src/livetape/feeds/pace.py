"""Sending no faster than a vendor takes it (floor 3)."""

import asyncio
from collections import deque
from collections.abc import Callable


class Paced:
    """Hands what is ``put`` to ``send``, in order and at most ``per_s`` a second; None sets no bound."""

    def __init__(self, per_s: float | None, send: Callable[[bytes], None]) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._send = send
        self._waiting: deque[bytes] = deque()
        self._free_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, frame: bytes) -> None:
        """Send ``frame``, now or as soon as its turn comes."""
        if not self._interval_s:
            self._send(frame)
            return
        self._waiting.append(frame)
        if self._timer is None:
            self._next()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and loop.time() >= self._free_s:
            self._free_s = loop.time() + self._interval_s
            self._send(self._waiting.popleft())
        if self._waiting:
            self._timer = loop.call_at(self._free_s, self._next)
