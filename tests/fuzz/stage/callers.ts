import { KEY_SCOPES, type ServiceName } from '@tollgate/contracts';
import { callJson, type Person, type Platform } from '@tollgate/test-kit';

export const CALLERS = ['nobody', 'enduser', 'supervisor', 'admin', 'service', 'API key', 'expired'] as const;
export type CallerName = (typeof CALLERS)[number];
export const URL_NAMES = { auth: 'auth', accounting: 'accounting', 'chat-proxy': 'chatProxy' } as const;

type PersonRole = 'enduser' | 'supervisor' | 'admin';

export interface Callers {
  /** What a caller sends along to a service. */
  headers(caller: CallerName, service: ServiceName): Promise<Readonly<Record<string, string>>>;
  readonly people: Readonly<Record<PersonRole, Person>>;
  /** Logs in again who was logged out, and replaces who is gone. */
  revive(): Promise<void>;
}

const CREDITS = 1_000_000;

/** Somebody of every role: who does not live through what is asked in their name gets a successor. */
export async function createCallers(platform: Platform): Promise<Callers> {
  const somebody = (role: PersonRole): Promise<Person> =>
    role === 'admin' ? newAdmin(platform) : platform.user({ credits: CREDITS, role });
  const people = {
    enduser: await somebody('enduser'),
    supervisor: await somebody('supervisor'),
    admin: await somebody('admin'),
  };
  const { tokens } = platform;
  let apiKey = await keyOf(people.admin);
  return {
    people,
    async headers(caller, service) {
      switch (caller) {
        case 'nobody':
          return {};
        case 'service':
          return {
            authorization: `Bearer ${await tokens.service(callingService(service), service)}`,
            'x-on-behalf-of': people.enduser.userId,
          };
        case 'API key':
          return { 'x-api-key': apiKey };
        case 'expired':
          return { authorization: `Bearer ${await tokens.expired('admin')}` };
        default:
          return { authorization: `Bearer ${people[caller].accessToken}` };
      }
    },
    async revive() {
      if (!(await isAlive(platform.admin))) await platform.admin.logIn();
      for (const role of ['enduser', 'supervisor', 'admin'] as const) {
        if (await isAlive(people[role])) continue;
        people[role] = await people[role].logIn().catch(() => somebody(role));
      }
      const asked = `${platform.urls.accounting}/api/credits/balance`;
      const { status } = await callJson('GET', asked, { headers: { 'x-api-key': apiKey } });
      if (status !== 200) apiKey = await keyOf(people.admin);
    },
  };
}

/** An administrator beside the first one, who stays out of this: it makes the others. */
export async function newAdmin(platform: Platform): Promise<Person> {
  const person = await platform.user({ credits: CREDITS });
  const { status, body } = await platform.admin.auth('PUT', `/api/admin/users/${person.userId}/role`, {
    role: 'admin',
  });
  if (status !== 200) throw new Error(`no admin: ${JSON.stringify(body)}`);
  return person.logIn();
}

async function isAlive(person: Person): Promise<boolean> {
  const [{ body }, { status }] = await Promise.all([
    person.auth<{ user?: { username?: string; role?: string } }>('GET', '/api/profile'),
    person.accounting('GET', '/api/credits/balance'),
  ]);
  return body.user?.username === person.username && status === 200;
}

/** Auth is asked by both others; what it offers to accounting alone, accounting asks. */
const callingService = (service: ServiceName): ServiceName => (service === 'accounting' ? 'chat-proxy' : 'accounting');

async function keyOf(owner: Person): Promise<string> {
  const body = { name: 'fuzz', scopes: KEY_SCOPES, currentPassword: owner.password };
  const answer = await owner.auth<{ key: string }>('POST', '/api/api-keys', body);
  if (answer.status !== 201) throw new Error(`no key: ${JSON.stringify(answer)}`);
  return answer.body.key;
}
