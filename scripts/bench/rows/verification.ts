import { randomBytes } from 'node:crypto';
import { createVerifier } from '@tollgate/jwt-claims';
import { createTestTokens } from '@tollgate/test-kit';
import { jwtVerify } from 'jose';
import { inTurns } from '../load/columns.ts';
import { fixed, judged, type Section, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';

const TOKENS = 1000;
const ROUNDS = 5;
const LEAST = 10;
/** Between two looks at the clock. */
const BATCH = 200;

/** How many tokens a second, one after another. */
async function rateOf(verify: (token: string) => Promise<unknown>, tokens: readonly string[], milliseconds: number) {
  const next = inTurns(tokens);
  const began = performance.now();
  let done = 0;
  while (performance.now() - began < milliseconds) {
    for (let n = 0; n < BATCH; n += 1) await verify(next());
    done += BATCH;
  }
  return (1000 * done) / (performance.now() - began);
}

export interface Rates {
  readonly ours: number;
  readonly plain: number;
}

/** Tokens a second, medians of rounds of so many milliseconds each, in turns. */
export async function compareVerification(milliseconds: number): Promise<Rates & { readonly ratio: number }> {
  const secret = randomBytes(48).toString('base64url');
  const other = () => randomBytes(48).toString('base64url');
  const source = createTestTokens({ accessSecret: secret, refreshSecret: other(), serviceSecret: other() });
  const tokens = await Promise.all(Array.from({ length: TOKENS }, () => source.access()));
  const options = { issuer: 'tollgate', audience: 'chat-proxy' };
  const { verifyAccess } = createVerifier({ keys: [{ kid: 'k1', secret }], ...options });
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', Buffer.from(secret), algorithm, false, ['verify']);
  const plain = (token: string) => jwtVerify(token, key, { ...options, algorithms: ['HS256'] });
  // Each token is seen once before: the services meet the same ones again and again.
  for (const token of tokens) await verifyAccess(token);
  const rates: Rates[] = [];
  for (let round = -1; round < ROUNDS; round += 1) {
    const rate = {
      ours: await rateOf(verifyAccess, tokens, milliseconds),
      plain: await rateOf(plain, tokens, milliseconds),
    };
    if (round >= 0) rates.push(rate);
  }
  return {
    ours: median(rates.map(({ ours }) => ours)),
    plain: median(rates.map((rate) => rate.plain)),
    ratio: median(rates.map((rate) => rate.ours / rate.plain)),
  };
}

async function verification({ pacing }: Context): Promise<Section> {
  const { ours, plain, ratio } = await compareVerification((pacing.seconds * 1000) / ROUNDS);
  return {
    findings: [
      {
        figure: `token verification (${TOKENS} tokens in turns) against plain jose with a CryptoKey`,
        target: `≥ ${LEAST}`,
        measured: `${whole(ours)}/s, ${whole(plain)}/s`,
        ratio: fixed(ratio, 1),
        verdict: judged(ratio, { least: LEAST }),
      },
    ],
    tables: [],
  };
}

export const verificationBench: Bench = {
  name: 'verification',
  about: 'token verification as the services do it, against plain jose',
  isQuick: true,
  run: verification,
};
