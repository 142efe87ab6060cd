import { createRequire } from 'node:module';
import type * as sequencer from '@jest/test-sequencer';

const { default: Sequencer } = createRequire(import.meta.url)('@jest/test-sequencer') as typeof sequencer.default;
type Tests = Parameters<InstanceType<typeof Sequencer>['sort']>[0];

/** Files that start whole services. Begun last, one of them would have the machine to itself while all other workers rest. */
const startsServices = /\/(tests\/(e2e|proof|fuzz|runbook)|accounting\/tests\/holds|auth\/tests\/passwords)\b/;

/** Jest knows how long a file takes only where it has run before; on a bare machine it goes by size. */
export class LongestFirst extends Sequencer {
  override async sort(tests: Tests): Promise<Tests> {
    const sorted = [...(await super.sort(tests))];
    return sorted.sort((one, other) => weightOf(other.path) - weightOf(one.path));
  }
}

const weightOf = (path: string): number => Number(startsServices.test(path));
