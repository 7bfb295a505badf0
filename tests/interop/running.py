"""Runs simulated vendors by their command, and programs of other people against them."""

import asyncio
import os
from asyncio import StreamReader
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..cli.running import finish, start
from .environments import Environment

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_S = 20.0
LINE = 1 << 24  #: bytes of the longest line; a whole book may be one
_NOT_THEIRS = ("LIVETAPE_", "APCA_", "PYTHON")


@asynccontextmanager
async def simulated(venue: str, *options: str, port: int = 0) -> AsyncIterator[str]:
    """The address of ``livetape simulate VENUE`` while the context lasts."""
    process = await start("simulate", venue, "--port", str(port), *options)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            export = (await process.stdout.readline()).decode().strip()
        assert export, f"{venue} is not simulated: {(await process.communicate())[1].decode()}"
        yield export.partition("=")[2]
    finally:
        if process.returncode is None:
            process.terminate()
        await finish(process)


@dataclass
class Program:
    """What a running program has printed so far: ``lines`` to stdout, ``errors`` to stderr."""

    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    code: int | None = None

    async def until(self, holds: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait. Fails with what was printed if the program ends before, or that takes too long."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    assert self.code is None, f"it ended with {self.code}\n{self}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s\n{self}") from None

    async def ended(self) -> None:
        """Wait for its end, which has to be a good one."""
        await self.until(lambda: self.code == 0)

    def __str__(self) -> str:
        return "\n".join([*self.lines[-10:], "stderr:", *self.errors[-30:]])


@asynccontextmanager
async def running(
    environment: Environment, program: str | Path, *arguments: str | Path, cwd: Path, **urls: str
) -> AsyncIterator[Program]:
    """``program``, of ``programs/`` or not, killed with the context. ``urls`` are the venues' by name."""
    python = await asyncio.to_thread(environment.python)
    env = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THEIRS)}
    for venue, url in urls.items():
        env[f"LIVETAPE_{venue.upper()}_WS_URL"] = url
        env[f"LIVETAPE_{venue.upper()}_REST_URL"] = url.replace("ws", "http", 1)
    process = await asyncio.create_subprocess_exec(
        *map(str, (python, "-u", PROGRAMS / program, *arguments)),
        stdout=PIPE,
        stderr=PIPE,
        env=env,
        cwd=cwd,
        limit=LINE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = Program()

    async def listen(out: StreamReader, err: StreamReader) -> None:
        await asyncio.gather(_read(out, said.lines), _read(err, said.errors))
        said.code = await process.wait()

    listening = asyncio.create_task(listen(process.stdout, process.stderr))
    try:
        yield said
    finally:
        if process.returncode is None:
            process.kill()
        await listening


async def _read(stream: StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode().rstrip("\n"))
