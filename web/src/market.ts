/**
 * The market on the screen: events come in, bars, book and tape come out. Painters read the plain fields of
 * `market` once per frame; what changes rarely goes to the signals of state.ts.
 */

import { effect, untracked } from '@preact/signals';
import { Bars, summarize, tick } from './bars.ts';
import { type Instrument, sourceOf } from './instruments.ts';
import { requestPaint } from './paint.ts';
import {
  type BookEvent,
  type GapEvent,
  isTrust,
  type MarketEvent,
  type Snapshot,
  type StatusEvent,
  type Subscription,
  timeOf,
  type TradeEvent,
} from './protocol.ts';
import {
  bookBelief,
  type Belief,
  type Gap,
  gaps,
  instrument,
  interval,
  INTERVALS,
  notice,
  rates,
  summary,
  tradeBelief,
} from './state.ts';

export const TAPE_ROWS = 100;
export const BOOK_LEVELS = 15;
const BOOK_HZ = 20;
const MOST_GAPS = 200;

/** The newest trades, oldest first, and how many there have been. Replaced, not cleared, when history changes. */
export interface Tape {
  trades: TradeEvent[];
  count: number;
}

interface Market {
  seconds: Bars;
  /** The bars of the chosen interval; `seconds` itself when that is 1 s. */
  bars: Bars;
  book: BookEvent | null;
  tape: Tape;
}

export const market: Market = empty();
let counts = { events: 0, trades: 0, books: 0, conflated: 0 };

effect(() => {
  const step = INTERVALS[interval.value];
  untracked(() => regroup(step));
});

/** Forget everything and show `chosen`. */
export function open(chosen: Instrument): void {
  instrument.value = chosen;
  bookBelief.value = tradeBelief.value = summary.value = null;
  gaps.value = [];
  notice.value = '';
  Object.assign(market, empty());
  regroup(INTERVALS[interval.value]);
}

/** The subscriptions that `chosen` needs. Trades make bars, so all are wanted; of books only the newest. */
export function subscriptionsOf(chosen: Instrument): Subscription[] {
  const source = sourceOf(chosen);
  return [
    { channels: [`${source}/book`], delivery: 'latest', max_hz: BOOK_HZ, depth: BOOK_LEVELS },
    { channels: [`${source}/trade`], delivery: 'every' },
  ];
}

export function apply(events: MarketEvent[]): void {
  counts.events += events.length;
  for (const event of events) if (concerns(event.channel)) applyOne(event);
  requestPaint();
}

/** The current state of a channel. What we had before its first trade stays. An open gap is told again. */
export function applySnapshot({ channel, events }: Snapshot): void {
  if (!concerns(channel)) return;
  endGaps(channel);
  if (channel.endsWith('/trade'))
    takeTrades(
      events.filter((event) => event.type === 'trade'),
      channel,
    );
  apply(events.filter((event) => event.type !== 'trade'));
}

/** Publish what came in since the last call, which is one second ago. */
export function publishRates(): void {
  rates.value = counts;
  counts = { events: 0, trades: 0, books: 0, conflated: 0 };
  summary.value = summarize(market.seconds);
}

function empty(): Market {
  const seconds = new Bars(1);
  return { seconds, bars: seconds, book: null, tape: { trades: [], count: 0 } };
}

function regroup(step: number): void {
  market.bars = step === 1 ? market.seconds : market.seconds.regroup(step);
  requestPaint();
}

/** The shown instrument's channels and its venue as a whole; late events of another are not for us. */
function concerns(channel: string): boolean {
  const shown = instrument.peek();
  return shown !== null && (channel === shown.venue || channel.startsWith(`${sourceOf(shown)}/`));
}

function applyOne(event: MarketEvent): void {
  switch (event.type) {
    case 'trade':
      return applyTrade(event);
    case 'book':
      return applyBook(event);
    case 'gap':
      return note(event);
    case 'status':
      return applyStatus(event);
  }
}

function applyTrade(trade: TradeEvent): void {
  const part = tick(timeOf(trade) / 1e9, trade.price, trade.size);
  market.seconds.add(part);
  if (market.bars !== market.seconds) market.bars.add(part);
  market.tape.trades.push(trade);
  if (market.tape.trades.length > 2 * TAPE_ROWS) market.tape.trades.splice(0, TAPE_ROWS);
  market.tape.count++;
  counts.trades++;
  believe(tradeBelief, { trust: trade.trust, cause: '', proof: trade.proof ?? null });
}

function applyBook(book: BookEvent): void {
  market.book = book;
  counts.books++;
  counts.conflated += book.conflated ?? 0;
  believe(bookBelief, { trust: book.trust, cause: '', proof: book.proof ?? null });
}

function applyStatus({ channel, state, detail, proof }: StatusEvent): void {
  if (isTrust(state)) {
    believe(channel.endsWith('/book') ? bookBelief : tradeBelief, {
      trust: state,
      cause: detail,
      proof: proof ?? null,
    });
  } else if (state === 'disconnected') {
    for (const belief of [bookBelief, tradeBelief])
      believe(belief, { trust: 'stale', cause: detail, proof: null });
  } else if (state === 'denied') {
    notice.value = detail;
  }
}

/** Change the signal only if it says something new; an event without a cause does not wipe out a known one. */
function believe(signal: typeof bookBelief, belief: Belief): void {
  const old = signal.peek();
  const same = old?.trust === belief.trust && old.proof?.since === belief.proof?.since;
  if (!same || (belief.cause && belief.cause !== old.cause)) signal.value = belief;
}

/** A gap is told twice, when it opens and when it has ended. */
function note({ channel, from, to, cause, healed }: Gap | GapEvent): void {
  const others = gaps.peek().filter((gap) => gap.channel !== channel || gap.from !== from);
  gaps.value = [...others, { channel, from, to, cause, healed }].slice(-MOST_GAPS);
}

/** A server that was started again knows nothing of the gaps its predecessor left open. */
function endGaps(channel: string): void {
  const to = Date.now() * 1e6;
  if (!gaps.peek().some((gap) => gap.to === null)) return;
  gaps.value = gaps.peek().map((gap) => (gap.channel === channel && gap.to === null ? { ...gap, to } : gap));
}

function takeTrades(trades: TradeEvent[], channel: string): void {
  const first = trades[0] ? timeOf(trades[0]) : Date.now() * 1e6;
  noteUnseen(first, channel);
  const recent = new Bars(1);
  for (const trade of trades) recent.add(tick(timeOf(trade) / 1e9, trade.price, trade.size));
  market.seconds.splice(recent);
  regroup(market.bars.step);
  const older = market.tape.trades.filter((trade) => timeOf(trade) < first);
  market.tape = { trades: [...older, ...trades].slice(-TAPE_ROWS), count: market.tape.count + trades.length };
  const last = trades.at(-1);
  if (last) believe(tradeBelief, { trust: last.trust, cause: '', proof: last.proof ?? null });
}

/** A snapshot that does not reach back to our last trade leaves a hole that only this page has. */
function noteUnseen(first: number, channel: string): void {
  const last = market.tape.trades.at(-1);
  if (last && timeOf(last) < first) {
    note({ channel, from: timeOf(last), to: first, cause: 'this page was not connected', healed: null });
  }
}
