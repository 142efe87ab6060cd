import OpenAI, { APIError } from 'openai';
import type { AccountingDouble } from '../../services/chat-proxy/tests/fixtures/accounting-double.ts';
import { resetFakes } from '../../services/chat-proxy/tests/fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../../services/chat-proxy/tests/fixtures/proxy.ts';

export const PNG =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const BALANCE = 100_000;

export const user = (content: string) => ({ role: 'user' as const, content });

/** A proxy, and somebody new with the package `openai` as it is: nothing but its key and its base URL is ours. */
export class SdkStage {
  readonly proxy: Proxy;
  #alice: Person | undefined;
  #holdCalls = 0;

  private constructor(proxy: Proxy) {
    this.proxy = proxy;
  }

  static async start(): Promise<SdkStage> {
    return new SdkStage(
      await startProxy({ env: { COMPLETION_EXTRA_PARAMETERS: 'top_k', COMPLETION_MAX_CHOICES: '3' } }),
    );
  }

  async reset(): Promise<void> {
    resetFakes(this.proxy);
    this.#alice = await this.proxy.person({ balance: BALANCE });
    this.#holdCalls = this.proxy.accounting.holdCalls;
  }

  get alice(): Person {
    if (!this.#alice) throw new Error('reset the stage first');
    return this.#alice;
  }

  get client(): OpenAI {
    return this.clientOf(this.alice.token);
  }

  clientOf(apiKey: string, maxRetries = 0): OpenAI {
    return new OpenAI({ apiKey, baseURL: `${this.proxy.url}/v1`, maxRetries });
  }

  /** What the model was sent. */
  sentBody(index = 0): Record<string, unknown> {
    return this.proxy.openai.requests[index]?.body as Record<string, unknown>;
  }

  /** The last settlement, once no hold is open. */
  async settled(): Promise<AccountingDouble['settlements'][number] | undefined> {
    await until(() => this.proxy.accounting.openHolds() === 0);
    return this.proxy.accounting.settlements.at(-1);
  }

  async spent(): Promise<number> {
    await this.settled();
    return BALANCE - this.proxy.accounting.balanceOf(this.alice.userId);
  }

  /** Holds taken and questions put to upstreams since the reset. */
  get done(): number {
    const { accounting, openai, flowise } = this.proxy;
    return accounting.holdCalls - this.#holdCalls + openai.calls() + flowise.calls();
  }
}

export async function thrownBy(work: () => Promise<unknown>): Promise<APIError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
