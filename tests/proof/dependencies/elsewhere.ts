/** A row, or the part of it, that another test proves. */
export interface Elsewhere {
  readonly row: string;
  readonly what: string;
  readonly file: string;
  /** Part of the test's name. */
  readonly test: string;
}

const A = 'services/accounting/tests';
const P = 'services/chat-proxy/tests';
const CATALOGUE = 'tests/proof/fault-catalogue.test.ts';
const at = (row: string, what: string, file: string, test: string): Elsewhere => ({ row, what, file, test });

export const ELSEWHERE: readonly Elsewhere[] = [
  at('MongoDB dies mid-request', 'chat-proxy, in the middle of an answer', CATALOGUE, 'is saved later'),
  at('PostgreSQL dies at settle', 'at every write of a settlement', `${A}/audit/interruptions.test.ts`, 'case 41'),
  at(
    'PostgreSQL slow / lock wait',
    'the three limits',
    `${A}/audit/interruptions.test.ts`,
    'each end a wait for a lock',
  ),
  at(
    'Pool exhausted',
    'chat-proxy: open after 5 failures, one try after 10 s',
    `${P}/circuit-breaker.test.ts`,
    'is asked five times in a row',
  ),
  at(
    'Serialization failure/deadlock',
    '40001, repeated up to 3 times',
    `${A}/service/installation.test.ts`,
    'is repeated up to three times',
  ),
  at(
    'Serialization failure/deadlock',
    '40P01, two instances crosswise',
    `${A}/audit/interruptions.test.ts`,
    'repeat what PostgreSQL undid',
  ),
  at('Upstream rows', 'all of them, at every door', CATALOGUE, 'every fault of an upstream ends as the catalogue says'),
  at(
    'Upstream refused / DNS failure',
    'refused, at every door',
    CATALOGUE,
    'an upstream that takes no connection is 502',
  ),
  at(
    'SMTP down / slow / garbage',
    'refused for now',
    'services/auth/tests/limits-and-mail.test.ts',
    'wait in the queue while the mail server fails',
  ),
  at(
    'SMTP down / slow / garbage',
    'garbage',
    'packages/mail/tests/odd-servers.test.ts',
    'is to be tried again when its server',
  ),
  at(
    'SMTP down / slow / garbage',
    'tried for 24 hours',
    'services/auth/tests/audit/mail-retries.test.ts',
    'are tried for 24 hours',
  ),
  at(
    'SMTP down / slow / garbage',
    'low-credit mails are queued',
    `${A}/outbox/mails.test.ts`,
    'sent again when it is refused for now',
  ),
  at(
    'Clock skew +/- 120 s between services',
    'tokens: 30 s',
    'packages/jwt-claims/tests/claims.test.ts',
    'allows clocks to be 30 s apart',
  ),
  at(
    'Clock skew +/- 120 s between services',
    'TOTP: one step',
    'services/auth/tests/mfa/second-factor.test.ts',
    'one step early and one late',
  ),
  at(
    'Clock skew +/- 120 s between services',
    'leases and lots: the database alone',
    `${A}/audit/interruptions.test.ts`,
    'case 42',
  ),
  at(
    'Clock skew +/- 120 s between services',
    'settlements after a clock was put back',
    `${P}/journal/leftovers.test.ts`,
    'because the clock is put back',
  ),
  at('auth service down', 'answers go on and are paid', CATALOGUE, 'tokens are verified here'),
  at(
    'accounting down',
    'new answers 503, running ones are paid later',
    CATALOGUE,
    'new answers are refused with 503 and asked of nobody',
  ),
  at(
    'chat-proxy down',
    'the sweeper ends its holds',
    'tests/e2e/crashes.test.ts',
    'a proxy that is killed after its last checkpoint',
  ),
  at(
    'Duplicate delivery',
    'holds, settle, void',
    `${A}/holds/duplicates.test.ts`,
    'of holds and their ends has one effect',
  ),
  at('Duplicate delivery', 'settle and void with new keys', `${A}/holds/duplicates.test.ts`, 'finds the hold final'),
  at(
    'Duplicate delivery',
    'deduction, usage record, grant',
    `${A}/holds/duplicates.test.ts`,
    'of deductions, usage records and grants',
  ),
  at('Duplicate delivery', 'payment webhook', `${A}/holds/duplicates.test.ts`, 'of a payment gives one lot'),
  at('Duplicate delivery', 'queue job', `${A}/holds/duplicates.test.ts`, 'of a job that books the clock'),
  at(
    'Duplicate delivery',
    'outbox: three instances',
    `${A}/outbox/webhooks.test.ts`,
    'is sent once by three instances',
  ),
  at(
    'Settle vs void vs expire race',
    'settle, void and two sweepers',
    `${A}/holds/clock.test.ts`,
    'has one winner when settle, void and two sweepers race',
  ),
  at(
    'Settle vs void vs expire race',
    'settle and void: 200 already_final with the final state (credits.md)',
    `${A}/holds/settling.test.ts`,
    'case 7',
  ),
  at(
    'Settle vs void vs expire race',
    'holding, renewing and extending a closed hold: 409',
    `${A}/holds/holds.test.ts`,
    'hold_closed',
  ),
  at(
    'Late settle after expiry',
    'less: refunded',
    `${A}/holds/clock.test.ts`,
    'refunds what a late settlement shows to be too much',
  ),
  at(
    'Late settle after expiry',
    'more: taken as far as the balance goes',
    `${A}/holds/clock.test.ts`,
    'as far as the balance goes, and records the rest',
  ),
  at(
    'Reconciliation (84)',
    'one credit, in one run',
    `${A}/audit/reconciliation.test.ts`,
    'finds a drift of one credit',
  ),
  at('Reconciliation (84)', 'journals of the proxies', `${P}/journal/drift.test.ts`, 'drifts where a row stays'),
  at(
    'Verification (h7)',
    'ledger:verify: 0, 1 with the first offending row, 2',
    `${A}/audit/heads.test.ts`,
    'ends with 1 and names the first offending row',
  ),
  at(
    'Unhandled errors (103)',
    'in the tests and in their services',
    'packages/test-kit/tests/unhandled.test.ts',
    'an error that nobody handles',
  ),
];
