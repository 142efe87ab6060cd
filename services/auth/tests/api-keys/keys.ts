import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import type { Clock } from '@tollgate/test-kit';
import { type Answer, type Auth, type LoggedIn, PASSWORD } from '../auth.ts';

export type KeyView = Record<string, unknown> & { id: string };
type Made = Omit<Answer, 'body'> & { body: { apiKey: KeyView; key: string; code: string; detail: string } };

/** The calls that tests make about API keys. */
export class Keys {
  readonly #auth: Auth;
  readonly #clock: Clock;

  constructor(auth: Auth, clock: Clock = { now: () => Date.now() }) {
    this.#auth = auth;
    this.#clock = clock;
  }

  async make(owner: Pick<LoggedIn, 'accessToken'>, more: Record<string, unknown> = {}): Promise<Made> {
    const body = { name: 'ci', scopes: ['profile:read'], currentPassword: PASSWORD, ...more };
    return this.#made('POST', '/api/api-keys', owner, body);
  }

  /** A key that must have been made. */
  async made(owner: Pick<LoggedIn, 'accessToken'>, more: Record<string, unknown> = {}) {
    const { status, body, text } = await this.make(owner, more);
    if (status !== 201) throw new Error(`the key was refused: ${text}`);
    return { id: body.apiKey.id, text: body.key, view: body.apiKey };
  }

  rotate(owner: Pick<LoggedIn, 'accessToken'>, id: string, overlapSeconds?: number): Promise<Made> {
    const body = { currentPassword: PASSWORD, ...(overlapSeconds !== undefined && { overlapSeconds }) };
    return this.#made('POST', `/api/api-keys/${id}/rotate`, owner, body);
  }

  change(owner: Pick<LoggedIn, 'accessToken'>, id: string, body: object): Promise<Made> {
    return this.#made('PATCH', `/api/api-keys/${id}`, owner, body);
  }

  delete(owner: Pick<LoggedIn, 'accessToken'>, id: string): Promise<Answer> {
    return this.#auth.call('DELETE', `/api/api-keys/${id}`, { token: owner.accessToken });
  }

  async list(owner: Pick<LoggedIn, 'accessToken'>): Promise<KeyView[]> {
    const { text } = await this.#auth.call('GET', '/api/api-keys', { token: owner.accessToken });
    return (JSON.parse(text) as { apiKeys: KeyView[] }).apiKeys;
  }

  /** The status of a read of the own profile with the key. */
  async use(key: string): Promise<number> {
    return (await this.#auth.profile(key)).status;
  }

  /** What the proxy asks. */
  async verify(key: string, ip?: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const secret = (this.#auth.env['JWT_SERVICE_SECRET'] ?? '').replace(/^k1:/, '');
    const clock = this.#clock;
    const source = createServiceTokenSource({ service: 'chat-proxy', keys: [{ kid: 'k1', secret }], clock });
    const token = await source.tokenFor('auth');
    const body = { key, ...(ip !== undefined && { ip }) };
    const { status, text } = await this.#auth.post('/api/internal/api-keys/verify', body, { token });
    return { status, body: JSON.parse(text) as Record<string, unknown> };
  }

  async #made(method: string, path: string, owner: Pick<LoggedIn, 'accessToken'>, body: object): Promise<Made> {
    const answer = await this.#auth.call(method, path, { token: owner.accessToken, body });
    return { ...answer, body: JSON.parse(answer.text) as Made['body'] };
  }
}

/** For a service whose calls tests sign. */
export const serviceSecretNamed = (secret: string): Record<string, string> => ({ JWT_SERVICE_SECRET: `k1:${secret}` });
