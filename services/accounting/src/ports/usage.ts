import type { accounting, ServerResult } from '@tollgate/contracts';
import type { Scope } from '../domain/scope.ts';

/** Absent ends are open; the last 30 days when there is no beginning. */
export type Period = Readonly<{ from?: Date | undefined; until?: Date | undefined }>;

export type UsageFilter = Readonly<{
  userId?: string | undefined;
  workspaceId?: string | undefined;
  chatflowId?: string | undefined;
  model?: string | undefined;
  service?: string | undefined;
  /** What was done there; everywhere when absent. */
  within?: Scope | undefined;
}>;

/** What a group has in common, one text for each dimension it was asked by, in that order; '' for none. */
export type GroupKey = readonly string[];

export type GroupQuery = Readonly<{
  dimensions: readonly accounting.UsageDimension[];
  period: Period;
  filter: UsageFilter;
  limit: number;
  /** Groups beyond this one. */
  after?: GroupKey | undefined;
}>;

export type UsageSums = Readonly<{
  records: number;
  credits: number;
  writtenOffCredits: number;
  inputUnits: number;
  outputUnits: number;
}>;

export type UsageGroups = Readonly<{
  /** As it was applied. */
  period: Readonly<{ from: Date; until?: Date | undefined }>;
  /** In the order of their keys. */
  groups: readonly (UsageSums & { key: GroupKey })[];
}>;

/** Where a row stands in time: microseconds of 1970, and the id among rows of the same instant. */
export type RecordPosition = Readonly<{ micros: number; id: number }>;

export type RecordQuery = Readonly<{
  userId?: string | undefined;
  within?: Scope | undefined;
  period: Period;
  limit: number;
  /** Rows before this one in time. */
  after?: RecordPosition | undefined;
}>;

export type UsageRecordBody = ServerResult<typeof accounting.listOwnUsage>['records'][number];
export type UsageRecordRow = UsageRecordBody & { micros: number };

/** Usage, as rows and summed. */
export type UsageReports = {
  usageGroups(query: GroupQuery): Promise<UsageGroups>;
  /** Newest first. */
  usageRecords(query: RecordQuery): Promise<UsageRecordRow[]>;
};
