import { AppError } from '../app-error.ts';

/** Deeper nesting serves nobody and overflows the stack of whatever walks it. */
const MAX_DEPTH = 64;
/** ECMA-262 JSON.parse makes own properties of these names; merging such an object elsewhere would reach a prototype. */
const POISONED_NAME = '__proto__';
/** Keeps nothing from one body to the next, because none is decoded in parts. */
const UTF_8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Throws MALFORMED_JSON for bytes that are not UTF-8, not JSON, nested too deep, or name `__proto__` or `constructor.prototype`.
 * Never carries a cause: a parser's message quotes the body, and that must not reach a log.
 */
export function parseJson(bytes: Uint8Array): unknown {
  const value = parsedText(bytes);
  requireHarmless(value);
  return value;
}

function parsedText(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF_8.decode(bytes));
  } catch {
    throw new AppError('MALFORMED_JSON');
  }
}

/** Walks level by level, without recursion. */
function requireHarmless(root: unknown): void {
  let level = [root].filter(isContainer);
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === MAX_DEPTH) throw new AppError('MALFORMED_JSON', `The body is nested deeper than ${MAX_DEPTH} levels`);
    if (level.some(isPoisoned)) throw new AppError('MALFORMED_JSON', 'The body has a forbidden key');
    level = level.flatMap((container) => Object.values(container).filter(isContainer));
  }
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

function isPoisoned(container: object): boolean {
  if (Object.hasOwn(container, POISONED_NAME)) return true;
  const own = Object.getOwnPropertyDescriptor(container, 'constructor')?.value as unknown;
  return isContainer(own) && Object.hasOwn(own, 'prototype');
}
