"""The virtual environments of the vendors' clients: each of its own, made when it is first asked for.

They lie in ``.venv-interop`` of the project, or where ``LIVETAPE_INTEROP`` says. Run as a program, this makes
all of them. One that was made of other requirements, or by another Python, is made anew.
"""

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

ROOT = Path(os.environ.get("LIVETAPE_INTEROP") or Path(__file__).parents[2] / ".venv-interop")


@dataclass(frozen=True)
class Environment:
    """``bare`` requirements are installed without what they say they need."""

    name: str
    requirements: tuple[str, ...]
    bare: tuple[str, ...] = ()

    def python(self) -> Path:
        """Its interpreter. Waits for whoever else is making it."""
        home = ROOT / self.name
        made, wanted = home / "made-of", self._digest()
        ROOT.mkdir(parents=True, exist_ok=True)
        with (ROOT / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists() or made.read_text() != wanted:
                self._make(home)
                made.write_text(wanted)
        return home / "bin" / "python"

    def _digest(self) -> str:
        return sha256(repr((self.requirements, self.bare, sys.version_info)).encode()).hexdigest()

    def _make(self, home: Path) -> None:
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        pip = (str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, *self.requirements)
        if self.bare:
            _run(*pip, "--no-deps", *self.bare)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


ARTICLE = Environment("article", ("websocket-client", "websockets", "requests"))
FINNHUB = Environment("finnhub", ("finnhub-python", "websocket-client"))
ALPACA_PY = Environment("alpaca-py", ("alpaca-py>=0.44",))
ALPACA_LEGACY = Environment(
    "alpaca-legacy",
    ("websockets==10.4", "websocket-client<1", "urllib3<2", "requests", "pandas", "numpy"),
    bare=("alpaca-trade-api==0.53.0",),
)
ALL = (ARTICLE, FINNHUB, ALPACA_PY, ALPACA_LEGACY)

if __name__ == "__main__":
    for environment in ALL:
        print(environment.python())
