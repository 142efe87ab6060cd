import type { UpstreamPart } from '../../domain/answer.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Reply } from '../../domain/reply.ts';

export interface Drained {
  readonly chatflow: Pick<Chatflow, 'upstream'>;
  readonly reply: Reply;
  /** The client's going. */
  readonly left: AbortSignal;
  /** Ends the answer at once, whoever reads it; ended by a client that goes, unless its answer is read on. */
  readonly stop: AbortController;
}

/** Begins the answer; the signal ends it. */
type Begin = (stop: AbortSignal) => AsyncIterable<readonly UpstreamPart[]>;

/**
 * The parts of an answer. An upstream that bills on after its client has left is read to the end without anybody listening, for
 * the exact usage: only once the answer has begun, only so many at once, and only so long. All others are stopped at once.
 * (credits.md, Outcome policy)
 */
export type Drain = (answer: Drained, begin: Begin) => Attempt;

/** An answer that one server was asked for. */
export interface Attempt {
  readonly parts: AsyncIterable<readonly UpstreamPart[]>;
  /** It has failed, and another server is asked: the client's going is the other attempt's affair. */
  readonly abandon: () => void;
}

export interface DrainDeps {
  readonly upstreams: ReadonlySet<string>;
  readonly atOnce: number;
  readonly longestMs: number;
  /** Runs the work later, unless what it returns is called before. */
  readonly after: (ms: number, work: () => void) => () => void;
}

export function createDrain(deps: DrainDeps): Drain {
  let draining = 0;

  /** The upstream hears nothing of a client's going, until patience ends. */
  function patienceWith({ reply, left, stop }: Drained) {
    let giveBack = (): void => undefined;
    const decide = (): void => {
      if (!reply.hasBegun || draining >= deps.atOnce) return stop.abort(left.reason);
      draining += 1;
      const cancel = deps.after(deps.longestMs, () => stop.abort(left.reason));
      giveBack = () => {
        draining -= 1;
        cancel();
      };
    };
    if (left.aborted) decide();
    else left.addEventListener('abort', decide, { once: true });
    return () => {
      left.removeEventListener('abort', decide);
      giveBack();
    };
  }

  async function* patiently(answer: Drained, begin: Begin): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
    const endPatience = patienceWith(answer);
    const parts = begin(answer.stop.signal)[Symbol.asyncIterator]();
    let isOver = false;
    try {
      for (;;) {
        // A source that ends or fails while it is asked is over by itself.
        isOver = true;
        const next = await parts.next();
        if (next.done) return;
        isOver = false;
        yield next.value;
      }
    } finally {
      if (!isOver && answer.left.aborted) await countRest(parts, answer.reply);
      if (!isOver) await parts.return?.();
      endPatience();
    }
  }

  return (answer, begin) => {
    if (deps.upstreams.has(answer.chatflow.upstream))
      return { parts: patiently(answer, begin), abandon: () => undefined };
    const abandon = endWithClient(answer);
    return { parts: begin(answer.stop.signal), abandon };
  };
}

/** Not with `AbortSignal.any`, which takes 2 KiB of every answer that is open. Gives what takes it back. */
function endWithClient({ left, stop }: Drained): () => void {
  const end = (): void => stop.abort(left.reason);
  if (left.aborted) end();
  else left.addEventListener('abort', end, { once: true });
  return () => left.removeEventListener('abort', end);
}

/** Never throws: that the rest failed changes nothing for a client that has gone. */
async function countRest(parts: AsyncIterator<readonly UpstreamPart[]>, reply: Reply): Promise<void> {
  try {
    for (let next = await parts.next(); !next.done; next = await parts.next())
      for (const part of next.value) reply.add(part);
  } catch {
    return;
  }
}
