// The AI server of the bench, in OpenAI's and in Flowise's wire: 20 chunks, each a write of its own
// in its own turn of the event loop and without delay, as AI servers send what they have just made; or one JSON body.
// Of the name of the model (or the id of the flow) it takes what to do: see wire.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { announce } from './announce.ts';
import {
  FLOWS,
  flowiseAnswer,
  flowiseFrames,
  IDLE,
  MODELS,
  openAiAnswer,
  openAiChunks,
  PACED,
  PACE_MS,
} from './wire.ts';

const BACKLOG = 16_384;
const chunks = { openai: openAiChunks(), flowise: flowiseFrames() };
const answers = { openai: openAiAnswer(), flowise: flowiseAnswer() };
type Wire = keyof typeof chunks;

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function sendJson(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

async function sendStream(response: ServerResponse, wire: Wire, name: string): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  if (name === IDLE[wire]) {
    // For ever: whoever has opened it closes it.
    response.write(chunks[wire][0]);
    return;
  }
  const wait = name === PACED[wire] ? () => pause(PACE_MS) : () => nextTurn();
  for (const chunk of chunks[wire].slice(0, -1)) {
    response.write(chunk);
    await wait();
    if (response.destroyed) return;
  }
  response.end(chunks[wire].at(-1));
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '';
  if (url.endsWith('/models')) return sendJson(response, MODELS);
  if (url.endsWith('/chatflows')) return sendJson(response, FLOWS);
  const text = await bodyOf(request);
  const [, flow] = /\/prediction\/([^/?]+)/.exec(url) ?? [];
  const wire: Wire = flow === undefined ? 'openai' : 'flowise';
  const body = JSON.parse(text === '' ? '{}' : text) as { model?: string; stream?: boolean; streaming?: boolean };
  if (body.stream !== true && body.streaming !== true) return sendJson(response, answers[wire]);
  await sendStream(response, wire, flow ?? body.model ?? '');
}

const server = createServer({ noDelay: true }, (request, response) => {
  response.on('error', () => undefined);
  answer(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 120_000;
server.requestTimeout = 0;
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => announce(server));
