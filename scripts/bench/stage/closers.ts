export interface Closers {
  /** What must end in any case, before whatever was started earlier. */
  add(stop: () => Promise<unknown>): void;
  /** Ends everything, the newest first; what fails to end keeps nothing else from ending. */
  close(): Promise<void>;
}

export function createClosers(said: (text: string) => void): Closers {
  const stops: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    for (let stop = stops.pop(); stop; stop = stops.pop()) {
      await stop().catch((error: unknown) => said(`could not be ended: ${String(error)}`));
    }
    closing = undefined;
  };
  return {
    add: (stop) => void stops.push(stop),
    close: () => (closing ??= closeAll()),
  };
}
