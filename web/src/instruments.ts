/** The server's symbol search. */

export interface Instrument {
  venue: string;
  /** livetape's spelling, the same at every venue. */
  symbol: string;
  /** The venue's own spelling. */
  native: string;
  name: string;
  price_step: number | null;
  size_step: number | null;
}

export const sourceOf = (instrument: Instrument): string => `${instrument.venue}:${instrument.symbol}`;

export async function findInstruments(query: string, signal?: AbortSignal): Promise<Instrument[]> {
  const parameters = new URLSearchParams({ q: query, limit: '12' });
  const response = await fetch(`/v1/symbols?${parameters}`, signal ? { signal } : {});
  if (!response.ok) throw new Error(`symbol search: HTTP ${response.status}`);
  return ((await response.json()) as { symbols: Instrument[] }).symbols;
}

/** The instrument behind `source`. One that the server does not list is left for the stream to refuse. */
export async function findSource(source: string): Promise<Instrument> {
  const [venue = '', symbol = ''] = source.split(/:(.*)/s);
  const found = await findInstruments(symbol);
  return (
    found.find((one) => one.venue === venue && (one.symbol === symbol || one.native === symbol)) ?? {
      venue,
      symbol,
      native: symbol,
      name: '',
      price_step: null,
      size_step: null,
    }
  );
}
