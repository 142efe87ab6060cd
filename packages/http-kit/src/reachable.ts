import { setTimeout as pause } from 'node:timers/promises';
import { AppError, unavailable } from './app-error.ts';
import type { Logger } from './server/service-options.ts';

/**
 * Tells the trouble with a database that is nobody's fault and passes, it is away or too busy or its disk is full, from
 * every other error.
 */
export type TroubleOf = (error: unknown) => 'unavailable' | 'full' | undefined;

const RETRY_AFTER_SECONDS = 2;

/**
 * The same store, whose database may go away: such trouble is a 503 that says when to come back, not a 500. All functions of
 * `store` must be asynchronous.
 */
export function reachable<Store extends object>(store: Store, troubleOf: TroubleOf): Store {
  return new Proxy(store, {
    get(target, name, receiver) {
      const operation: unknown = Reflect.get(target, name, receiver);
      if (typeof operation !== 'function') return operation;
      return async (...inputs: unknown[]) => {
        try {
          return await Reflect.apply(operation, target, inputs);
        } catch (error) {
          throw asAppError(error, troubleOf);
        }
      };
    },
  });
}

function asAppError(error: unknown, troubleOf: TroubleOf): unknown {
  if (error instanceof AppError) return error;
  const trouble = troubleOf(error);
  if (trouble === undefined) return error;
  return unavailable(trouble === 'full' ? 'STORAGE_FULL' : 'DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
}

const MIGRATION_RETRY_MS = 1000;
/** Of what is not stopped. */
export const NEVER: AbortSignal = new AbortController().signal;

interface Migrating {
  readonly troubleOf: TroubleOf;
  readonly logger: Logger;
  readonly stopping?: AbortSignal;
}

/**
 * Migrates at the start of a service, again and again while its database is away, until the service is stopping.
 * @throws what `migrate` throws for any other reason: a service with a wrong schema must not start.
 */
export async function migrateOnceReachable(
  migrate: () => Promise<readonly string[]>,
  { troubleOf, logger, stopping = NEVER }: Migrating,
): Promise<void> {
  while (!stopping.aborted) {
    try {
      const steps = await migrate();
      logger.info('the database has the newest schema', { steps });
      return;
    } catch (error) {
      if (troubleOf(error) === undefined) throw error;
      logger.error('a migration failed and will be tried again', { error });
      await pause(MIGRATION_RETRY_MS, undefined, { signal: stopping }).catch(() => undefined);
    }
  }
}
