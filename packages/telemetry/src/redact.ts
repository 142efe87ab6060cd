import { types } from 'node:util';
import { type KeyRule, ruleOf } from './key-rules.ts';
import { maskText, REDACTED, withoutQuery } from './redaction-rules.ts';

const DEEPEST = 8;
const MOST_ENTRIES = 100;
const MOST_NODES = 2000;
const LONGEST_TEXT = 4096;

export type RedactOptions = Readonly<{
  /** Shows questions, prompts and answers; for a developer's machine. Secrets stay hidden. */
  showPrompts?: boolean;
}>;

/**
 * A copy of any value that is safe to write as one line of JSON: secrets gone (by the name of the key and by the look of
 * the text), no cycles, bounded in depth (8), breadth (100), size (2,000 values) and length of text (4,096 characters).
 * Never throws, whatever a getter or toJSON does.
 */
export function redact(value: unknown, { showPrompts = false }: RedactOptions = {}): unknown {
  return new Redaction(showPrompts).visit(value, '');
}

/** One walk through one value, or through the fields of one line. */
export class Redaction {
  readonly #showPrompts: boolean;
  /** No more than may be nested, so that a list is enough. */
  readonly #ancestors: object[];
  #nodes = 0;

  /** `within`: the object whose fields are visited one by one. */
  constructor(showPrompts: boolean, within?: object) {
    this.#showPrompts = showPrompts;
    this.#ancestors = within ? [within] : [];
  }

  visit(value: unknown, key: string): unknown {
    return this.visitBy(value, key, ruleOf(key));
  }

  visitBy(value: unknown, key: string, rule: KeyRule): unknown {
    if (value === undefined || value === null || typeof value === 'boolean') return value;
    if (rule.isSecret) return REDACTED;
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
    if (this.#hides(rule)) return REDACTED;
    if (typeof value === 'string') return this.#text(rule.isAddress ? withoutQuery(value) : value);
    return typeof value === 'object' ? this.#object(value, key) : plain(value);
  }

  #hides({ isToken, isPrompt }: KeyRule): boolean {
    return isToken || (isPrompt && !this.#showPrompts);
  }

  #text(text: string): string {
    const cut = text.slice(0, LONGEST_TEXT);
    const masked = maskText(cut);
    return text.length > LONGEST_TEXT ? `${masked}…[${text.length} characters]` : masked;
  }

  #object(value: object, key: string): unknown {
    this.#nodes += 1;
    if (this.#nodes > MOST_NODES) return '[more]';
    if (this.#ancestors.includes(value)) return '[circular]';
    if (this.#ancestors.length >= DEEPEST) return '[deep]';
    this.#ancestors.push(value);
    try {
      return this.#content(value, key);
    } catch {
      // A proxy or a getter that throws must not cost the log line, nor the request that writes it.
      return '[unreadable]';
    } finally {
      this.#ancestors.pop();
    }
  }

  #content(value: object, key: string): unknown {
    if (types.isNativeError(value)) return this.#error(value);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return `[${value.byteLength} bytes]`;
    if (Array.isArray(value)) return this.#array(value);
    if (types.isSet(value)) return this.#array([...value.values().take(MOST_ENTRIES + 1)]);
    if (types.isMap(value)) {
      return this.#entries([...value.entries().take(MOST_ENTRIES + 1)].map(([name, item]) => [String(name), item]));
    }
    if (types.isPromise(value)) return '[promise]';
    if (types.isRegExp(value)) return this.#text(String(value));
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.visit(value.toJSON(), key);
    return this.#entries(Object.keys(value).map((name) => [name, Reflect.get(value, name)]));
  }

  #array(items: readonly unknown[]): unknown[] {
    const kept = items.slice(0, MOST_ENTRIES).map((item) => this.visit(item, ''));
    return items.length > MOST_ENTRIES ? [...kept, '[more]'] : kept;
  }

  #entries(entries: [string, unknown][]): object {
    // Without a prototype, so that a key called __proto__ is a key like any other.
    const copy: Record<string, unknown> = Object.create(null);
    for (const [name, item] of entries.slice(0, MOST_ENTRIES)) {
      const rule = ruleOf(name);
      copy[rule.shown] = this.visitBy(item, name, rule);
    }
    if (entries.length > MOST_ENTRIES) copy['…'] = '[more]';
    return copy;
  }

  #error(error: Error): object {
    const { name, message, stack, cause } = error;
    const own = Object.keys(error).filter((key) => !['name', 'message', 'stack', 'cause'].includes(key));
    const entries: [string, unknown][] = [
      ['name', name],
      ['message', message],
      ['stack', stack],
      ...own.map((key): [string, unknown] => [key, Reflect.get(error, key)]),
    ];
    if (cause !== undefined) entries.push(['cause', cause]);
    if ('errors' in error && !own.includes('errors')) entries.push(['errors', error.errors]);
    return this.#entries(entries);
  }
}

/** What is neither an object nor anything that JSON can hold. */
const plain = (value: unknown): string => (typeof value === 'bigint' ? String(value) : `[${typeof value}]`);
