"""Starts the command line as a process of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path


async def start(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livetape", *arguments),
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"} | (env or {}),
        cwd=cwd,
    )


async def finish(process: Process) -> tuple[str, str, int]:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return out.decode(), err.decode(), process.returncode


async def livetape(
    *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> tuple[str, str, int]:
    """Its stdout, stderr and exit code."""
    return await finish(await start(*arguments, env=env, cwd=cwd))
