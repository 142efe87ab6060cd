import type { AppError } from '@tollgate/http-kit';
import { openAiError } from '@tollgate/http-kit';
import { type ChunkOptions, type CompletionChunk, CompletionChunks } from '../domain/openai/completion-chunks.ts';
import type { Framing } from './framing.ts';

const frameOf = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/**
 * The stream of OpenAI's chat completions. A failure is an error object in place of a chunk, at which its clients throw, with
 * neither a finish nor `[DONE]` after it. Heartbeats are comments, which its clients pass over.
 */
export function openAiFraming(options: ChunkOptions): Framing {
  const chunks = new CompletionChunks(options);
  const textOf = createChunkText();
  return {
    contentType: 'text/event-stream; charset=utf-8',
    frame: (event) => (event.event === 'end' ? 'data: [DONE]\n\n' : chunks.of(event).map(textOf).join('')),
    failure: (error: AppError) => frameOf(openAiError(error)),
    heartbeat: ': heartbeat\n\n',
  };
}

/** Of a chunk only what it says is written: the rest of it is the same in all chunks of an answer, and most of their text. */
function createChunkText(): (chunk: CompletionChunk) => string {
  let headOf = '';
  let head = '';
  return ({ id, object, created, model, choices, service_tier: tier, usage }) => {
    if (id !== headOf) {
      headOf = id;
      head = JSON.stringify({ id, object, created, model }).slice(0, -1);
    }
    const more =
      tier === undefined && usage === undefined ? '}' : `,${JSON.stringify({ service_tier: tier, usage }).slice(1)}`;
    return `data: ${head},"choices":${JSON.stringify(choices)}${more}\n\n`;
  };
}
