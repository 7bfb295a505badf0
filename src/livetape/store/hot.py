"""The records of a segment as columns, a page at a time (floor 3)."""

from typing import NamedTuple

import apsw
import numpy as np
import pyarrow as pa

from . import columns
from .segment import column_names


class Page(NamedTuple):
    """Records of one table, the last of them with the number ``last``, as the segment counts."""

    rows: pa.Table
    numbers: list[int]

    @property
    def last(self) -> int:
        return self.numbers[-1]

    def numbered(self, shift: int) -> pa.Table:
        """The rows with their number ``n`` in the store, which is higher by ``shift``."""
        others = self.rows.drop_columns("n") if "n" in self.rows.column_names else self.rows
        return others.append_column("n", pa.array(np.array(self.numbers) + shift))


def page(db: apsw.Connection, table: str, after: int, size: int, last: int | None = None) -> Page | None:
    """At most ``size`` records of ``table`` after the number ``after``, up to ``last``; None without any.

    A column that an older version did not write is null.
    """
    known = column_names(db, table)
    if not known:
        return None
    until = "" if last is None else f"AND n <= {last:d}"
    query = f"SELECT n FROM {table} WHERE n > ? {until} ORDER BY n LIMIT ?"
    numbers = [int(str(n)) for (n,) in db.execute(query, (after, size))]
    if not numbers:
        return None
    names = ", ".join(f'"{name}"' if name in known else "NULL" for name in columns.hot_names(table))
    query = f"SELECT {names} FROM {table} WHERE n > ? AND n <= ? ORDER BY n"
    return Page(columns.from_hot(table, db.execute(query, (after, numbers[-1])).fetchall()), numbers)
