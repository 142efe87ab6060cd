import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { FileId } from '../wire-types.ts';

/** What a link leads to: the file to look at, to keep, or a thumbnail of this size. */
export type LinkVariant = string;

export interface FileLinks {
  /** For whoever may see the file now; ends after minutes, or with the file. */
  to(id: FileId, variant: LinkVariant): string;
  isGood(link: { id: FileId; variant: LinkVariant; expires: number; signature: string }): boolean;
}

export interface FileLinksOptions {
  /** The first one signs; links of all of them are good. */
  readonly secrets: readonly [string, ...string[]];
  readonly lifetimeMs: number;
  readonly now: () => number;
}

const KEY_BYTES = 32;

/** Links that need no token, because an `<img>` cannot send one: HMAC-SHA-256 over file, variant and end. */
export function createFileLinks({ secrets, lifetimeMs, now }: FileLinksOptions): FileLinks {
  const [current, ...former] = secrets.map((secret) =>
    Buffer.from(hkdfSync('sha256', secret, '', 'tollgate file links', KEY_BYTES)),
  );
  if (!current) throw new Error('links need a key');
  const keys = [current, ...former];
  const sign = (key: Buffer, id: FileId, variant: LinkVariant, expires: number): Buffer =>
    createHmac('sha256', key).update(`${id} ${variant} ${expires}`).digest();

  return {
    to(id, variant) {
      const expires = Math.ceil((now() + lifetimeMs) / 1000);
      const signature = sign(current, id, variant, expires).toString('base64url');
      const query = new URLSearchParams({ variant, expires: String(expires), signature });
      return `/api/v1/chat/files/${id}/signed?${query.toString()}`;
    },

    isGood({ id, variant, expires, signature }) {
      if (expires * 1000 < now()) return false;
      const sent = Buffer.from(signature, 'base64url');
      return keys
        .map((key) => sign(key, id, variant, expires))
        .some((right) => right.byteLength === sent.byteLength && timingSafeEqual(right, sent));
    },
  };
}
