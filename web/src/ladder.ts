/** The order book as a ladder: rows are made once, then only text and one transform per row change. */

import { fixed, sizeText } from './format.ts';
import { BOOK_LEVELS, market } from './market.ts';
import { onPaint } from './paint.ts';
import type { BookEvent, Level } from './protocol.ts';
import { priceDigits, sizeDigits } from './state.ts';

const TOTAL_DIGITS = 3;

export function mountLadder(host: HTMLElement): void {
  const ladder = new Ladder(host);
  let drawn: BookEvent | null | undefined;
  onPaint(() => {
    if (market.book === drawn) return;
    drawn = market.book;
    ladder.show(drawn?.bids ?? [], drawn?.asks ?? []);
  });
}

class Ladder {
  #asks = rows('ask');
  #bids = rows('bid');
  #mid = element('span', 'mid');
  #spread = element('span', 'spread');
  #share = element('span', 'share');
  #bidShare = element('i', 'share-bid');

  constructor(host: HTMLElement) {
    const asks = element('div', 'side asks');
    const bids = element('div', 'side bids');
    const between = element('div', 'between');
    asks.role = bids.role = 'rowgroup';
    asks.append(...this.#asks.map((row) => row.root).reverse());
    bids.append(...this.#bids.map((row) => row.root));
    this.#mid.title = 'Middle of best bid and ask';
    this.#share.title = "Bids' share of the size shown";
    this.#share.append(this.#bidShare);
    between.role = 'row';
    this.#mid.role = this.#spread.role = this.#share.role = 'cell';
    between.append(this.#mid, this.#spread, this.#share);
    host.append(asks, between, bids);
  }

  show(bids: Level[], asks: Level[]): void {
    const bidTotals = totals(bids);
    const askTotals = totals(asks);
    const bidSize = bidTotals.at(-1) ?? 0;
    const askSize = askTotals.at(-1) ?? 0;
    const most = Math.max(bidSize, askSize);
    this.#bids.forEach((row, i) => row.show(bids[i], bidTotals[i] ?? 0, most));
    this.#asks.forEach((row, i) => row.show(asks[i], askTotals[i] ?? 0, most));
    this.#share.hidden = !most;
    this.#bidShare.style.transform = `scaleX(${bidSize / (bidSize + askSize)})`;
    this.#showSpread(bids[0]?.[0], asks[0]?.[0]);
  }

  #showSpread(bid: number | undefined, ask: number | undefined): void {
    const known = bid !== undefined && ask !== undefined;
    this.#mid.textContent = known ? fixed((bid + ask) / 2, priceDigits.value) : '—';
    this.#spread.textContent = known ? `spread ${fixed(ask - bid, priceDigits.value)}` : 'no spread';
  }
}

class Row {
  readonly root = element('div', 'row');
  #bar = element('i', 'bar');
  #texts = [document.createTextNode(''), document.createTextNode(''), document.createTextNode('')] as const;

  constructor(side: 'bid' | 'ask') {
    this.root.role = 'row';
    this.root.dataset.testid = `ladder-${side}`;
    this.root.hidden = true;
    this.root.append(this.#bar, ...this.#texts.map(cell));
  }

  show(level: Level | undefined, total: number, most: number): void {
    this.root.hidden = !level;
    if (!level) return;
    const digits = sizeDigits.value;
    const [price, size, sum] = this.#texts;
    write(price, fixed(level[0], priceDigits.value));
    write(size, sizeText(level[1], digits));
    write(sum, sizeText(total, Math.min(digits, TOTAL_DIGITS)));
    this.#bar.style.transform = `scaleX(${(total / most).toFixed(3)})`;
  }
}

function rows(side: 'bid' | 'ask'): Row[] {
  return Array.from({ length: BOOK_LEVELS }, () => new Row(side));
}

function totals(levels: Level[]): number[] {
  let sum = 0;
  return levels.slice(0, BOOK_LEVELS).map(([, size]) => (sum += size));
}

function cell(text: Text): HTMLElement {
  const span = document.createElement('span');
  span.role = 'cell';
  span.append(text);
  return span;
}

function write(text: Text, value: string): void {
  if (text.data !== value) text.data = value;
}

function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className: string,
): HTMLElementTagNameMap[Name] {
  return Object.assign(document.createElement(name), { className });
}
