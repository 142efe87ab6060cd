import { z } from 'zod';

/** What only tests set; a service in production does not start with any of it. */
export const testVariables = {
  CLOCK_OFFSET_FILE: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('For tests: a file with the milliseconds that the clock of the service is ahead; refused in production'),
};

/** For services that a test can kill at a certain step. */
export const failpointVariables = {
  FAILPOINTS: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('For tests: a file that says at which step the service shall wait or die; refused in production'),
};

const TEST_ONLY = ['CLOCK_OFFSET_FILE', 'FAILPOINTS'] as const;

type Read = Readonly<{ NODE_ENV: string } & Partial<Record<(typeof TEST_ONLY)[number], unknown>>>;

/** For `superRefine`: nothing that exists for tests alone gets into production. */
export function refusesTestHooks(env: Read, context: z.RefinementCtx): void {
  if (env.NODE_ENV !== 'production') return;
  for (const name of TEST_ONLY) {
    if (env[name] === undefined) continue;
    context.addIssue({ code: 'custom', path: [name], message: 'is for tests and refused in production' });
  }
}
