import type { Person } from './callers.ts';

/** The part of the installation that somebody may look at and act in: one workspace. */
export type Scope = Readonly<{ workspaceId: string; isDefault: boolean }>;

/** Administrators see everything (undefined); everybody else the workspace of their token. */
export function scopeOf(
  { role, workspaceId }: Pick<Person, 'role' | 'workspaceId'>,
  defaultWorkspaceId: string,
): Scope | undefined {
  if (role === 'admin') return undefined;
  const named = workspaceId ?? defaultWorkspaceId;
  return { workspaceId: named, isDefault: named === defaultWorkspaceId };
}
