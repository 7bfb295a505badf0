"""The books of recorded updates, which come without them (floor 1)."""

from msgspec.structs import replace

from .book import Book
from .events import BookUpdate


class Books:
    """Applies recorded updates along, and so has the book of each channel after the last of them.

    What comes before a channel's first snapshot changes a book that is not whole, and nobody else has it.
    """

    def __init__(self) -> None:
        self._books: dict[str, tuple[Book, int | None]] = {}

    def __getitem__(self, channel: str) -> Book:
        """The book of ``channel``. Raises KeyError before its first update."""
        return self._books[channel][0]

    def __contains__(self, channel: str) -> bool:
        return channel in self._books

    def take(self, update: BookUpdate) -> BookUpdate:
        """``update`` with its book."""
        if update.snapshot or update.channel not in self._books:
            self._books[update.channel] = Book(), kept(update)
        book, depth = self._books[update.channel]
        book.apply(update.bids, update.asks, depth=depth)
        book.seq = update.last
        return replace(update, _book=book)


def kept(snapshot: BookUpdate) -> int | None:
    """How many levels a side the venue keeps; None for all.

    A venue that proves the best levels only keeps as many as its snapshot has, and no fewer than it proves;
    it sends no delete for a level that is pushed out of them.
    """
    if snapshot.proof is None or snapshot.proof.depth is None:
        return None
    return max(len(snapshot.bids), len(snapshot.asks), snapshot.proof.depth)
