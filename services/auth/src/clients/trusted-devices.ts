import { timingSafeEqual } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import type { TrustedDevices } from '../ports/trusted-devices.ts';
import { createKeyedHashes, type HashKeys } from './keyed-hashes.ts';

const LIFE_MS = 90 * 86_400_000;
const TOKEN = /^(?<userId>[0-9a-f]{24})\.(?<id>[0-9a-f-]{36})\.(?<until>\d{1,15})\.(?<mac>[\w-]{43})$/;

/** Signed, so that nothing is stored: OWASP, "Slow Down Online Guessing Attacks with Device Cookies". */
export function createTrustedDevices(ring: HashKeys): TrustedDevices {
  const hashesOf = createKeyedHashes(ring);
  const macsOf = (text: string) => hashesOf(`trusted-device:${text}`);
  return {
    sign({ id, userId }, now) {
      const text = `${userId}.${id}.${now + LIFE_MS}`;
      return `${text}.${macsOf(text)[0]}`;
    },
    read(token = '', now) {
      const { userId, id, until, mac } = TOKEN.exec(token)?.groups ?? {};
      if (!userId || !id || !until || !mac || Number(until) <= now) return undefined;
      const isOurs = macsOf(`${userId}.${id}.${until}`).some((own) =>
        timingSafeEqual(Buffer.from(own), Buffer.from(mac)),
      );
      return isOurs ? { id, userId: UserId.parse(userId) } : undefined;
    },
  };
}
