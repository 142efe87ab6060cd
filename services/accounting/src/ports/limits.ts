import type { accounting, ServerInput, ServerResult, UserId } from '@tollgate/contracts';
import type { Page } from './page.ts';

export type LimitBody = ServerResult<typeof accounting.createLimit>;
export type NewLimit = ServerInput<typeof accounting.createLimit>['body'];
export type OwnLimits = ServerResult<typeof accounting.readOwnLimits>['limits'];
/** Who asks, for the limits that apply. */
export type Asking = Readonly<{
  userId: UserId;
  workspaceId?: string | undefined;
  model?: string | undefined;
  apiKeyId?: string | undefined;
}>;

export type Limits = {
  /** 'taken' when there is one for the same scope, subject, measure and window. */
  add(limit: NewLimit, actor: string): Promise<LimitBody | 'taken'>;
  list(filter: Page & { scope?: string | undefined }): Promise<{ limits: LimitBody[]; next: number | undefined }>;
  change(id: string, amount: number, actor: string): Promise<LimitBody | undefined>;
  end(id: string, actor: string): Promise<LimitBody | undefined>;
  /** What applies to a request of now, and what is used of it. */
  applying(asking: Asking): Promise<OwnLimits>;
};

export type KeyLimitRows = readonly Pick<NewLimit, 'measure' | 'window' | 'amount'>[];

export type KeyLimitStore = {
  /**
   * Replaces what auth has set for a key. 'outdated' when a newer revision has been seen, 'taken' when an administrator has
   * set one of these limits; then nothing changes.
   */
  replace(
    wanted: { keyId: string; revision: number; limits: KeyLimitRows },
    actor: string,
  ): Promise<'done' | 'outdated' | 'taken'>;
};

export type BillingBody = ServerResult<typeof accounting.readBilling>;
export type BlockBody = ServerResult<typeof accounting.blockSubject>;
export type BlockKey = ServerInput<typeof accounting.blockSubject>['params'];

export type Workspaces = {
  billing(workspaceId: string): Promise<BillingBody>;
  setBilling(workspaceId: string, billing: BillingBody['billing'], actor: string): Promise<void>;
};

export type Blocks = {
  add(key: BlockKey, reason: string, actor: string): Promise<BlockBody>;
  remove(key: BlockKey): Promise<BlockBody | undefined>;
  list(page: Page): Promise<(BlockBody & { number: number })[]>;
};
