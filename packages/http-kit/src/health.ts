/** Throws, or takes longer than its deadline, when the dependency cannot be used. */
export type Check = () => Promise<unknown>;

export interface HealthOptions {
  readonly service: string;
  /** Shown by `/health` only when given: versions help attackers choose. */
  readonly version?: string;
  readonly checks: Readonly<Record<string, Check>>;
  /** Milliseconds each check may take; 2,000 when absent. */
  readonly timeoutMs?: number;
  /** Milliseconds a result is reused, so that probes cannot load the dependencies; 1,000 when absent. */
  readonly freshMs?: number;
}

/** A bad result is over so soon: whoever starts, or has its database back, is not kept out by what was true before. */
const BAD_FRESH_MS = 100;

export interface Health {
  summary(): Record<string, string>;
  /** Never depends on anything else. */
  live(): { status: 'ok' };
  ready(): Promise<{
    ready: boolean;
    status: 'ready' | 'unavailable' | 'draining';
    checks: Record<string, 'ok' | 'failed'>;
  }>;
  /** From now on not ready: the first step of a graceful stop. */
  drain(): void;
}

/** Liveness and readiness of one service. Readiness names each dependency, never a host or a version. */
export function createHealth(options: HealthOptions): Health {
  const { timeoutMs = 2000, freshMs = 1000 } = options;
  let draining = false;
  let cached: { until: number; result: Promise<Record<string, 'ok' | 'failed'>> } | undefined;
  let last: Record<string, 'ok' | 'failed'> = {};

  const checkAll = async (): Promise<Record<string, 'ok' | 'failed'>> =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(options.checks).map(async ([name, check]) => [name, await outcome(check, timeoutMs)] as const),
      ),
    );

  const look = (): Promise<Record<string, 'ok' | 'failed'>> => {
    const looked = { until: performance.now() + freshMs, result: checkAll() };
    cached = looked;
    void looked.result.then((checks) => {
      if (!isGood(checks)) looked.until = Math.min(looked.until, performance.now() + BAD_FRESH_MS);
    });
    return looked.result;
  };

  return {
    summary: () => ({
      status: 'ok',
      service: options.service,
      ...(options.version !== undefined && { version: options.version }),
      timestamp: new Date().toISOString(),
    }),
    live: () => ({ status: 'ok' }),
    async ready() {
      // At once, also when a dependency hangs: load balancers must not wait to hear that they shall go elsewhere.
      if (draining) return { ready: false, status: 'draining', checks: last };
      const checks = await (cached && performance.now() <= cached.until ? cached.result : look());
      last = checks;
      const ready = !draining && isGood(checks);
      return { ready, status: draining ? 'draining' : ready ? 'ready' : 'unavailable', checks };
    },
    drain() {
      draining = true;
    },
  };
}

const isGood = (checks: Readonly<Record<string, 'ok' | 'failed'>>): boolean =>
  Object.values(checks).every((state) => state === 'ok');

async function outcome(check: Check, timeoutMs: number): Promise<'ok' | 'failed'> {
  const timer = Promise.withResolvers<'failed'>();
  const timeout = setTimeout(() => timer.resolve('failed'), timeoutMs);
  try {
    return await Promise.race([check().then(() => 'ok' as const), timer.promise]);
  } catch {
    return 'failed';
  } finally {
    clearTimeout(timeout);
  }
}
