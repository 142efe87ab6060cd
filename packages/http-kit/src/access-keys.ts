import { createRemoteKeys, type KeyRing, type PublicKeys } from '@tollgate/jwt-claims';
import type { Check } from './health.ts';
import type { ServiceClock } from './testing/service-clock.ts';
import type { Logger } from './server/service-options.ts';

/** Where the keys of access tokens come from; a service's configuration lets exactly one of them through. */
export interface AccessKeySettings {
  readonly secrets?: KeyRing | undefined;
  readonly publicKeys?: PublicKeys | undefined;
  readonly jwksUrl?: string | undefined;
}

interface AccessKeys {
  readonly keys: KeyRing | PublicKeys;
  /** What readiness asks for: keys that have to be fetched may not be there yet. */
  readonly checks: Readonly<Record<string, Check>>;
}

/** The keys that a service verifies access tokens with. Fetching begins at once and nobody waits for it. */
export function openAccessKeys(
  { secrets, publicKeys, jwksUrl }: AccessKeySettings,
  logger: Logger,
  clock?: ServiceClock,
): AccessKeys {
  const keys = secrets ?? publicKeys;
  if (keys) return { keys, checks: {} };
  if (jwksUrl === undefined) throw new TypeError('there are no keys of access tokens');
  const failed = (error: unknown) =>
    logger.warn('the keys of access tokens were not fetched and will be asked for again', { error });
  const remote = createRemoteKeys({ url: jwksUrl, failed, ...(clock && { clock }) });
  // Its failure is told above, and again to every request that needs the keys.
  remote.ready().catch(() => undefined);
  return { keys: remote, checks: { tokenKeys: () => remote.ready() } };
}
