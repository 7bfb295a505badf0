"""``livetape doctor``, and ``watch`` beside it: one sentence says what is wrong, never with the key."""

import json
import ssl
from asyncio import StreamReader, StreamWriter, start_server
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from livetape.adapters import find
from livetape.cli.simulate import make_vendor
from livetape.simulator.server import Vendor

from ..live import live
from ..proxies import Proxy
from .running import livetape

KEY, SECRET = "k3y/that+is=shown?nowhere", "s3cret/that+is=shown?nowhere"
CHECKS = (
    *("configuration", "proxy", "dns", "tcp", "tls", "rest", "clock", "limits", "websocket", "login"),
    "subscription",
)
Finding = dict[str, str]


@asynccontextmanager
async def vendor(venue: str, *faults: str) -> AsyncIterator[Vendor]:
    key = ":".join((KEY, SECRET)[: max(1, len(find(venue).key_names))])
    async with make_vendor(venue, 7, 5.0, faults=faults, keys=[key]).serving() as serving:
        yield serving


def reaching(*vendors: Vendor) -> dict[str, str]:
    """The environment of somebody who has these vendors and good keys for them, and no proxy."""
    env = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "")
    for each in vendors:
        env[f"LIVETAPE_{each.venue.upper()}_WS_URL"] = each.ws_url
        env |= dict(zip(find(each.venue).key_names, (KEY, SECRET), strict=False))
    return env


async def doctor(*arguments: str, env: dict[str, str], cwd: Path) -> tuple[list[Finding], int]:
    """What it finds, and its exit code."""
    out, code = await told("doctor", *arguments, "--json", env=env, cwd=cwd)
    findings: list[Finding] = [json.loads(line) for line in out.splitlines() if line.startswith('{"venue"')]
    for finding in findings:
        assert finding["result"] in ("ok", "warning", "problem")
        assert bool(finding["remedy"]) == (finding["result"] != "ok"), finding
    assert bool(code) == any(finding["result"] == "problem" for finding in findings)
    return findings, code


async def told(*arguments: str, env: dict[str, str], cwd: Path) -> tuple[str, int]:
    """All that the command says anywhere, which is without secrets, and its exit code."""
    out, err, code = await livetape("--trace", "--log-file", "log", *arguments, env=env, cwd=cwd)
    said = out + err
    for kept in (said, (cwd / "log").read_text()):
        assert "nowhere" not in kept
        assert "Traceback" not in kept
    return said, code


def wrong(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding["result"] != "ok"]


@pytest.mark.parametrize("venue", ["kraken", "gemini", "finnhub", "alpaca", "itick"])
async def test_where_all_is_well_every_check_says_so(venue: str, tmp_path: Path) -> None:
    async with vendor(venue) as serving:
        findings, code = await doctor(venue, env=reaching(serving), cwd=tmp_path)
    assert (wrong(findings), code) == ([], 0)
    assert tuple(finding["check"] for finding in findings) == CHECKS


async def test_without_a_name_it_examines_what_is_configured(tmp_path: Path) -> None:
    async with vendor("kraken") as kraken, vendor("finnhub") as finnhub:
        env = reaching(kraken, finnhub)
        findings, _ = await doctor(env=env, cwd=tmp_path)
        assert {finding["venue"] for finding in findings} == {"kraken", "finnhub"}
        (tmp_path / "my.toml").write_text('sources = ["kraken:ETH-USD/trade", "kraken:BTC-USD/book"]')
        findings, _ = await doctor("kraken", "-c", "my.toml", env=env, cwd=tmp_path)
    tried = [finding["detail"].partition(": ")[0] for finding in findings[CHECKS.index("subscription") :]]
    assert tried == ["kraken:ETH-USD/trade", "kraken:BTC-USD/book"]


async def test_for_people_a_check_is_a_line(tmp_path: Path) -> None:
    async with vendor("kraken") as kraken:
        out, _, code = await livetape("doctor", "kraken:BTX-USD/book", env=reaching(kraken), cwd=tmp_path)
    *well, last = out.splitlines()
    assert all(line.split()[2] == "ok" for line in well)
    assert last.split()[:3] == ["kraken", "subscription", "problem"]
    assert last.endswith("; did you mean BTC-USD?")
    assert code == 2


FOUR = {
    "finnhub": ["AAPL/trade", "MSFT/trade", "BTC-USDT/trade", "EUR-USD/trade"],
    "alpaca": ["AAPL/quote", "MSFT/quote", "TSLA/quote", "NVDA/quote"],
    "itick": ["EUR-USD/quote", "GBP-USD/quote", "USD-JPY/quote", "AUD-USD/quote"],
}


@pytest.mark.parametrize(
    ("venue", "faults", "symbols", "check", "words", "codes"),
    [
        # a wrong or expired key
        ("finnhub", ["auth-reject"], ["AAPL/trade"], "rest", "check FINNHUB_API_KEY", (3, 3)),
        ("alpaca", ["auth-reject"], ["AAPL/trade"], "rest", "check APCA_API_KEY_ID and APCA_API_", (3, 3)),
        ("itick", ["auth-reject"], ["EUR-USD/trade"], "rest", "check ITICK_API_KEY", (3, 3)),
        # a plan that does not include it
        ("finnhub", ["plan=free"], ["AAPL/news"], "subscription", "the plan of FINNHUB_API_KEY", (3, 3)),
        # the 51st symbol, where the vendor says so
        ("finnhub", ["cap=3"], FOUR["finnhub"], "subscription", "add another key to FINNHUB", (3, 0)),
        (
            "alpaca",
            ["cap=3", "plan=basic"],
            FOUR["alpaca"],
            "subscription",
            "add another key to APCA",
            (3, 3),
        ),
        ("itick", ["cap=3"], FOUR["itick"], "subscription", "add another key to ITICK_API_KEY", (3, 0)),
        # an unknown symbol
        ("finnhub", [], ["APPL/trade"], "subscription", "did you mean AAPL", (2, 2)),
        ("kraken", [], ["BTX-USD/book"], "subscription", "did you mean BTC-USD", (2, 2)),
        ("gemini", [], ["BTX-USD/book"], "subscription", "did you mean BTC-USD", (2, 2)),
    ],
)
async def test_what_the_vendor_refuses_is_said_with_what_to_do(
    venue: str,
    faults: list[str],
    symbols: list[str],
    check: str,
    words: str,
    codes: tuple[int, int],
    tmp_path: Path,
) -> None:
    sources = [f"{venue}:{symbol}" for symbol in symbols]
    async with vendor(venue, *faults) as serving:
        env = reaching(serving)
        findings, code = await doctor(*sources, "--timeout", "3", env=env, cwd=tmp_path)
        first, *_ = wrong(findings)
        assert (first["check"], code) == (check, codes[0])
        assert words in first["remedy"]
        said, code = await told("watch", *sources, "--json", "--duration", "4", env=env, cwd=tmp_path)
    assert code == codes[1]
    assert [line for line in said.splitlines() if line.startswith("livetape: ") and words in line]


async def test_a_feed_that_the_plan_does_not_include_ends_the_login(tmp_path: Path) -> None:
    async with vendor("alpaca", "plan=basic") as serving:
        sip = ("alpaca:AAPL/quote", "--set", "venues.alpaca.options.feed=sip")
        findings, code = await doctor(*sip, env=reaching(serving), cwd=tmp_path)
        [last] = wrong(findings)
        assert (last["check"], code) == ("login", 3)
        assert "the plan of APCA_API_KEY_ID" in last["remedy"]
        said, code = await told("watch", *sip, "--duration", "4", env=reaching(serving), cwd=tmp_path)
    assert code == 3
    assert "the plan of APCA_API_KEY_ID" in said


@pytest.mark.parametrize(
    ("venue", "faults", "symbol", "code"),
    [
        ("finnhub", ["connections=reject_new"], "BTC-USDT", 4),  # it hangs up and does not say why
        ("finnhub", ["connections=reject_new", "goodbye=1008"], "BTC-USDT", 4),
        ("alpaca", ["connections=one"], "AAPL", 3),
        ("itick", ["sockets=1"], "EUR-USD", 3),
    ],
)
async def test_a_key_that_another_program_uses_is_suspected(
    venue: str, faults: list[str], symbol: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{venue}:{symbol}/trade"
    async with vendor(venue, *faults) as serving:
        env = reaching(serving)
        for name in find(venue).key_names:
            monkeypatch.setenv(name, env[name])
        async with live([source], venue, serving.ws_url) as other:
            await other.until(lambda: bool(other.trades))
            findings, found = await doctor(source, "--timeout", "3", env=env, cwd=tmp_path)
            assert found == code
            assert "or use another key in" in wrong(findings)[0]["remedy"]
            said, found = await told("watch", source, "--duration", "4", env=env, cwd=tmp_path)
            assert "or use another key in" in said, said
            assert found == code


@pytest.mark.parametrize(("venue", "symbol"), [("finnhub", "AAPL"), ("alpaca", "AAPL"), ("itick", "EUR-USD")])
async def test_quiet_is_a_warning_that_knows_the_hours(venue: str, symbol: str, tmp_path: Path) -> None:
    source = f"{venue}:{symbol}/trade"
    async with vendor(venue, "closed") as serving:
        findings, code = await doctor(source, "--timeout", "1", env=reaching(serving), cwd=tmp_path)
        [quiet] = wrong(findings)
        assert (quiet["check"], quiet["result"], code) == ("subscription", "warning", 0)
        assert "nothing within 1 s; the market is " in quiet["detail"]
        said, _ = await told("watch", source, "--duration", "18", env=reaching(serving), cwd=tmp_path)
        assert f"livetape: {source}: nothing yet; the market is " in said


async def test_more_than_the_vendors_limit_is_said_before_it_is_asked(tmp_path: Path) -> None:
    async with vendor("finnhub") as serving:
        limit = ("--set", "venues.finnhub.options.max_symbols=1")
        sources = ("finnhub:BTC-USDT/trade", "finnhub:ETH-USDT/trade", *limit)
        findings, code = await doctor(*sources, env=reaching(serving), cwd=tmp_path)
    [limits] = wrong(findings)
    assert (limits["check"], limits["detail"], code) == ("limits", "2 symbols wanted, 1 allowed", 3)


async def test_a_missing_key_and_one_that_others_may_read_end_it_at_once(tmp_path: Path) -> None:
    async with vendor("finnhub") as serving:
        env = reaching(serving) | {"FINNHUB_API_KEY": ""}
        [finding], code = await doctor("finnhub", env=env, cwd=tmp_path)
        assert (finding["check"], finding["detail"], code) == ("configuration", "needs a key", 2)
        assert "set FINNHUB_API_KEY, or key_file" in finding["remedy"]
        file = tmp_path / "key"
        file.write_text(KEY)
        file.chmod(0o644)
        with_file = ("finnhub", "--set", f"venues.finnhub.key_file={file}")
        [finding], code = await doctor(*with_file, env=env, cwd=tmp_path)
        assert (finding["remedy"], code) == (f"for example chmod 600 {file}", 2)
        file.chmod(0o600)
        findings, code = await doctor(*with_file, env=env, cwd=tmp_path)
    assert (wrong(findings), code) == ([], 0)
    _, err, code = await livetape("doctor", "krakn", cwd=tmp_path)
    assert (err, code) == ("livetape: unknown venue 'krakn'; did you mean kraken or kraken_futures?\n", 2)


@pytest.mark.parametrize(("url", "check"), [("wss://nosuch.invalid/v2", "dns"), ("ws://127.0.0.1:9", "tcp")])
async def test_who_cannot_be_reached_ends_it(url: str, check: str, tmp_path: Path) -> None:
    env = reaching() | {"LIVETAPE_KRAKEN_WS_URL": url}
    findings, code = await doctor("kraken", env=env, cwd=tmp_path)
    assert [(each["check"], each["result"]) for each in findings[-1:]] == [(check, "problem")]
    assert (len(wrong(findings)), code) == (1, 4)


async def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    async def hang_up(_: StreamReader, writer: StreamWriter) -> None:
        writer.close()

    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    async with await start_server(hang_up, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        env = reaching() | {"LIVETAPE_KRAKEN_WS_URL": f"wss://localhost:{port}"}
        findings, code = await doctor("kraken", env=env, cwd=tmp_path)
        assert (findings[-1]["check"], code) == ("tls", 4)
        assert "is not trusted" in findings[-1]["detail"]
        env["SSL_CERT_FILE"] = str(tmp_path / "authority.pem")
        findings, code = await doctor("kraken", env=env, cwd=tmp_path)
    assert [finding["check"] for finding in wrong(findings)] == ["rest", "websocket"]
    [tls] = [finding for finding in findings if finding["check"] == "tls"]
    assert "certificate verified, good until " in tls["detail"]
    assert code == 4


async def test_a_proxy_is_named_without_its_password(tmp_path: Path) -> None:
    async with vendor("kraken") as kraken, Proxy().running() as proxy:
        env = reaching(kraken) | {"NO_PROXY": "", "no_proxy": ""}
        env["HTTP_PROXY"] = f"http://me:nowhere@127.0.0.1:{proxy.port}"
        findings, code = await doctor("kraken", env=env, cwd=tmp_path)
        assert set(proxy.targets) == {f"127.0.0.1:{kraken.port}"}
    assert (wrong(findings), code) == ([], 0)
    by_check = {finding["check"]: finding["detail"] for finding in findings}
    assert by_check["proxy"] == f"through http://127.0.0.1:{proxy.port}"
    assert all("proxy" in by_check[check] for check in ("dns", "tcp", "tls"))


@pytest.mark.parametrize("skew", ["skew=20s", "skew=-20s"])
async def test_a_clock_that_is_wrong_is_a_warning(skew: str, tmp_path: Path) -> None:
    async with vendor("kraken", skew) as kraken:
        findings, code = await doctor("kraken:BTC-USD/trade", env=reaching(kraken), cwd=tmp_path)
    assert {(finding["check"], finding["result"]) for finding in wrong(findings)} == {("clock", "warning")}
    assert all("NTP" in finding["remedy"] for finding in wrong(findings))
    assert code == 0


async def test_a_vendor_that_wants_to_be_left_alone_is_obeyed(tmp_path: Path) -> None:
    async with vendor("kraken", "http429:for=60s,retry=7s") as kraken:
        findings, code = await doctor("kraken", env=reaching(kraken), cwd=tmp_path)
    assert [finding["check"] for finding in wrong(findings)] == ["rest", "websocket"]
    assert wrong(findings)[0]["remedy"] == "try again after 7 s"
    assert code == 4
