"""One downstream client without its socket: what it subscribed and what waits for it (floor 3)."""

from .delivery import Item, Shared, Subscription


class Audience:
    """Bounded: no client holds more than ``limit`` bytes of events, whatever it subscribes."""

    def __init__(self, limit: int) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.paused = False
        self._limit = limit

    def offer(self, shared: Shared, unsent: int = 0) -> None:
        """Take one event of a channel; ``unsent`` bytes already wait in the socket."""
        subscription = self.subscriptions.get(shared.event.channel)
        if subscription is None:
            return
        if self.paused:
            subscription.hold(shared.event)
        else:
            subscription.offer(shared, self._limit - unsent - self.bytes)

    def resume(self, now_ns: int) -> None:
        """Take events again, and say what was passed over meanwhile."""
        self.paused = False
        for subscription in self.subscriptions.values():
            subscription.resume(now_ns)

    @property
    def bytes(self) -> int:
        """What waits for this client."""
        return sum(subscription.bytes for subscription in self.subscriptions.values())

    def take(self, now_ns: int) -> list[Item]:
        """What may be sent now, channel by channel."""
        return [item for subscription in self.subscriptions.values() for item in subscription.take(now_ns)]

    @property
    def due_ns(self) -> int | None:
        """When there will be something to take: 0 for now, None for nothing."""
        due = [subscription.due_ns for subscription in self.subscriptions.values()]
        return min((each for each in due if each is not None), default=None)
