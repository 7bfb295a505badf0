/** The symbol box: a combobox after the WAI-ARIA pattern "list autocomplete with manual selection". */

import { batch, signal } from '@preact/signals';
import { CHART_ID } from './chart.ts';
import { findInstruments, type Instrument } from './instruments.ts';
import { choose } from './session.ts';

const DEBOUNCE_MS = 80;
const LIST = 'symbol-options';

const text = signal('');
const options = signal<Instrument[]>([]);
const active = signal(-1);
const opened = signal(false);
const trouble = signal('');

let input: HTMLInputElement | null = null;
let inFlight: AbortController | undefined;
let waiting: ReturnType<typeof setTimeout> | undefined;
let shown: string | undefined; // the query whose matches are listed
let hasty = false; // whether Enter was pressed before they came

export function focusSearch(): void {
  input?.focus();
  input?.select();
}

export function SymbolBox() {
  const expanded = opened.value && options.value.length > 0;
  return (
    <div class="search" role="search">
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="7" cy="7" r="4.5" />
        <path d="M10.5 10.5 14 14" />
      </svg>
      <input
        ref={(element) => void (input = element)}
        data-testid="symbol-box"
        role="combobox"
        aria-label="Search symbols"
        aria-autocomplete="list"
        aria-controls={LIST}
        aria-expanded={expanded}
        aria-activedescendant={expanded && active.value >= 0 ? optionId(active.value) : undefined}
        placeholder="Search symbols"
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
        value={text}
        onFocus={() => ask(0)}
        onClick={() => ask(0)}
        onBlur={close}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          ask(DEBOUNCE_MS);
        }}
        onKeyDown={handleKey}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id={LIST} class="options" role="listbox" aria-label="Symbols" hidden={!expanded}>
        {options.value.map((option, i) => (
          <Option key={`${option.venue}:${option.symbol}`} option={option} i={i} />
        ))}
      </ul>
      {opened.value && trouble.value && <p class="options trouble">{trouble}</p>}
    </div>
  );
}

function Option({ option, i }: { option: Instrument; i: number }) {
  return (
    <li
      id={optionId(i)}
      role="option"
      aria-selected={active.value === i}
      onPointerDown={(event) => event.preventDefault() /* keep the focus, and with it the list */}
      onClick={() => accept(option)}
    >
      <b>{option.symbol}</b>
      <span>{option.name}</span>
      <em>{option.venue}</em>
    </li>
  );
}

function handleKey(event: KeyboardEvent): void {
  const act = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: acceptActive,
    Escape: leave,
  }[event.key];
  if (!act || event.isComposing) return;
  event.preventDefault();
  act();
}

/** Opens the list if it is closed; from either end it goes round. A list of what was typed before has no say. */
function move(by: number): void {
  if (!opened.value) return ask(0);
  const count = options.value.length;
  if (!count || shown !== query()) return;
  active.value = active.value < 0 && by < 0 ? count - 1 : (active.value + by + count) % count;
  document.getElementById(optionId(active.value))?.scrollIntoView({ block: 'nearest' });
}

function acceptActive(): void {
  const option = options.value[active.value];
  hasty = shown !== query();
  if (opened.value && option && !hasty) accept(option);
}

function accept(option: Instrument): void {
  leave();
  choose(option);
  document.getElementById(CHART_ID)?.focus();
}

function leave(): void {
  text.value = '';
  close();
  input?.blur();
}

function close(): void {
  clearTimeout(waiting);
  inFlight?.abort();
  opened.value = false;
  active.value = -1;
  shown = undefined;
  hasty = false;
}

function ask(delayMs: number): void {
  hasty = false;
  clearTimeout(waiting);
  waiting = setTimeout(() => void load(query()), delayMs);
}

async function load(typed: string): Promise<void> {
  inFlight?.abort();
  inFlight = new AbortController();
  const { signal } = inFlight;
  try {
    const found = await findInstruments(typed, signal);
    show(typed, found, found.length ? '' : 'No symbol found');
  } catch (error) {
    if (!signal.aborted) show(typed, [], String(error));
  }
}

/** What was typed makes the first match the active one; without a query none is. */
function show(typed: string, found: Instrument[], problem: string): void {
  batch(() => {
    options.value = found;
    trouble.value = problem;
    opened.value = true;
    active.value = typed && found.length ? 0 : -1;
  });
  shown = typed;
  if (hasty) acceptActive();
}

const query = (): string => text.value.trim();
const optionId = (i: number): string => `${LIST}-${i}`;
