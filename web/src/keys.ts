/** Keys that work everywhere on the page, except while typing. */

import { focusSearch } from './search.tsx';
import { interval, INTERVAL_NAMES } from './state.ts';
import { toggleTheme } from './theme.ts';

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === 'k') return act(event, focusSearch);
    if (command || event.altKey || event.target instanceof HTMLInputElement) return;
    const chosen = INTERVAL_NAMES[Number(event.key) - 1];
    if (event.key === '/') act(event, focusSearch);
    else if (event.key === 't' || event.key === 'T') act(event, toggleTheme);
    else if (chosen) act(event, () => (interval.value = chosen));
  });
}

function act(event: KeyboardEvent, action: () => void): void {
  event.preventDefault();
  action();
}
