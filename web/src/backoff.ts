const FIRST_MS = 250;
const LONGEST_MS = 8_000;

/** How long to wait before dial number `attempt` (0 is the first): exponential, with full jitter. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
}
