"""Runs what the documentation tells people to type, against simulated vendors, in little time.

Each command and program is a process of its own, forked from one that has imported livetape already: to
import it takes longer than most of them run. How the script ``livetape`` starts is for ``tests/cli`` to test.
"""

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, set_start_method
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from livetape.adapters import find, venues

from .markdown import ROOT, Block, commands

PATIENCE_S = 20
SECONDS = "2.5"  #: instead of a longer ``--duration``
DOCUMENTED_GATEWAY = "127.0.0.1:8765"
#: What may stand in a shell block and is not run: it is about this machine, or run as a block of its own.
NOT_OURS = ("export", "python", "cd", "git", "pip")
_BIN = str(Path(sys.executable).parent)
_forks = get_context("forkserver")
_forks.set_forkserver_preload(
    ["livetape.stream", "livetape.cli.commands", "livetape.cli.demo", "matplotlib.font_manager", __name__]
)


def environment(home: Path) -> dict[str, str]:
    """The environment of a user at ``home`` who has no keys, with the ``livetape`` of this interpreter."""
    keys = {name for venue in venues() for name in find(venue).key_names}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LIVETAPE_") and name not in keys
    }
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


class User:
    """Somebody who types the blocks of one page, one after another, in a directory of their own."""

    def __init__(self, directory: Path, env: dict[str, str], gateway: str) -> None:
        self._directory, self._env, self._gateway = directory, env, gateway
        self._tried = 0

    def follow(self, block: Block) -> Iterator[str]:
        """Save the block, run its commands, or run it as a program; what went wrong."""
        if block.file:
            (self._directory / block.file).write_text(block.text)
        if "no-run" in block.words:
            return
        if block.language == "sh":
            for command in commands(block):
                if said := self._type(command):
                    yield f"{command}\n{said}"
        elif block.language == "python":
            self._tried += 1
            name = block.file or f"program{self._tried}.py"
            (self._directory / name).write_text(block.text.replace(DOCUMENTED_GATEWAY, self._gateway))
            if said := self._problem(_program, name, silent="print(" not in block.text):
                yield said

    def run(self, program: Path, *arguments: str) -> str:
        """What is wrong with a program that ends by itself."""
        return self._problem(_program, str(program), *arguments, silent=False)

    def _type(self, command: str) -> str:
        word, *rest = shlex.split(command, comments=True)
        if word == "livetape" and {"|", ">"} & set(rest):
            done = subprocess.run(
                ["sh", "-c", shortened(command)],
                cwd=self._directory,
                env=self._env,
                capture_output=True,
                timeout=PATIENCE_S,
            )
            silent = not done.stdout and ">" not in rest
            return done.stderr.decode() if b"Traceback" in done.stderr or silent else ""
        if word == "livetape":
            short = shortened(command).replace(DOCUMENTED_GATEWAY, self._gateway)
            short = short.replace("ws://127.0.0.1:9400", self._env["LIVETAPE_KRAKEN_WS_URL"])
            return self._problem(_command, *shlex.split(short, comments=True), silent=True)
        if word == "chmod":
            done = subprocess.run([word, *rest], cwd=self._directory, capture_output=True)
            return done.stderr.decode()
        if word == "make":
            known = re.search(rf"^{re.escape(rest[0])}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            return "" if known else "there is no such target"
        return "" if word in NOT_OURS else "this test does not know how to try that"

    def _problem(self, target: Callable[..., None], *arguments: str, silent: bool) -> str:
        """What is wrong with a process that should end well and, unless ``silent`` may be, say something."""
        self._tried += 1
        out, err = (self._directory / f"{self._tried}.{name}" for name in ("stdout", "stderr"))
        where = (str(self._directory), self._env, str(out), str(err))
        process: Any = _forks.Process(target=_child, args=(target, arguments, *where))
        process.start()
        process.join(PATIENCE_S)
        if process.is_alive():
            process.kill()
            return f"it did not end within {PATIENCE_S} s\n{err.read_text()}"
        if process.exitcode or "Traceback" in err.read_text():
            return f"exit code {process.exitcode}\n{err.read_text()}"
        return "" if silent or out.read_text() else "it printed nothing"


def shortened(command: str) -> str:
    """``command`` for a moment only, and on ports that are free."""
    command = re.sub(r"--duration [\d.]+", f"--duration {SECONDS}", command)
    command = re.sub(r"--port \d+", "--port 0", command)
    if re.match(r"livetape (up|demo)\b", command) and "--port" not in command:
        command += " --port 0"
    return command


# In the process of its own


def _child(
    target: Callable[..., None],
    arguments: tuple[str, ...],
    directory: str,
    env: dict[str, str],
    out: str,
    err: str,
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    for path, fd in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
    target(*arguments)
    for thread in threading.enumerate():  # as at the end of a program, while the parts of a pool are there
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _command(*arguments: str) -> None:
    """The command line, as its script starts it."""
    from livetape.cli import main

    sys.argv = list(arguments)
    main()


def _program(path: str, *arguments: str) -> None:
    """A program, which may have no end of its own: soon after its first output its streams are stopped."""
    from livetape import Stream

    said, write = threading.Event(), sys.stdout.write

    def noticed(text: str) -> int:
        said.set()
        return write(text)

    def end() -> None:
        until_s = time.monotonic() + PATIENCE_S / 2
        while not (said.wait(0.1) or os.fstat(1).st_size or time.monotonic() > until_s):
            pass  # what a pool's processes say is in the file only
        while not arguments:
            time.sleep(0.3)
            for thing in list(names.values()):
                if isinstance(thing, Stream):
                    thing.stop()

    sys.stdout.write = noticed  # type: ignore[method-assign]
    sys.argv, sys.path[0] = [path, *arguments], os.getcwd()
    set_start_method(None, force=True)  # as in a program that nobody forked
    names: dict[str, Any] = {"__name__": "__main__", "__doc__": ""}
    threading.Thread(target=end, daemon=True).start()
    exec(compile(Path(path).read_text(), path, "exec"), names)
    for name, thing in list(names.items()):
        if name.startswith("test_"):
            thing()
