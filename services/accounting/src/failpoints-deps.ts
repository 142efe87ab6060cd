import { createFailpoints } from '@tollgate/http-kit/failpoints';
import type { Holds } from './ports.ts';

/** The same holds, unless a test has named a file of failpoints: then it can stop or kill us on either side of a statement. */
export function tamperedHolds(holds: Holds, file: string | undefined): Holds {
  if (file === undefined) return holds;
  const points = createFailpoints(file);
  return {
    ...holds,
    async open(request, signal) {
      await points.reach('s1.before', request.claims.id);
      const opened = await holds.open(request, signal);
      await points.reach('s1.after', request.claims.id);
      return opened;
    },
    async close(request) {
      await points.reach('s7.before', request.userId);
      const closed = await holds.close(request);
      await points.reach('s7.after', request.userId);
      return closed;
    },
  };
}
