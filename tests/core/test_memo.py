"""A table of what was worked out already: right, and never larger than it may be."""

import pytest

from livetape.core.memo import Memo


def test_what_is_known_is_not_worked_out_again() -> None:
    asked: list[int] = []

    def square(n: int) -> int:
        asked.append(n)
        return n * n

    memo = Memo(square)
    assert [memo[3], memo[4], memo[3]] == [9, 16, 9]
    assert asked == [3, 4]


def test_a_full_table_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livetape.core.memo.MOST", 3)
    memo = Memo(str)
    assert [memo[n] for n in range(10)] == [str(n) for n in range(10)]
    assert len(memo) <= 3
