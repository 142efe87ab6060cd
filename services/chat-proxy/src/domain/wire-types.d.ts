import type { accounting, chat } from '@tollgate/contracts';
export type { ChatflowId, Credits, FileId, HoldId, Price, SessionId, Units, UserId } from '@tollgate/contracts';
export type Hold = accounting.Hold;
export type ClosedHold = accounting.ClosedHold;
export type Outcome = accounting.Outcome;
export type StopReason = accounting.StopReason;
export type Resource = accounting.Resource;
export type UsageSource = accounting.UsageSource;
export type ChatflowConfig = chat.ChatflowConfig;
