"""Charts of a tape, drawn by matplotlib into a PNG or SVG file (floor 3).

Only matplotlib's objects are used, and none of its global state: no display is needed, and any thread may
draw. It takes most of a second to load, and is loaded only when something is drawn.
"""

import re
from collections import deque
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from itertools import accumulate
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..core.decimals import Level, nearest
from ..core.errors import ConfigError
from ..core.instruments import Channel, interval_ns
from ..core.times import SECOND, iso
from .series import Extent, Series, candle_interval, duration_ns, extremes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .reader import Store

#: Which styles suit a kind, the usual one first.
STYLES: dict[str, tuple[str, ...]] = {
    "trade": ("line", "candle"),
    "quote": ("line", "spread"),
    "book": ("depth", "spread", "line"),
    "bar": ("candle", "line"),
}
FORMATS = (".png", ".svg")
_NOUNS = {"trade": "trades", "quote": "quotes", "book": "updates", "bar": "bars"}
_INCHES, _DPI = (11.0, 6.0), 150
_COLUMNS = int(_INCHES[0] * _DPI)  #: of pixels; a series is thinned to its extremes in each
_LONELY = 60  #: so few points are marked
_MOST_CANDLES = 2_000
_DAY_NS = 86_400 * SECOND  #: matplotlib counts time in days
_NEAR, _LEVELS = Decimal("0.01"), 15  #: depth is shown to 1 % from the middle, and so many levels at least
_INK, _FAINT, _GRID = "#222222", "#666666", "#e8e8e8"
_LINE, _UP, _DOWN, _GAP = "#1f5fa8", "#2a9461", "#c8443c", "#f5c469"

Gaps = list[tuple[int, int]]


class Chart(NamedTuple):
    """What to draw of a channel. An empty style or interval is chosen; ``last_ns`` is a length of time."""

    style: str = ""
    interval: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    last_ns: int | None = None


def plot(store: "Store", name: str, chart: Chart, out: str | Path | None) -> Path:
    """Draw the channel ``name``; returns the file. Raises ConfigError that says what would do instead."""
    from matplotlib.figure import Figure

    channel = Channel.parse(name)
    style, path = _style(channel, chart), _path(channel, out)
    series, extent = _series(store, channel, chart)
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained", facecolor="white")
    if style == "depth":
        _depth(figure, series)
    elif style == "candle":
        _candles(figure, series, extent, _gaps(store, channel, extent), chart.interval)
    else:
        _line(figure, series, extent, _gaps(store, channel, extent), style)
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return path


# What is asked for


def _style(channel: Channel, chart: Chart) -> str:
    kind = channel.kind.partition(".")[0]
    if kind not in STYLES:
        raise ConfigError(f"{channel.kind!r} cannot be drawn, only {', '.join(STYLES)}", where=str(channel))
    style = chart.style or STYLES[kind][0]
    if style not in STYLES[kind]:
        raise ConfigError(
            f"{style!r} is no style for a {kind}", where=str(channel), allowed=list(STYLES[kind])
        )
    if chart.interval and (kind, style) != ("trade", "candle"):
        raise ConfigError("an interval is for candles made of trades", where=str(channel))
    return style


def _path(channel: Channel, out: str | Path | None) -> Path:
    path = Path(out or re.sub(r"[^\w.-]+", "-", str(channel), flags=re.ASCII) + ".png")
    if path.suffix.lower() not in FORMATS:
        allowed = [f"{path.stem or 'chart'}{ending}" for ending in FORMATS]
        raise ConfigError(f"{str(path)!r} is neither PNG nor SVG", allowed=allowed)
    return path


def _series(store: "Store", channel: Channel, chart: Chart) -> tuple[Series, Extent]:
    whole = Series(store.directory, channel).extent()
    if whole is None:
        known = sorted(
            name for name in store.counts() if Channel.parse(name).kind.partition(".")[0] in STYLES
        )
        allowed = nearest(str(channel), known, 5) or known[:5]
        raise ConfigError(
            f"{str(channel)!r} is not on this tape", where=str(store.directory), allowed=allowed
        )
    start_ns = chart.start_ns
    if chart.last_ns is not None:
        start_ns = (chart.end_ns or whole.last_ns) - chart.last_ns
    series = Series(store.directory, channel, start_ns, chart.end_ns)
    extent = series.extent()
    if extent is None:
        problem = f"nothing in that time, but from {iso(whole.first_ns)} to {iso(whole.last_ns)}"
        raise ConfigError(problem, where=str(channel))
    return series, extent


def _gaps(store: "Store", channel: Channel, extent: Extent) -> Gaps:
    """When the channel may have missed something within ``extent``, without overlaps."""
    concerned = (tuple(channel), (channel.venue, "", ""), ("store", "", ""))
    merged: Gaps = []
    for gap in store.gaps():
        start, end = int(str(gap["start"])), int(str(gap["end"] or extent.last_ns))
        start, end = max(start, extent.first_ns), min(end, extent.last_ns)
        if start > end or (gap["venue"], gap["symbol"], gap["kind"] or "") not in concerned:
            continue
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


# How it is drawn


def _line(figure: "Figure", series: Series, extent: Extent, gaps: Gaps, style: str) -> None:
    what = {"trade": "price", "bar": "close"}.get(series.kind, "mid") if style == "line" else style
    points = [(ns, float(value)) for ns, value in extremes(series.values(what), extent, _COLUMNS)]
    if not points:
        raise ConfigError("nothing in that time has a price", where=str(series.channel))
    marker = "." if len(points) <= _LONELY else ""
    points += [(start_ns + 1, nan) for start_ns, _ in gaps]  # no line across what may be missing
    points.sort(key=lambda point: point[0])
    [axes] = _axes(figure, 1)
    axes.plot(
        [ns / _DAY_NS for ns, _ in points],
        [value for _, value in points],
        color=_LINE,
        linewidth=1,
        marker=marker,
        drawstyle="default" if what in ("price", "close") else "steps-post",
    )
    axes.set_ylabel(_unit(what, series.channel, quote=True))
    _title(axes, series.channel, _from_to(extent), f"{extent.rows:,} {_NOUNS[series.kind]}")
    _time_axis([axes], extent, gaps)


def _candles(figure: "Figure", series: Series, extent: Extent, gaps: Gaps, interval: str) -> None:
    """Bodies and wicks, and the volume below; the venue's bars have their own interval."""
    length_ns = extent.last_ns - extent.first_ns
    if series.kind == "bar":
        interval = series.channel.kind.partition(".")[2]
        candles, width_ns = series.bars(), interval_ns(interval)
    else:
        interval = interval or candle_interval(length_ns)
        width_ns = duration_ns(interval)
        if length_ns // width_ns > _MOST_CANDLES:
            problem = f"{length_ns // width_ns:,} candles of {interval} are more than a chart can show"
            raise ConfigError(problem, where=str(series.channel), allowed=[candle_interval(length_ns)])
        candles = series.candles(width_ns)
    if not candles:
        raise ConfigError("nothing in that time has a price", where=str(series.channel))
    prices, volumes = _axes(figure, 4, 1)
    prices.use_sticky_edges = False  # room below the lowest body
    middles = [(candle.start_ns + width_ns / 2) / _DAY_NS for candle in candles]
    colors = [_DOWN if candle.close < candle.open else _UP for candle in candles]
    lows, highs = [float(candle.low) for candle in candles], [float(candle.high) for candle in candles]
    bottoms = [float(min(candle.open, candle.close)) for candle in candles]
    heights = [float(abs(candle.close - candle.open)) for candle in candles]
    width = 0.7 * width_ns / _DAY_NS
    prices.vlines(middles, lows, highs, color=colors, linewidth=0.9)
    prices.bar(middles, heights, width, bottoms, color=colors, edgecolor=colors, linewidth=0.9)
    volumes.bar(middles, [float(candle.volume) for candle in candles], width, color=colors, alpha=0.6)
    prices.set_ylabel(_unit("price", series.channel, quote=True))
    volumes.set_ylabel(_unit("volume", series.channel, quote=False))
    volumes.locator_params(axis="y", nbins=3)
    counted = f"{extent.rows:,} trades, " if series.kind == "trade" else ""
    _title(prices, series.channel, _from_to(extent), f"{counted}{len(candles):,} candles of {interval}")
    shown = Extent(candles[0].start_ns, candles[-1].start_ns + width_ns, len(candles))
    _time_axis([prices, volumes], shown, gaps)


def _depth(figure: "Figure", series: Series) -> None:
    """How much rests up to each price, as the tape's last update left the book."""
    [(updated_ns, book)] = deque(series.books(), maxlen=1)
    [axes] = _axes(figure, 1)
    levels = 0
    for side, color, name in ((book.bids, _UP, "bids"), (book.asks, _DOWN, "asks")):
        shown = _near(side.top(len(side)))
        levels += len(shown)
        prices = [float(price) for price, _ in (*shown[:1], *shown)]
        sums = [float(each) for each in accumulate((Decimal(size) for _, size in shown), initial=Decimal(0))]
        axes.fill_between(prices, sums, step="post", color=color, alpha=0.18, linewidth=0)
        axes.step(prices, sums, where="post", color=color, linewidth=1.2, label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(_unit("price", series.channel, quote=True))
    axes.set_ylabel(_unit("cumulated size", series.channel, quote=False))
    axes.legend(loc="upper center", frameon=False, fontsize=9, ncols=2)
    _title(axes, series.channel, f"{iso(updated_ns)[:23].replace('T', ' ')} UTC", f"{levels:,} levels")


def _near(ladder: Sequence[Level]) -> Sequence[Level]:
    """The levels not far from the best one, or the best few."""
    if not ladder:
        return ladder
    best = Decimal(ladder[0][0])
    near = [level for level in ladder if abs(Decimal(level[0]) - best) <= _NEAR * best]
    return near if len(near) >= _LEVELS else ladder[:_LEVELS]


def _axes(figure: "Figure", *heights: int) -> "list[Axes]":
    """Axes one below the other, with one abscissa."""
    found = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#999999")
        axes.tick_params(color="#999999", labelcolor=_INK, labelsize=9, length=3)
        axes.ticklabel_format(useOffset=False, style="plain")
        axes.grid(color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return found


def _time_axis(axes: "list[Axes]", extent: Extent, gaps: Gaps) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    margin_ns = max((extent.last_ns - extent.first_ns) // 100, SECOND // 1000)
    first, last = (extent.first_ns - margin_ns) / _DAY_NS, (extent.last_ns + margin_ns) / _DAY_NS
    for each in axes:
        for start_ns, end_ns in gaps:  # with an edge, or a short one would not be seen
            bounds = start_ns / _DAY_NS, end_ns / _DAY_NS
            shade = each.axvspan(*bounds, color=_GAP, alpha=0.45, linewidth=1, zorder=0.5)
    if gaps:
        axes[0].legend([shade], ["gap"], loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)
    locator = AutoDateLocator(tz=UTC, minticks=5, maxticks=10)  # type: ignore[no-untyped-call]
    axes[-1].set_xlim(first, last)
    axes[-1].xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator,
        tz=UTC,
        formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S.%f"],
        zero_formats=["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M:%S"],
        offset_formats=["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"],
    )
    axes[-1].xaxis.set_major_formatter(formatter)
    axes[-1].set_xlabel("time (UTC)")


def _title(axes: "Axes", channel: Channel, *details: str) -> None:
    axes.set_title(str(channel), loc="left", color=_INK, fontsize=13, fontweight="bold", pad=24)
    axes.text(0, 1.02, " · ".join(details), transform=axes.transAxes, color=_FAINT, fontsize=9.5)


def _from_to(extent: Extent) -> str:
    first, last = (iso(ns)[:19].replace("T", " ") for ns in (extent.first_ns, extent.last_ns))
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def _unit(what: str, channel: Channel, *, quote: bool) -> str:
    """``what`` with its currency, where the symbol is a pair."""
    base, dash, counter = channel.symbol.partition("-")
    return f"{what} ({counter if quote else base})" if dash else what
