import { randomUUID } from 'node:crypto';
import { type Credits, type HoldId, type Price, type Units, UserId } from '@tollgate/contracts';
import type { Chatflow } from '../src/domain/chatflow.ts';
import type { ChatflowId, Hold } from '../src/domain/wire-types.ts';

/** One credit a message, or the tokens when they are dearer: the seeded price of flows. */
export const MESSAGE_PRICE: Price = {
  ruleId: '00000000-0000-4000-8000-00000000000a',
  version: 1,
  mode: 'max',
  unitPrices: { request: 1_000_000, input: 200, output: 500 },
  markupNumerator: 1,
  markupDenominator: 1,
  free: false,
};

/** One credit for each output token, and nothing else. */
export const TOKEN_PRICE: Price = { ...MESSAGE_PRICE, mode: 'metered', unitPrices: { output: 1_000_000 } };

export const credits = (amount: number): Credits => amount as Credits;
export const holdId = (): HoldId => randomUUID() as HoldId;
export const ALICE = UserId.parse('a11ce0000000000000000001');
export const BOB = UserId.parse('b0b000000000000000000002');

export const holdOf = (price: Price, held: number, units: Units, available = 1000): Hold => ({
  holdId: holdId(),
  status: 'active',
  heldCredits: credits(held),
  fence: 1,
  leaseExpiresAt: '2030-01-01T00:00:00.000Z',
  price,
  units,
  clamped: false,
  availableCredits: credits(available),
});

export const chatflowOf = (changes: Partial<Chatflow> = {}): Chatflow => ({
  id: 'c4a10000-0000-4000-8000-000000000001' as ChatflowId,
  upstream: 'flowise',
  model: 'CHATFLOW',
  name: 'Chain',
  description: null,
  category: null,
  type: 'CHATFLOW',
  deployed: true,
  upstreamPublic: true,
  publicOverride: null,
  config: null,
  systemPrompt: null,
  allowedOverrides: [],
  maxOutputTokens: null,
  createdAt: null,
  updatedAt: null,
  syncedAt: new Date(0),
  syncStatus: 'active',
  syncError: null,
  ...changes,
});

export const MODEL = chatflowOf({
  id: 'model:priced' as ChatflowId,
  upstream: 'openai',
  model: 'priced',
  type: 'MODEL',
});
export const AGENTFLOW = chatflowOf({ model: 'AGENTFLOW', type: 'AGENTFLOW' });
