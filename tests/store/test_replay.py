"""A recording, driven live into the journal and replayed from it: the same events."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from livetape.adapters import find
from livetape.core.effects import Fetch, Send
from livetape.core.errors import StoreError
from livetape.core.events import BookUpdate, Gap, MarketEvent, Origin, Quote, Status, Trade
from livetape.core.instruments import Channel, unified
from livetape.core.raw import Direction, RawRecord, Recipe
from livetape.core.session import Session
from livetape.feeds.replay import Replay
from livetape.store.journal import Journal
from livetape.store.reader import open_store

from ..recorded.recordings import crossbook, cryptofeed, cryptofeed_rest, hftbacktest, is_depth
from ..sessions import conserved
from .tape import events, numbers, written


class Live:
    """A session that is driven and recorded as a line does it. ``events`` are what it published."""

    def __init__(self, journal: Journal, recipe: Recipe, number: int) -> None:
        self.events: list[MarketEvent] = []
        self._journal, self._number = journal, number
        adapter = find(recipe.venue, recipe.api)(recipe.options)
        self.session = Session(adapter, number, publish=self._publish)
        self.asked: set[str] = set()
        self._tap(0, Direction.BEGIN, note=recipe.encode())

    def want(self, ns: int, *channels: Channel) -> None:
        self._tap(ns, Direction.WANT, note=" ".join(map(str, channels)))
        self.session.want(channels, ns)
        self._carry_out(ns)

    def drop(self, ns: int, *channels: Channel) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.DROP, note=" ".join(map(str, channels)))
        self.session.drop(channels, ns)
        self._carry_out(ns)

    def open(self, ns: int) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.OPEN, note="wss://example.test")
        self.session.connected(ns)
        self._carry_out(ns)

    def receive(self, ns: int, data: bytes) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.IN, data)
        self.session.receive(data, ns)
        self._carry_out(ns)

    def answer(self, ns: int, symbol: str, body: bytes) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.FETCHED, body, symbol)
        self.session.fetched(symbol, body, ns)
        self._carry_out(ns)

    def lose(self, ns: int, cause: str) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.CLOSE, note=cause)
        self.session.disconnected(cause, ns)

    def end(self, ns: int) -> None:
        self.session.tick(ns)
        self._tap(ns, Direction.END)
        self.session.end(ns)

    def _carry_out(self, ns: int) -> None:
        for effect in self.session.effects():
            if isinstance(effect, Send):
                self._tap(ns, Direction.OUT, effect.frame)
            if isinstance(effect, Fetch):
                self.asked.add(effect.name)

    def _publish(self, event: MarketEvent) -> None:
        self.events.append(event)
        self._journal.record(event)

    def _tap(self, ns: int, direction: Direction, payload: bytes = b"", note: str = "") -> None:
        self._journal.tap(RawRecord(self._number, ns, direction, payload, note))


def plain(some: Iterable[MarketEvent]) -> Iterator[MarketEvent]:
    """What is compared: everything but the origin and the reference to the book."""
    for event in some:
        origin = event.origin if event.origin is Origin.BACKFILLED else Origin.LIVE
        if isinstance(event, BookUpdate):
            yield replace(event, origin=origin, _book=None)
        else:
            yield replace(event, origin=origin)


def prove(directory: Path, lives: list[Live], journal: Journal) -> list[MarketEvent]:
    """Replay and rows tell what was live, event for event; returns that."""
    journal.close()
    assert journal.dropped == 0
    assert numbers(journal.path) == list(range(1, journal.rows + 1))
    told: list[MarketEvent] = []
    replay = Replay(open_store(directory).raw(), told.append)
    replay.run()
    assert {event.origin for event in told} <= {Origin.REPLAYED, Origin.BACKFILLED}
    for live in lives:
        number = live.session.number
        mine = [event for event in plain(told) if event.session == number]
        assert mine == list(plain(live.events))
        rows = [event for event in events(journal.path) if event.session == number]
        assert rows == [replace(e, _book=None) if isinstance(e, BookUpdate) else e for e in live.events]
        assert conserved(live.session)
        assert conserved(replay.sessions[number])
        for name, state in live.session.channels.items():
            again = replay.sessions[number].channels[name]
            assert (again.trust, again.received) == (state.trust, state.received)
            if state.book is not None:
                assert again.book is not None
                assert again.book.bids.top(1000) == state.book.bids.top(1000)
                assert again.book.asks.top(1000) == state.book.asks.top(1000)
    assert [replace(e, origin=Origin.LIVE) for e in plain(Replay(open_store(directory).raw()))] == list(
        plain(told)
    )
    return told


def test_a_kraken_recording_replays_as_it_was(recordings: Path, tmp_path: Path) -> None:
    frames = crossbook(recordings / "kraken" / "crossbook_kraken_btcusd_l2.cbcap.gz")
    journal = Journal(tmp_path)
    live = Live(journal, Recipe("kraken", options={"depth": 10}), 7)
    start, end = frames[0][0], frames[-1][0]
    live.want(start, Channel("kraken", "BTC-USD", "book"))
    live.open(start)
    updates = [frame for _, frame in frames if b'"type":"update"' in frame]
    for ns, frame in frames:
        if frame is not updates[100]:  # that one is lost, so that there is a gap to be found again
            live.receive(ns, frame)
    live.lose(end + 1, "reset by peer")
    told = prove(tmp_path, [live], journal)
    assert sum(isinstance(event, BookUpdate) for event in told) > 90
    assert "checksum" in [event.cause for event in told if isinstance(event, Gap)]
    kept = {(gap["kind"], gap["cause"], gap["end"]) for gap in open_store(tmp_path).gaps()}
    assert kept == {(e.kind, e.cause, e.end_ns) for e in told if isinstance(e, Gap)}


def test_a_busy_binance_book_with_its_fetched_snapshot_replays_as_it_was(
    recordings: Path, tmp_path: Path
) -> None:
    lines = hftbacktest(recordings / "binance" / "hftbacktest_btcusdt_20240808.gz")[:6_000]
    journal = Journal(tmp_path)
    live = Live(journal, Recipe("binance"), 1)
    live.want(lines[0][0], *(Channel("binance", "BTC-USDT", kind) for kind in ("book", "trade", "quote")))
    live.open(lines[0][0])
    for ns, frame in lines:
        if is_depth(frame):
            assert "BTC-USDT" in live.asked
            live.answer(ns, "BTC-USDT", frame)
        else:
            live.receive(ns, frame)
    live.end(lines[-1][0])
    told = prove(tmp_path, [live], journal)
    kinds = [type(event) for event in told]
    assert kinds.count(Trade) > 500
    assert kinds.count(Quote) > 500
    assert kinds.count(BookUpdate) > 100


def test_sessions_side_by_side_replay_each_as_it_was(recordings: Path, tmp_path: Path) -> None:
    gemini = cryptofeed(recordings / "gemini" / "cryptofeed_20210623_GEMINI.ws.1.0.txt.gz")[:3_000]
    place = recordings / "binance_us"
    frames = cryptofeed(place / "cryptofeed_20211011_BINANCE_US.ws.1.0.txt.gz")
    answers = cryptofeed_rest(place / "cryptofeed_20211011_BINANCE_US.http.0.0.txt.gz")
    journal = Journal(tmp_path)
    first = Live(journal, Recipe("gemini"), 1)
    second = Live(journal, Recipe("binance_us"), 2)
    symbols = ["BTC-GBP", "LINK-ETH", "FIL-USD", "ZEC-LTC", "BAT-BTC", "ETH-EUR", "LTC-ETH", "GRT-USD"]
    channels = [Channel("gemini", s, kind) for s in symbols for kind in ("book", "trade", "quote")]
    first.want(gemini[0][0], *channels)
    first.open(gemini[0][0])
    second.want(frames[0][0], *(Channel("binance_us", unified(s), "book") for _, s, _ in answers))
    second.open(frames[0][0])
    steps: list[tuple[int, int, str, bytes]] = [(ns, 1, "", frame) for ns, frame in gemini]
    steps += [(ns, 2, "", frame) for ns, frame in frames]
    steps += [(ns, 2, unified(symbol), body) for ns, symbol, body in answers]
    for i, (ns, number, symbol, data) in enumerate(sorted(steps)):
        live = first if number == 1 else second
        if symbol:
            live.answer(ns, symbol, data)
        else:
            live.receive(ns, data)
        if i == 2_000:
            first.drop(ns, *channels[:4])
    first.lose(gemini[-1][0] + 1, "gone")
    told = prove(tmp_path, [first, second], journal)
    assert {event.venue for event in told} == {"gemini", "binance_us"}
    assert len(told) > 1_000
    assert sum(isinstance(event, Quote) for event in told) > 100


def test_silence_and_bad_frames_are_found_again(tmp_path: Path) -> None:
    second = 1_000_000_000
    journal = Journal(tmp_path)
    live = Live(journal, Recipe("kraken"), 1)
    live.want(second, Channel("kraken", "BTC-USD", "book"), Channel("kraken", "BTC-USD", "trade"))
    live.open(2 * second)
    live.receive(3 * second, b"\x00 no frame \xff")
    live.receive(4 * second, b"")
    live.lose(120 * second, "silent")
    live.open(121 * second)
    live.end(122 * second)
    told = prove(tmp_path, [live], journal)
    states = [event.state for event in told if isinstance(event, Status)]
    assert states.count("undecodable") == 2
    assert states.count("disconnected") == 2


def test_a_tape_without_the_beginning_of_a_session_says_so(tmp_path: Path) -> None:
    written(tmp_path, RawRecord(5, 1, Direction.IN, b"{}"))
    with pytest.raises(StoreError, match="session 5 without its beginning"):
        list(Replay(open_store(tmp_path).raw()))
