"""What the gateway needs of the rest of the program; app.py fills it (floor 3)."""

from collections.abc import Iterable
from typing import Any, Protocol

from ..core.instruments import Channel, Instrument


class Upstream(Protocol):
    """The feeds, as the gateway sees them."""

    def channels_of(self, sources: Iterable[str]) -> list[Channel]:
        """The channels that ``sources`` name. Raises ConfigError when one cannot be read."""

    def want(self, channels: Iterable[Channel]) -> None:
        """Subscribe. Raises ConfigError when one cannot be had by its name."""

    def drop(self, channels: Iterable[Channel]) -> None:
        """Give up what ``want`` asked for, once."""

    def venues(self) -> list[str]:
        """The venues that can be searched."""

    async def instruments(self, venue: str) -> list[Instrument]:
        """What a venue lists."""

    def status(self) -> dict[str, Any]:
        """Every connection and channel, for ``/v1/status``."""
