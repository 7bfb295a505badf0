"""iTick's frames and REST answers as they are on the wire (floor 2)."""

from typing import Generic, TypeVar

from msgspec import UNSET, Raw, Struct, UnsetType, json

T = TypeVar("T")

#: The codes of the bars that have a kind; 10, the month, has none.
PERIODS = {f"bar.{i}": n + 1 for n, i in enumerate(("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1w"))}
TYPES = {"trade": "tick", "summary": "quote", "status": "quote", "book": "depth"} | {
    kind: f"kline@{n}" for kind, n in PERIODS.items()
}
#: The kinds of the bars by their types, and by their codes.
BARS = {type_: kind for kind, type_ in TYPES.items() if kind in PERIODS}
CODED_BARS = {n: kind for kind, n in PERIODS.items()}
UNRESOLVED = "cannot be resolved action"


class Kind(Struct, gc=False):
    """What is needed of any data to know what it is."""

    s: str = ""
    r: str = ""
    type: str = ""


# {"code":1,"resAc":"auth","msg":"authenticated","data":{"params":"<KEY>"}}                              [doc]
class Head(Struct, gc=False):
    code: int | None = None
    resAc: str = ""
    msg: str | None = None
    data: Kind | None = None


class Push(Struct, Generic[T], gc=False, kw_only=True):
    code: int = 1
    data: T


# {"code":1,"data":{"s":"EURUSD","r":"GB","ld":225.215,"v":16742235,"t":1731689407000,"type":"tick"}}    [doc]
class Tick(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    ld: Raw
    v: Raw
    t: int
    type: str | UnsetType = "tick"


# {"code":1,"data":{"s":"AAPL.US","ld":225.215,"o":226.27,"h":226.92,"l":224.44,"t":1731689407000,
#  "v":16742235,"tu":3774688301.452,"ts":0,"type":"quote"}}                                              [doc]
class Quote(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    ld: Raw
    o: Raw
    h: Raw
    l: Raw  # noqa: E741
    t: int
    v: Raw
    tu: Raw
    ts: int = 0
    type: str | UnsetType = "quote"


class WireLevel(Struct, gc=False, kw_only=True):
    po: int | None = None
    p: Raw
    v: Raw
    o: Raw = Raw(b"null")


# {"code":1,"data":{"s":"AAPL.US","a":[{"po":1,"p":3034.01,"v":10.6023,"o":10.6023}],
#  "b":[{"po":1,"p":3034,"v":20.9758,"o":20.9758}],"type":"depth"}}                                      [doc]
class Depth(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    a: list[WireLevel]
    b: list[WireLevel]
    type: str | UnsetType = "depth"


class Candle(Struct, gc=False, kw_only=True):
    t: int
    o: Raw
    h: Raw
    l: Raw  # noqa: E741
    c: Raw
    v: Raw
    tu: Raw


# {"code":1,"data":{"s":"EURUSD","r":"GB","type":"kline@1","t":1731660060000,"o":3055.36,"h":3061.41,
#  "l":3055.24,"c":3059.39,"v":28,"tu":157513}}                                                          [doc]
class Kline(Candle, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    type: str


# {"code":0,"msg":null,"data":{"s":"AAPL.US","t":1,"k":{"t":1731660060000,"o":3055.36,"h":3061.41,
#  "l":3055.24,"c":3059.39,"v":28,"tu":157513}}}                                                         [doc]
class NestedKline(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    t: int
    k: Candle


# {"code":0,"msg":null,"data":[{"tu":157513,"c":3059.39,"t":1731660060000,"v":28,"h":3061.41,"l":3055.24,
#  "o":3055.36}]}                                                                                        [doc]
class Past(Struct, gc=False):
    """Bars over REST. A failure has no data."""

    data: list[Candle]


class Request(Struct, gc=False, omit_defaults=True):
    ac: str
    params: str = ""
    types: str = ""


# a row of {"code":0,"msg":null,"data":[…]}: code and name; t, e, s and l are hardly explained           [doc]
class Listed(Struct, gc=False):
    c: str
    n: str | None = None


# {"code":"E002","msg":"auth failed","data":null}                                                        [doc]
class Verdict(Struct, gc=False):
    code: int | str = 0
    msg: str | None = None


class Listing(Struct, gc=False):
    code: int | str
    msg: str | None = None
    data: list[Listed] | None = None


decode_head = json.Decoder(Head).decode
decode_tick, decode_quote = json.Decoder(Push[Tick]).decode, json.Decoder(Push[Quote]).decode
decode_depth, decode_kline = json.Decoder(Push[Depth]).decode, json.Decoder(Push[Kline]).decode
decode_nested, decode_past = json.Decoder(Push[NestedKline]).decode, json.Decoder(Past).decode
decode_listing, decode_verdict = json.Decoder(Listing).decode, json.Decoder(Verdict).decode
