/** RFC 7515 §2 and RFC 4648 §3.5: one text per byte string, else one token has many spellings and no spelling can be revoked. */
export function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}
