import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** What the clients of this process are answered, seen below every door. */
export interface Answers {
  /** Of all answers. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Of those that were no success, with what was asked. */
  readonly refusals: Readonly<Record<string, number>>;
  /** 5xx that do not say when to come again. */
  readonly withoutRetryAfter: readonly string[];
  /** Requests whose connection ended before there was an answer. */
  readonly cut: readonly string[];
  stop(): void;
}

interface Sent {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
}

const KEPT = 100;
const REFUSED = 400;

/** Requests of `fetch` to these addresses. */
export function watchAnswers(origins: readonly string[]): Answers {
  const watched = new Set(origins);
  const statuses: Record<number, number> = {};
  const refusals: Record<string, number> = {};
  const withoutRetryAfter: string[] = [];
  const cut: string[] = [];
  const nameOf = ({ method, path }: Sent): string => `${method} ${path.replaceAll(/[0-9a-f-]{20,}/g, ':id')}`;

  const answered = (message: unknown): void => {
    const { request, response } = message as { request: Sent; response: { statusCode: number; headers: Buffer[] } };
    if (!watched.has(request.origin)) return;
    const { statusCode, headers } = response;
    statuses[statusCode] = (statuses[statusCode] ?? 0) + 1;
    const refusal = `${statusCode} ${nameOf(request)}`;
    if (statusCode >= REFUSED && (refusal in refusals || Object.keys(refusals).length < KEPT))
      refusals[refusal] = (refusals[refusal] ?? 0) + 1;
    const names = headers.filter((_, at) => at % 2 === 0).map((name) => String(name).toLowerCase());
    if (statusCode >= 500 && !names.includes('retry-after') && withoutRetryAfter.length < KEPT)
      withoutRetryAfter.push(`${statusCode} ${nameOf(request)}`);
  };
  const failed = (message: unknown): void => {
    const { request, error } = message as { request: Sent & { readonly completed?: boolean }; error: Error };
    if (!watched.has(request.origin) || error.name === 'AbortError' || cut.length >= KEPT) return;
    cut.push(`${nameOf(request)}: ${error.message}`);
  };
  subscribe('undici:request:headers', answered);
  subscribe('undici:request:error', failed);
  return {
    statuses,
    refusals,
    withoutRetryAfter,
    cut,
    stop() {
      unsubscribe('undici:request:headers', answered);
      unsubscribe('undici:request:error', failed);
    },
  };
}
