import { randomBytes, randomUUID } from 'node:crypto';
import type { Role } from '@tollgate/contracts';
import type { Answer } from './call-json.ts';
import { Person, type Urls } from './person.ts';
import type { ServiceEnvironments, WantedUser } from './service-environments.ts';

type Environment = ServiceEnvironments['auth'];
/** What auth's seed command does. */
interface Seed {
  openAccounts(wanted: readonly WantedUser[], environment: Environment): Promise<readonly { readonly id: string }[]>;
}

/** By its path, as services are started: a package knows no service. In this process, since one more takes a second to start. */
const SEED = new URL('../../../../services/auth/src/seed.ts', import.meta.url).href;

/** The first administrator, opened as auth's own seed command does it. */
export async function seededAdmin(authEnvironment: Environment, urls: Urls): Promise<Person> {
  const password = randomBytes(12).toString('base64url');
  const identity = { username: 'admin', email: 'admin@example.test', password };
  const { openAccounts } = (await import(SEED)) as Seed;
  const [seeded] = await openAccounts([{ ...identity, role: 'admin' }], authEnvironment);
  return new Person({ ...identity, userId: seeded?.id ?? '' }, urls).logIn();
}

/** Somebody new, verified and logged in. */
export async function createPerson(admin: Person, urls: Urls, role: Role): Promise<Person> {
  const id = randomUUID().slice(0, 13);
  const identity = {
    username: `user-${id}`,
    email: `user-${id}@example.test`,
    password: randomBytes(12).toString('base64url'),
  };
  const { body } = await expectOk(
    admin.auth<{ userId: string }>('POST', '/api/admin/users', {
      ...identity,
      role,
      skipVerification: true,
    }),
  );
  return new Person({ ...identity, userId: body.userId }, urls).logIn();
}

/** For the preparation of a test, which must not fail. */
export async function expectOk<T>(call: Promise<Answer<T>>): Promise<Answer<T>> {
  const answer = await call;
  if (answer.status >= 300) throw new Error(`the platform's preparation was refused: ${JSON.stringify(answer)}`);
  return answer;
}
