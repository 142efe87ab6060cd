import type { UpstreamPart } from '../../domain/answer.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Reply } from '../../domain/reply.ts';

export interface Drained {
  readonly chatflow: Pick<Chatflow, 'upstream'>;
  readonly reply: Reply;
  /** The client's going. */
  readonly left: AbortSignal;
  /** What ends the answer at once, whoever reads it. */
  readonly over: readonly AbortSignal[];
}

/** Begins the answer; the signal ends it. */
type Begin = (stop: AbortSignal) => AsyncIterable<readonly UpstreamPart[]>;

/**
 * The parts of an answer. An upstream that bills on after its client has left is read to the end without anybody listening, for
 * the exact usage: only once the answer has begun, only so many at once, and only so long. All others are stopped at once.
 * (credits.md, Outcome policy)
 */
export type Drain = (answer: Drained, begin: Begin) => AsyncIterable<readonly UpstreamPart[]>;

export interface DrainDeps {
  readonly upstreams: ReadonlySet<string>;
  readonly atOnce: number;
  readonly longestMs: number;
  /** Runs the work later, unless what it returns is called before. */
  readonly after: (ms: number, work: () => void) => () => void;
}

export function createDrain(deps: DrainDeps): Drain {
  let draining = 0;

  /** What the upstream hears of a client's going: nothing, until patience ends. */
  function patienceWith({ reply, left }: Drained) {
    const gone = new AbortController();
    let giveBack = (): void => undefined;
    const decide = (): void => {
      if (!reply.hasBegun || draining >= deps.atOnce) return gone.abort(left.reason);
      draining += 1;
      const cancel = deps.after(deps.longestMs, () => gone.abort(left.reason));
      giveBack = () => {
        draining -= 1;
        cancel();
      };
    };
    if (left.aborted) decide();
    else left.addEventListener('abort', decide, { once: true });
    return {
      signal: gone.signal,
      end: () => {
        left.removeEventListener('abort', decide);
        giveBack();
      },
    };
  }

  async function* patiently(answer: Drained, begin: Begin): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
    const patience = patienceWith(answer);
    const parts = begin(firstOf([patience.signal, ...answer.over]))[Symbol.asyncIterator]();
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
      patience.end();
    }
  }

  return (answer, begin) =>
    deps.upstreams.has(answer.chatflow.upstream)
      ? patiently(answer, begin)
      : begin(firstOf([answer.left, ...answer.over]));
}

/**
 * Aborts with the first of them. All are of one answer and end with it, so that nothing has to be taken back; `AbortSignal.any`
 * looks after signals that live on, with weak references and a registry, which is 2 KiB for every answer that is open.
 */
function firstOf(signals: readonly AbortSignal[]): AbortSignal {
  const first = signals.find(({ aborted }) => aborted);
  if (first) return first;
  const any = new AbortController();
  const end = ({ target }: Event): void => any.abort((target as AbortSignal).reason); // it listens to nothing else
  for (const signal of signals) signal.addEventListener('abort', end, { once: true });
  return any.signal;
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
