"""Raw frames that other programs have recorded, through the same Session as live (floor 3).

Rule: what is written is what ``record`` would have written: raw records from which the events can be made
again, and beside them these events with their trust, told as backfilled.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import parse_qs, urlsplit

from ..core.adapter import Adapter
from ..core.effects import Fetch
from ..core.errors import ConfigError, DecodeError
from ..core.events import BookUpdate, MarketEvent, Quote, Trade
from ..core.instruments import Channel
from ..core.liveness import Phase
from ..core.raw import Direction, RawRecord, Recipe
from ..core.session import Session
from ..core.times import SECOND
from .opened import Meter
from .schema import Record


class Step(NamedTuple):
    """What happened at ``ns``. ``note`` is the address of a connection, the vendor's symbol of an answer."""

    ns: int
    direction: Direction
    payload: bytes = b""
    note: str = ""


Read = Callable[[IO[bytes]], Iterator[Step]]  #: raises ValueError where the file cannot be read on


class Recording:
    """Recorded frames as an import's source; ``paths`` after the first hold REST answers to it."""

    def __init__(
        self, paths: Sequence[Path], read: Read, recipe: Recipe, make: Callable[[], Adapter], phase: Phase
    ) -> None:
        self.paths = [*paths]
        self._read, self._recipe, self._make, self._phase = read, recipe, make, phase
        self._meter = Meter()

    @property
    def request(self) -> str:
        return self._recipe.encode()

    @property
    def position(self) -> int:
        return self._meter.position

    def records(self, session: int) -> Iterator[Record]:
        """The raw records and their events. Raises ConfigError when a file is no such recording."""
        answers = [step for path in self.paths[1:] for step in self._steps(path, Meter())]
        path, channels = self.paths[0], self._channels()
        if not channels:
            problem = f"holds nothing that {self._recipe.venue} would send"
            raise ConfigError(problem, where=str(path), remedy="name the right venue with --as")
        driven = _Driven(self._recipe, self._make(), session, self._phase)
        driven.answers = [step for step in answers if step.direction is Direction.FETCHED]
        for step in self._steps(path, self._meter):
            if not driven.began:
                yield from driven.begin(channels, step)
            yield from driven.take(step)
        yield from driven.end()

    def _channels(self) -> list[Channel]:
        """The channels that the frames are about: trades, books and the venue's own quotes."""
        adapter, names = self._make(), dict[str, None]()
        for step in self._steps(self.paths[0], Meter()):
            if step.direction is not Direction.IN:
                continue
            try:
                messages = adapter.decode(step.payload)
            except DecodeError:
                continue
            names |= dict.fromkeys(m.channel for m in messages if isinstance(m, Trade | Quote | BookUpdate))
        return [Channel.parse(name) for name in names]

    def _steps(self, path: Path, meter: Meter) -> Iterator[Step]:
        with meter.opened(path) as (_, file):
            try:
                yield from self._read(file)
            except (ValueError, ArithmeticError, LookupError) as error:
                remedy = "nothing of it was imported; is it of another --format?"
                raise ConfigError(str(error), where=str(path), remedy=remedy) from error


class _Driven:
    """A Session and what a recorder would write of it."""

    def __init__(self, recipe: Recipe, adapter: Adapter, number: int, phase: Phase) -> None:
        self.answers: list[Step] = []
        self.began = False
        self._recipe, self._adapter, self._number = recipe, adapter, number
        self._out: list[MarketEvent] = []
        self._session = Session(adapter, number, recipe.origin, self._out.append, phase)
        self._now_ns = 0
        self._connected = False
        self._due: list[str] = []

    def begin(self, channels: Sequence[Channel], step: Step) -> Iterator[Record]:
        """Want ``channels`` from the first ``step`` on."""
        self.began, self._now_ns = True, step.ns
        yield self._raw(Direction.BEGIN, note=self._recipe.encode())
        yield self._raw(Direction.WANT, note=" ".join(map(str, channels)))
        self._session.want(channels, step.ns)
        yield from self._told()

    def take(self, step: Step) -> Iterator[Record]:
        """Do what was recorded."""
        now_ns = self._now_ns = max(self._now_ns, step.ns)
        match step.direction:
            case Direction.OPEN:
                yield from self.end(Direction.CLOSE, "dialled again")
                yield from self._open(step.note)
            case Direction.FETCHED:
                self.answers.append(step)
            case Direction.OUT:
                yield self._raw(Direction.OUT, step.payload)
            case _:
                if not self._connected:
                    yield from self._open("")
                yield self._raw(Direction.IN, step.payload)
                self._session.receive(step.payload, now_ns)
                yield from self._told()
        yield from self._answer()

    def end(self, how: Direction = Direction.END, cause: str = "") -> Iterator[Record]:
        """The connection has ended."""
        if self._connected:
            self._connected = False
            yield self._raw(how, note=cause)
            if how is Direction.END:
                self._session.end(self._now_ns)
            else:
                self._session.disconnected(cause, self._now_ns)
            yield from self._told()

    def _open(self, address: str) -> Iterator[Record]:
        self._connected = True
        yield self._raw(Direction.OPEN, note=address)
        self._session.connected(self._now_ns)
        yield from self._told()

    def _answer(self) -> Iterator[Record]:
        """Hand over answers whose time has come, each once it is asked for."""
        for answer in [answer for answer in self.answers if answer.ns <= self._now_ns]:
            name = self._adapter.canonical(answer.note) if answer.note else "".join(self._due[:1])
            if name in self._due:
                self._due.remove(name)
                self.answers.remove(answer)
                yield self._raw(Direction.FETCHED, answer.payload, name)
                self._session.fetched(name, answer.payload, self._now_ns)
                yield from self._told()

    def _told(self) -> Iterator[Record]:
        self._due += [effect.name for effect in self._session.effects() if isinstance(effect, Fetch)]
        yield from self._out
        self._out.clear()

    def _raw(self, direction: Direction, payload: bytes = b"", note: str = "") -> RawRecord:
        return RawRecord(self._number, self._now_ns, direction, payload, note)


# How others write frames down


def crossbook(file: IO[bytes]) -> Iterator[Step]:
    """``CBCAP1 venue symbol start_ns``, then before each frame ``<ns> <its bytes>`` on a line of its own.

    The clock of the frames has its own zero; the first frame came at ``start_ns``.
    """
    magic, _, _, start = file.readline().split()
    if magic != b"CBCAP1":
        raise ValueError("it does not begin with CBCAP1")
    first: int | None = None
    while head := file.readline():
        ns, size = map(int, head.split())
        frame = file.read(size)
        if len(frame) < size or file.read(1) not in (b"\n", b""):
            raise ValueError(f"the frame of {ns} is not whole")
        first = ns if first is None else first
        yield Step(int(start) + ns - first, Direction.IN, frame)


def hftbacktest(file: IO[bytes]) -> Iterator[Step]:
    """``<ns> <frame>`` a line; among them answers of Binance's REST depth call, which are not named."""
    for number, line in enumerate(file, 1):
        ns, _, frame = line.strip().partition(b" ")
        if not ns.isdigit() or not frame:
            raise ValueError(f"line {number} is not a time in ns and a frame")
        kind = Direction.FETCHED if frame.startswith(b'{"lastUpdateId"') else Direction.IN
        yield Step(int(ns), kind, frame)


def frames(file: IO[bytes]) -> Iterator[Step]:
    """``<seconds> TAB <frame>`` a line."""
    for number, line in enumerate(file, 1):
        time, tab, frame = line.strip().partition(b"\t")
        if not tab:
            raise ValueError(f"line {number} is not a time, a tab and a frame")
        yield Step(_ns(time), Direction.IN, frame)


def cryptofeed(file: IO[bytes]) -> Iterator[Step]:
    """``seconds: frame``; addresses with ``<->`` tell of a dial, ``<-`` of what was sent, ``->`` answers."""
    for number, line in enumerate(file, 1):
        line = line.strip()
        first, _, rest = line.partition(b" ")
        if first.startswith((b"ws://", b"wss://", b"http://", b"https://")):
            arrow, _, rest = rest.partition(b" ")
            time, _, payload = rest.partition(b": ")
            if arrow not in _ARROWS:
                raise ValueError(f"line {number} has no arrow")
            note = _asked(first.decode()) if arrow == b"->" else first.decode()
            yield Step(_ns(time), _ARROWS[arrow], payload, note)
        elif first[:1].isdigit():
            yield Step(_ns(first.removesuffix(b":")), Direction.IN, rest)
        elif line and not line.startswith(b"configuration:"):
            raise ValueError(f"line {number} is not of cryptofeed")


_ARROWS = {b"<->": Direction.OPEN, b"<-": Direction.OUT, b"->": Direction.FETCHED}


def _asked(address: str) -> str:
    """The vendor's symbol in the address of a REST call: its query, or its end."""
    url = urlsplit(address)
    [symbol] = parse_qs(url.query).get("symbol") or [url.path.rpartition("/")[2]]
    return symbol


def _ns(seconds: bytes) -> int:
    return int(Decimal(seconds.decode()) * SECOND)


def only_answers(path: Path) -> bool:
    """Whether a file of cryptofeed begins with a REST answer: such files have nothing else."""
    with Meter().opened(path) as (_, file):
        return b" -> " in file.readline(4_096).partition(b"{")[0]
