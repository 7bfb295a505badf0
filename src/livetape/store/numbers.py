"""Decimal text as columns: a float64, and the little that gives the venue's exact text back (floor 3).

A number is three values. Its text is

- ``text`` itself, where that is not null: neither of the others gives it back;
- the float with ``decimals`` digits after the point, where those are not null;
- else the shortest decimal notation of the float, without an exponent or trailing zeros.

Rule: packing proves itself. The text is rebuilt as a reader would, and kept whole where that differs.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_PLAIN = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_LONGEST = 40  #: characters of a text that may be rebuilt
_MOST_DECIMALS = 18
_EXACT = 2.0**53  #: whole numbers below are floats without rounding
NONE = -1  #: no number of decimals


class Measured(NamedTuple):
    """Of each text: its float, null where it is no number, its decimals or NONE, if it is the shortest."""

    values: pa.DoubleArray
    decimals: Ints
    shortest: Bools

    def take(self, indices: Ints) -> "Measured":
        return Measured(self.values.take(pa.array(indices)), self.decimals[indices], self.shortest[indices])


def pack(
    texts: pa.StringArray, groups: Ints | None = None
) -> tuple[pa.DoubleArray, pa.Int8Array, pa.StringArray]:
    """The values, decimals and texts of ``texts``.

    All numbers of a group (an int from 0; without ``groups`` there is one) get the same decimals where that
    is possible.
    """
    known = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    measured = measure(texts.drop_null())
    n = len(measured.decimals)
    within = np.zeros(n, np.int64) if groups is None else groups[known]
    decimals, exact = agree(measured, np.arange(n), within)
    which = pa.array(np.cumsum(known) - 1, mask=~known)
    kept = pc.if_else(pa.array(exact).take(which), None, texts)
    return measured.values.take(which), decimals.take(which), kept


def unpack(values: pa.DoubleArray, decimals: pa.Int8Array, texts: pa.StringArray) -> pa.StringArray:
    """The texts that were packed."""
    rebuilt = _rebuilt(values, decimals.fill_null(NONE).to_numpy().astype(np.int64))
    return rebuilt if texts.null_count == len(texts) else pc.coalesce(texts, rebuilt)


def notation(values: pa.DoubleArray, decimals: int | None) -> pa.StringArray:
    """The texts of ``values``, all with as many ``decimals``; None for the shortest."""
    return _shortest(values) if decimals is None else _fixed(values, decimals)


def measure(texts: pa.StringArray) -> Measured:
    """What of ``texts``, none of them null, can be rebuilt from floats, and how."""
    encoded = texts.dictionary_encode()
    return _measured(encoded.dictionary).take(encoded.indices.to_numpy().astype(np.int64))


def agree(measured: Measured, units: Ints, groups: Ints) -> tuple[pa.Int8Array, Bools]:
    """The decimals of each unit of numbers, null for the shortest, and whether they give all its texts back.

    ``units`` has the unit of each number, ``groups`` the group of each unit. One number of decimals for the
    whole group is best, then the shortest notation, then the unit's own number of decimals.
    """
    common = _common(measured.decimals, groups[units], int(groups.max(initial=NONE)) + 1)[groups]
    own = _common(measured.decimals, units, len(groups))
    shortest = np.bincount(units, ~measured.shortest, len(groups)) == 0
    decimals = np.where(common != NONE, common, np.where(shortest, NONE, own))
    return pa.array(decimals, pa.int8(), mask=decimals == NONE), shortest | (decimals != NONE)


def _common(decimals: Ints, units: Ints, n: int) -> Ints:
    """The number of decimals that all numbers of each of ``n`` units share, or NONE."""
    least, most = np.full(n, _MOST_DECIMALS), np.full(n, NONE)
    np.minimum.at(least, units, decimals)
    np.maximum.at(most, units, decimals)
    return np.where(least == most, least, NONE)


def _measured(texts: pa.StringArray) -> Measured:
    lengths = pc.binary_length(texts)
    plain = pc.and_(pc.match_substring_regex(texts, _PLAIN), pc.less_equal(lengths, _LONGEST))
    values = _floats(texts, plain)
    point = pc.find_substring(texts, ".").to_numpy()
    decimals = np.where(point < 0, 0, lengths.to_numpy() - point - 1).astype(np.int64)
    within = np.minimum(decimals, _MOST_DECIMALS)
    small = np.abs(values.fill_null(0).to_numpy()) < _EXACT / 10.0**within
    countable = _bools(plain) & (decimals == within) & small
    decimals = np.where(countable, decimals, NONE)
    fixed = _bools(pc.equal(_rebuilt(values, decimals), texts))
    return Measured(values, np.where(fixed, decimals, NONE), _bools(pc.equal(_shortest(values), texts)))


def _bools(column: pa.BooleanArray) -> Bools:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False))


def _floats(texts: pa.StringArray, plain: pa.BooleanArray) -> pa.DoubleArray:
    values = pc.cast(pc.if_else(plain, texts, None), pa.float64())
    odd = np.flatnonzero(~_bools(plain))
    if len(odd):
        strange = texts.take(pa.array(odd))
        numeric = pc.match_substring_regex(strange, _NUMBER).to_pylist()
        floats = [float(t) if good else None for t, good in zip(strange.to_pylist(), numeric, strict=True)]
        values = pc.replace_with_mask(values, pc.invert(plain), pa.array(floats, pa.float64()))
    return pc.add(values, 0.0)  # of two zeros the columns keep only the positive one


def _rebuilt(values: pa.DoubleArray, decimals: Ints) -> pa.StringArray:
    """The texts of ``values`` with as many decimals each, NONE for the shortest."""
    kinds = np.unique(decimals)
    if len(kinds) < 2:
        return notation(values, _known(kinds[0]) if len(kinds) else None)
    parts = [notation(values.filter(pa.array(decimals == kind)), _known(kind)) for kind in kinds]
    order = np.argsort(decimals, kind="stable")
    return pa.concat_arrays(parts).take(pa.array(np.argsort(order)))


def _known(decimals: np.int64) -> int | None:
    return None if decimals == NONE else int(decimals)


def _shortest(values: pa.DoubleArray) -> pa.StringArray:
    texts = pc.cast(values, pa.string())
    scientific = pc.match_substring(texts, "e")
    if pc.any(scientific).as_py():
        few = values.filter(scientific).to_pylist()
        plain = pa.array([format(Decimal(repr(value)), "f").removesuffix(".0") for value in few], pa.string())
        texts = pc.replace_with_mask(texts, scientific, plain)
    return texts


def _fixed(values: pa.DoubleArray, decimals: int) -> pa.StringArray:
    whole = pa.array(np.rint(values.fill_null(0).to_numpy() * 10.0**decimals).astype(np.int64))
    texts = pc.ascii_lpad(pc.cast(pc.abs(whole), pa.string()), decimals + 1, "0")
    if decimals:
        texts = pc.binary_replace_slice(texts, -decimals, -decimals, ".")
    negative = pc.less(whole, 0)
    if pc.any(negative).as_py():
        texts = pc.if_else(negative, pc.binary_join_element_wise("-", texts, ""), texts)
    return pc.if_else(pc.is_valid(values), texts, None) if values.null_count else texts
