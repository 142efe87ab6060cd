/**
 * A limit on waiting that begins anew again and again, at the price of one timer: to clear and to set one for every event of a
 * stream costs more than most of what is done with the event.
 */
export class Alarm {
  readonly #ring: (ms: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;
  #isSet = false;

  constructor(ring: (ms: number) => void) {
    this.#ring = ring;
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  /** Rings in so many milliseconds, unless it is set again or put off before. */
  set(ms: number): void {
    this.#isSet = true;
    if (this.#timer && ms === this.#ms) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#ms = ms;
    // Not a function for each of them: an answer that is open has three.
    this.#timer = setTimeout(ringOf, ms, this);
  }

  /** Until it is set again it does not ring. */
  putOff(): void {
    this.#isSet = false;
  }

  /** For good. */
  stop(): void {
    this.#isSet = false;
    clearTimeout(this.#timer);
  }

  /** Its time has come. */
  due(): void {
    if (this.#isSet) this.#ring(this.#ms);
  }
}

const ringOf = (alarm: Alarm): void => alarm.due();
