"""A day of every simulated vendor, with something going wrong all the time: what was lost, and what healed.

    python bench/day.py [--hours 8] [--seed 1] [--only VENDOR]

Virtual time, no sockets; what happens is in ``tests/day``. It prints a row for each kind of channel and ends
with 1 when the tape says anything that the vendors' ledgers do not bear out.
"""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.day.day import CASES, Day
from tests.day.ledger import Result


def main(
    hours: Annotated[float, typer.Option(help="How long the day is.")] = 8.0,
    seed: Annotated[int, typer.Option(help="What chance is made of.")] = 1,
    only: Annotated[str, typer.Option(help='One vendor alone, such as "gemini v1".')] = "",
) -> None:
    names = [name.replace("_", " ") for name in Result._fields]
    widths = [max(10, len(name) + 2) for name in names]
    print(" " * 22 + "".join(name.rjust(width) for name, width in zip(names, widths, strict=True)))
    total, problems, started_s = Result(), 0, time.process_time()
    for case in CASES:
        if only not in ("", str(case)):
            continue
        day = Day(case, hours * 3_600, seed)
        for row, result in day.rows():
            print(_line(row, result, widths), flush=True)
            total += result
        for kind, n in Counter(map(_kind, day.problems)).items():
            print(f"    {n} x {next(problem for problem in day.problems if _kind(problem) == kind)}")
        problems += len(day.problems)
    print(_line("all", total, widths))
    print(f"{problems} problems; {time.process_time() - started_s:.0f} s of processor time")
    raise typer.Exit(problems > 0)


def _kind(problem: str) -> str:
    return problem.partition(": ")[0]


def _line(row: str, result: Result, widths: list[int]) -> str:
    return row.ljust(22) + "".join(str(n).rjust(width) for n, width in zip(result, widths, strict=True))


if __name__ == "__main__":
    typer.run(main)
