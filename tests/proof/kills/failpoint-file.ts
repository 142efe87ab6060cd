import { readFileSync, renameSync, writeFileSync } from 'node:fs';

export type Action = 'pause' | 'abort';

/** What the services are told to do where, and who has come there. */
export interface FailpointFile {
  readonly path: string;
  arm(place: string, userId: string, action: Action): void;
  /** Whoever waits goes on, and nobody is waited for any more. */
  release(): void;
  hasReached(place: string, userId: string): boolean;
}

export function openFailpointFile(path: string): FailpointFile {
  let lines: string[] = [];
  // In one step: a service that reads half a file would let go whoever waits.
  const write = (): void => {
    writeFileSync(`${path}.new`, lines.map((line) => `${line}\n`).join(''));
    renameSync(`${path}.new`, path);
  };
  const reached = `${path}.reached`;
  write();
  writeFileSync(reached, '');
  return {
    path,
    arm(place, userId, action) {
      lines.push(`${place} ${action} ${userId}`);
      write();
    },
    release() {
      lines = [];
      write();
      writeFileSync(reached, '');
    },
    hasReached: (place, userId) => readFileSync(reached, 'utf8').split('\n').includes(`${place} ${userId}`),
  };
}
