import type { z } from 'zod';
import { Secret } from './secret.ts';

type Keys = Secret | readonly Readonly<{ secret: Secret }>[] | undefined;

/**
 * For `superRefine`: no key serves two purposes, also no former one. What was signed, hashed or sealed for one could pass for
 * the other (RFC 8725, section 2.8). The fault is told at the later name.
 */
export const distinctKeys =
  <const Name extends string>(names: readonly Name[]) =>
  (env: Readonly<Partial<Record<Name, Keys>>>, context: z.RefinementCtx): void => {
    for (const [at, name] of names.entries()) {
      const twin = names.slice(0, at).find((earlier) => share(env[earlier], env[name]));
      if (twin !== undefined) context.addIssue({ code: 'custom', path: [name], message: `must differ from ${twin}` });
    }
  };

const share = (some: Keys, others: Keys): boolean =>
  secretsOf(some).some((one) => secretsOf(others).some((other) => other.equals(one)));

function secretsOf(keys: Keys): readonly Secret[] {
  if (keys === undefined) return [];
  return keys instanceof Secret ? [keys] : keys.map(({ secret }) => secret);
}
