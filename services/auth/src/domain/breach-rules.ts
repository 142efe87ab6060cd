import type { AuditAction } from './audit-event.ts';

/** What lines, when they come together within a window, are an attack. */
export type BreachRule = Readonly<{
  name: BreachName;
  action: AuditAction;
  /** The field of a line that names who or where: each is counted on its own. */
  by: 'actorId' | 'facts.site' | 'facts.sessionId';
  /** What is counted: different values of a field, the sum of a field, or, without either, lines. */
  distinct?: 'facts.identifier';
  sum?: 'facts.count' | 'facts.rows';
  atLeast: number;
  windowMs: number;
}>;

export const BREACHES = ['password-spraying', 'token-theft', 'authorisation-failures', 'export-volume'] as const;
export type BreachName = (typeof BREACHES)[number];

const MINUTE_MS = 60_000;
const WINDOW_MS = 15 * MINUTE_MS;
const HOUR_MS = 60 * MINUTE_MS;

export const breachRules = ({ exportRowsPerHour }: { exportRowsPerHour: number }): readonly BreachRule[] => [
  {
    name: 'password-spraying',
    action: 'session.refused',
    by: 'facts.site',
    distinct: 'facts.identifier',
    atLeast: 20,
    windowMs: WINDOW_MS,
  },
  { name: 'token-theft', action: 'session.refresh-reused', by: 'facts.sessionId', atLeast: 1, windowMs: WINDOW_MS },
  {
    name: 'authorisation-failures',
    action: 'access.refused',
    by: 'actorId',
    sum: 'facts.count',
    atLeast: 10,
    windowMs: WINDOW_MS,
  },
  {
    name: 'export-volume',
    action: 'export.made',
    by: 'actorId',
    sum: 'facts.rows',
    atLeast: exportRowsPerHour,
    windowMs: HOUR_MS,
  },
];
