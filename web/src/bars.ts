/** Bars on an ordinal axis, made from trades. Pure: no clock, no page. Times are s since 1970 UTC. */

export interface Bar {
  start: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  /** Sum of price × size. */
  turnover: number;
}

/** One trade as the smallest possible bar. */
export function tick(time: number, price: number, size: number): Bar {
  return {
    start: time,
    open: price,
    high: price,
    low: price,
    close: price,
    volume: size,
    turnover: price * size,
  };
}

const COLUMNS = ['start', 'open', 'high', 'low', 'close', 'volume', 'turnover'] as const;
const MOST_BARS = 1 << 17; // a day and a half of full seconds

export class Bars {
  length = 0;
  /** Changes whenever the content does. */
  version = 0;
  start = new Float64Array(1024);
  open = new Float64Array(1024);
  high = new Float64Array(1024);
  low = new Float64Array(1024);
  close = new Float64Array(1024);
  volume = new Float64Array(1024);
  turnover = new Float64Array(1024);

  /** `step`: the length of each bar in s. */
  constructor(readonly step: number) {}

  /** Fold `part`, a trade or a shorter bar, into the bar it belongs to. Late ones find their place. */
  add(part: Bar): void {
    const start = Math.floor(part.start / this.step) * this.step;
    const at = this.locate(start);
    if (at >= 0 && this.start[at] === start) this.#extend(at, part);
    else this.#insert(at + 1, { ...part, start });
    this.version++;
  }

  /**
   * Replace the end of what we have by `recent`. Its first bar may be cut off at the beginning, so ours is kept
   * if it has seen more.
   */
  splice(recent: Bars): void {
    if (!recent.length) return;
    const first = recent.at(0);
    const at = this.locate(first.start);
    const same = at >= 0 && this.start[at] === first.start;
    const keep = same && this.volume[at]! >= first.volume;
    this.length = same && !keep ? at : at + 1;
    for (let i = keep ? 1 : 0; i < recent.length; i++) this.add(recent.at(i));
    this.version++;
  }

  /** The same bars in longer steps. */
  regroup(step: number): Bars {
    const longer = new Bars(step);
    for (let i = 0; i < this.length; i++) longer.add(this.at(i));
    return longer;
  }

  at(i: number): Bar {
    if (i < 0 || i >= this.length) throw new RangeError(`bar ${i} of ${this.length}`);
    return {
      start: this.start[i]!,
      open: this.open[i]!,
      high: this.high[i]!,
      low: this.low[i]!,
      close: this.close[i]!,
      volume: this.volume[i]!,
      turnover: this.turnover[i]!,
    };
  }

  /** The last bar that starts at or before `time`; -1 if there is none. */
  locate(time: number): number {
    let low = -1;
    let high = this.length;
    if (high && this.start[high - 1]! <= time) return high - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.start[middle]! <= time) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Where `time` falls on the ordinal axis, on which bar i reaches from i - ½ to i + ½. */
  position(time: number): number {
    const at = this.locate(time);
    return at < 0 ? -0.5 : at - 0.5 + Math.min(1, (time - this.start[at]!) / this.step);
  }

  #extend(at: number, part: Bar): void {
    this.high[at] = Math.max(this.high[at]!, part.high);
    this.low[at] = Math.min(this.low[at]!, part.low);
    this.close[at] = part.close;
    this.volume[at]! += part.volume;
    this.turnover[at]! += part.turnover;
  }

  #insert(at: number, bar: Bar): void {
    if (this.length === MOST_BARS) {
      this.#dropOldest(MOST_BARS / 4);
      at = Math.max(0, at - MOST_BARS / 4);
    }
    if (this.length === this.start.length) this.#grow();
    for (const column of COLUMNS) {
      this[column].copyWithin(at + 1, at, this.length);
      this[column][at] = bar[column];
    }
    this.length++;
  }

  #dropOldest(count: number): void {
    for (const column of COLUMNS) this[column].copyWithin(0, count, this.length);
    this.length -= count;
  }

  #grow(): void {
    for (const column of COLUMNS) {
      const longer = new Float64Array(this.length * 2);
      longer.set(this[column]);
      this[column] = longer;
    }
  }
}

export interface Summary {
  since: number;
  change: number;
  high: number;
  low: number;
  volume: number;
  /** Volume-weighted average price. */
  vwap: number;
}

/** What all bars say together; null without bars. */
export function summarize(bars: Bars): Summary | null {
  if (!bars.length) return null;
  let high = -Infinity;
  let low = Infinity;
  let volume = 0;
  let turnover = 0;
  for (let i = 0; i < bars.length; i++) {
    high = Math.max(high, bars.high[i]!);
    low = Math.min(low, bars.low[i]!);
    volume += bars.volume[i]!;
    turnover += bars.turnover[i]!;
  }
  const change = bars.close[bars.length - 1]! / bars.open[0]! - 1;
  return { since: bars.start[0]!, change, high, low, volume, vwap: turnover / volume };
}
