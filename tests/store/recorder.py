"""Records 5,000 rows a second into a directory, half of them raw, until it is killed.

python recorder.py DIRECTORY
"""

import sys
import time

from livetape.core.events import Trade
from livetape.core.raw import Direction, RawRecord
from livetape.store.journal import Journal


def main() -> None:
    print("begins", flush=True)
    journal = Journal(sys.argv[1])
    print("records", flush=True)
    began, n = time.monotonic(), 0
    while True:
        while n < (time.monotonic() - began) * 2_500:
            ns = time.time_ns()
            journal.record(Trade("a:B-C/trade", ns, f"{n}.50", "1e-8", None, str(n), n, recv_ns=ns))
            journal.tap(RawRecord(1, ns, Direction.IN, str(n).encode() * (n % 200), str(n)))
            n += 1
        time.sleep(0.001)


if __name__ == "__main__":
    main()
