"""A PostgreSQL server of one's own on the loopback, for ``tape.py``."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT
from subprocess import DEVNULL, Popen, run
from tempfile import TemporaryDirectory
from time import sleep
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
START_S = 30


class Postgres(NamedTuple):
    """A server that runs."""

    pid: int
    port: int
    version: str

    def cpu_s(self) -> float:
        """CPU seconds of all its processes so far, those that have ended included."""
        tree = [stat for stat in map(_stat, Path("/proc").glob("[0-9]*")) if stat]
        own = [stat for stat in tree if stat[0] == str(self.pid)]
        children = [stat for stat in tree if stat[3] == str(self.pid)]
        spent = sum(int(n) for stat in (*own, *children) for n in stat[13:15])
        return (spent + sum(int(n) for stat in own for n in stat[15:17])) / TICKS


def _stat(process: Path) -> list[str]:
    """The fields of a process, numbered as in proc(5) but from 0; none when it has just ended."""
    with suppress(OSError):
        before, _, after = (process / "stat").read_text().rpartition(")")
        pid, _, name = before.partition(" ")
        return [pid, name, *after.split()]
    return []


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server with its default settings until the end. Raises LookupError when there is none."""
    binaries = _binaries()
    with TemporaryDirectory() as directory:
        user = None
        if os.getuid() == 0:  # the server refuses to be root
            user = "postgres"
            shutil.chown(directory, user)
        data = Path(directory) / "data"
        made = run(
            [binaries / "initdb", "-D", data, "-U", "bench", "-A", "trust"],
            user=user,
            cwd=directory,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise LookupError(f"initdb: {made.stderr.strip()}")
        port = _free_port()
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        version = run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        server = Popen(
            [binaries / "postgres", "-D", data, *settings],
            user=user,
            cwd=directory,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            _await(port)
            yield Postgres(server.pid, port, version.split()[2])
        finally:
            server.send_signal(SIGINT)  # end at once, but properly
            server.wait()


def _binaries() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        raise LookupError("PostgreSQL's server is not installed")
    return places[0]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await(port: int) -> None:
    for _ in range(START_S * 20):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        sleep(0.05)
    raise LookupError("PostgreSQL's server does not start")
