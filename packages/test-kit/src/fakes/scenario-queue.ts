import { type CheckedScenario, checkScenario, readDirectives, type Scenario, ScenarioError } from './scenario.ts';

/** How a test steers a running fake. */
export type ScenarioControl = {
  /** Plays these scenarios for the next calls, one each, before the default applies again. */
  next(...scenarios: Scenario[]): void;
  /** Replaces the default scenario. */
  setScenario(scenario: Scenario): void;
};

export type ScenarioQueue = {
  readonly control: ScenarioControl;
  /**
   * The scenario of a call: a directive in its message wins over the queue, the queue over the default, each as a
   * whole. A call with a directive leaves the queue alone. A broken directive is returned as the error it is.
   */
  choose(message: string): CheckedScenario | ScenarioError;
  /** Empties the queue and restores the first default. */
  reset(): void;
};

export function createScenarioQueue(initial: Scenario = {}): ScenarioQueue {
  const first = checkScenario(initial);
  let standing = first;
  let queue: CheckedScenario[] = [];
  return {
    control: {
      next: (...scenarios) => void queue.push(...scenarios.map(checkScenario)),
      setScenario: (scenario) => {
        standing = checkScenario(scenario);
      },
    },
    choose(message) {
      try {
        return readDirectives(message).scenario ?? queue.shift() ?? standing;
      } catch (error) {
        if (error instanceof ScenarioError) return error;
        throw error;
      }
    },
    reset() {
      queue = [];
      standing = first;
    },
  };
}
