import type { Challenge, ChallengeKind } from '../domain/challenge.ts';

export type Challenges = {
  insert(challenge: Challenge): Promise<void>;
  find(kind: ChallengeKind, hash: string, now: Date): Promise<Challenge | undefined>;
  /** Uses the challenge up; undefined for everybody but the first. */
  take(kind: ChallengeKind, hash: string, now: Date): Promise<Challenge | undefined>;
};
