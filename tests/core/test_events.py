"""Events say where they belong, the bus hands them to those who asked, and an adapter has plain defaults."""

from collections.abc import Iterable, Sequence

import pytest

from livetape.core.adapter import Adapter
from livetape.core.bus import Bus
from livetape.core.errors import (
    ConfigError,
    DecodeError,
    LimitReached,
    LivetapeError,
    StoreError,
    VendorError,
)
from livetape.core.events import Bar, BookUpdate, Gap, MarketEvent, Message, Quote, Status, Trade
from livetape.core.instruments import Channel


class Plain(Adapter):
    """What an adapter must have, and nothing else."""

    venue, title, ws_url, rest_url = "plain", "Plain", "wss://plain.example", "https://plain.example"
    kinds = frozenset({"trade"})

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    def parse(self, frame: bytes) -> Iterable[Message]:
        return []


def status(channel: str) -> Status:
    return Status(channel, "live")


def test_an_event_knows_its_venue_symbol_and_kind() -> None:
    on_channel, on_venue = status("binance:BTC-USDT/bar.1m"), status("binance")
    assert (on_channel.venue, on_channel.symbol, on_channel.kind) == ("binance", "BTC-USDT", "bar.1m")
    assert (on_venue.venue, on_venue.symbol, on_venue.kind) == ("binance", "", "")


def test_numbers_are_read_as_floats_and_an_empty_side_is_none() -> None:
    trade = Trade("a:B/trade", None, "0.10", "2", None, None)
    quote = Quote("a:B/quote", None, "1.0", "2", None, None)
    assert (trade.price, trade.size) == (0.1, 2.0)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (1.0, 2.0, None, None)


def test_an_event_cannot_be_changed() -> None:
    bar = Bar("a:B/bar.1m", 0, "1", "1", "1", "1", "1")
    with pytest.raises(AttributeError):
        bar.close_text = "2"  # type: ignore[misc]  # that is the point


def test_an_update_that_no_session_has_applied_has_no_book() -> None:
    with pytest.raises(AssertionError, match="has a book"):
        _ = BookUpdate("a:B/book", None, True, [], []).book


def test_the_bus_hands_an_event_to_those_of_its_channel_and_then_to_those_of_all() -> None:
    bus, heard = Bus(), list[tuple[str, str]]()

    def listener(name: str, event: MarketEvent) -> None:
        heard.append((name, event.channel))

    def first(event: MarketEvent) -> None:
        listener("first", event)

    def second(event: MarketEvent) -> None:
        listener("second", event)

    def everything(event: MarketEvent) -> None:
        listener("everything", event)

    bus.subscribe(None, everything)
    bus.subscribe("a:B/book", first)
    bus.subscribe("a:B/book", second)
    bus.publish(status("a:B/book"))
    bus.publish(Gap("a:C/book", 0, None, "reset"))
    assert heard == [
        ("first", "a:B/book"),
        ("second", "a:B/book"),
        ("everything", "a:B/book"),
        ("everything", "a:C/book"),
    ]
    heard.clear()
    bus.unsubscribe("a:B/book", first)
    bus.publish(status("a:B/book"))
    bus.unsubscribe("a:B/book", second)
    bus.unsubscribe("a:B/book", second)  # once more does no harm
    bus.unsubscribe(None, everything)
    bus.publish(status("a:B/book"))
    assert heard == [("second", "a:B/book"), ("everything", "a:B/book")]


def test_a_subscriber_may_leave_while_it_is_called() -> None:
    bus, heard = Bus(), list[str]()

    def once(event: MarketEvent) -> None:
        heard.append("once")
        bus.unsubscribe("a:B/book", once)

    bus.subscribe("a:B/book", once)
    bus.subscribe("a:B/book", lambda event: heard.append("always"))
    bus.publish(status("a:B/book"))
    bus.publish(status("a:B/book"))
    assert heard == ["once", "always", "always"]


def test_an_adapter_has_plain_defaults() -> None:
    plain, channel = Plain(), Channel("plain", "B", "trade")
    assert plain.endpoint("wss://here", [channel]) == "wss://here"
    assert (plain.stream(channel), plain.dials_to_change) == ("trade", False)
    assert (plain.probe(), plain.snapshot_path("B"), plain.symbols_paths()) == (None, None, ())
    assert plain.parse_symbols("/", b"") == []
    assert plain.heartbeat(0) is None
    with pytest.raises(DecodeError, match="plain has no fetched snapshots"):
        plain.decode_snapshot("B", b"")


def test_options_that_an_adapter_does_not_know_are_the_users_error() -> None:
    with pytest.raises(
        ConfigError, match="plain: unknown option 'dept'; did you mean audit_s or depth or max_symbols"
    ):
        Plain({"dept": 10})
    with pytest.raises(ConfigError, match="silence_s must be seconds from 0 to 86400, not 'long'"):
        Plain({"silence_s": "long"})
    assert Plain({"silence_s": 3}).silence_s == 3.0


@pytest.mark.parametrize(
    ("error", "text", "exit_code"),
    [
        (
            ConfigError("no such thing", where="kraken", allowed=["a", "b"]),
            "kraken: no such thing; did you mean a or b?",
            2,
        ),
        (VendorError("kraken", "no", "BTC-USD"), "kraken BTC-USD: no", 3),
        (LimitReached("kraken", 5, 7, "use two"), "kraken: 7 symbols wanted, 5 allowed; use two", 3),
        (StoreError("tape.db", "locked"), "tape.db: locked", 6),
    ],
)
def test_an_error_carries_its_numbers_in_its_text(error: LivetapeError, text: str, exit_code: int) -> None:
    assert (str(error), error.exit_code) == (text, exit_code)
