/** Where parts come from, and the first of them when that was needed for the choice. */
export interface Choice<Part> {
  readonly source: AsyncIterator<Part, void, undefined>;
  readonly first?: IteratorResult<Part, void>;
  /** Told what breaks off a source that had given its first part. Must not throw. */
  readonly failed?: (error: unknown) => void;
}

/**
 * The parts of a source that is chosen by work which waits. Once it is chosen, nothing stands between it and its reader: a
 * generator for this alone would wait beside its source, with all that it knows, for as long as the source takes. As with a
 * generator, nothing happens before the first part is asked for, and what is ended before that never begins.
 */
export class ChosenParts<Part> implements AsyncGenerator<Part, void, undefined> {
  #choose: (() => Promise<Choice<Part>>) | undefined;
  #choosing: Promise<IteratorResult<Part, void>> | undefined;
  #source: AsyncIterator<Part, void, undefined> | undefined;
  #failed: ((error: unknown) => void) | undefined;

  constructor(choose: () => Promise<Choice<Part>>) {
    this.#choose = choose;
  }

  next(): Promise<IteratorResult<Part, void>> {
    if (this.#source) return this.#nextOf(this.#source);
    if (this.#choosing) return this.#choosing.then(() => this.next());
    if (!this.#choose) return Promise.resolve(OVER);
    this.#choosing = this.#begin(this.#choose);
    this.#choose = undefined;
    return this.#choosing;
  }

  async return(): Promise<IteratorResult<Part, void>> {
    this.#choose = undefined;
    await this.#choosing?.catch(() => undefined);
    await this.#source?.return?.();
    return OVER;
  }

  async throw(error: unknown): Promise<IteratorResult<Part, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #begin(choose: () => Promise<Choice<Part>>): Promise<IteratorResult<Part, void>> {
    try {
      const { source, first, failed } = await choose();
      this.#source = source;
      const begun = first ?? (await source.next());
      this.#failed = failed;
      return begun;
    } finally {
      this.#choosing = undefined;
    }
  }

  #nextOf(source: AsyncIterator<Part, void, undefined>): Promise<IteratorResult<Part, void>> {
    const next = source.next();
    if (!this.#failed) return next;
    return next.catch((error: unknown) => {
      this.#failed?.(error);
      throw error;
    });
  }
}

const OVER: IteratorReturnResult<void> = { done: true, value: undefined };
