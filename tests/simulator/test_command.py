"""``livetape simulate`` as a process, and ``livetape watch`` on what it prints."""

import re
from collections import Counter
from pathlib import Path

from msgspec import json

from ..cli.running import finish, livetape, start

EXPORT = re.compile(r"export (LIVETAPE_(?:KRAKEN|GEMINI)_WS_URL)=(ws://127\.0\.0\.1:\d+)\n").fullmatch


async def test_what_simulate_prints_is_all_that_watch_needs(tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    vendors = await start("simulate", "kraken", "gemini", "--port", "0", "--ledger", str(ledger))
    assert vendors.stdout is not None
    exports = [EXPORT((await vendors.stdout.readline()).decode()) for _ in range(2)]
    env = {export[1]: export[2] for export in exports if export}
    assert len(set(env.values())) == 2
    lines, errors, ended = await livetape("watch", "kraken:BTC-USD", "--json", "--count", "20", env=env)
    vendors.terminate()
    out, _, code = await finish(vendors)
    assert (out, code) == ("", 0)
    events = [json.decode(line) for line in lines.splitlines()]
    data = [event for event in events if event["type"] in ("trade", "book")]
    assert (len(data), errors, ended) == (20, "", 0)
    assert {event["trust"] for event in events if event["type"] == "book"} == {"verified"}
    sent = Counter(json.decode(line)["channel"] for line in ledger.read_bytes().splitlines())
    assert sent.keys() == {"kraken:BTC-USD/trade", "kraken:BTC-USD/book"}
    assert sent >= Counter(event["channel"] for event in events if event["type"] in ("trade", "book"))


async def test_simulate_ends_by_itself() -> None:
    out, _, code = await livetape("simulate", "kraken", "gemini", "--port", "0", "--duration", "0.3")
    assert [bool(EXPORT(line)) for line in out.splitlines(keepends=True)] == [True, True]
    assert code == 0
