/** What is drawn on uPlot's canvas. All coordinates are device pixels. */

import type uPlot from 'uplot';
import type { Bars } from './bars.ts';
import type { Gap } from './state.ts';
import type { Palette } from './theme.ts';

const VOLUME_SHARE = 0.17; // of the plot's height
const BODY_SHARE = 0.72; // of a bar's width
const MIN_GAP_PX = 3;

/** Text on the canvas, in CSS px; grows with the page. */
export const FONT_PX = Math.round(0.85 * parseFloat(getComputedStyle(document.documentElement).fontSize));
export const axisFont = (scale = 1): string => `${FONT_PX * scale}px Inter, system-ui, sans-serif`;

/** One picture: what to draw, and which bars are in sight. */
export interface Scene {
  bars: Bars;
  gaps: Gap[];
  first: number;
  last: number;
  palette: Palette;
  price(value: number): string;
}

/** Lowest and highest price of the scene with air around it, the volume's share below included. */
export function priceRange({ bars, first, last }: Pick<Scene, 'bars' | 'first' | 'last'>): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = first; i <= last; i++) {
    low = Math.min(low, bars.low[i]!);
    high = Math.max(high, bars.high[i]!);
  }
  if (low > high) return [0, 1];
  const span = high - low || Math.abs(high) * 1e-4 || 1;
  return [low - span * (0.1 + VOLUME_SHARE * 1.4), high + span * 0.14];
}

export function paintGaps(plot: uPlot, { bars, gaps, palette }: Scene): void {
  const { top, height, left, width } = plot.bbox;
  clipped(plot, (context) => {
    context.fillStyle = palette.gap;
    for (const gap of gaps) {
      const from = plot.valToPos(bars.position(gap.from / 1e9), 'x', true);
      const to = gap.to === null ? left + width : plot.valToPos(bars.position(gap.to / 1e9), 'x', true);
      const wide = Math.max(to - from, MIN_GAP_PX * devicePixelRatio);
      context.fillRect((from + to - wide) / 2, top, wide, height);
    }
  });
}

export function paintBars(plot: uPlot, scene: Scene): void {
  clipped(plot, (context) => {
    for (const rising of [true, false]) {
      paintVolume(plot, context, scene, rising);
      paintCandles(plot, context, scene, rising);
    }
  });
}

function paintVolume(plot: uPlot, context: CanvasRenderingContext2D, scene: Scene, rising: boolean): void {
  const { bars, first, last, palette } = scene;
  const { top, height } = plot.bbox;
  const most = maximum(bars.volume, first, last);
  const wide = bodyWidth(plot);
  context.fillStyle = palette[rising ? 'up-soft' : 'down-soft'];
  for (let i = first; i <= last; i++) {
    if (isRising(bars, i) !== rising) continue;
    const tall = (bars.volume[i]! / most) * height * VOLUME_SHARE;
    context.fillRect(Math.round(plot.valToPos(i, 'x', true) - wide / 2), top + height - tall, wide, tall);
  }
}

function paintCandles(plot: uPlot, context: CanvasRenderingContext2D, scene: Scene, rising: boolean): void {
  const { bars, first, last, palette } = scene;
  const wide = bodyWidth(plot);
  const thin = Math.min(wide, Math.max(1, Math.round(devicePixelRatio)));
  const y = (price: number) => plot.valToPos(price, 'y', true);
  context.fillStyle = palette[rising ? 'up' : 'down'];
  for (let i = first; i <= last; i++) {
    if (isRising(bars, i) !== rising) continue;
    const body = Math.round(plot.valToPos(i, 'x', true) - wide / 2);
    const high = y(bars.high[i]!);
    const edge = y(Math.max(bars.open[i]!, bars.close[i]!));
    const tall = y(Math.min(bars.open[i]!, bars.close[i]!)) - edge;
    context.fillRect(Math.round(body + (wide - thin) / 2), high, thin, y(bars.low[i]!) - high);
    context.fillRect(body, edge, wide, Math.max(thin, tall));
  }
}

/** A dashed line at the last price, and the price on the axis. */
export function paintLastPrice(plot: uPlot, { bars, palette, price }: Scene): void {
  if (!bars.length) return;
  const at = bars.length - 1;
  const { left, width, top, height } = plot.bbox;
  const y = Math.round(plot.valToPos(bars.close[at]!, 'y', true)) + 0.5;
  if (y < top || y > top + height) return;
  const { ctx: context } = plot;
  const pixel = devicePixelRatio;
  context.save();
  context.strokeStyle = context.fillStyle = palette[isRising(bars, at) ? 'up' : 'down'];
  context.lineWidth = pixel;
  context.setLineDash([3 * pixel, 3 * pixel]);
  context.beginPath();
  context.moveTo(left, y);
  context.lineTo(left + width, y);
  context.stroke();
  paintTag(context, left + width, y, price(bars.close[at]!), palette.panel);
  context.restore();
}

/** `text` on a plate in the current fill colour, from `x` to the canvas's right edge. */
function paintTag(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  text: string,
  colour: string,
): void {
  const pixel = devicePixelRatio;
  const tall = 1.7 * FONT_PX * pixel;
  context.beginPath();
  context.roundRect(x + 2 * pixel, y - tall / 2, context.canvas.width - x - 4 * pixel, tall, 3 * pixel);
  context.fill();
  context.fillStyle = colour;
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  context.font = axisFont(pixel);
  context.fillText(text, x + 8 * pixel, y);
}

const isRising = (bars: Bars, i: number): boolean => bars.close[i]! >= bars.open[i]!;

function bodyWidth(plot: uPlot): number {
  const space = plot.valToPos(1, 'x', true) - plot.valToPos(0, 'x', true);
  return Math.max(1, Math.floor(space * BODY_SHARE));
}

function maximum(column: Float64Array, first: number, last: number): number {
  let most = 0;
  for (let i = first; i <= last; i++) most = Math.max(most, column[i]!);
  return most || 1;
}

function clipped(plot: uPlot, paint: (context: CanvasRenderingContext2D) => void): void {
  const { ctx: context, bbox } = plot;
  context.save();
  context.beginPath();
  context.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  context.clip();
  paint(context);
  context.restore();
}
