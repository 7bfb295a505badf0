"""Events as JSON, one object each: the form of ``watch --json``, of files and of the gateway (floor 2).

Numbers leave as JSON numbers with the venue's own decimal text. Times are ns UTC.
"""

from typing import Any

from msgspec import MsgspecError, Raw, Struct, json

from .decimals import Level
from .events import (
    Amendment,
    Auction,
    Bar,
    BestQuote,
    BookUpdate,
    Gap,
    Luld,
    Mark,
    MarketEvent,
    News,
    Quote,
    Status,
    Summary,
    Trade,
)

_encode = json.Encoder().encode


def event_json(event: MarketEvent, depth: int | None = None, conflated: int = 0) -> bytes:
    """``event`` as one line without its end.

    A book carries the best ``depth`` levels after the update, or without ``depth`` the levels that changed.
    ``conflated`` says how many events this one stands for beside itself.
    """
    kind = event.kind
    line: dict[str, object] = {
        "type": event.__struct_config__.tag,
        "venue": event.venue,
        "symbol": event.symbol or None,
        "kind": kind or None,
        "channel": event.channel,
        "ts": event.venue_ns,
        "recv": event.recv_ns,
        "seq": event.seq,
        "trust": event.trust,
        "origin": event.origin,
    }
    if conflated:
        line["conflated"] = conflated
    if event.proof is not None:
        line["proof"] = {
            "method": event.proof.method,
            "depth": event.proof.depth,
            "since": event.proof.since_ns,
        }
    return _encode(line | _body(event, depth))


def _body(event: MarketEvent, depth: int | None) -> dict[str, object]:
    match event:
        case Trade():
            body: dict[str, object] = {
                "price": _number(event.price_text),
                "size": _number(event.size_text),
                "side": event.side,
                "id": event.id,
            }
            named = {"conditions": event.conditions, "excluded": event.excluded}
            return body | {name: codes for name, codes in named.items() if codes}
        case Amendment():
            return {
                "trade_id": event.trade_id,
                "old_price": _number(event.old_price_text),
                "old_size": _number(event.old_size_text),
                "price": _number(event.price_text),
                "size": _number(event.size_text),
                "id": event.id,
            }
        case Quote():
            return {
                "bid": _number(event.bid_text),
                "bid_size": _number(event.bid_size_text),
                "ask": _number(event.ask_text),
                "ask_size": _number(event.ask_size_text),
                "venue_seq": event.venue_seq,
            }
        case BestQuote():
            return {
                "bid": _number(event.bid_text),
                "bid_size": _number(event.bid_size_text),
                "bid_venue": event.bid_venue,
                "ask": _number(event.ask_text),
                "ask_size": _number(event.ask_size_text),
                "ask_venue": event.ask_venue,
                "state": event.state,
            }
        case BookUpdate():
            bids = event.bids if depth is None else event.book.bids.top(depth)
            asks = event.asks if depth is None else event.book.asks.top(depth)
            return {
                "snapshot": event.snapshot,
                "bids": _levels(bids),
                "asks": _levels(asks),
                "venue_seq": event.last,
            }
        case Bar():
            return {
                "interval": event.kind.removeprefix("bar."),
                "start": event.start_ns,
                "open": _number(event.open_text),
                "high": _number(event.high_text),
                "low": _number(event.low_text),
                "close": _number(event.close_text),
                "volume": _number(event.volume_text),
                "trades": event.trades,
                "vwap": _number(event.vwap_text),
                "closed": event.closed,
                "revision": event.revision,
            }
        case Gap():
            return {
                "from": event.start_ns,
                "to": event.end_ns,
                "cause": event.cause,
                "healed": event.healed,
                "missing": event.missing,
            }
        case Status():
            state: dict[str, object] = {"state": event.state, "detail": event.detail}
            return state | ({"why": event.why} if event.why else {})
        case Summary():
            return {
                "open": _number(event.open_text),
                "high": _number(event.high_text),
                "low": _number(event.low_text),
                "last": _number(event.last_text),
                "previous_close": _number(event.previous_close_text),
                "volume": _number(event.volume_text),
                "turnover": _number(event.turnover_text),
                "since": event.since_ns,
            }
        case Mark():
            return {
                "mark": _number(event.mark_text),
                "index": _number(event.index_text),
                "funding": _number(event.funding_text),
            }
        case Auction():
            return {
                "state": event.state,
                "id": event.id,
                "at": event.auction_ns,
                "success": event.success,
                "price": _number(event.price_text),
                "size": _number(event.size_text),
                "bid": _number(event.bid_text),
                "ask": _number(event.ask_text),
                "collar": _number(event.collar_text),
            }
        case Luld():
            return {
                "up": _number(event.up_text),
                "down": _number(event.down_text),
                "indicator": event.indicator,
            }
        case News():
            return {
                "id": event.id,
                "headline": event.headline,
                "source": event.source,
                "url": event.url,
                "summary": event.summary,
                "symbols": event.symbols,
                "updated": event.updated_ns,
            }


def _number(text: str | None) -> Raw | None:
    return None if text is None else Raw(text.encode())


def _levels(levels: list[Level]) -> Raw:
    return Raw(("[" + ",".join([f"[{price},{size}]" for price, size in levels]) + "]").encode())


# The gateway's own protocol, livetape.v1: JSON text over WebSocket.


class Request(Struct, forbid_unknown_fields=True):
    """What a client asks. ``id`` comes back in the answer."""

    op: str
    id: int | None = None
    channels: list[str] = []
    delivery: str = "every"
    max_hz: float = 10.0
    depth: int = 10


_request = json.Decoder(Request)
OPERATIONS = ("subscribe", "unsubscribe", "pause", "resume", "ping")


def decode_request(frame: bytes) -> Request:
    """A client's frame. Raises ValueError that says what is wrong with it."""
    try:
        request = _request.decode(frame)
    except (MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if request.op not in OPERATIONS:
        raise ValueError(f"unknown op {request.op!r}; one of {', '.join(OPERATIONS)}")
    return request


def reply(op: str, **fields: Any) -> bytes:
    """A message of the server that is not a batch."""
    return _encode({"op": op} | {name: value for name, value in fields.items() if value is not None})


def batch(now_ns: int, events: list[bytes]) -> bytes:
    """Events in one message, their JSON as it is."""
    return b'{"op":"batch","ts":%d,"events":[%b]}' % (now_ns, b",".join(events))


def snapshot(channel: str, events: list[bytes]) -> bytes:
    """The present state of ``channel``, its JSON as it is."""
    return b'{"op":"snapshot","channel":%b,"events":[%b]}' % (_encode(channel), b",".join(events))
