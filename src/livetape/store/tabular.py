"""Trades, quotes and bars in CSV, Parquet, LEAN and JSON lines files (floor 3).

Rule 1: a number is the text that the file has, never a float's. Parquet's floats become their shortest text.
Rule 2: what a column means is guessed from its name only where one guess is left; else the user says it.
Rule 3: an event was received when the file says so; else at its time in the market, a bar at its end.
"""

import csv
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from msgspec import MsgspecError, Raw, json

from ..core.decimals import checked, nearest
from ..core.errors import ConfigError
from ..core.events import Bar, MarketEvent, Origin, Quote, Trade, Trust
from ..core.instruments import INTERVALS, Channel, interval_ns, unified
from ..core.times import MILLISECOND
from .moments import midnight, moment
from .opened import Meter

if TYPE_CHECKING:
    import pyarrow as pa

Cells = Sequence[str]  #: one row; an empty text is a value that there is not
Line = tuple[int, Cells]  #: and the line of the file, or the row, that it is

#: What a column may be called, each without anything but letters and digits; the first is ours.
NAMES: dict[str, tuple[str, ...]] = {
    "ts": (
        *("ts", "timestamp", "time", "datetime", "date", "tradetime", "transacttime", "exchangetime"),
        *("exchangetimestamp", "venuetime", "eventtime", "tradets", "timestampms", "timestampns"),
    ),
    "recv": (
        *("recv", "recvtime", "recvns", "received", "receivedat", "receivetime", "receivetimestamp"),
        *("localtimestamp", "localtime", "receipttimestamp"),
    ),
    "start": ("start", "opentime", "starttime", "barstart", "begin", "timeopen"),
    "venue": ("venue", "exchange"),
    "symbol": ("symbol", "pair", "instrument", "market", "ticker", "productid", "instid"),
    "price": ("price", "px", "tradeprice", "lastprice", "rate"),
    "size": ("size", "qty", "quantity", "amount", "volume", "vol", "tradesize", "lastsize", "baseqty"),
    "side": ("side", "takerside", "aggressor", "aggressorside", "direction"),
    "maker": ("isbuyermaker", "buyermaker", "buyerismaker"),
    "id": ("id", "tradeid", "tid", "execid", "aggtradeid"),
    "number": ("number",),
    "conditions": ("conditions",),
    "excluded": ("excluded",),
    "bid": ("bid", "bidprice", "bidpx", "bestbid", "bestbidprice", "bidrate"),
    "bid_size": ("bidsize", "bidqty", "bidquantity", "bidamount", "bidvolume", "bestbidsize", "bestbidqty"),
    "ask": ("ask", "askprice", "askpx", "bestask", "bestaskprice", "offer", "askrate"),
    "ask_size": ("asksize", "askqty", "askquantity", "askamount", "askvolume", "bestasksize", "bestaskqty"),
    "venue_seq": ("venueseq", "updateid"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "v", "vol", "basevolume"),
    "trades": ("trades", "count", "numberoftrades", "tradecount"),
    "vwap": ("vwap",),
    "interval": ("interval", "timeframe"),
    "closed": ("closed",),
}
_COMMON = ("ts", "recv", "venue", "symbol")
#: What each kind of event has; a file is of the first kind all of whose needs it has columns for.
_FIELDS: dict[str, tuple[str, ...]] = {
    "bar": (
        *("start", "interval", "open", "high", "low", "close", "volume", "trades", "vwap", "closed"),
        *_COMMON,
    ),
    "quote": ("bid", "bid_size", "ask", "ask_size", "venue_seq", *_COMMON),
    "trade": ("price", "size", "side", "maker", "id", "number", "conditions", "excluded", *_COMMON),
}
_NEEDS = {"bar": ("open", "high", "low", "close"), "quote": ("bid", "ask"), "trade": ("price", "size")}
_SIDES = {"buy": "buy", "b": "buy", "bid": "buy", "sell": "sell", "s": "sell", "ask": "sell", "": None}
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")
_NUMBER = re.compile(r"-?\d+(\.\d+)?").fullmatch
_texts = json.Decoder(tuple[str, ...]).decode
_object = json.Decoder(dict[str, Raw]).decode
_log = logging.getLogger("livetape.store")


class Said(NamedTuple):
    """What the user says of a file; an empty text leaves it to the file."""

    venue: str = ""
    symbol: str = ""
    kind: str = ""
    columns: Mapping[str, str] = {}
    zone: tzinfo | None = None


class _Source:
    """A file as an import's source; see ``importing.Source``."""

    def __init__(self, path: Path, said: Said) -> None:
        self.paths = [path]
        self._said = said
        self._meter = Meter()

    @property
    def request(self) -> str:
        said = self._said
        return f"{said.venue}:{said.symbol}/{said.kind} {sorted(said.columns.items())} {said.zone}"

    @property
    def position(self) -> int:
        return self._meter.position


class Table(_Source):
    """Rows of trades, quotes or bars."""

    def __init__(self, path: Path, said: Said, read: "Read") -> None:
        super().__init__(path, said)
        self._read = read

    def records(self, session: int) -> Iterator[MarketEvent]:
        """Its events. Raises ConfigError, which names the line."""
        [path] = self.paths
        with self._meter.opened(path) as (name, file):
            lines = self._read(File(str(path), name, file, self._said.zone))
            make = _maker(str(path), next(lines)[1], self._said)
            for seq, (at, cells) in enumerate(lines, 1):
                with _at(path, at):
                    event = make(cells, session, seq)
                yield event


class JsonLines(_Source):
    """Our own JSON lines; only trades, quotes and bars of them can be imported."""

    def records(self, session: int) -> Iterator[MarketEvent]:
        """Likewise."""
        [path] = self.paths
        makers: dict[str, Maker] = {}
        seq = others = 0
        with self._meter.opened(path) as (_, file):
            for at, line in enumerate(file, 1):
                with _at(path, at):
                    told = _object(line)
                    kind = _text(told.get("type"))
                    if kind not in _FIELDS:
                        others += 1
                        continue
                    if kind not in makers:
                        makers[kind] = _maker(str(path), _FIELDS[kind], self._said)
                    seq += 1
                    event = makers[kind]([_text(told.get(field)) for field in _FIELDS[kind]], session, seq)
                yield event
        if others:
            _log.warning("%s: %d lines are no trades, quotes or bars and were left out", path, others)


class File(NamedTuple):
    """An opened file: its path, its own name where it was packed, its bytes, and the zone of its times."""

    where: str
    name: str
    content: IO[bytes]
    zone: tzinfo | None


_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_MEND = "nothing of the file was imported; mend or remove the line, or name its columns with --columns"


@contextmanager
def _at(path: Path, line: int) -> Iterator[None]:
    """Say where in a file something is wrong."""
    try:
        yield
    except (ValueError, MsgspecError) as error:
        raise ConfigError(str(error), where=f"{path}:{line}", remedy=_MEND) from error


def _text(value: Raw | None) -> str:
    """A JSON value as a cell."""
    text = b"" if value is None else bytes(value)
    return json.decode(text, type=str) if text.startswith(b'"') else "" if text == b"null" else text.decode()


# Cells to events


class _Row:
    """What the cells of a row are, and what the user said beside them."""

    def __init__(self, where: str, kind: str, at: Mapping[str, int], said: Said) -> None:
        self.has = at.__contains__
        self._at, self._said = at, said
        for needed, option in ((said.venue, "venue"), (said.symbol, "symbol")):
            if not needed and option not in at:
                raise ConfigError(f"nothing says what {option} it is of", where=where, example=f"--as {_AS}")
        if kind == "bar" and not said.kind.startswith("bar.") and "interval" not in at:
            raise ConfigError("nothing says how long its bars are", where=where, example=f"--as {_AS}/bar.1m")
        if "ts" not in at and "recv" not in at and not (kind == "bar" and "start" in at):
            raise ConfigError(
                "no column is a time", where=where, remedy="name one, such as --columns ts=my_time"
            )

    def text(self, cells: Cells, field: str) -> str:
        """The cell of ``field``; empty where there is none."""
        at = self._at.get(field)
        return "" if at is None else cells[at]

    def number(self, cells: Cells, field: str) -> str:
        """Raises ValueError unless the cell is a decimal number."""
        text = self.text(cells, field)
        try:
            return checked(text)
        except ValueError as error:
            raise ValueError(f"its {field} is no plain decimal number: {text[:40]!r}") from error

    def maybe(self, cells: Cells, field: str) -> str | None:
        return self.number(cells, field) if self.text(cells, field) else None

    def count(self, cells: Cells, field: str) -> int | None:
        text = self.text(cells, field)
        return int(text) if text else None

    def time(self, cells: Cells, field: str) -> int | None:
        text = self.text(cells, field)
        return moment(text, self._said.zone) if text else None

    def truth(self, cells: Cells, field: str) -> bool | None:
        text = self.text(cells, field).lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if text:
            raise ValueError(f"its {field} is neither true nor false: {text[:40]!r}")
        return None

    def codes(self, cells: Cells, field: str) -> tuple[str, ...]:
        text = self.text(cells, field)
        return _texts(text) if text else ()

    def channel(self, cells: Cells, kind: str) -> str:
        venue = self._said.venue or self.text(cells, "venue")
        return _channel(venue, self._said.symbol or self.text(cells, "symbol"), kind)

    def interval(self, cells: Cells) -> str:
        """The kind of a bar."""
        return f"bar.{text}" if (text := self.text(cells, "interval")) else self._said.kind


Maker = Callable[[Cells, int, int], MarketEvent]  #: of cells, the session and the number in it
_AS = "kraken:BTC-USD"


def _maker(where: str, names: Cells, said: Said) -> Maker:
    """What makes events of the rows of a file whose columns have ``names``. Raises ConfigError."""
    kind, at = _places(where, names, said)
    row = _Row(where, kind, at, said)
    made = _MAKERS[kind]
    return lambda cells, session, seq: made(row, cells, _Stamp(session, seq))


class _Stamp(NamedTuple):
    session: int
    seq: int


def _trade(row: _Row, cells: Cells, stamp: _Stamp) -> Trade:
    venue_ns = row.time(cells, "ts")
    return Trade(
        row.channel(cells, "trade"),
        venue_ns,
        row.number(cells, "price"),
        row.number(cells, "size"),
        _side(row, cells),
        row.text(cells, "id") or None,
        row.count(cells, "number"),
        row.codes(cells, "conditions"),
        row.codes(cells, "excluded"),
        recv_ns=_received(row, cells, venue_ns),
        **_common(stamp),
    )


def _quote(row: _Row, cells: Cells, stamp: _Stamp) -> Quote:
    venue_ns = row.time(cells, "ts")
    bid, bid_size, ask, ask_size = (row.maybe(cells, field) for field in _FIELDS["quote"][:4])
    return Quote(
        row.channel(cells, "quote"),
        venue_ns,
        bid,
        bid_size,
        ask,
        ask_size,
        row.count(cells, "venue_seq"),
        recv_ns=_received(row, cells, venue_ns),
        **_common(stamp),
    )


def _bar(row: _Row, cells: Cells, stamp: _Stamp) -> Bar:
    kind = row.interval(cells)
    if kind.removeprefix("bar.") not in INTERVALS:
        raise ValueError(f"{kind.removeprefix('bar.')!r} is no interval; one of {', '.join(INTERVALS)}")
    start_ns, venue_ns = row.time(cells, "start"), row.time(cells, "ts")
    if not row.has("start"):
        start_ns, venue_ns = venue_ns, None
    if start_ns is None:
        raise ValueError("it has no time")
    return Bar(
        row.channel(cells, kind),
        start_ns,
        row.number(cells, "open"),
        row.number(cells, "high"),
        row.number(cells, "low"),
        row.number(cells, "close"),
        row.maybe(cells, "volume") or "0",
        row.count(cells, "trades"),
        row.maybe(cells, "vwap"),
        row.truth(cells, "closed"),
        venue_ns,
        recv_ns=row.time(cells, "recv") or start_ns + interval_ns(kind),
        **_common(stamp),
    )


_MAKERS: dict[str, Callable[[_Row, Cells, _Stamp], MarketEvent]] = {
    "trade": _trade,
    "quote": _quote,
    "bar": _bar,
}


def _common(stamp: _Stamp) -> dict[str, Any]:
    return {
        "session": stamp.session,
        "seq": stamp.seq,
        "trust": Trust.UNVERIFIABLE,
        "origin": Origin.BACKFILLED,
    }


def _received(row: _Row, cells: Cells, venue_ns: int | None) -> int:
    received = row.time(cells, "recv")
    if received is None:
        received = venue_ns
    if received is None:
        raise ValueError("it has no time")
    return received


def _side(row: _Row, cells: Cells) -> str | None:
    """The aggressor's: of a trade whose buyer was the maker, that is the seller."""
    if row.has("maker"):
        return {True: "sell", False: "buy", None: None}[row.truth(cells, "maker")]
    text = row.text(cells, "side")
    try:
        return _SIDES[text.lower()]
    except KeyError:
        raise ValueError(f"its side is neither buy nor sell: {text[:40]!r}") from None


@lru_cache(1 << 14)
def _channel(venue: str, symbol: str, kind: str) -> str:
    try:
        return str(Channel.parse(f"{venue}:{unified(symbol)}/{kind}"))
    except ConfigError as error:
        raise ValueError(str(error)) from error


# What columns mean


def _places(where: str, names: Cells, said: Said) -> tuple[str, dict[str, int]]:
    """The kind of event, and where each of its fields is. Raises ConfigError."""
    for field in said.columns:
        if field not in NAMES:
            problem, known = f"{field!r} is nothing that a column could be", list(NAMES)
            raise ConfigError(problem, where="--columns", allowed=nearest(field, known) or known)
    kind = said.kind.partition(".")[0] or _kind_of(where, names, said)
    if kind not in _FIELDS:
        problem = f"a file of the kind {kind!r} cannot be imported"
        raise ConfigError(problem, where=where, allowed=list(_FIELDS))
    found = {field: _place(where, field, names, said) for field in _FIELDS[kind]}
    at = {field: place for field, place in found.items() if place is not None}
    if missing := [field for field in _NEEDS[kind] if field not in at]:
        raise _unclear(where, names, f"has no {' and no '.join(missing)}")
    return kind, at


def _kind_of(where: str, names: Cells, said: Said) -> str:
    for kind, needs in _NEEDS.items():
        if all(_place(where, field, names, said) is not None for field in needs):
            return kind
    raise _unclear(where, names, "is not known to be trades, quotes or bars")


def _unclear(where: str, names: Cells, problem: str) -> ConfigError:
    remedy = "say what they are, such as --columns ts=1,price=my_price,size=3"
    return ConfigError(f"{problem}; its columns are {', '.join(names)}", where=where, remedy=remedy)


def _place(where: str, field: str, names: Cells, said: Said) -> int | None:
    """Which column ``field`` is."""
    if (called := said.columns.get(field)) is not None:
        if called in names:
            return names.index(called)
        if called.isdecimal() and 1 <= int(called) <= len(names):
            return int(called) - 1
        raise ConfigError(
            f"there is no column {called!r}", where=where, allowed=nearest(called, names) or list(names)
        )
    plain = [_plain(name) for name in names]
    ours = NAMES[field][0]
    for exact in (f"{ours}text", ours):
        if exact in plain:
            return plain.index(exact)
    taken = {*said.columns.values()}
    found = [at for at, name in enumerate(plain) if name in NAMES[field] and names[at] not in taken]
    if len(found) > 1:
        which = " and ".join(names[at] for at in found)
        remedy = f"say which one, such as --columns {field}={names[found[0]]}"
        raise ConfigError(f"{which} may both be its {field}", where=where, remedy=remedy)
    return found[0] if found else None


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


# Files to cells


Read = Callable[["File"], Iterator[Line]]  #: gives the names of the columns first; raises ConfigError


def read_csv(file: File) -> Iterator[Line]:
    """A file without a header has columns that are called 1, 2 and so on."""
    lines = (line.decode() for line in file.content)
    reader, header = csv.reader([]), list[str]()
    try:
        first = next(lines, "").removeprefix(_BOM)
        reader = csv.reader(chain([first], lines), delimiter=max(",;\t|", key=first.count), strict=True)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not header:
                headless = any(map(_NUMBER, cells))
                header = [str(at + 1) for at in range(len(cells))] if headless else cells
                yield 0, header
                if not headless:
                    continue
            if len(cells) != len(header):
                problem = f"{len(cells)} cells instead of {len(header)}"
                raise ConfigError(problem, where=f"{file.where}:{reader.line_num}", remedy=_MEND)
            yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        where = f"{file.where}:{reader.line_num + 1}"
        raise ConfigError(f"this is no CSV: {error}", where=where, remedy=_MEND) from error
    if not header:
        raise ConfigError("there is nothing in it", where=file.where)


def read_lean(file: File) -> Iterator[Line]:
    """LEAN's quote ticks: milliseconds since midnight, bid, ask; the day and the symbol are in the name."""
    named = re.match(r"(\d{8})_([a-z0-9]+)_tick_quote\.csv$", file.name, re.ASCII | re.IGNORECASE)
    if named is None:
        problem = f"{file.name} is not called like quote ticks of LEAN, 20140505_eurusd_tick_quote.csv"
        raise ConfigError(problem, where=file.where)
    if file.zone is None:
        raise ConfigError("nothing says in which zone its midnight is", where=file.where, example="--tz UTC")
    day_ns = midnight(named[1], file.zone)
    yield 0, ("ts", "symbol", "bid", "ask")
    for line, (ms, bid, ask) in _plain_rows(file, 3):
        yield line, (str(day_ns + int(ms) * MILLISECOND), named[2], bid, ask)


def _plain_rows(file: File, cells: int) -> Iterator[Line]:
    """The rows of a CSV file without a header or a quote, each of so many cells, the first an integer."""
    for line, row in enumerate(file.content, 1):
        texts = row.decode("ascii", "replace").strip().split(",")
        if len(texts) != cells or not texts[0].isdecimal():
            raise ConfigError("this is no tick of LEAN", where=f"{file.where}:{line}", remedy=_MEND)
        yield line, texts


def read_parquet(file: File) -> Iterator[Line]:
    """Rows are counted from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file.content, page_checksum_verification=True)
        names = parquet.schema_arrow.names
        yield 0, names
        at = 1
        for batch in parquet.iter_batches(_BATCH):
            columns = [_cells(name, batch[name], file.zone) for name in names]
            yield from enumerate(zip(*columns, strict=True), at)
            at += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}", where=file.where) from error


def _cells(name: str, column: "pa.Array", zone: tzinfo | None) -> list[str]:
    """The values of a Parquet column as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from . import numbers

    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None and zone is None:
            raise ValueError(f"the times of {name} have no zone; name it, such as --tz UTC")
        zoned = pc.assume_timezone(column, str(zone)) if kind.tz is None else column
        utc = zoned.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("ns"))
        texts = pc.binary_join_element_wise(pc.strftime(utc, "%Y-%m-%dT%H:%M:%S"), "Z", "")
    elif kind == pa.float64():
        texts = numbers.notation(pc.if_else(pc.is_finite(column), column, None), None)
    elif pa.types.is_floating(kind):
        texts = pa.array([None if each is None else f"{each:.9g}" for each in column.to_pylist()])
    elif pa.types.is_decimal(kind):
        texts = pa.array([None if each is None else f"{each:f}" for each in column.to_pylist()])
    elif pa.types.is_list(kind):
        texts = pa.array([json.encode(each).decode() if each else None for each in column.to_pylist()])
    else:
        texts = column.cast(pa.string())
    return ["" if text is None else text for text in texts.to_pylist()]


_BATCH = 10_000
