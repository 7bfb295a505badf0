"""When Arrow loads pandas, which takes half a second (floor 3).

Arrow looks for pandas when it makes its first array. That had better be when our modules are loaded than in
the midst of a first query; and in a program that makes no use of pandas, not at all.
"""

import sys

without_pandas = False  #: set by such a program before anything else


class _Hiding:
    """A finder of modules that finds none, and pandas less than none."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ImportError("not wanted here")


def settle() -> None:
    """Let Arrow look for pandas now, and find none where it is not wanted; asked for it, it looks again."""
    import pyarrow

    if without_pandas:
        sys.meta_path.insert(0, _Hiding)
    try:
        pyarrow.scalar(0)
    finally:
        if without_pandas:
            sys.meta_path.remove(_Hiding)
