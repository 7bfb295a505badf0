/** The candle chart: uPlot keeps axes, grid and cursor; bars are painted by painters.ts on an ordinal axis. */

import { effect } from '@preact/signals';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Bars } from './bars.ts';
import { clock, fixed, sizeText } from './format.ts';
import { steer } from './gestures.ts';
import { market } from './market.ts';
import { onPaint, requestPaint } from './paint.ts';
import {
  axisFont,
  FONT_PX,
  paintBars,
  paintGaps,
  paintLastPrice,
  priceRange,
  type Scene,
} from './painters.ts';
import { following, gaps, priceDigits, sizeDigits } from './state.ts';
import { palette } from './theme.ts';
import { type Extent, View } from './view.ts';

export const CHART_ID = 'chart';
const LABEL_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const LABEL_PX = 90;
const PRICE_STEPS = Array.from({ length: 22 }, (_, i) => i - 12).flatMap((power) =>
  [1, 2, 5].map((n) => n * 10 ** power),
);

export function mountChart(host: HTMLElement): void {
  new Chart(host);
}

class Chart {
  #view = new View(0.75 * FONT_PX);
  #scene: Scene;
  #plot: uPlot;
  #legend: Legend;
  #cursorPrice = label('cursor-price');
  #cursorTime = label('cursor-time');
  #positions = new Float64Array(0);
  #drawn: { bars: Bars; version: number } | null = null;

  constructor(readonly host: HTMLElement) {
    this.#scene = {
      bars: market.bars,
      gaps: [],
      first: 0,
      last: -1,
      palette: palette.value,
      price: (value) => fixed(value, priceDigits.value),
    };
    this.#legend = new Legend(host);
    this.#plot = new uPlot(this.#options(), [[], []], host);
    this.#plot.root.ariaHidden = 'true';
    this.#plot.over.append(this.#cursorPrice, this.#cursorTime);
    steer(host, this.#plot.over, {
      pan: (px) => this.#move(() => this.#view.pan(px / this.#view.space, this.#extent)),
      zoom: (factor, fromRight) => this.#move(() => this.#view.zoom(factor, fromRight, this.#extent)),
      oldest: () => this.#move(() => this.#view.pan(Infinity, this.#extent)),
      newest: () => this.#move(() => this.#view.follow()),
    });
    new ResizeObserver(() => this.#resize()).observe(host);
    effect(() => {
      if (following.value) this.#move(() => this.#view.follow());
    });
    effect(() => {
      this.#scene.gaps = gaps.value;
      this.#invalidate();
    });
    effect(() => {
      this.#scene.palette = palette.value;
      this.#invalidate();
    });
    onPaint(() => this.#paint());
  }

  get #extent(): Extent {
    return { count: market.bars.length, width: this.#plot.bbox.width / devicePixelRatio };
  }

  #move(change: () => void): void {
    change();
    following.value = this.#view.back === 0;
    this.#invalidate();
  }

  #invalidate(): void {
    this.#drawn = null;
    requestPaint();
  }

  #resize(): void {
    this.#plot.setSize({ width: this.host.clientWidth, height: this.host.clientHeight });
    this.#invalidate();
  }

  #paint(): void {
    const { bars } = market;
    if (this.#drawn?.bars === bars && this.#drawn.version === bars.version) return;
    this.#keepPlace(bars);
    this.#drawn = { bars, version: bars.version };
    const [left, right] = this.#view.range(this.#extent);
    Object.assign(this.#scene, {
      bars,
      first: Math.max(0, Math.floor(left)),
      last: Math.min(bars.length - 1, Math.ceil(right)),
    });
    const [low, high] = priceRange(this.#scene);
    this.#plot.batch(() => {
      this.#plot.setData([this.#ordinals(bars.length), bars.close.subarray(0, bars.length)], false);
      this.#plot.setScale('x', { min: left, max: right });
      this.#plot.setScale('y', { min: low, max: high });
    });
    this.#label();
    this.host.dataset.bars = String(bars.length);
  }

  /** A scrolled view stays where it is when bars come; other bars may leave less to scroll. */
  #keepPlace(bars: Bars): void {
    if (bars === this.#scene.bars) this.#view.grow(bars.length - this.#plot.data[0].length);
    else this.#move(() => this.#view.pan(0, this.#extent));
  }

  /** 0, 1, 2 … `count` - 1. */
  #ordinals(count: number): Float64Array {
    if (this.#positions.length < count)
      this.#positions = Float64Array.from({ length: count * 2 }, (_, i) => i);
    return this.#positions.subarray(0, count);
  }

  #options(): uPlot.Options {
    const scene = this.#scene;
    const line = { stroke: () => scene.palette.grid, width: 1 };
    const axis = { stroke: () => scene.palette.dim, font: axisFont(), grid: line, ticks: { show: false } };
    return {
      width: this.host.clientWidth,
      height: this.host.clientHeight,
      padding: [0, 0, 0, 0],
      legend: { show: false },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        {
          ...axis,
          size: 2.5 * FONT_PX,
          gap: 8,
          splits: () => this.#timeSplits(),
          values: (_, splits) => this.#timeLabels(splits),
        },
        {
          ...axis,
          scale: 'y',
          side: 1,
          gap: 8,
          space: 4.2 * FONT_PX,
          size: (_, values) =>
            18 + 0.6 * FONT_PX * Math.max(7, ...(values ?? []).map((value) => value.length)),
          incrs: () => PRICE_STEPS.filter((step) => step > 0.9 * 10 ** -priceDigits.value),
          filter: (plot, splits) => splits.map((price) => (this.#hasRoom(plot, price) ? price : null)),
          values: (_, splits: (number | null)[]) =>
            splits.map((price) => (price === null ? '' : scene.price(price))),
        },
      ],
      cursor: {
        drag: { setScale: false, x: false, y: false },
        points: { show: false },
        move: (plot, left, top) => [this.#snap(plot, left), top],
      },
      hooks: {
        drawAxes: [(plot) => paintGaps(plot, scene)],
        draw: [(plot) => paintBars(plot, scene), (plot) => paintLastPrice(plot, scene)],
        setCursor: [() => this.#label()],
      },
    };
  }

  /** Whether a label at `price` fits into the plot; without bars no price means anything. */
  #hasRoom(plot: uPlot, price: number): boolean {
    const y = plot.valToPos(price, 'y');
    return (
      this.#scene.bars.length > 0 && y > FONT_PX && y < plot.bbox.height / devicePixelRatio - FONT_PX / 2
    );
  }

  /** The middle of the bar under the cursor. */
  #snap(plot: uPlot, left: number): number {
    return left < 0 ? left : plot.valToPos(Math.round(plot.posToVal(left, 'x')), 'x');
  }

  /** The bars in sight at which a round time begins. */
  #timeSplits(): number[] {
    const { bars, first, last } = this.#scene;
    const step = this.#labelStep();
    const whole = first + Math.ceil(LABEL_PX / 3 / this.#view.space); // left of it the label would be cut off
    const splits: number[] = [];
    for (let i = Math.max(1, whole); i <= last; i++) {
      const begins = Math.floor(bars.start[i]! / step) !== Math.floor(bars.start[i - 1]! / step);
      const clear = (i - (splits.at(-1) ?? -Infinity)) * this.#view.space >= LABEL_PX * 0.7;
      if (begins && clear) splits.push(i);
    }
    return splits;
  }

  #timeLabels(splits: number[]): string[] {
    const withSeconds = this.#labelStep() < 60;
    return splits.map((i) => clock(this.#scene.bars.start[i] ?? 0, withSeconds));
  }

  #labelStep(): number {
    const wanted = (LABEL_PX / this.#view.space) * this.#scene.bars.step;
    return LABEL_STEPS.find((step) => step >= wanted) ?? 86400;
  }

  /** The legend and the tags at the axes follow the cursor; without one they tell of the last bar. */
  #label(): void {
    const { left = -1, top = -1 } = this.#plot.cursor;
    const { bars } = this.#scene;
    const inside = left >= 0 && bars.length > 0;
    const at = inside ? Math.round(this.#plot.posToVal(left, 'x')) : bars.length - 1;
    const over = Math.max(0, Math.min(bars.length - 1, at));
    this.#legend.show(bars, over);
    this.#cursorPrice.hidden = this.#cursorTime.hidden = !inside;
    if (!inside) return;
    this.#cursorPrice.textContent = this.#scene.price(this.#plot.posToVal(top, 'y'));
    this.#cursorPrice.style.transform = `translateY(${Math.round(top)}px) translateY(-50%)`;
    this.#cursorTime.textContent = clock(bars.start[over]!);
    this.#cursorTime.style.transform = `translateX(${Math.round(left)}px) translateX(-50%)`;
  }
}

/** Open, high, low, close and volume of one bar, in the chart's corner. */
class Legend {
  #cells = ['O', 'H', 'L', 'C', 'Vol'].map((name) => ({ name, cell: document.createElement('b') }));
  #root = label('legend');

  constructor(host: HTMLElement) {
    this.#root.ariaHidden = 'true';
    this.#root.append(...this.#cells.flatMap(({ name, cell }) => [name, cell]));
    host.append(this.#root);
  }

  show(bars: Bars, i: number): void {
    this.#root.hidden = i < 0 || i >= bars.length;
    if (this.#root.hidden) return;
    const bar = bars.at(i);
    const prices = [bar.open, bar.high, bar.low, bar.close].map((price) => fixed(price, priceDigits.value));
    const texts = [...prices, sizeText(bar.volume, sizeDigits.value)];
    this.#root.classList.toggle('falling', bar.close < bar.open);
    this.#cells.forEach(({ cell }, column) => (cell.textContent = texts[column] ?? ''));
  }
}

function label(name: string): HTMLElement {
  const element = document.createElement('div');
  element.className = name;
  return element;
}
