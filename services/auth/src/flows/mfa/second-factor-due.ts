import { type MfaPolicy, mustHaveSecondFactor } from '../../domain/second-factor.ts';
import type { Ports } from '../../ports.ts';
import type { Proven, SecondFactorDue } from '../sessions/continue-log-in.ts';
import { issueChallenge } from '../sessions/issue-challenge.ts';

type SecondFactorDeps = Pick<Ports, 'challenges' | 'clock' | 'secondFactors' | 'secrets'> & {
  mfaPolicy: MfaPolicy;
};
/** What a login still owes before the second factor is settled; undefined when nothing. */
export const createSecondFactorDue = (deps: SecondFactorDeps) =>
  async function secondFactorDue(proven: Proven): Promise<SecondFactorDue | undefined> {
    if (proven.hasSecondFactor) return undefined;
    const factor = await deps.secondFactors.find(proven.user.id);
    const mustEnrol = mustHaveSecondFactor(deps.mfaPolicy, proven.user.role);
    if (!factor?.active && !mustEnrol) return undefined;
    const kind = factor?.active ? 'second-factor' : 'enrolment';
    return { kind, challenge: await issueChallenge(deps, kind, proven) };
  };
