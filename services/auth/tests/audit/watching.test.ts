import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { Auth } from '../auth.ts';

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start();
});
afterAll(() => auth.stop());

const metric = async (name: string): Promise<number | undefined> => {
  const { text } = await auth.call('GET', '/metrics');
  const value = new RegExp(`^${name}\\{service="auth"\\} (\\S+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
};

it('a log that was tampered with is noticed by the service itself, and so is a mail that nobody takes', async () => {
  await auth.admin();
  const lines = auth.db.collection<{ _id: string }>('audit_log');
  expect(await metric('tollgate_audit_faults')).toBe(0);
  const first = await lines.findOne({});
  await lines.updateOne({ _id: first?._id ?? '' }, { $set: { actorId: 'f'.repeat(24) } });
  const [ago, ahead] = [-90_000, 3_600_000].map((ms) => new Date(Date.now() + ms));
  const mail = { kind: 'already-registered', email: 'x@example.test', attempts: 3, orderedAt: ago, dueAt: ahead };
  await auth.db.collection('mail_queue').insertOne(mail);
  // Both are looked for right after a start, and then from time to time.
  await auth.stop({ keepDatabase: true });
  auth = await Auth.start({ env: auth.env });
  const isNoticed = async () =>
    (await metric('tollgate_audit_faults')) === 1 && (await metric('tollgate_mails_waiting')) === 1;
  await eventually(async () => (await isNoticed()) || undefined, 'both to be noticed');
  expect(await metric('tollgate_mail_oldest_seconds')).toBeGreaterThanOrEqual(90);
});
