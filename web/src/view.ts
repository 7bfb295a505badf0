/** Which part of the ordinal axis the chart shows. Pure. */

const MARGIN_BARS = 4; // air to the right of the newest bar
const NARROWEST_PX = 0.5;
const WIDEST_PX = 60;

export class View {
  /** Width of a bar in px. */
  space = 8;
  /** How many bars the right edge lies behind the newest; 0 follows the market. */
  back = 0;

  /** First and last position shown by a plot of `width` px over `count` bars. */
  range(count: number, width: number): [number, number] {
    const right = count - 1 + MARGIN_BARS - this.back;
    return [right - width / this.space, right];
  }

  /** Move by `bars` into the past, or with a negative number towards now. */
  pan(bars: number, count: number): void {
    this.back = Math.max(0, Math.min(count - MARGIN_BARS, this.back + bars));
  }

  /** Zoom so that what lies `fromRight` px left of the right edge stays where it is. */
  zoom(factor: number, fromRight: number, count: number): void {
    const old = this.space;
    this.space = Math.max(NARROWEST_PX, Math.min(WIDEST_PX, old * factor));
    this.pan(fromRight / old - fromRight / this.space, count);
  }

  /** `added` new bars came: who looks at the past keeps looking at the same bars. */
  grow(added: number): void {
    if (this.back > 0) this.back += added;
  }

  follow(): void {
    this.back = 0;
  }
}
