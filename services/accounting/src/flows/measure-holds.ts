import type { Ports } from '../ports.ts';

/** Counts the holds that are open and how late the sweep is, for those who watch. */
export const createMeasureHolds = ({ chores, events }: Pick<Ports, 'chores' | 'events'>) =>
  async function measureHolds(): Promise<void> {
    events.holdsMeasured(await chores.openHolds());
  };
