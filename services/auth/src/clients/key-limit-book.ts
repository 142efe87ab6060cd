import { accounting } from '@tollgate/contracts';
import { AppError, unavailable } from '@tollgate/http-kit';
import { createClient } from '@tollgate/http-kit/client';
import type { KeyLimitBook } from '../ports/api-keys.ts';

const TIMEOUT_MS = 3000;
const CONNECTIONS = 8;
const RETRY_AFTER_SECONDS = 2;

export type KeyLimitBookOptions = Readonly<{ baseUrl: string; token: () => Promise<string> }>;

/** Accounting, which counts what a key uses and refuses what is beyond its limits. */
export function createKeyLimitBook({ baseUrl, token }: KeyLimitBookOptions): KeyLimitBook & { close(): Promise<void> } {
  const { setKeyLimits } = accounting;
  const client = createClient({ setKeyLimits }, { baseUrl, token, timeoutMs: TIMEOUT_MS, connections: CONNECTIONS });
  return {
    async set(keyId, revision, limits) {
      try {
        // The same revision may be told twice, so the call may be repeated.
        const repeatable = { idempotencyKey: `key-limits:${keyId}:${revision}` };
        await client.setKeyLimits({ params: { keyId }, body: { revision, limits } }, repeatable);
      } catch (error) {
        if (error instanceof AppError && error.code === 'CONFLICT') throw error;
        throw unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
      }
    },
    close: () => client.close(),
  };
}
