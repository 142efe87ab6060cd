import type { AnswerEvent, UpstreamPart } from '../../domain/answer.ts';
import { eventOf } from '../../domain/answer-events.ts';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Holds } from './hold-credits.ts';
import type { OpenHold } from './open-hold.ts';

interface Telling {
  readonly hold: OpenHold;
  readonly sessionId: SessionId;
  /** What comes before the first part. */
  readonly opening: () => readonly AnswerEvent[];
  /** The client's going. */
  readonly left: AbortSignal;
}

interface Told {
  readonly events: readonly AnswerEvent[];
  /** To be done before there is more. */
  readonly grow?: () => Promise<void>;
}

/** What the client is told of parts that came together: together, too, as far as the hold goes; the rest when it has grown. */
export function* toldOf(
  parts: readonly UpstreamPart[],
  { hold, sessionId, opening, left }: Telling,
  holds: Pick<Holds, 'growth'>,
): Generator<Told, void, undefined> {
  let events: AnswerEvent[] = [];
  let counted = 0;
  try {
    for (const part of parts) {
      counted += 1;
      if (hold.reply.add(part)) events.push(...opening());
      const event = eventOf(part, sessionId);
      if (event) events.push(event);
      const grow = holds.growth(hold);
      if (!grow) continue;
      yield { events, grow };
      events = [];
    }
    if (events.length > 0) yield { events };
  } finally {
    // Whoever goes before the hold has grown has caused the rest as well, and what the upstream reports may stand in it.
    if (left.aborted) for (const part of parts.slice(counted)) hold.reply.add(part);
  }
}
