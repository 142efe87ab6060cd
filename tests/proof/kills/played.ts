import type { Person } from '@tollgate/test-kit';
import type { Heard } from '../doors.ts';
import type { BothBooks } from './both-books.ts';
import type { Asked } from './plan.ts';

/** One answer with everything that is known of it. */
export interface Played {
  readonly asked: Asked;
  readonly person: Person;
  readonly marker: string;
  readonly key: string | undefined;
  /** Whether it stood at its place when something was killed. */
  hasReached: boolean;
  first: Heard | undefined;
  /** The books at the kill, when the proxy was killed. */
  atKill?: BothBooks;
  again?: Heard;
  after?: BothBooks;
}
