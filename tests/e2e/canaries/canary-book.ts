import { randomBytes, randomInt } from 'node:crypto';

const MARK = 'cnry';
const CARD_START = '4111';

/** The mark as base64 makes it, wherever it begins: without the characters that its neighbours have a part in. */
const ENCODED = [0, 1, 2].map((offset) => {
  const whole = Buffer.from(' '.repeat(offset) + MARK).toString('base64');
  return whole.slice(offset === 0 ? 0 : offset + 1, Math.floor(((offset + MARK.length) * 8) / 6));
});
/** Nothing that is a part of a longer number, such as the seconds of a metric. */
const CARD = `(?<![\\d.])${CARD_START}\\d{12}(?!\\d)`;
const LEAK = new RegExp(`${MARK}\\w+|${CARD}|${ENCODED.join('|')}`, 'g');

/** Where something may have ended up, by its name. */
export type Sinks = Readonly<Record<string, string>>;

/** Values that must be found nowhere, and what each of them stands for. */
export class CanaryBook {
  readonly #names = new Map<string, string>();
  readonly #others = new Map<string, string>();

  get size(): number {
    return this.#names.size + this.#others.size;
  }

  /** A new one, of letters and digits. */
  of(what: string): string {
    const value = `${MARK}${what.replaceAll(/\W/g, '')}${randomBytes(9).toString('hex')}`;
    this.#names.set(value, what);
    return value;
  }

  /** Sixteen digits, as a card has. */
  card(): string {
    const value = `${CARD_START}${String(randomInt(1e11)).padStart(12, '7')}`;
    this.#names.set(value, 'card');
    return value;
  }

  /** A secret that was made elsewhere. */
  note(what: string, value: string): string {
    this.#others.set(value, what);
    return value;
  }

  /** Every place where one was found, with what stands before it; `mayHave` excuses those that belong there. */
  leaksIn(sinks: Sinks, mayHave: (what: string, sink: string) => boolean): string[] {
    return Object.entries(sinks).flatMap(([sink, text]) => {
      const marked = [...text.matchAll(LEAK)].map(({ 0: value, index }) => ({
        what: this.#names.get(value) ?? value,
        index,
      }));
      const others = [...this.#others].map(([value, what]) => ({ what, index: text.indexOf(value) }));
      return [...marked, ...others.filter(({ index }) => index >= 0)]
        .filter(({ what }) => !mayHave(what, sink))
        .map(({ what, index }) => `${what} in ${sink}: ${text.slice(Math.max(0, index - 200), index + 60)}`);
    });
  }
}
