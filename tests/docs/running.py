"""Runs what the documentation tells people to type, against simulated vendors, in little time."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

from .markdown import ROOT, Block, commands

PATIENCE_S = 20
SECONDS = "0.8"  #: instead of a longer ``--duration``
DOCUMENTED_GATEWAY = "127.0.0.1:8765"
#: What may stand in a shell block and is not run: it is about this machine, or a program that is run as a block.
NOT_OURS = ("export", "python", "cd", "git", "pip")
#: Runs a program that may have no end of its own: soon after its first output its streams are stopped.
_DRIVER = """
import sys, threading, time

said, write = threading.Event(), sys.stdout.write

def noticed(text):
    said.set()
    return write(text)

def end():
    said.wait(10)
    while True:
        time.sleep(0.3)
        for thing in list(program.values()):
            if type(thing).__name__ == "Stream":
                thing.stop()

sys.stdout.write = noticed
program = {"__name__": "__main__"}
threading.Thread(target=end, daemon=True).start()
with open(sys.argv[1]) as file:
    exec(compile(file.read(), sys.argv[1], "exec"), program)
for name, thing in list(program.items()):
    if name.startswith("test_"):
        thing()
"""
_BIN = str(Path(sys.executable).parent)


def environment(home: Path) -> dict[str, str]:
    """The environment of a user whose home is ``home``, with the ``livetape`` of this interpreter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVETAPE_")}
    path = os.pathsep.join([_BIN, os.environ["PATH"]])
    return kept | {"HOME": str(home), "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", "NO_PROXY": "*"}


@contextmanager
def livetape(*arguments: str, env: dict[str, str]) -> Iterator["Popen[str]"]:
    """The command as a process that is ended with the context."""
    process = Popen([_BIN + "/livetape", *arguments], env=env, stdout=PIPE, stderr=PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def line_with(process: "Popen[str]", part: str, *, of_stderr: bool = False) -> str:
    """The next line of output that has ``part`` in it."""
    stream = process.stderr if of_stderr else process.stdout
    assert stream is not None
    for line in stream:
        if part in line:
            return line.strip()
    raise AssertionError(f"no {part!r} before the end")


def problem(arguments: list[str], directory: Path, env: dict[str, str], *, silent: bool) -> str:
    """What is wrong with a command that should end well and, unless ``silent`` may be, say something."""
    try:
        done = subprocess.run(
            arguments, cwd=directory, env=env, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {PATIENCE_S} s"
    if done.returncode or "Traceback" in done.stderr:
        return f"exit code {done.returncode}\n{done.stderr}"
    return "" if done.stdout or silent else "it printed nothing"


class User:
    """Somebody who types the blocks of one page, one after another, in a directory of their own."""

    def __init__(self, directory: Path, env: dict[str, str], gateway: str) -> None:
        self.directory, self._env, self._gateway = directory, env, gateway
        self._programs = 0

    def follow(self, block: Block) -> Iterator[str]:
        """Save the block, run its commands, or run it as a program; what went wrong."""
        if block.file:
            (self.directory / block.file).write_text(block.text)
        if block.language == "sh" and "no-run" not in block.words:
            for command in commands(block):
                if said := self._type(command):
                    yield f"{command}\n{said}"
        elif block.language == "python" and (said := self._run_program(block)):
            yield said

    def _type(self, command: str) -> str:
        word, _, rest = command.partition(" ")
        if word == "livetape":
            command = shortened(command).replace(DOCUMENTED_GATEWAY, self._gateway)
            return problem(["sh", "-c", command], self.directory, self._env, silent=True)
        if word == "make":
            target = rest.split()[0]
            known = re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            return "" if known else "there is no such target"
        return "" if word in NOT_OURS else "this test does not know how to try that"

    def _run_program(self, block: Block) -> str:
        self._programs += 1
        name = block.file or f"program{self._programs}.py"
        (self.directory / name).write_text(block.text.replace(DOCUMENTED_GATEWAY, self._gateway))
        arguments = [sys.executable, "-c", _DRIVER, name]
        return problem(arguments, self.directory, self._env, silent="print(" not in block.text)


def shortened(command: str) -> str:
    """``command`` for a moment only, and on ports that are free."""
    command = re.sub(r"--duration [\d.]+", f"--duration {SECONDS}", command)
    command = re.sub(r"--port \d+", "--port 0", command)
    if re.match(r"livetape (up|demo)\b", command) and "--port" not in command:
        command += " --port 0"
    return command.replace("ws://127.0.0.1:9400", "$LIVETAPE_KRAKEN_WS_URL")
