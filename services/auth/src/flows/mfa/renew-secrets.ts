import type { UserId } from '@tollgate/contracts';
import type { Ports } from '../../ports.ts';
import { secretPlace } from './use-second-factor.ts';

type RenewDeps = Pick<Ports, 'fieldCipher' | 'keyUse' | 'secondFactors'>;

const PAGE = 200;

/** `peppers`: what passwords are hashed with by now; only a login moves one to the current pepper. */
type Renewed = Readonly<{
  secondFactors: { checked: number; sealedAnew: number };
  peppers: { kid: string; accounts: number }[];
}>;

/**
 * For whoever replaces keys: seals the secret of every second factor with the current key, so that none needs an older one.
 * Safe to run twice, at once, and while factors are used.
 */
export const createRenewSecrets = ({ fieldCipher, keyUse, secondFactors }: RenewDeps) =>
  async function renewSecrets(): Promise<Renewed> {
    let [checked, sealedAnew, last] = [0, 0, undefined as UserId | undefined];
    for (;;) {
      const page = await secondFactors.sealedAfter(last, PAGE);
      for (const { userId, sealedSecret } of page) {
        const { text, isOutdated } = fieldCipher.open(sealedSecret, secretPlace(userId));
        // One that has changed meanwhile was sealed with the current key by whoever changed it.
        if (
          isOutdated &&
          (await secondFactors.reseal(userId, sealedSecret, fieldCipher.seal(text, secretPlace(userId))))
        )
          sealedAnew += 1;
      }
      checked += page.length;
      last = page.at(-1)?.userId;
      if (page.length < PAGE) return { secondFactors: { checked, sealedAnew }, peppers: await keyUse.peppers() };
    }
  };
