import { isAddress, maskText, namesPrompt, namesSecret, namesToken } from './redaction-rules.ts';

/** What the name of a field says about its value. */
export interface KeyRule {
  readonly isSecret: boolean;
  /** Secret unless it is a number: a count, such as `inputTokens`. */
  readonly isToken: boolean;
  readonly isPrompt: boolean;
  readonly isAddress: boolean;
  /** The name as it may be shown. */
  readonly shown: string;
  /** The same in quotes. */
  readonly json: string;
}

const LONGEST_KEY = 128;
/** The names of our own fields are a few hundred; names that others made up must not grow it without end. */
const MOST_KNOWN = 1000;
const known = new Map<string, KeyRule>();

/** Looked up by the names that were met before: our own are always the same. */
export function ruleOf(key: string): KeyRule {
  const found = known.get(key);
  if (found) return found;
  const shown = maskText(key.slice(0, LONGEST_KEY));
  const rule = {
    isSecret: namesSecret(key),
    isToken: namesToken(key),
    isPrompt: namesPrompt(key),
    isAddress: isAddress(key),
    shown,
    json: JSON.stringify(shown),
  };
  if (known.size < MOST_KNOWN && key.length <= LONGEST_KEY) known.set(key, rule);
  return rule;
}
