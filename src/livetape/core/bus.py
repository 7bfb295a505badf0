"""Channel to subscribers, in process: plain synchronous calls (floor 1)."""

from collections import deque
from collections.abc import Callable

from .events import MarketEvent

Subscriber = Callable[[MarketEvent], None]


class Bus:
    """Hands each event to those who asked for its channel, then to those who asked for everything.

    A Status or Gap of a channel goes to the channel's subscribers too. Subscribers must not raise.
    """

    def __init__(self) -> None:
        self._by_channel: dict[str, tuple[Subscriber, ...]] = {}
        self._everything: tuple[Subscriber, ...] = ()
        self._publishing = False
        self._later: deque[MarketEvent] = deque()

    def subscribe(self, channel: str | None, subscriber: Subscriber) -> None:
        """Call ``subscriber`` with each event of ``channel``; of every channel when it is None."""
        if channel is None:
            self._everything += (subscriber,)
        else:
            self._by_channel[channel] = (*self._by_channel.get(channel, ()), subscriber)

    def unsubscribe(self, channel: str | None, subscriber: Subscriber) -> None:
        """Undo one ``subscribe``."""
        if channel is None:
            self._everything = _without(self._everything, subscriber)
        elif left := _without(self._by_channel.get(channel, ()), subscriber):
            self._by_channel[channel] = left
        else:
            self._by_channel.pop(channel, None)

    def publish(self, event: MarketEvent) -> None:
        """Hand ``event`` out, in the order of subscription.

        What a subscriber causes to be published waits until all have had this event.
        """
        if self._publishing:
            self._later.append(event)
            return
        self._publishing = True
        try:
            self._hand_out(event)
            while self._later:
                self._hand_out(self._later.popleft())
        finally:
            self._publishing = False

    def _hand_out(self, event: MarketEvent) -> None:
        for subscriber in self._by_channel.get(event.channel, ()):
            subscriber(event)
        for subscriber in self._everything:
            subscriber(event)


def _without(subscribers: tuple[Subscriber, ...], one: Subscriber) -> tuple[Subscriber, ...]:
    left = list(subscribers)
    if one in left:
        left.remove(one)
    return tuple(left)
