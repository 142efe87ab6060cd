/** What the clients know of an operation when it is over. */
export interface Outcome {
  readonly id: number;
  /**
   * done: it was acknowledged, and must be charged in full. not: it was refused, and must not be charged. maybe: nobody told, or
   * it was broken off.
   */
  readonly verdict: 'done' | 'not' | 'maybe';
  /** How often it was acknowledged: more than once where its client repeated it. */
  readonly told: number;
  /** The client waited for longer than any bound of a server. */
  readonly isHung: boolean;
  /** What the client calls it, for the report: whole, cut, a code of a refusal … */
  readonly ending: string;
  /** The holds that the clients heard of. */
  readonly requestIds: readonly string[];
  /** What is wrong already without looking at the books. */
  readonly wrong: readonly string[];
}
