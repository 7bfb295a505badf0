"""Looks after a store while it is recorded, in a process of its own, so that nobody waits (floor 3)."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import DecodeError, json

from ..core.errors import StoreError
from .plan import Rules
from .upkeep import is_due

SOON_S, LOOK_S, FAILED_S = 5.0, 60.0, 600.0  #: when it is looked first, how often, and after a failure
_NICE = 10
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}
_log = logging.getLogger("livetape.store")


class Attendant:
    """Runs ``livetape compact`` whenever there is something to do for the store in ``directory``.

    ``settings`` are the configuration that ``rules`` come from, as the command line takes it. What goes wrong
    is logged.
    """

    def __init__(self, directory: str | Path, rules: Rules, settings: Sequence[str]) -> None:
        self._directory, self._rules = Path(directory), rules
        chosen = [word for setting in settings for word in ("--set", setting)]
        told = ("--log-json", "compact", str(directory), "--closed-only", *chosen)
        self._command = [sys.executable, "-m", "livetape", *told]
        self._wanted, self._stopping = threading.Event(), False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._attend, name="livetape-attendant", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look now: a segment was closed."""
        self._wanted.set()

    def close(self) -> None:
        """End, also what is at work: the next one goes on with it."""
        self._stopping = True
        self._wanted.set()
        if (process := self._process) is not None:
            process.terminate()
        if self._thread.is_alive():
            self._thread.join()

    def _attend(self) -> None:
        wait_s = SOON_S
        while not self._stopping:
            self._wanted.wait(wait_s)
            self._wanted.clear()
            if not self._stopping:
                wait_s = LOOK_S if self._look() else FAILED_S

    def _look(self) -> bool:
        try:
            return not is_due(self._directory, self._rules) or self._run()
        except (StoreError, OSError) as error:
            _log.error("%s: no upkeep: %s", self._directory, error)
            return False

    def _run(self) -> bool:
        quiet, pipe = subprocess.DEVNULL, subprocess.PIPE
        # Not in our group: a Ctrl-C on the terminal is for us.
        process = subprocess.Popen(self._command, stdin=quiet, stdout=quiet, stderr=pipe, process_group=0)
        self._process = process
        with process:
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
            if self._stopping:
                process.terminate()
            assert process.stderr is not None
            for line in process.stderr:
                _relay(line)
        self._process = None
        return process.returncode == 0


def _relay(line: bytes) -> None:
    """Log what the process has logged; whatever else it says is an error."""
    with suppress(DecodeError):
        told = json.decode(line, type=dict[str, str])
        _log.log(_LEVELS.get(told["level"], logging.INFO), "%s", told["message"])
        return
    _log.error("upkeep: %s", line.decode(errors="replace").strip())
