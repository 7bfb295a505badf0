"""The books of recorded updates are those that the session had."""

from livetape.core.books import Books
from livetape.core.events import BookUpdate, Proof


def update(bids: list[tuple[str, str]], *, snapshot: bool = False, depth: int | None = None) -> BookUpdate:
    proof = None if depth is None else Proof("crc32", depth, 0)
    return BookUpdate("kraken:BTC-USD/book", None, snapshot, bids, [("9", "1")], proof=proof)


def test_a_snapshot_begins_anew_and_updates_change_it() -> None:
    books = Books()
    assert "kraken:BTC-USD/book" not in books
    books.take(update([("1", "1"), ("2", "1")], snapshot=True))
    assert books.take(update([("2", "0"), ("3", "5")])).book.bids.top(9) == [("3", "5"), ("1", "1")]
    assert books.take(update([("4", "1")], snapshot=True)).book.bids.top(9) == [("4", "1")]
    assert books["kraken:BTC-USD/book"].bids.top(9) == [("4", "1")]


def test_a_venue_that_proves_the_best_levels_keeps_no_others() -> None:
    books = Books()
    books.take(update([("1", "1"), ("2", "1")], snapshot=True, depth=2))
    assert books.take(update([("3", "1")], depth=2)).book.bids.top(9) == [("3", "1"), ("2", "1")]
