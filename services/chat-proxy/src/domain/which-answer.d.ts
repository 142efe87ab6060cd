import type { ChatflowId, HoldId, SessionId } from './wire-types.ts';
/** An answer by its request, or the one that runs in a conversation, by the conversation's id or alias. */
export type WhichAnswer = {
    readonly requestId: HoldId;
} | {
    readonly chatflowId: ChatflowId;
    readonly sessionId: SessionId;
};
