import { z } from 'zod';
import type { NamedSecret } from './variables.ts';
import { keyRing, list, textReadBy, webAddress } from './variables.ts';

/** A reader of jwt-claims; this package knows no tokens. Its RangeError is the fault. */
type ReadKeys<Keys> = (text: string) => Keys;

/** How access tokens are signed: the same in every service. */
export const accessTokenVariables = {
  JWT_ALG: z
    .enum(['HS256', 'EdDSA'])
    .prefault('HS256')
    .describe(
      'How access tokens are signed: with a shared secret, or with keys that only auth has; the same in all services',
    ),
  JWT_ACCESS_SECRET: keyRing()
    .optional()
    .describe('Keys of access tokens for HS256, which requires them, the current one first; the same in all services'),
};

/** For the service that signs. */
export const signingVariables = <Keys>(readPrivateKeys: ReadKeys<Keys>) => ({
  JWT_PRIVATE_KEYS: textReadBy(readPrivateKeys)
    .meta({ secret: true })
    .optional()
    .describe(
      'Ed25519 keys of access tokens for EdDSA, which requires them, the current one first: PKCS #8 PEM blocks, a JWK or a JWK Set',
    ),
  JWT_EXTRA_AUDIENCES: list(z.string().regex(/^[\w.:/-]{1,100}$/, 'must be names of letters, digits, . : / _ -'))
    .pipe(z.array(z.string()).max(MOST_EXTRA_AUDIENCES))
    .prefault('')
    .describe('Services of others that verify access tokens, as tokens name them, between commas'),
});

/** Tokens with more audiences than this together with our own services are refused by verifiers. */
const MOST_EXTRA_AUDIENCES = 10;

/** For services that only verify. */
export const verifyingVariables = <Keys>(readPublicKeys: ReadKeys<Keys>) => ({
  JWT_JWKS_URL: webAddress()
    .optional()
    .describe('Where the public keys of EdDSA tokens are fetched: /.well-known/jwks.json of auth'),
  JWT_PUBLIC_KEYS: textReadBy(readPublicKeys)
    .optional()
    .describe('Instead of JWT_JWKS_URL: the public keys themselves, as PEM blocks, a JWK or a JWK Set'),
});

type KeyVariable = 'JWT_ACCESS_SECRET' | 'JWT_PRIVATE_KEYS' | 'JWT_JWKS_URL' | 'JWT_PUBLIC_KEYS';
type Given = Readonly<{ JWT_ALG: 'HS256' | 'EdDSA'; JWT_ACCESS_SECRET?: readonly NamedSecret[] | undefined }> &
  Readonly<Partial<Record<KeyVariable, unknown>>>;
type Context = { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void };

/** The rule between the variables of the service that signs, for `superRefine`. */
export const signsWithOneAlgorithm = (env: Given, context: Context): void =>
  oneAlgorithm(['JWT_PRIVATE_KEYS'], env, context);

/** The same for a service that only verifies. */
export const verifiesOneAlgorithm = (env: Given, context: Context): void =>
  oneAlgorithm(['JWT_JWKS_URL', 'JWT_PUBLIC_KEYS'], env, context);

/** The keys of one algorithm, from one place, and none of the other: whoever gave them meant something by it. */
function oneAlgorithm(ofEdDsa: readonly KeyVariable[], env: Given, context: Context): void {
  const ofHs256: readonly KeyVariable[] = ['JWT_ACCESS_SECRET'];
  const [wanted, unwanted] = env.JWT_ALG === 'EdDSA' ? [ofEdDsa, ofHs256] : [ofHs256, ofEdDsa];
  const say = (name: KeyVariable, message: string) => context.addIssue({ code: 'custom', path: [name], message });
  for (const name of unwanted) if (env[name] !== undefined) say(name, `contradicts JWT_ALG=${env.JWT_ALG}`);
  const [first, second] = wanted.filter((name) => env[name] !== undefined);
  if (first === undefined && wanted[0]) say(wanted[0], `is required for JWT_ALG=${env.JWT_ALG}${orElse(wanted[1])}`);
  if (second !== undefined) say(second, `is given beside ${first}: only one can be meant`);
}

const orElse = (name: KeyVariable | undefined) => (name === undefined ? '' : `, or ${name}`);
