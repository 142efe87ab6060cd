import type { Ports } from '../../ports.ts';

type Deps = Pick<Ports, 'audit' | 'announce' | 'events'>;

/** Compares the books with each other and tells what does not fit; runs of other instances count. */
export const createReconcile = ({ audit, announce, events }: Deps) =>
  async function reconcile({ youngestMs = 0, fullEveryMs = 0 } = {}): Promise<void> {
    const run = await audit.reconcile({ youngestMs, fullEveryMs });
    if (!run) return;
    events.reconciled(run);
    if (!run.isNew) return;
    for (const check of run.checks) if (check.offenders > 0) await announce?.announceDrift(check);
  };
