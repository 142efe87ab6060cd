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
}

interface Told {
  readonly events: readonly AnswerEvent[];
  /** To be done before there is more. */
  readonly grow?: () => Promise<void>;
}

/** What the client is told of parts that came together: together, too, as far as the hold goes; the rest when it has grown. */
export function* toldOf(
  parts: readonly UpstreamPart[],
  { hold, sessionId, opening }: Telling,
  holds: Pick<Holds, 'growth'>,
): Generator<Told, void, undefined> {
  let events: AnswerEvent[] = [];
  for (const part of parts) {
    if (hold.reply.add(part)) events.push(...opening());
    const event = eventOf(part, sessionId);
    if (event) events.push(event);
    const grow = holds.growth(hold);
    if (!grow) continue;
    yield { events, grow };
    events = [];
  }
  if (events.length > 0) yield { events };
}
