"""``livetape plot`` as a user types it."""

from pathlib import Path

import pytest

from livetape.core.events import Trade
from livetape.core.times import SECOND

from ..store.tape import written
from .running import livetape

T0 = 1_795_253_400_000_000_000  #: 2026-11-21 09:30 UTC


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    trades = [
        Trade("kraken:BTC-USD/trade", ns, f"{96_800 + i}", "1", "buy", str(i), recv_ns=ns)
        for i, ns in enumerate(range(T0, T0 + 100 * SECOND, SECOND))
    ]
    written(tmp_path / "tape", *trades)
    return tmp_path


async def test_a_channel_becomes_a_file_whose_name_is_printed(tape: Path) -> None:
    out, err, code = await livetape("plot", "kraken:BTC-USD/trade", cwd=tape)
    assert (out, err, code) == ("kraken-BTC-USD-trade.png\n", "", 0)
    assert (tape / "kraken-BTC-USD-trade.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "2026-11-21T09:30:10Z", "--to", "2026-11-21T10:30:20+01:00"], "10 trades"),
        (["--from", "2026-11-21T09:30:10", "--last", ""], "90 trades"),
        (["--last", "20s"], "21 trades"),
        (["--style", "candle", "--interval", "10s"], "100 trades, 10 candles of 10s"),
    ],
)
async def test_the_options_choose_what_is_drawn(tape: Path, options: list[str], said: str) -> None:
    arguments = ["kraken:BTC-USD/trade", "--store", str(tape / "tape"), "-o", "chart.svg"]
    _, err, code = await livetape("plot", *arguments, *options, cwd=tape)
    assert (err, code) == ("", 0)
    assert said in (tape / "chart.svg").read_text()


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (["--style", "depth"], 2, "did you mean line or candle?"),
        (["--from", "yesterday"], 2, "'yesterday' is not a time; for example 2026-"),
        (["--last", "5"], 2, "'5' is not a duration; for example 5m"),
        (["--last", "5m", "--from", "2026-11-21"], 2, "--from and --last"),
        (["-o", "chart.jpg"], 2, "chart.png or chart.svg"),
        (["--store", "nosuch"], 6, "no recorded tape"),
    ],
)
async def test_a_mistake_is_explained_in_one_line(
    tape: Path, options: list[str], code: int, part: str
) -> None:
    _, err, returned = await livetape("plot", "kraken:BTC-USD/trade", *options, cwd=tape)
    assert (returned, err.count("\n")) == (code, 1), err
    assert part in err
