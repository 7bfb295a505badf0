/** The trade tape: a fixed set of rows, the oldest of which becomes the newest. */

import { fixed, sizeText, tapeTime } from './format.ts';
import { market, type Tape, TAPE_ROWS } from './market.ts';
import { onPaint } from './paint.ts';
import { timeOf, type TradeEvent } from './protocol.ts';
import { priceDigits, sizeDigits } from './state.ts';

const BIG_SHARE = 0.05; // the largest twentieth of the trades shown stands out

export function mountTape(host: HTMLElement): void {
  const rows: HTMLElement[] = [];
  let drawn: Tape | null = null;
  let count = 0;
  onPaint(() => {
    const { tape } = market;
    if (tape !== drawn) {
      host.replaceChildren();
      rows.length = 0;
      count = tape.count - tape.trades.length;
      drawn = tape;
    }
    const fresh = Math.min(tape.count - count, TAPE_ROWS, tape.trades.length);
    if (fresh > 0) print(host, rows, tape.trades, fresh);
    count = tape.count;
  });
}

/** Put the newest `fresh` of `trades` on top of `host`; `rows` are those it has, oldest first. */
function print(host: HTMLElement, rows: HTMLElement[], trades: TradeEvent[], fresh: number): void {
  const big = bigSize(trades);
  for (const trade of trades.slice(-fresh)) {
    const row = rows.length < TAPE_ROWS ? newRow() : rows.shift()!;
    fill(row, trade, trade.size > big);
    rows.push(row);
    host.prepend(row);
  }
}

function bigSize(trades: TradeEvent[]): number {
  const sizes = trades.map((trade) => trade.size).sort((a, b) => b - a);
  return sizes[Math.floor(sizes.length * BIG_SHARE)] ?? Infinity;
}

function newRow(): HTMLElement {
  const row = document.createElement('div');
  row.role = 'row';
  row.dataset.testid = 'tape-row';
  for (let i = 0; i < 3; i++) {
    const cell = document.createElement('span');
    cell.role = 'cell';
    row.append(cell);
  }
  return row;
}

function fill(row: HTMLElement, trade: TradeEvent, big: boolean): void {
  row.className = `row ${trade.side ?? 'unsided'}${big ? ' big' : ''}`;
  const texts = [
    fixed(trade.price, priceDigits.value),
    sizeText(trade.size, sizeDigits.value),
    tapeTime(timeOf(trade)),
  ];
  texts.forEach((text, i) => (row.children[i]!.textContent = text));
}
