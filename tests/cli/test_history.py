"""``livetape history``, ``bars``, ``book`` and ``sql`` as a user types them."""

import asyncio
import csv
import io
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import json

from livetape.core.events import BookUpdate, Trade
from livetape.core.times import SECOND
from livetape.store.plan import Rules
from livetape.store.upkeep import keep_up

from ..store.tape import written
from .running import finish, livetape, start

T0 = 1_795_253_400 * SECOND  #: 2026-11-21 09:30 UTC
NAME = "kraken:BTC-USD/trade"
BOOK = "kraken:BTC-USD/book"


@pytest.fixture(params=["hot", "sealed"])
def tape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    trades = [
        Trade(NAME, ns, f"{96_800 + i}.10", "0.50", "buy", str(i), recv_ns=ns, seq=i)
        for i, ns in enumerate(range(T0, T0 + 100 * SECOND, SECOND))
    ]
    bids, asks = [("96800.10", "1"), ("96800.00", "2.0")], [("96801.0", "3")]
    book = BookUpdate(BOOK, T0, True, bids, asks, recv_ns=T0, session=1)
    written(tmp_path / "tape", *trades, book)
    if request.param == "sealed":
        keep_up(tmp_path / "tape", Rules())
    return tmp_path


async def test_history_as_json_is_the_events_with_the_venues_numbers(tape: Path) -> None:
    out, err, code = await livetape("history", NAME, "--last", "2", "--format", "json", cwd=tape)
    assert (err, code) == ("", 0)
    assert '"price":96899.10,"size":0.50' in out
    assert [json.decode(line)["id"] for line in out.splitlines()] == ["98", "99"]


async def test_history_as_a_table_shows_what_differs(tape: Path) -> None:
    out, err, code = await livetape("history", NAME, "--last", "1", cwd=tape)
    assert (err, code) == ("", 0)
    head, row = out.splitlines()
    assert head.split() == ["recv", "ts", "price", "size", "side", "id"]
    assert row.split()[-4:] == ["96899.10", "0.50", "buy", "99"]


async def test_times_choose_what_comes(tape: Path) -> None:
    times = ("--from", "2026-11-21T09:30:10Z", "--to", "2026-11-21T10:30:20+01:00")
    out, err, code = await livetape("history", NAME, *times, "--format", "csv", cwd=tape)
    assert (err, code) == ("", 0)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["id"] for row in rows] == [str(i) for i in range(10, 20)]
    assert (rows[0]["price"], rows[0]["ts"]) == ("96810.10", "2026-11-21 09:30:10.000000000Z")


async def test_files_are_written_in_every_format(tape: Path) -> None:
    for form in ("table", "csv", "json", "parquet", "arrow"):
        arguments = ("history", NAME, "--format", form, "-o", f"trades.{form}")
        assert await livetape(*arguments, cwd=tape) == ("", "", 0)
    assert pq.read_table(tape / "trades.parquet")["price"][0].as_py() == 96_800.1
    with pa.ipc.open_stream(str(tape / "trades.arrow")) as stream:
        rows = stream.read_all()
    assert rows["recv"].type == pa.timestamp("ns", "UTC")
    assert rows.num_rows == len((tape / "trades.json").read_text().splitlines()) == 100


async def test_bars_are_made_of_trades(tape: Path) -> None:
    out, err, code = await livetape(
        "bars", "kraken:BTC-USD", "--interval", "1m", "--format", "json", cwd=tape
    )
    assert (err, code) == ("", 0)
    first, last = map(json.decode, out.splitlines())
    assert (first["start"], first["interval"], first["trades"]) == (T0, "1m", 60)
    assert '"open":96800.10,"high":96859.10,"low":96800.10,"close":96859.10,"volume":30.00' in out
    assert last["channel"] == "kraken:BTC-USD/bar.1m"


async def test_a_book_is_shown_as_it_stood(tape: Path) -> None:
    out, err, code = await livetape("book", BOOK, "--at", "2026-11-21T09:30:00Z", cwd=tape)
    assert (err, code) == ("", 0)
    assert [line.split() for line in out.splitlines()][1:] == [
        ["bid", "96800.10", "1"],
        ["bid", "96800.00", "2.0"],
        ["ask", "96801.0", "3"],
    ]
    out, err, code = await livetape("book", BOOK, "--depth", "1", "--format", "json", cwd=tape)
    assert '"bids":[[96800.10,1]],"asks":[[96801.0,3]]' in out


async def test_sql_is_answered(tape: Path) -> None:
    query = "SELECT symbol, count(*) AS n, max(price_text) AS most FROM trades GROUP BY symbol"
    assert await livetape("sql", query, cwd=tape) == (
        "symbol   n    most\nBTC-USD  100  96899.10\n",
        "",
        0,
    )
    out, _, _ = await livetape("sql", query, "--format", "json", cwd=tape)
    assert json.decode(out) == {"symbol": "BTC-USD", "n": 100, "most": "96899.10"}


async def test_a_symbol_is_enough_to_name_its_book(tape: Path) -> None:
    assert await livetape("book", "kraken:BTC-USD", cwd=tape) == await livetape("book", BOOK, cwd=tape)


async def test_it_is_said_when_there_is_nothing(tape: Path) -> None:
    assert await livetape("history", NAME, "--from", "2030-01-01", "--format", "json", cwd=tape) == (
        "",
        "nothing was found\n",
        0,
    )


async def test_ctrl_c_ends_a_long_query(tape: Path) -> None:
    numbers = ", ".join(f"range(1000000) AS t{i}(n{i})" for i in range(3))
    process = await start("sql", f"SELECT count(*) FROM {numbers} WHERE n0 * n1 % 7 = sqrt(n2)", cwd=tape)
    await asyncio.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err, code = await finish(process)
    assert (out, err) == ("", "") and code in (-signal.SIGINT, 130)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("history", "kraken:BTC-USD/quote"), 2, "did you mean kraken:BTC-USD/trade"),
        (("history", NAME, "--from", "yesterday"), 2, "'yesterday' is not a time; for example 2026-"),
        (("history", NAME, "--store", "nosuch"), 6, "no recorded tape"),
        (("history", NAME, "-o", "nosuch/x"), 2, "nosuch/x: cannot be written: No such file"),
        (("bars", "kraken:BTC-USD", "--interval", "5"), 2, "'5' is not a duration"),
        (("book", BOOK, "--at", "2020-01-01"), 2, "no book had been received by 2020-01-01"),
        (("sql", "SELECT nothing"), 2, 'Referenced column "nothing"'),
        (("export", NAME, "-o", "nosuch/x.csv"), 2, "nosuch: there is no such directory"),
        (("export", NAME, "-o", "x.csv", "--store", "nosuch"), 6, "no recorded tape"),
        (("rebuild", "nosuch", "--from-raw"), 6, "no recorded tape"),
    ],
)
async def test_a_mistake_is_explained(tape: Path, arguments: tuple[str, ...], code: int, part: str) -> None:
    out, err, returned = await livetape(*arguments, cwd=tape)
    assert (out, returned) == ("", code), err
    assert part in err and "Traceback" not in err


def test_what_a_query_does_not_need_is_not_loaded(tape: Path) -> None:
    for arguments in (
        ["history", NAME],
        ["history", NAME, "--format", "json"],
        ["bars", NAME],
        ["book", BOOK],
    ):
        program = f"""
import sys
sys.argv = ["livetape", *{arguments!r}, "--store", {str(tape / "tape")!r}]
from livetape.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
assert not {{"duckdb", "polars", "pandas", "matplotlib", "aiohttp"}} & {{*sys.modules}}
"""
        subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


async def test_damage_is_told_as_such(tape: Path) -> None:
    store = tape / "tape"
    for file in store.glob("trades/**/*.parquet"):
        whole = bytearray(file.read_bytes())
        whole[20] ^= 1
        file.write_bytes(whole)
        _, err, code = await livetape("history", NAME, cwd=tape)
        assert code == 5
        assert "livetape rebuild mends it" in err
        (store / "catalog.sqlite").unlink()
        for command in (("history", NAME), ("verify", "tape"), ("backup", "tape", "copy")):
            out, err, code = await livetape(*command, cwd=tape)
            assert (code, "livetape rebuild --catalog makes it again" in out + err) == (5, True)


async def test_a_directory_that_is_no_tape_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tape").mkdir()
    _, err, code = await livetape("gaps", "--store", "tape", cwd=tmp_path)
    assert (code, "no recorded tape" in err) == (6, True)
    assert not list((tmp_path / "tape").iterdir())


async def test_a_directory_is_no_file_to_import(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    arguments = ("import", "some", "--store", "tape", "--as", NAME, "--format", "csv")
    _, err, code = await livetape(*arguments, cwd=tmp_path)
    assert (code, "some" in err, "Traceback" in err) == (2, True, False)
