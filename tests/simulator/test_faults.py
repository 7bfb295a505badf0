"""What ``--fault`` may say, and what a simulated vendor then does on the wire."""

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from pkgutil import iter_modules

import aiohttp
import pytest
from msgspec import json

from livetape import clock, dialects
from livetape.adapters import find
from livetape.cli.simulate import make_vendor, switches
from livetape.core.dialect import Pushed
from livetape.core.errors import ConfigError, ConnectError
from livetape.core.events import Denied, Why
from livetape.core.times import SECOND
from livetape.feeds.rest import Rest
from livetape.simulator.faults import (
    ALTERED,
    DOUBLED,
    FAULTS,
    SWAPPED,
    WITHHELD,
    Corrupt,
    Drop,
    Dup,
    Faults,
    Gap,
    Moment,
    Mute,
    Pipe,
    Refuse,
    Reorder,
    Skew,
    TooMany,
    Trickle,
    read,
)
from livetape.simulator.server import Entry, Vendor

from ..docs.markdown import DOCS, names
from ..live import live

KNOWN = {"cap": ("50", "N"), "plan": ("premium", "free")}


# What may be written


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("drop", Drop()),
        ("drop:2s", Drop(2.0)),
        ("drop:after=250ms,every=1m", Drop(0.25, 60.0)),
        ("refuse:for=2,after=5s", Refuse(5.0, lasts=2.0)),
        ("mute:after=5s", Mute(5.0, lasts=0.0)),
        ("mute:pongs=1", Mute(pongs=1)),
        ("http429:for=10s,retry=3", TooMany(lasts=10.0, retry=3.0)),
        ("gap:every=7", Gap(7)),
        ("dup=7", Dup(7)),
        ("trickle:100", Trickle(100)),
        ("skew=250ms", Skew(0.25)),
        ("skew:-2s", Skew(-2.0)),
    ],
)
def test_a_fault_is_read(spec: str, fault: object) -> None:
    assert read([spec], {}) == ([fault], {})


def test_switches_are_read_and_those_of_others_passed_over() -> None:
    specs = ["cap:20", "drop", "plan=free", "policy=any", "auth-reject"]
    assert read(specs, KNOWN, ["policy"]) == ([Drop()], {"cap": "20", "plan": "free", "auth-reject": ""})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("drpo", r"'drpo' is no fault; did you mean drop"),
        ("", r"'' is no fault; for example drop:after=5s"),
        ("drop:soon", r"after must be a time such as 250ms, 5s or 2m; for example drop:after="),
        ("drop:after=-1s", r"after must be a time"),
        ("drop:aftr=1s", r"'aftr' is not known; did you mean after"),
        ("drop:1s,2s", r"'2s' is not known"),
        ("gap:every=0", r"every must be a whole number above 0; for example gap:every=20"),
        ("gap:every=2.5", r"every must be a whole number"),
        ("closed:1", r"'1' is not known; for example closed"),
        ("cap", r"cap needs a value: 50, a number; for example cap=50"),
        ("cap=many", r"'many' is no value of cap: 50, a number"),
        ("cap=N", r"'N' is no value of cap"),
        ("plan=fre", r"'fre' is no value of plan: premium, free"),
        ("auth-reject=1", r"auth-reject takes no value"),
    ],
)
def test_what_cannot_be_read_is_explained(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"--fault: .*{said}"):
        read([spec], KNOWN)


def test_every_fault_and_switch_is_documented() -> None:
    page = DOCS / "how-to" / "simulate-a-vendor.md"
    said = names(page.read_text())
    assert {kind.example for kind in FAULTS.values()} | {"auth-reject"} <= said
    assert all(re.match(f"{name}([:=]|$)", kind.example) for name, kind in FAULTS.items())


@pytest.mark.parametrize("venue", dialects.venues())
def test_every_switch_of_a_vendor_is_documented(venue: str) -> None:
    said = names((DOCS / "how-to" / "simulate-a-vendor.md").read_text())
    for name, values in switches(venue).items():
        assert {name, *values} - {"N"} <= said, name


# Time


def test_a_moment_comes_once_or_again_and_again() -> None:
    once, often = Moment(after=5), Moment(after=5, every=2)
    steps = [n / 10 for n in range(101)]
    for fault, times in ((once, [5.0]), (often, [5.0, 7.0, 9.0])):
        assert [
            now for since, now in zip([-1.0, *steps], steps, strict=False) if fault.happens(since, now)
        ] == times
    assert Moment(after=0).happens(-1, 0)
    assert often.happens(0, 100)


def test_a_spell_lasts() -> None:
    spell = Refuse(after=5, every=10, lasts=2)
    assert [at for at in range(20) if spell.holds(at)] == [5, 6, 15, 16]


# Chance


def frames(n: int) -> list[Pushed]:
    return [Pushed(b'{"n":%d,"word":"a\xc3\xa9"}' % n, ("x:A-B/trade",)) for n in range(100, 100 + n)]


def told(fault: str, seed: int = 7, client: int = 1, n: int = 400) -> list[tuple[bytes, str]]:
    spoil = Faults(read([fault], {})[0], seed).spoiler(client)
    return [(each.pushed.frame, each.fate) for frame in frames(n) for each in spoil(frame)]


@pytest.mark.parametrize("fault", ["gap", "dup", "reorder", "corrupt"])
def test_the_same_seed_makes_the_same_victims_and_another_one_others(fault: str) -> None:
    assert told(fault) == told(fault)
    assert told(fault) != told(fault, seed=8)
    assert told(fault) != told(fault, client=2)


@pytest.mark.parametrize(("fault", "fate"), [("gap:5", WITHHELD), ("dup:5", DOUBLED), ("corrupt:5", ALTERED)])
def test_of_each_so_many_frames_one_is_hit(fault: str, fate: str) -> None:
    fates = [fate for _, fate in told(fault) if fate != DOUBLED or fault == "dup:5"]
    assert Counter(fates)[fate] == 400 / 5


def test_what_happens_to_a_victim() -> None:
    plain = [frame.frame for frame in frames(400)]
    assert [frame for frame, _ in told("gap")] == plain
    assert [frame for frame, fate in told("dup") if fate != DOUBLED] == plain
    doubled = told("dup")
    assert all(doubled[i - 1][0] == frame for i, (frame, fate) in enumerate(doubled) if fate == DOUBLED)
    swapped = told("reorder")
    assert sorted(frame for frame, _ in swapped) == plain
    assert all(swapped[i - 1][0] > frame for i, (frame, fate) in enumerate(swapped) if fate == SWAPPED)


def test_an_altered_frame_is_still_text_and_only_sometimes_json() -> None:
    altered = [
        (frame, plain.frame) for (frame, fate), plain in zip(told("corrupt:1"), frames(400), strict=True)
    ]
    assert all(frame != plain and len(frame) == len(plain) for frame, plain in altered)
    assert all(sum(a != b for a, b in zip(frame, plain, strict=True)) == 1 for frame, plain in altered)
    assert all("é" in frame.decode() or "aé" not in frame.decode() for frame, _ in altered)
    readable = sum(is_json(frame) for frame, _ in altered)
    assert 100 < readable < 300


def is_json(frame: bytes) -> bool:
    try:
        json.decode(frame)
    except ValueError:
        return False
    return True


def test_binary_frames_are_altered_too() -> None:
    spoil = Faults([Corrupt(1)], 7).spoiler(1)
    [each] = spoil(Pushed(b"\x81\xa1x\xff", ("x:A-B/trade",), binary=True))
    assert each.fate == ALTERED
    assert sum(a != b for a, b in zip(each.pushed.frame, b"\x81\xa1x\xff", strict=True)) == 1


def test_what_carries_no_event_is_left_alone() -> None:
    spoil = Faults([Gap(1), Dup(1), Reorder(1), Corrupt(1)], 7).spoiler(1)
    pong = Pushed(b'{"method":"pong"}')
    assert [each.pushed for each in spoil(pong)] == [pong]


def test_faults_that_meet_keep_to_the_order_of_the_list() -> None:
    spoil = Faults([Dup(1), Corrupt(1), Gap(2)], 7).spoiler(1)
    fates = [[each.fate for each in spoil(frame)] for frame in frames(4)]
    assert sorted(fates) == [[ALTERED, DOUBLED], [ALTERED, DOUBLED], [WITHHELD], [WITHHELD]]


# What waits


def test_a_pipe_delays_and_keeps_the_order() -> None:
    pipe = Pipe(delay_s=0.5)
    pipe.put(b"one", 1.0)
    pipe.put(b"two", 1.2)
    assert [pipe.take(at) for at in (1.4, 1.5, 1.6, 1.7, 2.0)] == [b"", b"one", b"", b"two", b""]
    assert pipe.size == 0


def test_a_pipe_trickles() -> None:
    pipe, data = Pipe(per_s=1000), bytes(range(200))
    pipe.put(data, 1.0)
    pieces = [pipe.take(1.0 + n / 100) for n in range(30)]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 50
    assert sum(map(bool, pieces)) > 10


def test_a_mute_pipe_keeps_what_it_has() -> None:
    pipe = Pipe()
    pipe.muted_until_s = 3.0
    pipe.put(b"one", 1.0)
    assert (pipe.take(2.9), pipe.size, pipe.take(3.0), pipe.size) == (b"", 3, b"one", 0)
    pipe.put(b"two", 3.0)
    assert (pipe.empty(), pipe.size, pipe.take(4.0)) == (b"two", 0, b"")


def test_past_a_mute_pipe_nothing_is_sent_while_a_frame_is_half_out() -> None:
    pipe = Pipe(per_s=100)
    assert not pipe.mute(0.0)
    pipe.put(bytes(10), 1.0)
    assert pipe.take(1.05) == bytes(5)
    pipe.muted_until_s = 2.0
    assert not pipe.mute(1.1)
    assert pipe.take(2.05) == bytes(5)
    pipe.muted_until_s = 3.0
    assert pipe.mute(2.1)
    assert not pipe.mute(3.0)


# On the wire


class Wire:
    """A vendor with faults, and one client that has subscribed the trades and the book of BTC-USD."""

    def __init__(self, *specs: str, ledger: Path | None = None) -> None:
        self.vendor = make_vendor("kraken", 7, 8.0, ledger, faults=specs)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Wire":
        await self._stack.enter_async_context(self.vendor.serving())
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return self.vendor.ws_url.replace("ws", "http")

    async def dial(self) -> aiohttp.ClientWebSocketResponse:
        ws = await self.http.ws_connect(f"{self.url}/v2", autoping=False)
        self._stack.push_async_callback(ws.close)
        for channel in ("trade", "book"):
            await ws.send_json({"method": "subscribe", "params": {"channel": channel, "symbol": ["BTC/USD"]}})
        return ws


async def until_it_ends(ws: aiohttp.ClientWebSocketResponse) -> list[bytes]:
    async with asyncio.timeout(10):
        return [message.data.encode() async for message in ws if message.type is aiohttp.WSMsgType.TEXT]


async def test_a_drop_says_goodbye_and_a_reset_does_not() -> None:
    for spec, code in (("drop:after=200ms", 1001), ("reset:after=200ms", 1006)):
        async with Wire(spec) as wire:
            ws = await wire.dial()
            assert len(await until_it_ends(ws)) > 3
            assert ws.close_code == code
            again = await wire.dial()
            assert await again.receive_str()


async def test_it_happens_again_and_again() -> None:
    async with Wire("reset:after=100ms,every=150ms") as wire:
        for _ in range(3):
            assert await until_it_ends(await wire.dial())


async def test_in_an_outage_nobody_is_let_in() -> None:
    async with Wire("refuse:after=0s,for=500ms") as wire:
        refused = 0
        async with asyncio.timeout(10):
            while True:
                try:
                    await wire.dial()
                    break
                except aiohttp.ClientError:
                    refused += 1
                    await asyncio.sleep(0.05)
        assert refused > 2
        async with wire.http.get(f"{wire.url}/0/public/AssetPairs") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("fault", "status"), [("http429", 429), ("http503", 503)])
async def test_a_busy_vendor_says_when_to_come_back(fault: str, status: int) -> None:
    async with Wire(f"{fault}:for=300ms,retry=2500ms") as wire:
        async with wire.http.get(f"{wire.url}/0/public/AssetPairs") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (status, "3")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await wire.dial()
        assert refused.value.status == status
        await asyncio.sleep(0.4)
        assert await (await wire.dial()).receive_str()


#: What the vendors say in the body of a 429 and of a 503.
BUSY = {
    "alpaca": (b'{"message":"too many requests."}', b'{"message":"Service Unavailable"}'),
    "finnhub": (
        b'{"error":"API limit reached. Please try again later. Remaining Limit: 0"}',
        b'{"error":"Service Unavailable"}',
    ),
    "gemini": (
        b'{"result":"error","reason":"RateLimit","message":"Requests were made too frequently"}',
        b'{"result":"error","reason":"Maintenance","message":"The system is down for maintenance"}',
    ),
    "itick": (b'{"code":"E003","msg":"exceeding the maximum subscription limit","data":null}', b""),
    "kraken": (b'{"error":["EGeneral:Too many requests"]}', b'{"error":["EService:Unavailable"]}'),
}
#: What our clients make of it, where the bodies of refusals mean something to them.
REFUSALS = {
    ("gemini", "v1"): (
        Denied("RateLimit Requests were made too frequently"),
        Denied("Maintenance The system is down for maintenance"),
    ),
    ("itick", ""): (Denied("E003 exceeding the maximum subscription limit", why=Why.LIMIT), None),
    ("itick", "v1"): (Denied("E003 exceeding the maximum subscription limit", why=Why.LIMIT), None),
}
APIS = sorted(name.partition("_v")[::2] for _, name, _ in iter_modules(dialects.__path__))


@pytest.mark.parametrize("n", [0, 1], ids=["http429", "http503"])
@pytest.mark.parametrize(("venue", "version"), APIS)
async def test_a_busy_vendor_answers_in_its_own_words_and_its_client_waits_and_comes_in(
    venue: str, version: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, status, body = version and f"v{version}", (429, 503)[n], BUSY[venue][n]
    adapter = find(venue, api)()
    for name in adapter.key_names:
        monkeypatch.setenv(name, "simulated")
    assert adapter.refusal(body) == REFUSALS.get((venue, api), (None, None))[n]
    source, rest = f"{venue}:{adapter.sample}/trade", Rest()
    vendor = make_vendor(venue, 7, 8.0, faults=[f"http{status}:for=1s,retry=1s"])
    async with vendor.serving(), live([source], venue, vendor.ws_url, api=api) as tape:
        with pytest.raises(ConnectError) as busy:
            await rest.get(venue, vendor.ws_url.replace("ws", "http", 1) + "/anything")
        await rest.close()
        assert busy.value.retry_after_s == 1
        assert busy.value.cause == f"HTTP {status} {body.decode()}"
        await tape.until(lambda: bool(tape.lines[0].last_error))
        said = f"HTTP {status}: {body.decode()}" if body else f"HTTP {status}"
        assert tape.lines[0].last_error.endswith(said)
        await tape.until(lambda: bool(tape.trades))


async def test_a_mute_vendor_does_not_even_pong_and_listens_to_others() -> None:
    async with Wire("mute:after=200ms") as wire:
        ws = await wire.dial()
        await asyncio.sleep(0.4)
        while True:
            try:
                await ws.receive(timeout=0.2)
            except TimeoutError:
                break
        await ws.ping()
        await ws.send_json({"method": "ping"})
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.5)
        assert await (await wire.dial()).receive_str()
        assert len(wire.vendor.clients) == 2


async def test_a_mute_vendor_may_pong_and_says_nothing_else() -> None:
    async with Wire("mute:after=200ms,pongs=1") as wire:
        ws = await wire.dial()
        await asyncio.sleep(0.4)
        while True:
            try:
                await ws.receive(timeout=0.2)
            except TimeoutError:
                break
        for payload in (b"one", b"two"):
            await ws.ping(payload)
            await ws.send_json({"method": "ping"})
            message = await ws.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, payload)
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.5)


async def test_a_feed_notices_that_it_is_told_nothing_though_pongs_come() -> None:
    source = "kraken:BTC-USD/book"
    vendor = make_vendor("kraken", 7, 8.0, faults=["mute:after=1s,pongs=1"])
    async with (
        vendor.serving(),
        live([source], "kraken", vendor.ws_url, options={"silence_s": 2.0}) as tape,
    ):
        await tape.until(lambda: any(client.pipe.mute(0.0) for client in vendor.clients))
        assert tape.books
        [line] = tape.lines
        assert len(await line.round_trips(3)) == 3
        await tape.until(lambda: len(tape.gaps) == 2)
        assert "silent" in tape.gaps[0].cause
        assert tape.states(source)[-3:] == ["stale", "resyncing", "verified"]
        assert line.dials == 2


async def test_what_was_held_back_comes_in_order() -> None:
    async with Wire("mute:after=200ms,for=400ms") as wire:
        ws = await wire.dial()
        await asyncio.sleep(0.8)
        [client] = wire.vendor.clients
        async with asyncio.timeout(5):
            heard = [await ws.receive_str() for _ in range(client.frames)]
        numbers = [trade["trade_id"] for frame in map(json.decode, heard) for trade in prints(frame)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def prints(frame: object) -> list[dict[str, int]]:
    match frame:
        case {"channel": "trade", "data": [*data]}:
            return data
    return []


async def test_the_vendors_clock_may_be_wrong() -> None:
    async with Wire("skew=1h") as wire:
        ws = await wire.dial()
        async with wire.http.get(f"{wire.url}/0/public/AssetPairs") as answer:
            date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert round((date - clock.now_ns() / SECOND) / 600) == 6
        assert wire.vendor.market.now_ns - clock.now_ns() > 3_500 * SECOND
        assert await ws.receive_str()


async def test_closed_markets_stand() -> None:
    vendor = make_vendor("itick", 7, faults=["closed"])
    now_ns = clock.now_ns()
    symbols = {action.symbol for action in islice(vendor.market.advance(now_ns + 30 * SECOND), 500)}
    assert symbols
    assert all(symbol.endswith("-USDT") for symbol in symbols)


async def test_the_ledger_says_what_became_of_each_frame(tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    async with Wire("gap:7", "dup:11", "corrupt:13", ledger=ledger) as wire:
        ws = await wire.dial()
        await asyncio.sleep(1)
        [client] = wire.vendor.clients
        async with asyncio.timeout(5):
            heard = [(await ws.receive_str()).encode() for _ in range(client.frames)]
    entries = [json.decode(line, type=Entry) for line in ledger.read_bytes().splitlines()]
    sent = [entry for entry in entries if entry.fault != WITHHELD]
    assert {entry.fault for entry in entries} == {"", ALTERED, DOUBLED, WITHHELD}
    for channel in ("kraken:BTC-USD/trade", "kraken:BTC-USD/book"):
        assert [e.n for e in sent if e.channel == channel] == list(
            range(1, 1 + sum(e.channel == channel for e in sent))
        )
    for entry in sent:
        if entry.frame > len(heard) or entry.fault == ALTERED:
            continue
        frame = heard[entry.frame - 1]
        assert b'"channel":"%b"' % entry.channel.rpartition("/")[2].encode() in frame
        if entry.fault == DOUBLED and sent[sent.index(entry) - 1].fault != ALTERED:
            assert frame == heard[entry.frame - 2]


def test_a_wrong_fault_is_told_before_anything_is_served() -> None:
    with pytest.raises(ConfigError, match="'cap' is no fault"):
        make_vendor("kraken", 7, faults=["cap=3"])
    assert isinstance(make_vendor("kraken", 7, faults=["cap=3"], elsewhere=["finnhub"]), Vendor)
