import { createHmac } from 'node:crypto';
import { SessionId } from '@tollgate/contracts';
import type { ChatflowId, UserId } from './wire-types.ts';

/** Whose conversation a client means when it names one by a text of its own. */
export interface NamedChat {
  readonly userId: UserId;
  readonly workspaceId: string;
  readonly chatflowId: ChatflowId;
  readonly label: string;
}

/**
 * The conversation that a label stands for: always the same one for the same owner, workspace and chatflow, and another one
 * for everybody else. Without the key nobody can tell the id of somebody else's conversation, and so take it before they do.
 * A UUID of version 8 (RFC 9562, section 5.8).
 */
export function sessionIdOfLabel(key: Uint8Array, { userId, workspaceId, chatflowId, label }: NamedChat): SessionId {
  // As JSON, so that no two different lists of texts become the same bytes.
  const bytes = createHmac('sha256', key)
    .update(JSON.stringify([userId, workspaceId, chatflowId, label]))
    .digest();
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return SessionId.parse(groups.join('-'));
}
