import { createHmac, timingSafeEqual } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import type { TrustedDevices } from '../ports/trusted-devices.ts';

const LIFE_MS = 90 * 86_400_000;
const TOKEN = /^(?<userId>[0-9a-f]{24})\.(?<id>[0-9a-f-]{36})\.(?<until>\d{1,15})\.(?<mac>[\w-]{43})$/;

/** Signed, so that nothing is stored: OWASP, "Slow Down Online Guessing Attacks with Device Cookies". */
export function createTrustedDevices(key: { reveal(): string }): TrustedDevices {
  const macOf = (text: string): Buffer => createHmac('sha256', key.reveal()).update(`trusted-device:${text}`).digest();
  return {
    sign({ id, userId }, now) {
      const text = `${userId}.${id}.${now + LIFE_MS}`;
      return `${text}.${macOf(text).toString('base64url')}`;
    },
    read(token = '', now) {
      const { userId, id, until, mac } = TOKEN.exec(token)?.groups ?? {};
      if (!userId || !id || !until || !mac || Number(until) <= now) return undefined;
      const isOurs = timingSafeEqual(macOf(`${userId}.${id}.${until}`), Buffer.from(mac, 'base64url'));
      return isOurs ? { id, userId: UserId.parse(userId) } : undefined;
    },
  };
}
