import { hash } from 'node:crypto';

/** SHA-256 of a request, the same for the same content in whatever order its fields came. */
export const fingerprintOf = (content: unknown): string =>
  hash('sha256', JSON.stringify(content, inOrder), 'base64url');

function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
