/** Which part of the ordinal axis the chart shows. Pure. */

/** What there is to show: `count` bars, in a plot of `width` px. */
export interface Extent {
  count: number;
  width: number;
}

const MARGIN_BARS = 4; // air to the right of the newest bar
const NARROWEST_PX = 0.5;
const WIDEST_PX = 60;

export class View {
  /** How many bars the right edge lies behind the newest; 0 follows the market. */
  back = 0;

  /** `space`: the width of a bar in px. */
  constructor(public space: number) {}

  /** First and last position shown. */
  range({ count, width }: Extent): [number, number] {
    const right = count - 1 + MARGIN_BARS - this.back;
    return [right - width / this.space, right];
  }

  /** Move by `bars` into the past, or with a negative number towards now. */
  pan(bars: number, { count, width }: Extent): void {
    const oldest = Math.ceil(count + MARGIN_BARS - width / this.space);
    this.back = Math.max(0, Math.min(oldest, this.back + bars));
  }

  /** Zoom so that what lies `fromRight` px left of the right edge stays there; who follows keeps following. */
  zoom(factor: number, fromRight: number, extent: Extent): void {
    const old = this.space;
    this.space = Math.max(NARROWEST_PX, Math.min(WIDEST_PX, old * factor));
    if (this.back > 0) this.pan(fromRight / old - fromRight / this.space, extent);
  }

  /** `added` new bars came: who looks at the past keeps looking at the same bars. */
  grow(added: number): void {
    if (this.back > 0) this.back += Math.max(0, added);
  }

  follow(): void {
    this.back = 0;
  }
}
