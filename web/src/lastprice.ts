/** The last price, in the colour of its last move. */

import { fixed } from './format.ts';
import { market } from './market.ts';
import { onPaint } from './paint.ts';
import type { TradeEvent } from './protocol.ts';
import { priceDigits } from './state.ts';

export function mountLastPrice(host: HTMLElement): void {
  const text = document.createTextNode('—');
  host.append(text);
  let drawn: TradeEvent | undefined;
  onPaint(() => {
    const last = market.tape.trades.at(-1);
    if (last === drawn) return;
    const moved = last && drawn?.channel === last.channel ? last.price - drawn.price : 0;
    if (moved) host.className = moved < 0 ? 'falling' : 'rising';
    text.data = last ? fixed(last.price, priceDigits.value) : '—';
    drawn = last;
  });
}
