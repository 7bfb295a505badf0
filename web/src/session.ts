/** Ties the stream, the market and the address bar together. */

import { batch } from '@preact/signals';
import { fixed } from './format.ts';
import { findInstruments, findSource, type Instrument, sourceOf } from './instruments.ts';
import { apply, applySnapshot, market, open, publishRates, subscriptionsOf } from './market.ts';
import type { ServerMessage } from './protocol.ts';
import { connection, instrument, notice, now, priceDigits, roundTripMs } from './state.ts';
import { Stream } from './stream.ts';

const ROUND_TRIPS = 15;

const roundTrips: number[] = [];

const stream = new Stream(streamUrl(), {
  message: (message) => batch(() => receive(message)),
  connection(state) {
    connection.value = { state, since: Date.now() };
    if (state === 'live' && !instrument.value) void openAddress();
  },
  roundTrip(ms) {
    roundTrips.push(ms);
    if (roundTrips.length > ROUND_TRIPS) roundTrips.shift();
    roundTripMs.value = median(roundTrips);
  },
});

export function start(): void {
  stream.connect();
  void openAddress();
  addEventListener('popstate', () => void openAddress());
  addEventListener('online', () => stream.connect());
  document.addEventListener('visibilitychange', followVisibility);
  followVisibility();
  setInterval(everySecond, 1000);
}

/** Show `chosen` and put it into the address bar. */
export function choose(chosen: Instrument): void {
  const address = new URL(location.href);
  address.search = `?s=${sourceOf(chosen)}`;
  history.pushState(null, '', address);
  show(chosen);
}

function show(chosen: Instrument): void {
  open(chosen);
  stream.subscribe(subscriptionsOf(chosen));
}

/** Show what the address bar names, else the first symbol that the server lists. */
async function openAddress(): Promise<void> {
  const source = new URLSearchParams(location.search).get('s');
  try {
    const found = source ? await findSource(source) : (await findInstruments(''))[0];
    if (!found) notice.value = 'The server offers no symbols.';
    else if (!instrument.value || sourceOf(instrument.value) !== sourceOf(found)) show(found);
  } catch (error) {
    if (connection.value.state === 'live') notice.value = String(error);
  }
}

function receive(message: ServerMessage): void {
  switch (message.op) {
    case 'batch':
      return apply(message.events);
    case 'snapshot':
      return applySnapshot(message);
    case 'error':
      notice.value = message.message;
  }
}

function followVisibility(): void {
  if (document.hidden) stream.pause();
  else stream.resume();
}

function everySecond(): void {
  batch(() => {
    now.value = Date.now();
    publishRates();
  });
  document.title = title();
}

function title(): string {
  const last = market.tape.trades.at(-1);
  const price = last ? `${fixed(last.price, priceDigits.value)} ` : '';
  return `${price}${instrument.value?.symbol ?? ''} · livetape`;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function streamUrl(): string {
  const url = new URL('/v1/stream', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}
