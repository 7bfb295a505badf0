/** Dark or light: the user's choice if there is one, else the system's. Colours live in app.css alone. */

import { computed, effect, signal } from '@preact/signals';

export type Theme = 'dark' | 'light';

const KEY = 'livetape.theme';
const system = matchMedia('(prefers-color-scheme: light)');
const systemTheme = signal<Theme>(system.matches ? 'light' : 'dark');
const chosen = signal<Theme | null>(remembered());

export const theme = computed(() => chosen.value ?? systemTheme.value);

system.addEventListener('change', () => (systemTheme.value = system.matches ? 'light' : 'dark'));

export function toggleTheme(): void {
  chosen.value = theme.value === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(KEY, chosen.value);
  } catch {
    // storage is forbidden: the choice lasts as long as the page
  }
}

function remembered(): Theme | null {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'dark' || stored === 'light' ? stored : null;
  } catch {
    return null;
  }
}

const PAINTS = ['fg', 'dim', 'line', 'grid', 'up', 'down', 'up-soft', 'down-soft', 'gap', 'panel'] as const;
export type Palette = Record<(typeof PAINTS)[number], string>;

/** The colours of the current theme, for canvases. */
export const palette = signal(readPalette());

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  palette.value = readPalette();
});

function readPalette(): Palette {
  const probe = document.createElement('i');
  document.body.append(probe);
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = Object.fromEntries(PAINTS.map((name) => [name, colour(name)])) as Palette;
  probe.remove();
  return palette;
}
