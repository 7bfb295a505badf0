"""How long work tells how far it is (floor 3)."""

from collections.abc import Callable

#: Called with what is done, how much of it is, and of how much.
Progress = Callable[[str, int, int], None]


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""
