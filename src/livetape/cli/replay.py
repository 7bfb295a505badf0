"""``livetape replay`` (floor 5)."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct, json
from msgspec.structs import replace

from .. import clock, dialects
from ..calendars import hours_of
from ..core.errors import ConfigError
from ..core.events import BookUpdate, MarketEvent, Quote
from ..core.instruments import Channel
from ..core.times import MILLISECOND, SECOND, iso
from ..core.wire import event_json
from ..player import Player, play, selected
from ..simulator.listings import listed
from ..simulator.server import TICK_S, Vendor
from ..simulator.tape import Taped
from ..store import merge
from ..store.merge import Selection
from ..store.query import Span
from ..store.reader import Store, open_store
from .running import Lines
from .simulate import exports

MOST_WAITING = 1_000  #: events that a vendor has not sent yet
SETTLE_S = 0.5  #: how long the first client has to subscribe before the tape begins
AHEAD_NS = 600 * SECOND  #: how far a book's first snapshot is looked for


class Wish(Struct, frozen=True):
    """What the command line chose."""

    begin: str = ""
    end: str = ""
    channels: list[str] = []
    speed: str = "max"
    source: str = "typed"
    depth: int | None = None
    as_json: bool = False


async def show(store: Path, wish: Wish, stop: asyncio.Event) -> int:
    """Play a tape to stdout: JSON lines, or how many events each channel has; its digest at the end."""
    player = _player(open_store(store), wish)
    lines, counts = Lines(stop.set), Counter[str]()
    with _controlled(player, stop):
        async for event in player:
            counts[event.channel] += 1
            if wish.as_json:
                lines.put(event_json(event, wish.depth))
    if wish.as_json:
        lines.put(_summary(player))
    for channel, n in sorted(counts.items()) if not wish.as_json else ():
        lines.put(f"{n:>10}  {channel}".encode())
    lines.flush()
    if not wish.as_json:
        sys.stderr.write(_sentence(player) if counts else "nothing was recorded of that\n")
    return 0


async def serve(store: Path, wish: Wish, venue: str, port: int, stop: asyncio.Event) -> int:
    """Play a tape as the server of ``venue``, from its first client on."""
    player, taped, vendor = vendor_of(open_store(store), wish, venue)
    try:
        async with vendor.serving(port):
            sys.stdout.writelines(exports(venue, vendor.ws_url))
            sys.stdout.flush()
            sys.stderr.write("the tape begins with the first client; Ctrl-C ends it\n")
            await _until(lambda: vendor.clients, stop)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SETTLE_S)
            with _controlled(player, stop):
                await feed(player, taped, vendor, stop)
            await vendor.dismiss("the tape has ended")
    except OSError as error:
        problem = f"cannot listen on port {port}: {error.strerror}"
        raise ConfigError(problem, where=venue, example="--port 0") from error
    sys.stderr.write(_sentence(player))
    return 0


def vendor_of(tape: Store, wish: Wish, venue: str) -> tuple[Player, Taped, Vendor]:
    """A vendor that shows what of ``tape`` is fed to it; its clock shows the time on the tape.

    Raises ConfigError.
    """
    mine = _mine(tape, wish, venue)
    player = _player(tape, replace(wish, channels=[*map(str, mine)]))
    taped = _taped(tape, wish, venue, mine)
    return player, taped, Vendor(venue, taped, now_ns=lambda: max(player.position_ns, taped.now_ns))


async def feed(player: Player, taped: Taped, vendor: Vendor, stop: asyncio.Event) -> None:
    """Let ``vendor`` tell all that ``player`` plays; as fast as possible is as fast as its clients read."""
    async for event in player:
        taped.put(event)
        if taped.waiting >= MOST_WAITING:
            await _until(lambda: not taped.waiting and not (player.speed is None and vendor.behind), stop)
    await _until(lambda: not taped.waiting, stop)


async def _until(true: Callable[[], object], stop: asyncio.Event) -> None:
    """Wait for what comes true by the vendor's own ticks."""
    while not true() and not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)


def _player(tape: Store, wish: Wish) -> Player:
    span = Span.of(wish.begin or None, wish.end or None, clock.now_ns())
    selection = Selection(*span, selected(tape.directory, wish.channels))
    books = wish.as_json and wish.depth is not None
    return play(tape.directory, selection, wish.source, speed=_speed(wish.speed), books=books, digest=True)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no speed", where="--speed", example="10, or max") from error


# What is told at the end


def _summary(player: Player) -> bytes:
    late = player.lateness
    return json.encode(
        {
            "type": "digest",
            "digest": str(player.digest),
            "events": player.digest.events,
            "sessions": player.digest.sessions,
            "speed": player.speed,
            "late": {"mean": late.mean_ns, "most": late.most_ns} if late.events else None,
        }
    )


def _sentence(player: Player) -> str:
    digest, late = player.digest, player.lateness
    sentence = f"digest {digest} of {digest.events} events of {digest.sessions} sessions"
    if late.events:
        mean_ms, most_ms = (ns / MILLISECOND for ns in (late.mean_ns, late.most_ns))
        sentence += f"; they came {mean_ms:.1f} ms late on average, at most {most_ms:.1f} ms"
    return f"{sentence}\n"


# Control


@contextmanager
def _controlled(player: Player, stop: asyncio.Event) -> Iterator[None]:
    """The player ends with ``stop``; on a terminal the space bar pauses it, and lets it go on."""
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda _: player.stop())
    try:
        with _keys(player):
            yield
    finally:
        stopping.cancel()


@contextmanager
def _keys(player: Player) -> Iterator[None]:
    fd = 0
    if player.speed is None or not _is_in_front(fd):
        yield
        return
    import termios
    import tty

    before, loop = termios.tcgetattr(fd), asyncio.get_running_loop()
    tty.setcbreak(fd)
    loop.add_reader(fd, _on_key, fd, player)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _is_in_front(fd: int) -> bool:
    """Whether we may read the terminal, if it is one."""
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def _on_key(fd: int, player: Player) -> None:
    if b" " not in os.read(fd, 64):
        return
    if player.paused:
        player.resume()
        sys.stderr.write("going on\n")
    else:
        player.pause()
        sys.stderr.write(f"paused at {iso(player.position_ns)}\n")


# The tape as a vendor


def _mine(tape: Store, wish: Wish, venue: str) -> list[Channel]:
    """What of the tape ``venue`` can serve. Raises ConfigError."""
    dialects.of(venue)
    chosen = selected(tape.directory, wish.channels) or tape.counts()
    channels = [Channel.parse(name) for name in chosen]
    mine = [channel for channel in channels if channel.venue == venue]
    if not mine:
        there = sorted({channel.venue for channel in channels} & {*dialects.venues()})
        raise ConfigError(f"nothing of {venue} is on this tape", where="--as", allowed=there)
    return mine


def _taped(tape: Store, wish: Wish, venue: str, mine: list[Channel]) -> Taped:
    """``mine`` as it stood when the tape begins. Raises ConfigError."""
    known = {listing.symbol: listing.asset for listing in listed(venue)}
    assets = {c.symbol: known.get(c.symbol) or _asset(c) for c in mine}
    span = Span.of(wish.begin or None, wish.end or None, clock.now_ns())
    selection = Selection(*span, frozenset(map(str, mine)))
    first = next((event for some in merge.events(tape.directory, selection) for event in some), None)
    if first is None:
        raise ConfigError(f"nothing of {venue} was recorded in that time", where="--from")
    taped = Taped(venue, mine, assets, first.recv_ns)
    _begin(tape.directory, selection, taped)
    return taped


def _asset(channel: Channel) -> str:
    """The class of an instrument, by when it is traded."""
    try:
        hours = hours_of(channel.venue, channel.symbol).name
    except ConfigError:
        return "stock"
    return {"24/7": "crypto", "forex": "forex"}.get(hours, "stock")


def _begin(directory: Path, selection: Selection, taped: Taped) -> None:
    """Give each book its state at the beginning; one that begins later stands as it will then."""
    for events in merge.openings(directory, selection):
        for event in events:
            taped.begin(event)
    empty = taped.empty
    later = replace(selection, channels=empty)
    for event in (event for events in merge.events(directory, later) for event in events):
        if not empty or event.recv_ns - taped.now_ns > AHEAD_NS:
            break
        if event.channel in empty and (isinstance(event, Quote) or _is_snapshot(event)):
            taped.begin(event)
            empty = taped.empty


def _is_snapshot(event: MarketEvent) -> bool:
    return isinstance(event, BookUpdate) and event.snapshot
