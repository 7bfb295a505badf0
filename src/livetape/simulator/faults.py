"""What can go wrong with a simulated vendor (floor 4).

Written ``name``, ``name:value``, ``name=value`` or ``name:key=value,key=value``. Pure: times are seconds
since the first call of a client, and what chance decides comes from the seed.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import ClassVar, TypeVar

from msgspec import Struct
from msgspec.structs import FieldInfo, fields, replace

from ..core.decimals import nearest
from ..core.dialect import Pushed
from ..core.errors import ConfigError

ALTERED, DOUBLED, SWAPPED, WITHHELD = "altered", "doubled", "swapped", "withheld"  #: fates of a frame
BURST_S = 0.05  #: of what trickles, at most so much at once
_SECONDS = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)?").fullmatch
_COUNT = re.compile(r"[1-9]\d{0,8}").fullmatch
_NUMBER = re.compile(r"\d{1,9}").fullmatch
_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


class Told(Struct, frozen=True):
    """A frame as it leaves the vendor, or does not; ``fate`` is what a fault has made of it."""

    pushed: Pushed
    fate: str = ""


Stage = Callable[[Told], Sequence[Told]]


class Fault(Struct, frozen=True, rename={"lasts": "for"}):
    """Any fault. Its fields are what may be written; a value without a key is the first one's."""

    example: ClassVar[str] = ""


class Moment(Fault, frozen=True):
    """What happens ``after`` so long, and again and again ``every`` so long if that is not 0."""

    after: float = 5.0
    every: float = 0.0

    def latest(self, at_s: float) -> float | None:
        """When it happened last, up to ``at_s``."""
        if at_s < self.after:
            return None
        times = (at_s - self.after) // self.every if self.every else 0
        return self.after + times * self.every

    def happens(self, since_s: float, until_s: float) -> bool:
        """Whether it does after ``since_s`` and not later than ``until_s``."""
        latest = self.latest(until_s)
        return latest is not None and latest > since_s


class Spell(Moment, frozen=True):
    """What ``lasts`` for a while."""

    lasts: float = 2.0

    def holds(self, at_s: float) -> bool:
        """Whether it goes on at ``at_s``."""
        latest = self.latest(at_s)
        return latest is not None and at_s < latest + self.lasts


class Drop(Moment, frozen=True):
    """Every connection is closed with code 1001."""

    example: ClassVar[str] = "drop:after=5s,every=30s"


class Reset(Moment, frozen=True):
    """Every connection is reset."""

    example: ClassVar[str] = "reset:after=5s,every=30s"


class Refuse(Spell, frozen=True):
    """An outage: every connection is reset, and each new one for a while, REST too."""

    example: ClassVar[str] = "refuse:for=2s,after=5s"


class Mute(Spell, frozen=True):
    """The connections that are open stay so and say nothing; new ones do.

    What they should have said comes late where this ``lasts``, and never where it does not end (0). With
    ``pongs`` they answer protocol pings all the same: the socket lives, and the feed is dead.
    """

    example: ClassVar[str] = "mute:after=5s,for=10s"
    lasts: float = 0.0
    pongs: int = 0


class Busy(Spell, frozen=True):
    """New connections and REST calls are answered with an HTTP ``status``; to ``retry`` after so long."""

    status: ClassVar[int]
    after: float = 0.0
    lasts: float = 10.0
    retry: float = 3.0


class TooMany(Busy, frozen=True):
    status: ClassVar[int] = 429
    example: ClassVar[str] = "http429:for=10s,retry=3s"


class Unavailable(Busy, frozen=True):
    status: ClassVar[int] = 503
    example: ClassVar[str] = "http503:for=10s,retry=3s"


class Slow(Fault, frozen=True):
    """All that is sent comes late by a ``delay``."""

    example: ClassVar[str] = "slow:delay=300ms"
    delay: float = 0.3


class Trickle(Fault, frozen=True):
    """All that is sent comes in pieces, so many ``bytes`` a second."""

    example: ClassVar[str] = "trickle:bytes=20000"
    bytes: int = 20_000


class Skew(Fault, frozen=True):
    """The vendor's clock goes ahead of ours, or behind it."""

    example: ClassVar[str] = "skew=250ms"
    by: float = 0.25


class Closed(Fault, frozen=True):
    """Nothing happens in any market that ever closes."""

    example: ClassVar[str] = "closed"
    assets: ClassVar[frozenset[str]] = frozenset({"stock", "forex", "index", "option"})


class Nth(Fault, frozen=True):
    """What befalls one data frame of ``every`` so many that a client is sent: which one, chance decides."""

    every: int = 20

    def stage(self, random: Random) -> Stage:
        """What becomes of the data frames of one client, one after the other."""
        victims = _victims(self.every, random)
        return lambda told: self.strike(told, random) if next(victims) else [told]

    def strike(self, told: Told, random: Random) -> Sequence[Told]:
        """What becomes of a victim; by itself nothing."""
        return [told]


class Gap(Nth, frozen=True):
    """A data frame is withheld."""

    example: ClassVar[str] = "gap:every=20"

    def strike(self, told: Told, random: Random) -> Sequence[Told]:
        return [replace(told, fate=WITHHELD)]


class Hush(Nth, frozen=True):
    """From one data frame on, a client is told nothing more of its channels; of the others, as ever."""

    example: ClassVar[str] = "hush:every=200"

    def stage(self, random: Random) -> Stage:
        victims, hushed = _victims(self.every, random), set[str]()

        def silence(told: Told) -> Sequence[Told]:
            if not hushed and next(victims):
                hushed.update(told.pushed.channels)
            return [replace(told, fate=WITHHELD) if hushed.intersection(told.pushed.channels) else told]

        return silence


class Corrupt(Nth, frozen=True):
    """A data frame has one byte altered: a digit becomes another one, or the text is no JSON any more."""

    example: ClassVar[str] = "corrupt:every=20"

    def strike(self, told: Told, random: Random) -> Sequence[Told]:
        spoil = _spoiled_bytes if told.pushed.binary else _spoiled_text
        return [Told(replace(told.pushed, frame=spoil(told.pushed.frame, random)), ALTERED)]


class Dup(Nth, frozen=True):
    """A data frame is sent twice."""

    example: ClassVar[str] = "dup:every=20"

    def strike(self, told: Told, random: Random) -> Sequence[Told]:
        return [told, replace(told, fate=DOUBLED)]


class Reorder(Nth, frozen=True):
    """A data frame is sent after the next one."""

    example: ClassVar[str] = "reorder:every=20"

    def stage(self, random: Random) -> Stage:
        victims, held = _victims(self.every, random), list[Told]()

        def swap(told: Told) -> Sequence[Told]:
            if held:
                late = held.pop()
                return [told, replace(late, fate=late.fate or SWAPPED)]
            if next(victims):
                held.append(told)
                return []
            return [told]

        return swap


FAULTS: Mapping[str, type[Fault]] = {
    "drop": Drop,
    "reset": Reset,
    "refuse": Refuse,
    "mute": Mute,
    "slow": Slow,
    "trickle": Trickle,
    "gap": Gap,
    "hush": Hush,
    "corrupt": Corrupt,
    "dup": Dup,
    "reorder": Reorder,
    "http429": TooMany,
    "http503": Unavailable,
    "skew": Skew,
    "closed": Closed,
}
SWITCHES: Mapping[str, Sequence[str]] = {"auth-reject": ("",)}  #: what every vendor has: no key is good
F = TypeVar("F", bound=Fault)


class Faults:
    """All that goes wrong with one vendor."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self._faults, self._seed = tuple(faults), seed

    def of(self, kind: type[F]) -> list[F]:
        """Those of a ``kind``."""
        return [fault for fault in self._faults if isinstance(fault, kind)]

    @property
    def skew_s(self) -> float:
        """How far the vendor's clock is ahead of ours."""
        return sum(skew.by for skew in self.of(Skew))

    @property
    def closed(self) -> frozenset[str]:
        """The asset classes whose markets are closed."""
        return Closed.assets if self.of(Closed) else frozenset()

    def spoiler(self, client: int) -> Callable[[Pushed], list[Told]]:
        """What becomes of each frame for the ``client`` of that number."""
        order = list(FAULTS.values())
        nth = sorted(self.of(Nth), key=lambda fault: order.index(type(fault)))
        stages = [fault.stage(Random(f"{self._seed} {client} {fault}")) for fault in nth]

        def spoil(pushed: Pushed) -> list[Told]:
            out = [Told(pushed)]
            for stage in stages if pushed.channels else ():
                out = [each for told in out for each in ([told] if told.fate == WITHHELD else stage(told))]
            return out

        return spoil

    def pipe(self) -> "Pipe":
        """What all that a client is sent goes through."""
        per_s = min((each.bytes for each in self.of(Trickle)), default=None)
        return Pipe(sum(each.delay for each in self.of(Slow)), per_s)


class Pipe:
    """What is under way to one client: it comes out late by ``delay_s``, and ``per_s`` bytes a second."""

    def __init__(self, delay_s: float = 0.0, per_s: int | None = None) -> None:
        self.muted_until_s = 0.0  #: until when nothing comes out
        self.size = 0  #: bytes that wait
        self._delay_s, self._per_s = delay_s, per_s
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._ready = b""
        self._looked_s = 0.0

    def mute(self, now_s: float) -> bool:
        """Whether nothing comes out, and no frame is half out, so that another may be sent past this."""
        return now_s < self.muted_until_s and not self._ready

    def put(self, data: bytes, now_s: float) -> None:
        """One end."""
        self._waiting.append((now_s + self._delay_s, data))
        self.size += len(data)

    def take(self, now_s: float) -> bytes:
        """The other end: what comes out now."""
        if not self.size or now_s < self.muted_until_s:
            return b""
        ready = [self._ready]
        while self._waiting and self._waiting[0][0] <= now_s:
            ready.append(self._waiting.popleft()[1])
        self._ready = b"".join(ready)
        room = len(self._ready)
        if self._per_s is not None:
            room = int(min(now_s - self._looked_s, BURST_S) * self._per_s)
        if room:
            self._looked_s = now_s
        out, self._ready = self._ready[:room], self._ready[room:]
        self.size -= len(out)
        return out

    def empty(self) -> bytes:
        """All that is under way, at once."""
        out = self._ready + b"".join(data for _, data in self._waiting)
        self._waiting.clear()
        self._ready, self.size = b"", 0
        return out


# Reading what was written


def read(
    specs: Iterable[str], switches: Mapping[str, Sequence[str]], elsewhere: Iterable[str] = ()
) -> tuple[list[Fault], dict[str, str]]:
    """The faults in ``specs``, and the ``switches`` of the vendor that are set there.

    Names of switches that only vendors ``elsewhere`` have are passed over. Raises ConfigError.
    """
    faults: list[Fault] = []
    chosen: dict[str, str] = {}
    switches = {**switches, **SWITCHES}
    names = [*FAULTS, *switches, *elsewhere]
    for spec in specs:
        name, value = _split(spec)
        if name in FAULTS:
            faults.append(_fault(spec, FAULTS[name], value))
        elif name in switches:
            chosen[name] = _switch(spec, switches[name], value)
        elif name not in names:
            near = nearest(name, names)
            raise ConfigError(f"{name!r} is no fault", where="--fault", allowed=near, example=Drop.example)
    return faults, chosen


def _split(spec: str) -> tuple[str, str]:
    name = re.split("[:=]", spec, maxsplit=1)[0]
    return name, spec[len(name) + 1 :]


def _fault(spec: str, kind: type[Fault], value: str) -> Fault:
    known = {field.encode_name: field for field in fields(kind)}
    values: dict[str, float | int] = {}
    for n, part in enumerate(value.split(",") if value else ()):
        key, equals, text = part.rpartition("=")
        if not equals and n == 0:
            key = next(iter(known), "")
        if key not in known:
            problem = f"{spec!r}: {key or part!r} is not known"
            raise ConfigError(problem, where="--fault", allowed=nearest(key, known), example=kind.example)
        values[known[key].name] = _amount(spec, kind, known[key], text)
    return kind(**values)


def _amount(spec: str, kind: type[Fault], field: FieldInfo, text: str) -> float | int:
    if field.type is int:
        if _COUNT(text):
            return int(text)
        problem = f"{spec!r}: {field.encode_name} must be a whole number above 0"
    else:
        match = _SECONDS(text)
        if match and (kind is Skew or not text.startswith("-")):
            return float(match[1]) * _UNITS[match[2]]
        problem = f"{spec!r}: {field.encode_name} must be a time such as 250ms, 5s or 2m"
    raise ConfigError(problem, where="--fault", example=kind.example)


def _switch(spec: str, values: Sequence[str], value: str) -> str:
    if (value in values and value != "N") or ("N" in values and _NUMBER(value)):
        return value
    name, _ = _split(spec)
    if not values[0]:
        raise ConfigError(f"{name} takes no value", where="--fault", example=name)
    allowed = ["a number" if each == "N" else each for each in values]
    problem = f"{value!r} is no value of {name}" if value else f"{name} needs a value"
    raise ConfigError(f"{problem}: {', '.join(allowed)}", where="--fault", example=f"{name}={values[0]}")


# Chance


def _victims(every: int, random: Random) -> Iterator[bool]:
    """Of each ``every`` one, chosen by chance."""
    while True:
        chosen = random.randrange(every)
        yield from (n == chosen for n in range(every))


def _spoiled_text(frame: bytes, random: Random) -> bytes:
    """UTF-8 as before, with another digit, or with another letter than JSON has there."""
    digits = [i for i, byte in enumerate(frame) if byte in b"0123456789"]
    if digits and random.random() < 0.5:
        return _with_another(frame, random.choice(digits), b"0123456789", random)
    single = [i for i, byte in enumerate(frame) if byte < 0x80]
    return _with_another(frame, random.choice(single), b'"}],:x', random)


def _spoiled_bytes(frame: bytes, random: Random) -> bytes:
    return _with_another(frame, random.randrange(len(frame)), bytes(range(256)), random)


def _with_another(frame: bytes, at: int, choice: bytes, random: Random) -> bytes:
    other = random.choice([byte for byte in choice if byte != frame[at]])
    return frame[:at] + bytes([other]) + frame[at + 1 :]
