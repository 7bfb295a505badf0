/**
 * What the cold part of the page shows, as signals. The hot part (bars, book, tape) is in market.ts and is
 * painted once per frame without any diff.
 */

import { computed, signal } from '@preact/signals';
import type { Summary } from './bars.ts';
import { decimals } from './format.ts';
import type { Instrument } from './instruments.ts';
import type { Proof, Trust } from './protocol.ts';
import type { Connection } from './stream.ts';

/** How far a channel may be believed, and why. */
export interface Belief {
  trust: Trust;
  cause: string;
  proof: Proof | null;
}

/** An interval in which `channel` may have missed something. Times in ns; `to` is null while it is open. */
export interface Gap {
  channel: string;
  from: number;
  to: number | null;
  cause: string;
  healed: string | null;
}

/** What came in within the last second. */
export interface Rates {
  events: number;
  trades: number;
  books: number;
  /** Books that were replaced by newer ones before they were sent. */
  conflated: number;
}

export const INTERVALS = { '1s': 1, '5s': 5, '15s': 15, '1m': 60 } as const;
export type Interval = keyof typeof INTERVALS;
export const INTERVAL_NAMES = Object.keys(INTERVALS) as Interval[];

export const instrument = signal<Instrument | null>(null);
export const interval = signal<Interval>('1s');
export const connection = signal<{ state: Connection; since: number }>({
  state: 'connecting',
  since: Date.now(),
});
/** What the server last said of the shown book; `shownBelief` is what it is worth now. */
export const bookBelief = signal<Belief | null>(null);
export const tradeBelief = signal<Belief | null>(null);
export const gaps = signal<Gap[]>([]);
export const roundTripMs = signal<number | null>(null);
export const rates = signal<Rates>({ events: 0, trades: 0, books: 0, conflated: 0 });
export const summary = signal<Summary | null>(null);
/** Something the user must know: a refusal in the server's words. */
export const notice = signal('');
/** Ticks once a second, in ms. */
export const now = signal(Date.now());
/** False when the chart is scrolled back into the past. */
export const following = signal(true);

export const priceDigits = computed(() => decimals(instrument.value?.price_step ?? null, 2));
export const sizeDigits = computed(() => decimals(instrument.value?.size_step ?? null, 4));

const disconnected = computed(() => ['stale', 'reconnecting'].includes(connection.value.state));
const LOST: Belief = { trust: 'stale', cause: 'This page has lost its connection', proof: null };
export const shownBelief = computed(() => (bookBelief.value && disconnected.value ? LOST : bookBelief.value));
export const bookStale = computed(() => shownBelief.value?.trust === 'stale');
export const tradesStale = computed(() => disconnected.value || tradeBelief.value?.trust === 'stale');
