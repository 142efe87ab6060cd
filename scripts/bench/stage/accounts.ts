import { callJson, newUserId } from '@tollgate/test-kit';
import { expectOk, type World } from './world.ts';

const CREDITS = 100_000_000;
const AT_ONCE = 16;

/** Somebody with credits for the whole bench. */
export interface Payer {
  readonly userId: string;
  readonly token: string;
}

/** Accounts with credits in accounting; nobody logs in for them, tokens are signed here. */
export async function openAccounts({ accounting, tokens }: World, count: number): Promise<Payer[]> {
  const admin = await tokens.access({ role: 'admin' });
  const open = async (): Promise<Payer> => {
    const userId = newUserId();
    const body = { userId, credits: CREDITS };
    await expectOk(callJson('POST', `${accounting.url}/api/credits/allocate`, { token: admin, body }));
    return { userId, token: await tokens.access({ userId }) };
  };
  const payers: Payer[] = [];
  while (payers.length < count) {
    const more = Math.min(AT_ONCE, count - payers.length);
    payers.push(...(await Promise.all(Array.from({ length: more }, open))));
  }
  return payers;
}
