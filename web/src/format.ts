/** Numbers and times as text. All times are UTC. */

const formats = new Map<number, Intl.NumberFormat>();

/** `value` with exactly `digits` decimals and thousands separated. */
export function fixed(value: number, digits: number): string {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

/** How many decimals a multiple of `step` needs; `otherwise` where the step is unknown. */
export function decimals(step: number | null, otherwise: number): number {
  if (!step) return otherwise;
  for (let digits = 0; digits < 12; digits++) if (Number(step.toFixed(digits)) === step) return digits;
  return 12;
}

/** A size in few enough digits for a column. What would round to nothing says so. */
export function sizeText(value: number, digits: number): string {
  const shown = Math.min(digits, value < 1_000 ? 5 : value < 100_000 ? 2 : 0);
  const smallest = 10 ** -shown;
  return value > 0 && value < smallest / 2 ? `<${fixed(smallest, shown)}` : fixed(value, shown);
}

export function percent(share: number): string {
  return `${share < 0 ? '▼ −' : '▲ +'}${fixed(Math.abs(share) * 100, 2)} %`;
}

/** `HH:MM:SS` of `time` in s, or `HH:MM` where seconds say nothing. */
export function clock(time: number, withSeconds = true): string {
  return new Date(time * 1000).toISOString().slice(11, withSeconds ? 19 : 16);
}

/** `HH:MM:SS.cc` of a time in ns. */
export function tapeTime(ns: number): string {
  return new Date(ns / 1e6).toISOString().slice(11, 22);
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
