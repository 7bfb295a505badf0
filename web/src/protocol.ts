/** The words of `/v1/stream`. Times are ns since 1970 UTC; as floats they keep about a quarter of a µs. */

export type Trust = 'verified' | 'live' | 'unverifiable' | 'stale' | 'resyncing';
export type Side = 'buy' | 'sell';
export type Level = [price: number, size: number];

export interface Proof {
  method: string;
  /** Levels of each side that the proof covers; null: all that are known. */
  depth: number | null;
  since: number;
}

interface Common {
  /** `venue:SYMBOL/kind`, or just `venue` when the event concerns a whole connection. */
  channel: string;
  ts: number | null;
  recv: number;
  trust: Trust;
  /** How many events this one stands for beside itself. */
  conflated?: number;
  proof?: Proof;
}

export interface TradeEvent extends Common {
  type: 'trade';
  price: number;
  size: number;
  /** The aggressor's; null where the venue does not say. */
  side: Side | null;
}

export interface BookEvent extends Common {
  type: 'book';
  bids: Level[];
  asks: Level[];
}

export interface QuoteEvent extends Common {
  type: 'quote';
  bid: number | null;
  ask: number | null;
}

export interface GapEvent extends Common {
  type: 'gap';
  from: number;
  /** null while the gap is open. */
  to: number | null;
  cause: string;
  /** What made the channel whole again; null while nothing did. */
  healed: string | null;
}

export interface StatusEvent extends Common {
  type: 'status';
  /** On a channel its new trust, on a venue the state of its connection. */
  state: string;
  detail: string;
}

export type MarketEvent = TradeEvent | BookEvent | QuoteEvent | GapEvent | StatusEvent;

export interface Snapshot {
  op: 'snapshot';
  channel: string;
  events: MarketEvent[];
}

export interface Refusal {
  op: 'error';
  id?: number;
  code: string;
  message: string;
  channel?: string;
}

export type ServerMessage =
  | { op: 'hello'; protocol: string; ts: number }
  | { op: 'ack'; id: number; channels: string[] }
  | { op: 'pong'; id: number; ts: number }
  | { op: 'batch'; ts: number; events: MarketEvent[] }
  | Snapshot
  | Refusal;

/** What to send of some channels: everything, or the newest at most `max_hz` times a second. */
export type Subscription =
  | { channels: string[]; delivery: 'every' }
  | { channels: string[]; delivery: 'latest'; max_hz: number; depth: number };

export type ClientMessage =
  | ({ op: 'subscribe'; id: number } & Subscription)
  | { op: 'unsubscribe'; id: number; channels: string[] }
  | { op: 'pause' | 'resume' | 'ping'; id: number };

/** When it happened: the venue's time, or ours where the venue gives none. */
export const timeOf = (event: Common): number => event.ts ?? event.recv;

const TRUSTS: readonly string[] = [
  'verified',
  'live',
  'unverifiable',
  'stale',
  'resyncing',
] satisfies Trust[];

export const isTrust = (state: string): state is Trust => TRUSTS.includes(state);
