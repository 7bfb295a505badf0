"""The sides of a benchmark: processes that work one at a time, and the environments of peers."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run
from typing import NamedTuple, Self, TypeVar

from msgspec import Struct, json
from rich.console import Console
from rich.table import Table

from livetape import __version__

HERE = Path(__file__).resolve().parent
Load = TypeVar("Load", bound=Struct)
Outcome = TypeVar("Outcome")


def recordings() -> Path:
    """The directory where recordings are looked for; it need not be there."""
    return Path(os.environ.get("LIVETAPE_RECORDINGS") or HERE.parents[1] / "shared" / "data")


class Side:
    """A process that is asked over stdin and answers over stdout, a line of JSON each."""

    def __init__(self, *command: str | Path) -> None:
        self._process = Popen(command, stdin=PIPE, stdout=PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def load(self, load: Struct, outcome: type[Outcome]) -> Outcome:
        """Hand over a load and learn what comes of it; it gets the next number, from 0."""
        return json.decode(self._ask(load), type=outcome)

    def measure(self, number: int) -> float:
        """CPU nanoseconds a message over load ``number``, afresh."""
        return json.decode(self._ask(number), type=float)

    def _ask(self, question: Struct | int) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.encode(question) + b"\n")
            self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise SystemExit(f"{self._process.args!r} gave up; its error is above")
        return answer


def answer(kind: type[Load], taken: Callable[[Load], tuple[Struct, Callable[[], float]]]) -> None:
    """Be the process that a ``Side`` asks. ``taken`` tells what comes of a load, and how to measure it."""
    question, measures = json.Decoder(kind | int), list[Callable[[], float]]()
    for line in sys.stdin.buffer:
        asked = question.decode(line)
        if isinstance(asked, int):
            said: Struct | float = measures[asked]()
        else:
            said, measure = taken(asked)
            measures.append(measure)
        sys.stdout.buffer.write(json.encode(said) + b"\n")
        sys.stdout.buffer.flush()


class Peer(NamedTuple):
    """With whom livetape is compared; ``about`` an environment that holds it are notes to the result."""

    name: str
    requirement: str
    module: str
    about: Callable[[Path], list[str]]


@contextmanager
def compared(bench: str, peer: Peer | None) -> Iterator[tuple[list[Side], list[str]]]:
    """livetape's side of ``bench`` and, where there is one, the peer's; and notes to the result."""
    notes = [f"livetape {__version__}, pure Python, on Python {platform.python_version()}."]
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(sys.executable, HERE / f"{bench}_livetape.py"))]
        if peer:
            try:
                python = peer_python(peer.name, peer.requirement, peer.module)
            except LookupError as missing:
                notes.append(f"{missing}. livetape is measured alone.")
            else:
                sides.append(stack.enter_context(Side(python, "-I", HERE / f"{bench}_peer.py")))
                notes += peer.about(python)
        yield sides, notes


def show(table: Table, *notes: str) -> None:
    """Print a result."""
    console = Console(width=110)
    console.print(table)
    console.print(*notes, sep="\n", highlight=False, markup=False)


def peer_python(name: str, requirement: str, module: str) -> Path:
    """The Python of an environment that holds a peer, made on first use. Raises LookupError.

    ``module`` of ``requirement`` must import there; ``name`` is the environment's.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = HERE / ".envs" / f"{name}-py{version}"
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    proof: list[str | Path] = [python, "-I", "-c", f"import {module}"]
    if python.exists() and run(proof, stderr=DEVNULL).returncode == 0:
        return python
    print(f"Installing {requirement} into {place}, once …", file=sys.stderr)
    venv: list[str | Path] = [sys.executable, "-m", "venv", "--clear", place]
    pip: list[str | Path] = [python, "-I", "-m", "pip", "install", "--quiet", "--retries", "1", requirement]
    for command in (venv, pip, proof):
        done = run(command, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            *_, reason = ["no reason given", *done.stderr.splitlines(), *errors]
            raise LookupError(
                f"{requirement} cannot be installed for Python {version}: {reason.removeprefix('ERROR: ')}"
            )
    return python


def version_of(package: str, python: Path) -> str:
    """Which version of ``package`` an environment holds."""
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    return run([python, "-I", "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
