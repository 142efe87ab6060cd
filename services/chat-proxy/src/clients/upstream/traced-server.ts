import { faultNameOf, requestContext, type Span } from '@tollgate/http-kit';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { GuardedServer } from './guarded-server.ts';

/** A server whose answers are steps of the trace under way. Where nothing is traced, its answers go as they are. */
export const tracedServer = (server: GuardedServer): GuardedServer => ({
  ...server,
  answer(chatflow, prompt, maxOutput, signal) {
    const parts = server.answer(chatflow, prompt, maxOutput, signal);
    const fields = { 'tollgate.upstream': server.name, 'tollgate.chatflow': chatflow.id };
    const span = requestContext.get()?.span?.child('ask upstream', 'client', fields);
    return span ? watched(parts, span) : parts;
  },
});

type Parts = AsyncIterable<readonly UpstreamPart[]>;

async function* watched(answer: Parts, span: Span): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
  const asked = performance.now();
  let hasBegun = false;
  let fault: string | undefined = 'left';
  try {
    for await (const parts of answer) {
      if (!hasBegun) span.note({ 'tollgate.first_token_ms': Math.round(performance.now() - asked) });
      hasBegun = true;
      yield parts;
    }
    fault = undefined;
  } catch (error) {
    fault = faultNameOf(error);
    throw error;
  } finally {
    span.end(fault);
  }
}
