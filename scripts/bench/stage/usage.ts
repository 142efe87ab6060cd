import { readdir, readFile } from 'node:fs/promises';

/** Linux counts processor time in hundredths of a second, whatever the kernel's own ticks are. */
const TICK_MS = 10;
/** utime and stime, and what they were of children that have ended: connections of a database come and go. */
const CPU_FIELDS = [11, 12, 13, 14];
const PPID = 1;
const KIB = 1024;

/** A part of the platform, with all processes that belong to it. */
export interface Part {
  readonly name: string;
  readonly pids: readonly number[];
}

export interface Use {
  /** User and system time since the process began. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** What each part has used so far, its child processes included; NaN where there is no /proc. */
export async function usesOf(parts: readonly Part[]): Promise<ReadonlyMap<string, Use>> {
  const children = await childrenOfAll();
  const entries = parts.map(async ({ name, pids }) => {
    const family = pids.flatMap((pid) => [pid, ...descendants(pid, children)]);
    const uses = await Promise.all(family.map(useOf));
    const sum = (of: (use: Use) => number) => uses.reduce((all, use) => all + of(use), 0);
    return [name, { cpuMs: sum((use) => use.cpuMs), residentBytes: sum((use) => use.residentBytes) }] as const;
  });
  return new Map(await Promise.all(entries));
}

async function useOf(pid: number): Promise<Use> {
  try {
    const fields = fieldsOf(await readFile(`/proc/${pid}/stat`, 'utf8'));
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return {
      cpuMs: CPU_FIELDS.reduce((sum, at) => sum + Number(fields[at]), 0) * TICK_MS,
      residentBytes: kib * KIB,
    };
  } catch {
    // Gone meanwhile, such as a connection of the database.
    return { cpuMs: 0, residentBytes: 0 };
  }
}

/** After the name of the program, which may hold anything. */
const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

async function childrenOfAll(): Promise<ReadonlyMap<number, number[]>> {
  const children = new Map<number, number[]>();
  const names = await readdir('/proc').catch(() => []);
  for (const pid of names.map(Number).filter(Number.isInteger)) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const parent = Number(fieldsOf(stat)[PPID]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

function descendants(pid: number, children: ReadonlyMap<number, number[]>): number[] {
  return (children.get(pid) ?? []).flatMap((child) => [child, ...descendants(child, children)]);
}
