"""The sides of a benchmark: processes that work one at a time, and the environments of peers."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run
from typing import Self, TypeVar

from msgspec import Struct, json

HERE = Path(__file__).resolve().parent
Outcome = TypeVar("Outcome")


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
