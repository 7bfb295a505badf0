"""Alpaca's frames and assets as they are on the wire (floor 2)."""

from typing import Any

from msgspec import Struct, field, json, msgpack

from ...core.stamps import Stamp

Number = Any  #: JSON: an int, or the text of any other number; msgpack: an int or a float


# [{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],
#   "z":"C"}]                                                                                    stocks [doc]
# [{"T":"t","S":"AVAX/USD","p":47.299,"s":29.205707815,"t":"2024-03-12T10:27:48.858228144Z",
#   "i":3447222699101865076,"tks":"S"}]                                                          crypto [doc]
class WireTrade(Struct, gc=False, omit_defaults=True, tag_field="T", tag="t"):
    S: str
    p: Number
    s: Number
    t: Stamp
    i: int | None = None
    x: str = ""
    c: tuple[str, ...] | str | None = ()  # options have one code
    z: str = ""
    tks: str = ""


# [{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,
#   "t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}]                                            [doc]
class WireQuote(Struct, gc=False, omit_defaults=True, tag_field="T", tag="q"):
    S: str
    bp: Number
    bs: Number
    ap: Number
    ask_size: Number = field(name="as")
    t: Stamp
    bx: str = ""
    ax: str = ""
    c: list[str] | str | None = None
    z: str = ""


# [{"T":"b","S":"FAKEPACA","o":132.65,"h":136,"l":132.12,"c":134.65,"v":205,"t":"2024-07-24T07:56:00Z",
#   "n":16,"vw":133.7}]                                                                                 [doc]
class WireBar(Struct, gc=False, tag_field="T", tag="b"):
    S: str
    o: Number
    h: Number
    l: Number  # noqa: E741
    c: Number
    v: Number
    t: Stamp  # when it begins
    n: int | None = None
    vw: Number = None


class UpdatedBar(WireBar, gc=False, tag="u"):
    pass


class DailyBar(WireBar, gc=False, tag="d"):
    pass


# [{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],
#   "ci":52983525034326,"cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B",
#   "t":"2023-04-06T14:25:06.542305024Z"}]                                          [doc, in part unverified]
class Correction(Struct, gc=False, tag_field="T", tag="c"):
    S: str
    oi: int
    op: Number
    os: Number
    ci: int
    cp: Number
    cs: Number
    t: Stamp
    x: str = ""
    oc: list[str] = []
    cc: list[str] = []
    z: str = ""


# [{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C",
#   "t":"2023-04-06T13:15:42.83540958Z"}]                                                               [doc]
class Cancel(Struct, gc=False, tag_field="T", tag="x"):
    S: str
    i: int
    p: Number
    s: Number
    t: Stamp
    x: str = ""
    a: str = "C"  # or E: an error
    z: str = ""


# [{"T":"l","S":"IONM","u":3.24,"d":2.65,"i":"B","t":"2023-04-06T13:34:45.565004401Z","z":"C"}]         [doc]
class Band(Struct, gc=False, tag_field="T", tag="l"):
    S: str
    u: Number
    d: Number
    t: Stamp
    i: str = ""
    z: str = ""


# [{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Trading Halted; For information
#   requested by NASDAQ","t":"2021-02-22T19:15:00Z","z":"C"}]                                           [doc]
class Halt(Struct, gc=False, tag_field="T", tag="s"):
    S: str
    sc: str
    t: Stamp
    sm: str = ""
    rc: str = ""
    rm: str = ""
    z: str = ""


# [{"T":"i","S":"INAQU","p":9.12,"z":"C","t":"2024-12-13T19:58:09.242138635Z"}]                         [doc]
class Imbalance(Struct, gc=False, tag_field="T", tag="i"):
    S: str
    p: Number
    t: Stamp
    z: str = ""


class WireLevel(Struct, gc=False):
    p: Number
    s: Number


# [{"T":"o","S":"BTC/USD","t":"2024-03-12T10:38:50.79613221Z","b":[{"p":71859.53,"s":0.27994}],"a":[],
#   "r":true}]                                                                                          [doc]
class WireBook(Struct, gc=False, omit_defaults=True, tag_field="T", tag="o"):
    S: str
    t: Stamp
    b: list[WireLevel] | None
    a: list[WireLevel] | None
    r: bool = False  # the whole book, throw the old one away


# [{"T":"n","id":24918784,"headline":"…","summary":"…","author":"Benzinga Newsdesk",
#   "created_at":"2022-01-05T22:00:37Z","updated_at":"2022-01-05T22:00:38Z","url":"https://…",
#   "content":"\u003cp\u003e…","symbols":["CRSR"],"source":"benzinga"}]                                 [doc]
class Article(Struct, gc=False, tag_field="T", tag="n"):
    id: int
    headline: str
    created_at: Stamp
    updated_at: Stamp
    summary: str = ""
    author: str = ""
    url: str | None = ""
    content: str = ""
    symbols: list[str] | None = None
    source: str = ""


class Success(Struct, gc=False, tag_field="T", tag="success"):
    msg: str


class Failure(Struct, gc=False, tag_field="T", tag="error"):
    code: int
    msg: str = ""


# [{"T":"subscription","trades":["AAPL"],"quotes":["AMD","CLDR"],"bars":["*"],"updatedBars":[],
#   "dailyBars":[],"statuses":[],"lulds":[],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]            [doc]
class Subscription(Struct, gc=False, tag_field="T", tag="subscription"):
    trades: list[str] | None = None  # none where the list is empty [user report]
    quotes: list[str] | None = None
    bars: list[str] | None = None
    dailyBars: list[str] | None = None
    statuses: list[str] | None = None
    lulds: list[str] | None = None
    imbalances: list[str] | None = None
    orderbooks: list[str] | None = None
    news: list[str] | None = None


Item = (
    WireTrade | WireQuote | WireBar | UpdatedBar | DailyBar | Correction | Cancel | Band | Halt | Imbalance
    | WireBook | Article | Success | Failure | Subscription
)  # fmt: skip
# As a hook ``strip`` does what ``str`` would do, in less time.
from_json: json.Decoder[list[Item]] = json.Decoder(list[Item], float_hook=str.strip)
from_msgpack: msgpack.Decoder[list[Item]] = msgpack.Decoder(list[Item])


class PastTrade(WireTrade, gc=False, kw_only=True):
    S: str = ""  # who is asked about is named beside the rows
    u: str = ""  # "canceled", "incorrect" or "corrected" [unverified]


class PastQuote(WireQuote, gc=False, kw_only=True):
    S: str = ""


class PastBar(WireBar, gc=False, kw_only=True):
    S: str = ""


# {"trades":{"AAPL":[{"t":"2021-02-22T15:51:44.208Z","x":"D","p":126.55,"s":1,"c":["@","I"],"i":96921,
#   "z":"C"}]},"next_page_token":null}                                                                  [doc]
class Page(Struct, gc=False):
    trades: dict[str, list[PastTrade]] | None = None
    quotes: dict[str, list[PastQuote]] | None = None
    bars: dict[str, list[PastBar]] | None = None
    next_page_token: str | None = None


from_history: json.Decoder[Page] = json.Decoder(Page, float_hook=str.strip)


class PastBook(WireBook, gc=False, kw_only=True):
    S: str = ""


# {"orderbooks":{"BTC/USD":{"a":[{"p":27858.85,"s":0.8}],"b":[{"p":27841.15,"s":0.8}],
#   "t":"2023-04-04T12:02:05.3914Z"}}}                                                            [unverified]
class Books(Struct, gc=False):
    orderbooks: dict[str, PastBook]


from_books: json.Decoder[Books] = json.Decoder(Books, float_hook=str.strip)


class Asset(Struct, gc=False):
    symbol: str
    name: str | None = ""
    kind: str = field(name="class", default="")
    price_increment: str | None = None
    min_trade_increment: str | None = None
