import type { AppError } from '@tollgate/http-kit';
import { openAiError } from '@tollgate/http-kit';
import { type ChunkOptions, CompletionChunks } from '../domain/openai/completion-chunks.ts';
import type { Framing } from './framing.ts';

const frameOf = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/**
 * The stream of OpenAI's chat completions. A failure is an error object in place of a chunk, at which its clients throw, with
 * neither a finish nor `[DONE]` after it. Heartbeats are comments, which its clients pass over.
 */
export function openAiFraming(options: ChunkOptions): Framing {
  const chunks = new CompletionChunks(options);
  return {
    contentType: 'text/event-stream; charset=utf-8',
    frame: (event) => (event.event === 'end' ? 'data: [DONE]\n\n' : chunks.of(event).map(frameOf).join('')),
    failure: (error: AppError) => frameOf(openAiError(error)),
    heartbeat: ': heartbeat\n\n',
  };
}
