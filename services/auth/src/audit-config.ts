import { durationMs, keyRing, operatorVariables, whole } from '@tollgate/config';
import { z } from 'zod';

/** What the audit log is proven with, and who hears of attacks. */
export const auditVariables = {
  AUDIT_CHAIN_SECRET: keyRing().describe(
    'Keys that lines of the audit log are chained with, the current one first; keep the old ones',
  ),
  AUDIT_ANCHOR_SECRET: keyRing().describe(
    'Keys that the ends of those chains are signed with, the current one first; keep the old ones',
  ),
  AUDIT_ANCHOR_INTERVAL: durationMs({ min: '1s', max: '1h' })
    .prefault('1m')
    .describe('How often the chains that have grown are signed'),
  AUDIT_ANCHOR_FILE: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('File that every signed anchor is added to, as a line of JSON'),
  AUDIT_VERIFY_INTERVAL: durationMs({ min: '1m', max: '7d' })
    .prefault('1h')
    .describe('How often the newest lines of the audit log are proven to be as they were written'),
  AUDIT_VERIFY_LINES: whole({ min: 1, max: 1_000_000 })
    .prefault('1000')
    .describe('So many of each chain; pnpm audit:verify proves all of them'),
  ...operatorVariables,
  ALERT_INTERVAL: durationMs({ min: '1s', max: '30s' }).prefault('10s').describe('How often attacks are looked for'),
  ALERT_EXPORT_ROWS: whole({ min: 1, max: 1_000_000_000 })
    .prefault('200000')
    .describe('Exported rows of one user within an hour that raise an alert'),
};

type Read = z.output<z.ZodObject<typeof auditVariables>>;

export const auditConfig = (read: Read) => ({
  audit: {
    chainKeys: read.AUDIT_CHAIN_SECRET,
    anchorKeys: read.AUDIT_ANCHOR_SECRET,
    anchorMs: read.AUDIT_ANCHOR_INTERVAL,
    anchorFile: read.AUDIT_ANCHOR_FILE,
    verifyMs: read.AUDIT_VERIFY_INTERVAL,
    verifyLines: read.AUDIT_VERIFY_LINES,
  },
  alerts: { operators: read.ALERT_MAIL_TO, everyMs: read.ALERT_INTERVAL, exportRowsPerHour: read.ALERT_EXPORT_ROWS },
});
