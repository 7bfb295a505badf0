/** The page: where everything is. What moves fast is painted into these elements by their own modules. */

import { signal } from '@preact/signals';
import { CHART_ID, mountChart } from './chart.ts';
import { clock, fixed, percent, sizeText } from './format.ts';
import { Header } from './header.tsx';
import { mountLadder } from './ladder.ts';
import { mountLastPrice } from './lastprice.ts';
import { Segments } from './segments.tsx';
import {
  bookStale,
  following,
  instrument,
  interval,
  INTERVAL_NAMES,
  notice,
  now,
  priceDigits,
  rates,
  sizeDigits,
  summary,
  tradesStale,
} from './state.ts';
import { mountTape } from './tape.ts';

const PANELS = ['Book', 'Trades'] as const;
const panel = signal<(typeof PANELS)[number]>('Book');

export function App() {
  return (
    <>
      <a class="skip" href={`#${CHART_ID}`}>
        Skip to chart
      </a>
      <Header />
      <Notice />
      <main>
        <ChartPane />
        <div class={`side-panes show-${panel.value.toLowerCase()}`}>
          <Segments
            label="Panel"
            choices={PANELS}
            chosen={panel.value}
            choose={(choice) => (panel.value = choice)}
          />
          <BookPane />
          <TapePane />
        </div>
      </main>
      <Footer />
    </>
  );
}

function Notice() {
  if (!notice.value) return null;
  return (
    <div class="notice" role="alert" data-testid="notice">
      <span>{notice}</span>
      <button type="button" onClick={() => (notice.value = '')}>
        Dismiss
      </button>
    </div>
  );
}

function ChartPane() {
  const shown = instrument.value;
  return (
    <section class="pane chart-pane" aria-label="Chart">
      <div class="head">
        <div class="title">
          <h1>{shown?.symbol ?? 'No symbol'}</h1>
          <span class="dim">{shown && [shown.name, shown.venue].filter(Boolean).join(' · ')}</span>
        </div>
        <p class={`last ${stale(tradesStale.value)}`}>
          <span class="unseen">Last price </span>
          <span data-testid="last-price" ref={mountOnce(mountLastPrice)} />
        </p>
        <Summary />
        <Segments
          label="Interval"
          choices={INTERVAL_NAMES}
          chosen={interval.value}
          choose={(choice) => (interval.value = choice)}
        />
      </div>
      <div class="chart-box">
        <div
          id={CHART_ID}
          class={`chart ${stale(tradesStale.value)}`}
          data-testid="chart"
          tabIndex={0}
          role="application"
          aria-roledescription="price chart"
          aria-label={`${shown?.symbol ?? ''} candles of ${interval.value}. Arrow keys scroll, plus and minus zoom, End returns to live.`}
          ref={mountOnce(mountChart)}
        />
        {!following.value && (
          <button class="to-live" type="button" onClick={() => (following.value = true)}>
            Back to live
          </button>
        )}
      </div>
    </section>
  );
}

/** What the bars on this page say together. */
function Summary() {
  const told = summary.value;
  if (!told) return null;
  const price = (value: number) => fixed(value, priceDigits.value);
  return (
    <dl
      class={`summary ${stale(tradesStale.value)}`}
      title={`Of the trades on this page, since ${clock(told.since)} UTC`}
    >
      <Fact
        name={`Since ${clock(told.since, false)}`}
        value={percent(told.change)}
        tone={told.change < 0 ? 'falling' : 'rising'}
      />
      <Fact name="High" value={price(told.high)} />
      <Fact name="Low" value={price(told.low)} />
      <Fact name="Volume" value={sizeText(told.volume, sizeDigits.value)} />
      <Fact name="VWAP" value={price(told.vwap)} />
    </dl>
  );
}

function Fact({ name, value, tone = '' }: { name: string; value: string; tone?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={tone}>{value}</dd>
    </div>
  );
}

function BookPane() {
  const { books, conflated } = rates.value;
  return (
    <section class="pane book" aria-labelledby="book-title">
      <div class="pane-title">
        <h2 id="book-title">Order book</h2>
        <span
          class="dim"
          title="Books shown in the last second, of those received; the gateway sends the newest"
        >
          {conflated ? `${books} of ${books + conflated}/s` : `${books}/s`}
        </span>
      </div>
      <div
        class={`table ${stale(bookStale.value)}`}
        role="table"
        aria-labelledby="book-title"
        data-testid="ladder"
      >
        <Columns names={['Price', 'Size', 'Total']} />
        <div class="ladder" role="presentation" ref={mountOnce(mountLadder)} />
      </div>
    </section>
  );
}

function TapePane() {
  return (
    <section class="pane trades" aria-labelledby="tape-title">
      <div class="pane-title">
        <h2 id="tape-title">Trades</h2>
        <span class="dim">{rates.value.trades}/s</span>
      </div>
      <div class={`table ${stale(tradesStale.value)}`} role="table" aria-labelledby="tape-title">
        <Columns names={['Price', 'Size', 'Time (UTC)']} />
        <div
          class="tape"
          role="rowgroup"
          data-testid="tape"
          tabIndex={0}
          aria-label="Trades, newest first"
          ref={mountOnce(mountTape)}
        />
      </div>
    </section>
  );
}

function Columns({ names }: { names: string[] }) {
  return (
    <div role="rowgroup">
      <div class="row columns" role="row">
        {names.map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
    </div>
  );
}

function Footer() {
  return (
    <footer>
      <span class="hint">
        <kbd>/</kbd> search
      </span>
      <span class="hint">
        <kbd>1</kbd>–<kbd>4</kbd> interval
      </span>
      <span class="hint">
        <kbd>←</kbd> <kbd>→</kbd> scroll
      </span>
      <span class="hint">
        <kbd>+</kbd> <kbd>−</kbd> zoom
      </span>
      <span class="hint">
        <kbd>T</kbd> theme
      </span>
      <span class="push" data-testid="rate">
        {rates.value.events} events/s
      </span>
      <span>{clock(now.value / 1000)} UTC</span>
    </footer>
  );
}

const stale = (is: boolean): string => (is ? 'stale' : '');

const mounted = new WeakSet<Element>();

/** A ref that hands its element to `mount` the first time it appears. */
function mountOnce(mount: (host: HTMLElement) => void): (element: HTMLElement | null) => void {
  return (element) => {
    if (!element || mounted.has(element)) return;
    mounted.add(element);
    mount(element);
  };
}
