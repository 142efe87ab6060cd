import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { isForm, readForm, sendJson, type Visit } from '../fake-server.ts';
import { FLOWISE_HEADERS, type FlowiseContext } from './flowise-context.ts';

/** Its words are the pieces of the speech; a text with FAIL in it makes the provider fail after the first one. */
export async function speak(_context: FlowiseContext, visit: Visit, res: ServerResponse): Promise<void> {
  const { text = '', chatMessageId } = JSON.parse(visit.bytes.toString()) as { text?: string; chatMessageId?: string };
  const send = (event: string, data: object) =>
    // Unlike predictions, speech names its events as event streams do.
    res.write(`event: ${event}\ndata: ${JSON.stringify({ event, data: { chatMessageId, ...data } })}\n\n`);
  res.writeHead(200, { ...FLOWISE_HEADERS, 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  send('tts_start', { format: 'mp3' });
  for (const word of text.split(' ')) {
    if (word === 'FAIL') {
      send('tts_error', { error: 'invalid credential 5ec2e7' });
      return void res.end();
    }
    send('tts_data', { audioChunk: Buffer.from(word).toString('base64') });
  }
  send('tts_end', {});
  res.end();
}

/** Feeds a document store: every file is one document. */
export async function upsert(_context: FlowiseContext, visit: Visit, res: ServerResponse): Promise<void> {
  const files = isForm(visit) ? (await readForm(visit)).getAll('files') : [];
  const addedDocs = files.map(() => ({ id: randomUUID(), pageContent: 'text of the store', metadata: {} }));
  const counts = { numAdded: files.length, numDeleted: 0, numUpdated: 0, numSkipped: 0, addedDocs };
  sendJson(res, 200, counts, FLOWISE_HEADERS);
}
