"""Seals, compacts and removes in children that it kills at any moment, until its input ends.

python -m tests.store.torture.caretaker DIRECTORY SEED RAW_BYTES

At the end it prints how many children it had, and how many of them were killed.
"""

import gc
import os
import random
import select
import signal
import sys
import time
import traceback
from pathlib import Path

import pyarrow as pa

from livetape.store import compact, seal
from livetape.store.plan import Keep, Rules
from livetape.store.upkeep import keep_up

WITH_ALL = (compact, seal)  # what is imported here need not be by the children


def main(directory: Path, seed: int, raw_bytes: int) -> None:
    pa.set_cpu_count(1)
    gc.freeze()
    chance = random.Random(seed)
    rules = Rules(keep={"raw": Keep(bytes=raw_bytes)})
    children = killed = 0
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        if not (child := os.fork()):
            _care(directory, rules)
        children += 1
        killed += _killed(child, time.monotonic() + chance.expovariate(1 / 0.3))
    print(children, killed, flush=True)


def _care(directory: Path, rules: Rules) -> None:
    code = 1
    try:
        keep_up(directory, rules)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _killed(child: int, at_s: float) -> bool:
    """Wait for ``child``, and kill it when it is still at work then; whether it was. It must not fail."""
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > at_s:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.002)
    assert ended[1] == 0, "it failed"
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
