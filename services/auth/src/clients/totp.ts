import { generateSecret, generateURI, verifySync } from 'otplib';
import type { Totp } from '../ports/second-factors.ts';

const ISSUER = 'Tollgate';
/** RFC 4226, section 4, R6: 160 bits recommended. */
const SECRET_BYTES = 20;
const STEP_SECONDS = 30;

type Shape = Readonly<{ algorithm: 'sha1' | 'sha256' | 'sha512'; digits: 6 | 8 }>;

/** What every authenticator app understands; others ignore the parameters of the address and compute this all the same. */
const COMMON: Shape = { algorithm: 'sha1', digits: 6 };

/** Time-based one-time passwords (RFC 6238) for authenticator apps. */
export function createTotp(shape = COMMON): Totp {
  return {
    newSecret: () => generateSecret({ length: SECRET_BYTES }),
    async describe(secret, account) {
      const { toDataURL } = await import('qrcode'); // few start who ever draw one
      const uri = generateURI({ issuer: ISSUER, label: account, secret, period: STEP_SECONDS, ...shape });
      return { secret, uri, qrCode: await toDataURL(uri, { errorCorrectionLevel: 'M', margin: 2 }) };
    },
    stepOf(secret, token, now) {
      if (token.length !== shape.digits) return undefined;
      // The tolerance of one whole step on both sides reaches exactly the steps before and after the current one.
      const options = { epoch: Math.floor(now / 1000), period: STEP_SECONDS, epochTolerance: STEP_SECONDS };
      const verified = verifySync({ secret, token, strategy: 'totp', ...options, ...shape });
      return verified.valid && 'timeStep' in verified ? verified.timeStep : undefined;
    },
  };
}
