"""Any vendor's live feed in; one clean, verified, typed tape out."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Stream", "__version__", "open_store"]

if TYPE_CHECKING:
    from .store.reader import open_store
    from .stream import Stream


def __getattr__(name: str) -> object:
    """Load the parts that need the network libraries only when they are used."""
    if name == "Stream":
        from .stream import Stream

        return Stream
    if name == "open_store":
        from functools import partial

        from .calendars import days_of
        from .store.reader import open_store

        return partial(open_store, days_of=days_of)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
