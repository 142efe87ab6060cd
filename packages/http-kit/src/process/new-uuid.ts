import { randomUUID } from 'node:crypto';

/** A random UUID in one piece: Node joins its own from twenty, and keeps them all, ten times the size, until somebody reads it. */
export const newUuid = (): string => Buffer.from(randomUUID(), 'latin1').toString('latin1');
