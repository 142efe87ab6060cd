import type { UpstreamPart } from '../../domain/answer.ts';

/**
 * What the events of one read say, handed on in one piece: every step that an answer takes on its way costs as much for twenty
 * parts as for one. Of events with a fault among them what stood before it, and then the fault.
 */
export function* partsOfRead(
  events: readonly string[],
  read: (event: string) => readonly UpstreamPart[],
): Generator<readonly UpstreamPart[], void, undefined> {
  const parts: UpstreamPart[] = [];
  try {
    for (const event of events) parts.push(...read(event));
  } catch (error) {
    if (parts.length > 0) yield parts;
    throw error;
  }
  if (parts.length > 0) yield parts;
}
