import { UserId } from '@tollgate/contracts';
import type { Ports } from '../../ports.ts';

type Exported = Readonly<{ file: string; rows: number; isComplete: boolean }>;
type By = Readonly<{ userId?: string | undefined; workspaceId?: string | undefined; requestId?: string | undefined }>;

/** Puts down who took how many rows out of the house, in a file that may have broken off. */
export const createTellExport = ({ report }: Pick<Ports, 'report'>) =>
  function tellExport({ file, rows, isComplete }: Exported, { userId, workspaceId, requestId }: By = {}): void {
    const actorId = UserId.safeParse(userId).data;
    report({
      action: 'export.made',
      ...(actorId && { actorId }),
      ...(workspaceId !== undefined && { workspaceId }),
      ...(requestId !== undefined && { requestId }),
      facts: { file, rows, isComplete },
    });
  };
