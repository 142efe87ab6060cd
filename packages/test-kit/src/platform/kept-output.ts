/** The newest output of a process. Adding costs what is added, however much is kept. */
export class KeptOutput {
  readonly #most: number;
  /** Of half of the most each, so that forgetting drops the older one whole. */
  #older = '';
  #parts: string[] = [];
  #characters = 0;

  /** @param most characters that `text` has at most; from half of them on the oldest may be gone. */
  constructor(most: number) {
    this.#most = most;
  }

  add(part: string): void {
    this.#parts.push(part);
    this.#characters += part.length;
    if (this.#characters < this.#most / 2) return;
    this.#older = this.#parts.join('');
    this.#parts = [];
    this.#characters = 0;
  }

  get text(): string {
    return (this.#older + this.#parts.join('')).slice(-this.#most);
  }
}
