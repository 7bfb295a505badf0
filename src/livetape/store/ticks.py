"""Columns of prints reduced to bars at once: exactly what core/bars makes of them one by one (floor 3).

Rule 1: numbers are whole numbers here, of the finest step that any of them has. A print whose numbers do not
        fit, or that was amended, is left to core/bars, and so is the bar that it belongs to.
Rule 2: of equal prices the one with fewer decimals is the higher, as Decimal has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.bars import DAY_NS, EXACT, NOTHING, Grid, Partial, Place, Priced, merged, partial
from . import columns, numbers
from .scan import ORDER, Ints, Mask, ints, market_times
from .told import Amended, exact_texts, named

Floats = npt.NDArray[np.float64]
NOWHERE = -1
_WHATS = ("last", "range", "volume")
_NO_VOLUME = 4
_EXCLUDED = [tuple(what for bit, what in enumerate(_WHATS) if bits >> bit & 1) for bits in range(8)]
_PRICES = ("open", "high", "low", "close")
_DIGITS = 15  #: of a whole number, and after the point, that a float surely keeps
_EXACT = 1 << 53  #: whole numbers below are floats without rounding
_CODES = 32  #: more than there are numbers of decimals
_NO_HIGH, _NO_LOW = -1, (1 << 63) - 1  #: codes of prices that there are not
_FINER = 4  #: decimals of an average price beyond those of the prices, see Candle.vwap


class Numbers(NamedTuple):
    """``whole`` numbers of steps of ``scale`` decimals, each told with ``decimals``; those that ``fit``."""

    whole: Ints
    decimals: Ints
    scale: int
    fit: Mask

    @classmethod
    def of(cls, rows: pa.Table, name: str) -> "Numbers":
        """A number column of a scanned table."""
        values = rows[name].to_numpy()
        decimals = rows[f"{name}_decimals"].fill_null(numbers.NONE).to_numpy().astype(np.int64)
        fit = rows[f"{name}_text"].is_null().to_numpy() & (values >= 0) & (values < 10.0**_DIGITS)
        values = np.where(fit, values, 0.0)
        unknown = np.flatnonzero(decimals == numbers.NONE)
        decimals[unknown] = _shortest(values[unknown])
        fit &= (decimals != numbers.NONE) & (decimals <= _DIGITS)
        scale = int(decimals[fit].max(initial=0))
        fit &= values < 10.0 ** (_DIGITS - scale)
        whole = np.rint(np.where(fit, values, 0.0) * 10.0**scale).astype(np.int64)
        return cls(whole, np.where(fit, decimals, 0), scale, fit)

    @classmethod
    def middle(cls, one: "Numbers", other: "Numbers") -> "Numbers":
        """Half of each sum, with one decimal more than both have where it takes one."""
        scale, fit = max(one.scale, other.scale), one.fit & other.fit
        both = np.zeros_like(one.whole)
        for each in (one, other):
            step = 10 ** (scale - each.scale)
            fit &= each.whole < 10**_DIGITS // step
            both += np.where(fit, each.whole, 0) * step
        decimals = np.maximum(one.decimals, other.decimals)
        odd = both // 10 ** (scale - decimals) % 2
        return cls(both * 5, decimals + odd, scale + 1, fit)

    def codes(self, rows: Ints) -> Ints:
        """One integer for each number, so that the greatest is the one that Decimal calls so."""
        return self.whole[rows] * _CODES + (_CODES - 1 - self.decimals[rows])

    def own(self, codes: Ints) -> tuple[list[int], Ints]:
        """What ``codes`` stand for: whole numbers of steps of their own decimals, and those."""
        decimals = _CODES - 1 - codes % _CODES
        whole: Ints = codes // _CODES // 10 ** (self.scale - decimals)
        return whole.tolist(), decimals

    def decimal(self, code: int) -> Decimal:
        """The same of one code."""
        [whole], [decimals] = self.own(np.array([code]))
        return _scaled(whole, int(decimals))


class Prints(NamedTuple):
    """Rows of a scanned table, in the order of the tape, as prints.

    ``sides`` are the columns of the price, which is the middle of two. Bits of ``forbidden`` say what each
    must not set, by the places in ``_WHATS``.
    """

    rows: pa.Table
    sides: tuple[str, ...]
    times: Ints
    price: Numbers
    size: Numbers
    forbidden: Ints

    @classmethod
    def of_trades(cls, rows: pa.Table) -> "Prints":
        """Each trade at its price."""
        forbidden = sum(
            (_says(rows["excluded"], what) << bit for bit, what in enumerate(_WHATS)), _zeros(rows)
        )
        price, size = Numbers.of(rows, "price"), Numbers.of(rows, "size")
        return cls(rows, ("price",), market_times(rows), price, size, forbidden)

    @classmethod
    def of_quotes(cls, rows: pa.Table, side: str) -> "Prints":
        """Each quote at its ``bid``, ``ask`` or ``mid``, at which nothing was traded."""
        sides = ("bid", "ask") if side == "mid" else (side,)
        for name in sides:
            rows = rows.filter(pc.is_valid(rows[name]))
        price, zeros = reduce(Numbers.middle, [Numbers.of(rows, name) for name in sides]), _zeros(rows)
        size = Numbers(zeros, zeros, 0, zeros == 0)
        return cls(rows, sides, market_times(rows), price, size, zeros + _NO_VOLUME)

    def singly(self, at: Ints, changes: Mapping[str, Amended]) -> Iterator[tuple[Place, Partial]]:
        """The prints of the rows ``at`` as core/bars has them; amended ones as they are now, if at all."""
        rows = self.rows.take(pa.array(at))
        names = rows["id"].to_pylist() if changes else [None] * len(at)
        sides = zip(*[exact_texts(rows, side) for side in self.sides], strict=True)
        sizes = exact_texts(rows, "size") if "size" in rows.column_names else ["0"] * len(at)
        excluded = [_EXCLUDED[bits] for bits in self.forbidden[at].tolist()]
        places = zip(self.times[at].tolist(), *(ints(rows[name]).tolist() for name in ORDER), strict=True)
        for name, place, prices, size, what in zip(names, places, sides, sizes, excluded, strict=True):
            if name not in changes:
                yield place, partial(place, _middle(*prices), Decimal(size or 0), what)
            elif (change := changes[name]) is not None:
                yield place, partial(place, Decimal(change[0]), Decimal(change[1]), what)

    def priced(self, row: int) -> Priced | None:
        """Place and price of one row."""
        if row == NOWHERE:
            return None
        recv, session, seq = (int(ints(self.rows[name].slice(row, 1))[0]) for name in ORDER)
        [code] = self.price.codes(np.array([row])).tolist()
        return (int(self.times[row]), recv, session, seq), self.price.decimal(code)


class Reduced(NamedTuple):
    """What prints come to in each bar that begins at one of ``starts``.

    ``first`` and ``last`` are rows, NOWHERE where no print may set a price; ``high`` and ``low`` are codes of
    prices; ``volume`` and ``turnover`` are whole, of the steps of the sizes and of prices times sizes.
    """

    starts: Ints
    first: Ints
    last: Ints
    high: Ints
    low: Ints
    volume: list[int]
    volume_decimals: Ints
    turnover: list[int]
    trades: Ints

    @classmethod
    def of(cls, prints: Prints, rows: Ints, grid: Grid) -> "Reduced":
        """Of the prints of ``rows``, which are sorted by time; there is at least one."""
        starts = start_times(grid, prints.times[rows])
        at = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
        not_last, not_range, not_volume = (prints.forbidden[rows] >> bit & 1 > 0 for bit in range(3))
        codes, places = prints.price.codes(rows), np.arange(len(rows))
        sizes = _but(not_volume, 0, prints.size.whole[rows])
        first = np.minimum.reduceat(_but(not_last, len(rows), places), at)
        last = np.maximum.reduceat(_but(not_last, NOWHERE, places), at)
        none = last == NOWHERE
        first, last = (np.where(none, NOWHERE, rows[np.where(none, 0, each)]) for each in (first, last))
        high = np.maximum.reduceat(_but(not_range, _NO_HIGH, codes), at)
        low = np.minimum.reduceat(_but(not_range, _NO_LOW, codes), at)
        return cls(
            starts[at],
            first,
            last,
            high,
            low,
            _sums(sizes, np.ones_like(sizes), at),
            np.maximum.reduceat(_but(not_volume, 0, prints.size.decimals[rows]), at),
            _sums(sizes, prints.price.whole[rows], at),
            np.add.reduceat(~not_volume, at, dtype=np.int64),
        )

    def partial(self, i: int, prints: Prints) -> Partial:
        """What the prints of bar ``i`` come to, as core/bars has it."""
        price, size, decimals = prints.price, prints.size, int(self.volume_decimals[i])
        return Partial(
            prints.priced(int(self.first[i])),
            prints.priced(int(self.last[i])),
            None if self.high[i] == _NO_HIGH else price.decimal(int(self.high[i])),
            None if self.low[i] == _NO_LOW else price.decimal(int(self.low[i])),
            _scaled(self.volume[i] // 10 ** (size.scale - decimals), decimals),
            _scaled(self.turnover[i], price.scale + size.scale),
            int(self.trades[i]),
        )


def bars(prints: Prints, changes: Mapping[str, Amended], grid: Grid) -> pa.Table:
    """The bars of ``prints``, by time, without the empty ones: start, the columns of all numbers, trades;
    and when the last print was in the market and received, ``ts`` and ``recv``.

    ``changes`` are those of trades, by their ids.
    """
    alone = ~(prints.price.fit & prints.size.fit)
    if changes:
        alone |= pc.is_in(prints.rows["id"], pa.array([*changes], pa.string())).to_numpy()
    rows = np.flatnonzero(~alone)
    whole: dict[int, Partial] = {}
    for place, one in prints.singly(np.flatnonzero(alone), changes):
        start_ns = grid.start(place[0])
        whole[start_ns] = merged(whole.get(start_ns, NOTHING), one)
    if not len(rows):
        return _single(whole)
    times = prints.times[rows]
    if (times[1:] < times[:-1]).any():
        rows = rows[np.argsort(times, kind="stable")]
    reduced = Reduced.of(prints, rows, grid)
    shared = np.isin(reduced.starts, [*whole])
    for i in np.flatnonzero(shared).tolist():
        start_ns = int(reduced.starts[i])
        whole[start_ns] = merged(whole[start_ns], reduced.partial(i, prints))
    plain = _plain(reduced, prints, np.flatnonzero(~shared & (reduced.last != NOWHERE)))
    return pa.concat_tables([plain, _single(whole)]).sort_by("start") if whole else plain


def start_times(grid: Grid, times: Ints) -> Ints:
    """When the bars begin that ``times`` belong to, as ``grid`` says of one."""
    if not grid.days:
        return times - times % grid.interval_ns
    days = np.array(grid.days)
    at = np.searchsorted(days, times, "right")
    begun = days[at - 1]  # before all days, the last one, as in Grid
    starts: Ints = times - (times - begun) % grid.interval_ns
    is_day = (grid.interval_ns == DAY_NS) & (at > 0) & (at < len(days))
    return np.where(is_day, begun, starts)


# Bars as columns


def _plain(reduced: Reduced, prints: Prints, kept: Ints) -> pa.Table:
    """The bars ``kept``, which need no core/bars."""
    price, size = prints.price, prints.size
    first, last = reduced.first[kept], reduced.last[kept]
    opened, closed = price.codes(first), price.codes(last)
    high, low = reduced.high[kept], reduced.low[kept]
    high = np.where(high == _NO_HIGH, np.maximum(opened, closed), high)
    low = np.where(low == _NO_LOW, np.minimum(opened, closed), low)
    told: dict[str, tuple[Sequence[int | None], Ints]] = {}
    told |= {name: price.own(codes) for name, codes in zip(_PRICES, (opened, high, low, closed), strict=True)}
    finest = np.maximum.reduce([decimals for _, decimals in told.values()]) + _FINER
    volumes, turnovers = ([sums[i] for i in kept.tolist()] for sums in (reduced.volume, reduced.turnover))
    decimals = reduced.volume_decimals[kept]
    steps = (10 ** (size.scale - d) for d in decimals.tolist())
    owns = [volume // step for volume, step in zip(volumes, steps, strict=True)]
    vwaps = [
        _rounded(turnover * 10**d, volume * 10**price.scale) if volume else None
        for turnover, volume, d in zip(turnovers, volumes, finest.tolist(), strict=True)
    ]
    told |= {"volume": (owns, decimals), "vwap": (vwaps, finest)}
    made = {name: array for name, own in told.items() for name, array in _number(name, *own).items()}
    made |= {"start": reduced.starts[kept], "trades": reduced.trades[kept]}
    made |= {"ts": prints.times[last], "recv": ints(prints.rows["recv"])[last]}
    return _table(made)


def _single(whole: Mapping[int, Partial]) -> pa.Table:
    """The bars that core/bars made."""
    candles = [candle for start_ns, part in whole.items() if (candle := part.candle(start_ns))]
    made: dict[str, object] = {"start": [candle.start_ns for candle in candles]}
    for name in (*_PRICES, "volume", "vwap"):
        values = (getattr(candle, name) for candle in candles)
        texts = pa.array([None if value is None else f"{value:f}" for value in values], pa.string())
        made |= zip(named(name), numbers.pack(texts), strict=True)
    lasts = [last for candle in candles if (last := whole[candle.start_ns].last)]
    made |= {"ts": [place[0] for place, _ in lasts], "recv": [place[1] for place, _ in lasts]}
    return _table(made | {"trades": [candle.trades for candle in candles]})


def _table(made: Mapping[str, object]) -> pa.Table:
    fields = [field for field in columns.schema("bars") if field.name in made]
    return pa.table({field.name: pa.array(made[field.name]).cast(field.type) for field in fields})


def _number(name: str, whole: Sequence[int | None], decimals: Ints) -> dict[str, pa.Array]:
    """The columns of whole numbers of steps of ``decimals`` each; None is no number."""
    if max(filter(None, whole), default=0) < _EXACT:
        none = np.array([each is None for each in whole], np.bool_)
        values = np.array([each or 0 for each in whole], np.int64) / 10.0**decimals
        texts = pa.nulls(len(whole), pa.string())
        packed = pa.array(values, mask=none), pa.array(decimals, pa.int8(), mask=none), texts
    else:
        both = zip(whole, decimals.tolist(), strict=True)
        packed = numbers.pack(pa.array([each and f"{_scaled(each, d):f}" for each, d in both], pa.string()))
    return dict(zip(named(name), packed, strict=True))


# The numbers


def _shortest(values: Floats) -> Ints:
    """The decimals of each number in its shortest notation, NONE where those are too many."""
    found = np.full(len(values), numbers.NONE)
    left = np.arange(len(values))
    for decimals in range(_DIGITS + 1):
        whole = np.rint(values[left] * 10.0**decimals)
        is_it = (whole / 10.0**decimals == values[left]) & (whole < 10.0**_DIGITS)
        found[left[is_it]] = decimals
        left = left[~is_it]
    return found


def _but(these: Mask, value: int, values: Ints) -> Ints:
    """``values``, but for ``these`` another one."""
    return np.where(these, value, values) if these.any() else values


def _sums(one: Ints, other: Ints, at: Ints) -> list[int]:
    """The sums of the products from each place of ``at`` to the next, exactly, whatever their size."""
    most = int(np.diff(at, append=len(one)).max())
    bits = 63 - int(other.max()).bit_length() - most.bit_length()
    if bits < 1:
        return [int(each) for each in np.add.reduceat(one.astype(object) * other, at)]
    sums, shift = [0] * len(at), 0
    while (part := one >> shift).any():
        parts = np.add.reduceat((part & ((1 << bits) - 1)) * other, at)
        sums = [total + (more << shift) for total, more in zip(sums, parts.tolist(), strict=True)]
        shift += bits
    return sums


def _rounded(dividend: int, divisor: int) -> int:
    """The quotient, half to even."""
    whole, rest = divmod(dividend, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


def _scaled(whole: int, decimals: int) -> Decimal:
    return Decimal(whole).scaleb(-decimals, EXACT)


# Single prints


def _says(excluded: pa.ChunkedArray, what: str) -> Ints:
    """1 for each of the lists that has ``what``, else 0."""
    says = np.zeros(len(excluded), np.int64)
    lists = excluded.combine_chunks()
    says[pc.list_parent_indices(lists).filter(pc.equal(lists.flatten(), what)).to_numpy()] = 1
    return says


def _zeros(rows: pa.Table) -> Ints:
    return np.zeros(rows.num_rows, np.int64)


def _middle(one: str, other: str | None = None) -> Decimal:
    return (
        Decimal(one) if other is None else EXACT.divide(EXACT.add(Decimal(one), Decimal(other)), Decimal(2))
    )
