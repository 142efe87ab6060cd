import type { BreachRule } from '../../domain/breach-rules.ts';
import type { Ports } from '../../ports.ts';
import type { AuditNews, AuditPorts } from '../../ports/audit.ts';

type AlertDeps = Pick<AuditPorts, 'auditLog' | 'alerts'> &
  Pick<Ports, 'clock' | 'mailQueue'> & {
    events: Ports['events'] & Pick<AuditNews, 'tellAlert'>;
    breachRules: readonly BreachRule[];
    /** Who is told by mail. */
    operators: readonly string[];
  };

/** Long enough to write a line and order mails; a process that dies in between leaves the alert to the next look. */
const TURN_MS = 30_000;

/**
 * Looks at what the audit log says of the last minutes, and raises one alert for each that broke a rule: the log is common to
 * all instances and outlives them, so that nothing is counted twice and nothing is forgotten.
 */
export const createRaiseAlerts = (deps: AlertDeps) =>
  async function raiseAlerts(): Promise<void> {
    const now = new Date(deps.clock.now());
    for (const rule of deps.breachRules)
      for (const { about, count } of await deps.auditLog.breaches(rule, now)) await raise(deps, rule, { about, count });
  };

async function raise(
  { alerts, clock, events, mailQueue, operators }: AlertDeps,
  { name, windowMs }: BreachRule,
  { about, count }: { about: string; count: number },
): Promise<void> {
  const now = clock.now();
  const key = `${name}|${about}`;
  if (!(await alerts.claim(key, new Date(now), new Date(now + TURN_MS)))) return;
  const alert = { rule: name, about, count };
  await events.record({ action: 'alert.raised', facts: { ...alert, windowSeconds: windowMs / 1000 } });
  for (const email of operators) await mailQueue.add({ kind: 'alert', email, alert }, new Date(now));
  // The lines that it was raised for are over by then.
  await alerts.silence(key, new Date(now + windowMs));
  events.tellAlert(alert);
}
