"""``livetape symbols`` against simulated vendors, and the lists that it keeps."""

import json
import stat
from pathlib import Path
from typing import Any

from ..vendors import packaged, vendor
from .running import livetape

NOBODY = "ws://127.0.0.1:9"
DAY_NS = 24 * 3_600 * 10**9
ADAPTER = """
from livetape.adapters.kraken import Kraken

class Acme(Kraken):
    venue = "acme"
    key_names = ("ACME_KEY",)
"""


async def symbols(*arguments: str, cache: Path, **env: str) -> tuple[list[dict[str, Any]], str, int]:
    """The instruments that are printed, what is said beside, and the exit code."""
    out, err, code = await livetape("symbols", *arguments, "--json", env=env | {"LIVETAPE_CACHE": str(cache)})
    return [json.loads(line) for line in out.splitlines()], err, code


def kept(cache: Path) -> Path:
    [file] = (cache / "symbols").iterdir()
    return file


async def test_instruments_are_found_by_what_people_type(tmp_path: Path) -> None:
    async with vendor("kraken") as kraken, vendor("gemini") as gemini:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url, "LIVETAPE_GEMINI_WS_URL": gemini.ws_url}
        for text in ("btcusd", "XBT/USD", "dollar bitcoin", "bitcon"):
            found, _, code = await symbols(
                text, "--venue", "kraken", "--venue", "gemini", cache=tmp_path, **env
            )
            assert code == 0
            assert [(each["venue"], each["symbol"]) for each in found[:2]] == [
                ("kraken", "BTC-USD"),
                ("gemini", "BTC-USD"),
            ], text
            assert set(found[0]) == {"venue", "symbol", "native", "name", "asset"}
        [one], _, _ = await symbols("btc", "--venue", "Kraken", "--limit", "1", cache=tmp_path, **env)
        assert (one["symbol"], one["native"]) == ("BTC-USD", "XBT/USD")
        none, _, code = await symbols("zzzzz", "--venue", "kraken", cache=tmp_path, **env)
        assert (none, code) == ([], 0)


async def test_without_a_query_all_are_listed(tmp_path: Path) -> None:
    async with vendor() as kraken:
        listed = {instrument.symbol for instrument in kraken.market.instruments()}
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url, "LIVETAPE_CACHE": str(tmp_path)}
        found, _, _ = await symbols("--venue", "kraken", cache=tmp_path, **env)
        out, err, code = await livetape("symbols", "--venue", "kraken", env=env)
    assert {each["symbol"] for each in found} == listed
    assert all(symbol in out for symbol in listed)
    assert f"kraken: {len(listed)} symbols, listed 0 h ago" in err
    assert code == 0


async def test_a_list_is_kept_for_a_day_and_longer_when_the_vendor_cannot_be_asked(tmp_path: Path) -> None:
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        first, _, _ = await symbols("--venue", "kraken", cache=tmp_path, **env)
    file = kept(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    found, err, code = await symbols("--venue", "kraken", cache=tmp_path, **env)
    assert (found, err, code) == (first, "", 0)  # nobody was asked

    found, err, code = await symbols("--venue", "kraken", "--refresh", cache=tmp_path, **env)
    assert (found, code) == (first, 0)
    assert "is used" in err

    body = json.loads(file.read_text())
    file.write_text(json.dumps(body | {"fetched_ns": body["fetched_ns"] - DAY_NS}))
    found, err, code = await symbols("--venue", "kraken", cache=tmp_path, **env)
    assert (found, code) == (first, 0)
    assert "is used" in err


async def test_a_list_is_asked_for_again_when_it_is_old_or_damaged_or_on_demand(tmp_path: Path) -> None:
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        await symbols("--venue", "kraken", cache=tmp_path, **env)
        file = kept(tmp_path)
        whole = json.loads(file.read_text())
        outdated = whole | {"instruments": whole["instruments"][:1]}
        aged = outdated | {"fetched_ns": whole["fetched_ns"] - DAY_NS}
        for body, options in ((aged, []), (outdated, ["--refresh"]), ({"fetched_ns": "?"}, [])):
            file.write_text(json.dumps(body))
            found, _, _ = await symbols("--venue", "kraken", *options, cache=tmp_path, **env)
            assert len(found) == len(whole["instruments"])
            assert json.loads(kept(tmp_path).read_text())["instruments"] == whole["instruments"]


async def test_a_list_that_cannot_be_kept_is_used(tmp_path: Path) -> None:
    (tmp_path / "symbols").write_text("in the way")
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url}
        found, err, code = await symbols("btc", "--venue", "kraken", cache=tmp_path, **env)
    assert found and code == 0
    assert "is not kept" in err


async def test_no_list_at_all_is_exit_code_4(tmp_path: Path) -> None:
    found, err, code = await symbols(
        "btc", "--venue", "kraken", cache=tmp_path, LIVETAPE_KRAKEN_WS_URL=NOBODY
    )
    assert (found, code, "Traceback" in err) == ([], 4, False)
    assert err.count("livetape: kraken: ") == 1


async def test_a_venue_that_does_not_exist_names_its_neighbour(tmp_path: Path) -> None:
    _, err, code = await symbols("btc", "--venue", "krakn", cache=tmp_path)
    assert (err, code) == ("livetape: unknown venue 'krakn'; did you mean kraken or kraken_futures?\n", 2)


async def test_a_venue_without_its_key_does_not_hide_the_others(tmp_path: Path) -> None:
    packaged(tmp_path, "acme", ADAPTER)
    async with vendor() as kraken:
        env = {"LIVETAPE_KRAKEN_WS_URL": kraken.ws_url, "PYTHONPATH": str(tmp_path)}
        wanted = ("btcusd", "--venue", "acme", "--venue", "kraken")
        found, err, code = await symbols(*wanted, cache=tmp_path / "cache", **env)
    assert ([each["venue"] for each in found], code) == (["kraken"], 0)
    [sentence] = err.splitlines()
    assert sentence.startswith("livetape: acme: needs a key: set ACME_KEY")
