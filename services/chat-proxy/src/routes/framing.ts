import { type AppError, toProblem } from '@tollgate/http-kit';
import type { AnswerEvent } from '../domain/answer.ts';

/** How an answer is written in one kind of stream. A framing may keep state: each answer has its own. */
export interface Framing {
  readonly contentType: string;
  /** What is written for one event; empty: nothing. `sequence` counts the events of the answer from 1. */
  frame(event: AnswerEvent, sequence: number): string;
  /** What is written in place of the end when the answer breaks off. */
  failure(error: AppError, sequence: number): string;
  /** Keeps proxies from closing a quiet stream. */
  readonly heartbeat: string | undefined;
}

/** Failure after the first byte: contract.md, Chat. */
export function errorEvent(error: AppError): AnswerEvent {
  const { code, detail } = toProblem(error);
  return { event: 'error', data: { code, message: detail } };
}

const sseFrame = (event: AnswerEvent, sequence: number): string => `id:${sequence}\ndata:${JSON.stringify(event)}\n\n`;
const line = (event: AnswerEvent): string => `${JSON.stringify(event)}\n`;

/** Server-sent events (WHATWG HTML, 9.2) with the kind of event inside the JSON, as clients of Flowise expect it. */
const SSE: Framing = {
  contentType: 'text/event-stream',
  frame: sseFrame,
  failure: (error, sequence) => sseFrame(errorEvent(error), sequence),
  heartbeat: ':heartbeat\n\n',
};

/** One JSON object per line; a comment has no place in it. */
const NDJSON: Framing = {
  contentType: 'application/x-ndjson',
  frame: line,
  failure: (error) => line(errorEvent(error)),
  heartbeat: undefined,
};

/** The framing of the native routes. */
export const framingFor = (accept: string | undefined): Framing =>
  accept?.includes('application/x-ndjson') ? NDJSON : SSE;
