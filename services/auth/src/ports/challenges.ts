import type { Challenge, ChallengeKind } from '../domain/challenge.ts';
import type { Hashes } from './hashes.ts';

export type Challenges = {
  insert(challenge: Challenge): Promise<void>;
  find(kind: ChallengeKind, hashes: Hashes, now: Date): Promise<Challenge | undefined>;
  /** Uses the challenge up; undefined for everybody but the first. */
  take(kind: ChallengeKind, hash: string, now: Date): Promise<Challenge | undefined>;
};
