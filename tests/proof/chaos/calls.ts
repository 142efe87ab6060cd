import { setTimeout as pause } from 'node:timers/promises';

/** What a client learned of a call. */
export type Learned =
  | { readonly kind: 'answer'; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: 'cut'; readonly reason: string }
  /** Nothing, for longer than any bound of a server: a fault of the product. */
  | { readonly kind: 'hung' };

/** Longer than every bound of every server, and than every disturbance. */
export const PATIENCE_MS = 120_000;
const IN_PROGRESS = 'idempotency_in_progress';
const MOST_TRIES = 12;
const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 3000;

export interface Call {
  readonly method: string;
  readonly url: string;
  readonly token: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function callOnce({ method, url, token, body, headers }: Call): Promise<Learned> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        authorization: `Bearer ${token}`,
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: patience,
    });
    const text = await response.text();
    return { kind: 'answer', status: response.status, body: text === '' ? {} : JSON.parse(text) };
  } catch (error) {
    return patience.aborted ? { kind: 'hung' } : { kind: 'cut', reason: String(Object(error).cause ?? error) };
  }
}

/** Whether the caller knows now what became of it. */
export const isDefinite = (learned: Learned): boolean =>
  learned.kind === 'answer' && learned.status < 500 && learned.status !== 429 && learned.body.code !== IN_PROGRESS;

/** As a client with patience repeats what it may repeat. */
export async function callUntilDefinite(call: () => Promise<Learned>): Promise<{ last: Learned; tries: number }> {
  let waitMs = FIRST_PAUSE_MS;
  for (let tries = 1; ; tries += 1) {
    const last = await call();
    if (isDefinite(last) || last.kind === 'hung' || tries === MOST_TRIES) return { last, tries };
    await pause(waitMs);
    waitMs = Math.min(LONGEST_PAUSE_MS, waitMs * 2);
  }
}
