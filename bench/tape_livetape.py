"""livetape's pieces of ``tape.py``; see tape_piece.py."""

from pathlib import Path
from tempfile import mkdtemp

from tape_data import LAST, REPLAYED, WRITTEN, bars_found, events, trades
from tape_piece import CHANNEL, Work, read_through, run_piece

from livetape.player import play
from livetape.store.journal import Journal
from livetape.store.merge import ALL, Selection, batches
from livetape.store.reader import open_store

BUFFER = 4 << 30


def write(place: Path) -> Work:
    """The recorder's journal, until the last trade is committed and synced."""
    given, directory = [*events(trades(WRITTEN))], Path(mkdtemp(dir=place / "scratch"))

    def work() -> tuple[int, object]:
        journal = Journal(directory, buffer_bytes=BUFFER)
        for event in given:
            journal.record(event)
        journal.close()
        if journal.dropped:
            raise SystemExit(f"the journal lost {journal.dropped} trades")
        return len(given), None

    return work


def bars(place: Path) -> Work:
    """Minute bars of one instrument, as pandas."""
    open_store(place / "small").bars(CHANNEL, "1m").pandas()

    def work() -> tuple[int, object]:
        made = open_store(place / "store").bars(CHANNEL, "1m").pandas()
        starts = made["start"].to_numpy("M8[ns]").view("i8")
        names = ("open", "high", "low", "close", "volume")
        return int(made["trades"].sum()), bars_found(starts, *(made[name].to_numpy() for name in names))

    return work


def replay(place: Path) -> Work:
    """A day of all instruments as events, in the order of receiving."""
    read_through(play(place / "small", ALL))

    def work() -> tuple[int, object]:
        return read_through(play(place / "store", Selection(*REPLAYED)))

    return work


def replay_batches(place: Path) -> Work:
    """The same as Arrow tables."""
    [*batches(place / "small", ALL)]

    def work() -> tuple[int, object]:
        return sum(rows.num_rows for _, rows in batches(place / "store", Selection(*REPLAYED))), None

    return work


def history(place: Path) -> Work:
    """The newest trades of an instrument, all columns, as an Arrow table."""
    open_store(place / "small").history(CHANNEL, last=LAST).arrow()

    def work() -> tuple[int, object]:
        rows = open_store(place / "store").history(CHANNEL, last=LAST).arrow()
        return rows.num_rows, rows["id"].to_pylist()

    return work


def history_events(place: Path) -> Work:
    """The same as events."""
    open_store(place / "small").history(CHANNEL, last=LAST).events()

    def work() -> tuple[int, object]:
        trades = open_store(place / "store").history(CHANNEL, last=LAST).events()
        return len(trades), [trade.id for trade in trades]

    return work


if __name__ == "__main__":
    run_piece(
        {
            "write": write,
            "bars": bars,
            "replay": replay,
            "replay_batches": replay_batches,
            "history": history,
            "history_events": history_events,
        }
    )
