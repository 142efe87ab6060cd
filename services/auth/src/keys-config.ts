import { alias, baseUrl, duration } from '@tollgate/config';
import type { z } from 'zod';

/** How long API keys live, and where their limits are booked. */
export const keyVariables = {
  API_KEY_TTL: duration({ min: '1m', max: '366d' }).prefault('90d').describe('Life of an API key that names none'),
  API_KEY_LONGEST_TTL: duration({ min: '1m', max: '366d' }).prefault('365d').describe('Longest life of an API key'),
  ACCOUNTING_API_URL: alias(baseUrl(), ['ACCOUNTING_SERVICE_URL'])
    // Without it API keys cannot have limits of their own.
    .optional()
    .describe('The accounting service'),
};

const MILLISECONDS = 1000;

export const keyConfig = (read: z.output<z.ZodObject<typeof keyVariables>>) => ({
  keyLives: { standardMs: read.API_KEY_TTL * MILLISECONDS, longestMs: read.API_KEY_LONGEST_TTL * MILLISECONDS },
  accountingUrl: read.ACCOUNTING_API_URL,
});
