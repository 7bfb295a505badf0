"""A venue as small as can be: its frames name what they say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import json

from livetape.core.adapter import Adapter, Guarantee, History, Span
from livetape.core.events import Ack, Bar, BookUpdate, Message, Status, Trade
from livetape.core.instruments import Channel
from livetape.core.sequence import counted

SECOND = 1_000_000_000


class Toy(Adapter):
    """Frames are lists of ``[kind, symbol, …]``; a trade's id may be a number."""

    venue = "toy"
    title = "Toy"
    ws_url = rest_url = ""
    kinds = frozenset({"trade", "book", "bar.1m", "status"})
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("number"), "trade": Guarantee("number")}
    sequence = staticmethod(counted)
    silence_s = 86_400.0

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [json.encode(["subscribe", *map(str, channels)])]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [json.encode(["unsubscribe", *map(str, channels)])]

    def parse(self, frame: bytes) -> Iterable[Message]:
        return [_event(item) for item in json.decode(frame)]

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        if channel.kind == "book":
            return None
        return f"/{channel.kind}/{channel.symbol}?{span.start_ns}-{span.end_ns}&{page}"

    def parse_history(self, channel: Channel, body: bytes) -> History:
        items, page = json.decode(body)
        return History([_event(item) for item in items], page)


class Nameless(Toy):
    """The same without any proof."""

    guarantees: Mapping[str, Guarantee] = {}
    sequence = None


def _event(item: list[Any]) -> Any:
    match item:
        case ["ack", channel]:
            return Ack(channel)
        case ["trade", symbol, int(number), ns]:
            return Trade(f"toy:{symbol}/trade", ns, "1", "1", None, str(number), number)
        case ["trade", symbol, str(id_), ns]:
            return Trade(f"toy:{symbol}/trade", ns, "1", "1", None, id_)
        case ["bar", symbol, ns, close]:
            return Bar(f"toy:{symbol}/bar.1m", ns, close, close, close, close, "1", closed=True)
        case ["book", symbol, number]:
            return BookUpdate(
                f"toy:{symbol}/book", None, number == 0, [("1", "1")], [("2", "1")], number, number
            )
        case ["status", symbol, state]:
            return Status(f"toy:{symbol}/status", state)
    raise ValueError(item)


def says(*items: list[Any]) -> bytes:
    """A frame of ``items``."""
    return json.encode(items)
