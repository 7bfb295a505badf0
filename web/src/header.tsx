/** The top bar: brand, symbol box and the badges that say how far the page may be believed. */

import { clock, plural } from './format.ts';
import type { Trust } from './protocol.ts';
import { SymbolBox } from './search.tsx';
import { type Belief, connection, type Gap, gaps, now, roundTripMs, shownBelief } from './state.ts';
import { toggleTheme } from './theme.ts';

export function Header() {
  return (
    <header class="top">
      <div class="brand">
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <path d="M2 13h3l2-7 4 10 3-8 1.5 5H18" />
        </svg>
        livetape
      </div>
      <SymbolBox />
      <div class="badges">
        <ConnectionBadge />
        <TrustBadge />
        <GapBadge />
        <LatencyBadge />
      </div>
      <button
        class="icon-button"
        type="button"
        aria-label="Switch between dark and light"
        title="Theme (T)"
        onClick={toggleTheme}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="8" cy="8" r="5.5" />
          <path class="solid" d="M8 2.5a5.5 5.5 0 0 1 0 11z" />
        </svg>
      </button>
    </header>
  );
}

const CONNECTIONS = {
  connecting: { text: 'Connecting', tone: '', title: 'Waiting for the gateway' },
  live: { text: 'Live', tone: 'good', title: 'The gateway answers' },
  stale: { text: 'Stale', tone: 'warn', title: 'The gateway has been silent for more than 3 s' },
  reconnecting: {
    text: 'Reconnecting',
    tone: 'bad',
    title: 'The connection is lost; the values are the last known',
  },
};

/** Only the state is announced; the seconds beside it would never stop talking. */
function ConnectionBadge() {
  const { state, since } = connection.value;
  const { text, tone, title } = CONNECTIONS[state];
  const seconds = Math.max(0, Math.round((now.value - since) / 1000));
  return (
    <span class={`badge dot ${tone}`} title={title} data-testid="connection">
      <span role="status" aria-live="polite">
        {text}
      </span>
      {state === 'reconnecting' && <span aria-hidden="true"> {seconds} s</span>}
    </span>
  );
}

const TRUSTS: Record<Trust, { tone: string; title: string }> = {
  verified: { tone: 'good', title: 'Proved by the venue without a break' },
  live: { tone: '', title: 'As received; nothing has proved or refuted it yet' },
  unverifiable: { tone: '', title: 'The venue sends nothing that could prove this book' },
  stale: { tone: 'warn', title: 'Not connected to the venue, or it is silent for longer than is healthy' },
  resyncing: { tone: 'warn', title: 'Something was lost; waiting for a fresh book' },
};

function TrustBadge() {
  const belief = shownBelief.value;
  const { tone, title } = belief
    ? { ...TRUSTS[belief.trust], title: why(belief) }
    : { tone: '', title: 'No book yet' };
  return (
    <span
      class={`badge ${tone}`}
      title={title}
      role="group"
      aria-label="Trust in the order book"
      data-testid="trust"
    >
      {belief ? describe(belief) : 'no book yet'}
    </span>
  );
}

/** A book without a proof may have a score instead: how far it agrees with the venue's REST book. */
function describe({ trust, cause, proof }: Belief): string {
  const score = /^[\d.]+ %/.exec(cause)?.[0];
  const depth = proof?.depth ? plural(proof.depth, 'level') : '';
  return [score ? `${trust} ${score}` : trust, proof?.method, depth].filter(Boolean).join(' · ');
}

function why({ trust, cause, proof }: Belief): string {
  const reason = cause || TRUSTS[trust].title;
  return proof ? `${reason}, since ${clock(proof.since / 1e9)} UTC` : reason;
}

function GapBadge() {
  const open = gaps.value.filter((gap) => gap.to === null).length;
  const unhealed = gaps.value.filter((gap) => gap.healed === null).length;
  const state = open ? ' · open' : gaps.value.length && !unhealed ? ' · healed' : '';
  return (
    <span class={`badge ${unhealed ? 'warn' : ''}`} title={gapList(gaps.value)} data-testid="gaps">
      {plural(gaps.value.length, 'gap')}
      {state}
    </span>
  );
}

function gapList(all: Gap[]): string {
  if (!all.length) return 'Nothing was missed since this symbol was opened';
  return all.slice(-8).map(describeGap).join('\n');
}

function describeGap({ channel, from, to, cause, healed }: Gap): string {
  const kind = channel.slice(channel.lastIndexOf('/') + 1);
  const end = to === null ? 'now' : clock(to / 1e9);
  return `${kind} ${clock(from / 1e9)}–${end} UTC: ${cause}${healed ? `, healed by ${healed}` : ''}`;
}

function LatencyBadge() {
  const ms = roundTripMs.value;
  return (
    <span class="badge" title="Round trip to the gateway, median of the last 15" data-testid="latency">
      {ms === null ? '— ms' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`}
    </span>
  );
}
