import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { isForm, readForm, sendJson, sendText, type Visit } from '../fake-server.ts';
import { FLOWISE_HEADERS, type FlowiseContext, runningKey } from './flowise-context.ts';
import { type FakeFlow, flowList, flowRow, NO_UPLOADS, publicConfig } from './flowise-flows.ts';
import { errorBody } from './flowise-frames.ts';
import { messageRow } from './flowise-messages.ts';
import { predict } from './flowise-predictions.ts';
import { speak, upsert } from './flowise-speech.ts';

type Request = { visit: Visit; res: ServerResponse; context: FlowiseContext; args: readonly string[] };

type Route = {
  method: string;
  /** Segments after `/api/v1`; `*` is an argument. */
  path: string;
  /** Management routes want the API key. */
  needsKey?: boolean;
  answer(request: Request): void | Promise<void>;
};

const VERSION = '3.1.4';
const KEPT_RECORDS = 1_000;
const HTML = { ...FLOWISE_HEADERS, 'content-type': 'text/html; charset=UTF-8' };
const APP_PAGE =
  '<!DOCTYPE html>\n<html lang="en"><head><title>Flowise</title></head><body><div id="root"></div></body></html>\n';

const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: 'prediction/*',
    answer: ({ context, args, visit, res }) => predict(context, arg(args), visit, res),
  },
  { method: 'POST', path: 'prediction', answer: ({ context, visit, res }) => predict(context, '', visit, res) },
  { method: 'GET', path: 'chatflows', needsKey: true, answer: listFlows },
  { method: 'GET', path: 'chatflows/*', needsKey: true, answer: showFlow },
  { method: 'GET', path: 'chatflows-streaming/*', answer: showStreaming },
  { method: 'GET', path: 'chatflows-uploads/*', answer: ({ res }) => answerJson(res, 200, NO_UPLOADS) },
  { method: 'GET', path: 'public-chatbotConfig/*', answer: showConfig },
  { method: 'GET', path: 'public-chatflows/*', answer: showPublicFlow },
  { method: 'GET', path: 'verify/apikey/*', answer: verifyKey },
  { method: 'PUT', path: 'chatmessage/abort/*/*', answer: abortRun },
  { method: 'GET', path: 'chatmessage/*', needsKey: true, answer: listMessages },
  { method: 'DELETE', path: 'chatmessage/*', needsKey: true, answer: deleteMessages },
  { method: 'POST', path: 'attachments/*/*', answer: attach },
  { method: 'GET', path: 'get-upload-file', answer: download },
  { method: 'POST', path: 'feedback', answer: addFeedback },
  { method: 'POST', path: 'feedback/*', answer: addFeedback },
  { method: 'PUT', path: 'feedback/*', answer: addFeedback },
  { method: 'GET', path: 'feedback/*', answer: listFeedback },
  { method: 'POST', path: 'leads', answer: addLead },
  { method: 'POST', path: 'vector/upsert/*', answer: ({ context, visit, res }) => upsert(context, visit, res) },
  { method: 'POST', path: 'text-to-speech/generate', answer: ({ context, visit, res }) => speak(context, visit, res) },
  { method: 'POST', path: 'text-to-speech/abort', answer: ({ res }) => answerJson(res, 200, { status: 200 }) },
  { method: 'GET', path: 'ping', answer: ({ res }) => sendText(res, 200, HTML, 'pong') },
  { method: 'GET', path: 'version', answer: ({ res }) => answerJson(res, 200, { version: VERSION }) },
];

/** Answers any request to a Flowise server. */
export async function answerFlowise(context: FlowiseContext, visit: Visit, res: ServerResponse): Promise<void> {
  const segments = visit.path.split('/').filter((segment) => segment !== '');
  const isPrediction = visit.method === 'POST' && visit.path.startsWith('/api/v1/prediction');
  if (!isPrediction) context.log.addOther(recordOf(context, visit));
  for (const route of ROUTES) {
    const args = match(route, visit.method, segments);
    if (!args) continue;
    if (route.needsKey && !hasKey(context, visit)) return answerJson(res, 401, { error: 'Unauthorized Access' });
    return route.answer({ visit, res, context, args });
  }
  // Whatever the server does not know is taken for a page of its user interface, with status 200.
  sendText(res, 200, HTML, APP_PAGE);
}

function listFlows({ context, visit, res }: Request): void {
  answerJson(res, 200, flowList(context.flows(), visit.query));
}

function showFlow({ context, args, res }: Request): void {
  const flow = flowOf(context, args);
  if (flow) answerJson(res, 200, flowRow(flow));
  else answerError(res, 404, `Chatflow ${arg(args)} not found in the database!`);
}

function showStreaming({ context, args, res }: Request): void {
  const flow = flowOf(context, args);
  if (flow) answerJson(res, 200, { isStreaming: flow.streams !== false });
  else
    answerError(
      res,
      500,
      `Error: chatflowsService.checkIfChatflowIsValidForStreaming - Chatflow ${arg(args)} not found`,
    );
}

function showConfig({ context, args, res }: Request): void {
  const flow = flowOf(context, args);
  if (flow) answerJson(res, 200, publicConfig(flow));
  else answerError(res, 500, `Error: chatflowsService.getSinglePublicChatbotConfig - Chatflow ${arg(args)} not found`);
}

function showPublicFlow({ context, args, res }: Request): void {
  const flow = flowOf(context, args);
  if (flow?.isPublic) answerJson(res, 200, flowRow(flow));
  else answerJson(res, 401, { message: 'Unauthorized' });
}

function verifyKey({ context, args, res }: Request): void {
  if (arg(args) === context.apiKey) answerJson(res, 200, 'OK');
  else answerError(res, 401, 'Unauthorized');
}

/** Always reports success. It stops an agent flow at once and a chain not at all. */
function abortRun({ context, args, res }: Request): void {
  const [flowId = '', chatId = ''] = args;
  remember(context.aborts, { flowId, chatId, at: context.clock.now() });
  context.running.get(runningKey(flowId, chatId))?.abort(new Error('aborted by the abort route'));
  context.log.changed();
  answerJson(res, 200, { status: 200, message: 'Chat message aborted' });
}

function listMessages({ context, args, visit, res }: Request): void {
  const flow = flowOf(context, args);
  if (!flow) return answerError(res, 500, 'Error: chatMessagesService.getAllChatMessages - Unauthorized access');
  const rows = context.messages.list(flow.id, messageFilter(visit)).map(messageRow);
  answerJson(res, 200, visit.query.get('order') === 'DESC' ? rows.reverse() : rows);
}

function deleteMessages({ context, args, visit, res }: Request): void {
  answerJson(res, 200, { raw: [], affected: context.messages.remove(arg(args), messageFilter(visit)) });
}

async function attach({ context, args, visit, res }: Request): Promise<void> {
  const refuse = (reason: string) => answerError(res, 500, `Error: attachmentService.createAttachment - ${reason}`);
  const [flowId = '', chatId = ''] = args;
  const flow = flowOf(context, args);
  if (!flow) return refuse(`Chatflow ${flowId} not found`);
  if (/[/\\]|\.\./.test(chatId)) return refuse('Invalid path characters detected');
  const allowed = allowedTypes(flow);
  if (!allowed) return refuse('File upload is not enabled for this chatflow');
  const files = isForm(visit) ? (await readForm(visit)).getAll('files').filter((file) => typeof file !== 'string') : [];
  const wrong = files.find((file) => !allowed.includes(mimeOf(file)));
  if (wrong) return refuse(`File type '${mimeOf(wrong)}' is not allowed. Allowed types: ${allowed.join(', ')}`);
  const answers = files.map(async (file) => {
    const bytes = Buffer.from(await file.arrayBuffer());
    keepFile(context, `${flowId}/${chatId}/${file.name}`, bytes);
    return { name: file.name, mimeType: mimeOf(file), size: bytes.length, content: bytes.toString() };
  });
  answerJson(res, 200, await Promise.all(answers));
}

function download({ context, visit, res }: Request): void {
  const name = visit.query.get('fileName') ?? '';
  const bytes = context.attachments.get(`${visit.query.get('chatflowId')}/${visit.query.get('chatId')}/${name}`);
  if (!bytes) return answerError(res, 500, `File ${name} not found`);
  res.writeHead(200, {
    ...FLOWISE_HEADERS,
    'content-disposition': `attachment; filename="${encodeURIComponent(name)}"`,
  });
  res.end(bytes);
}

function addFeedback({ context, visit, res }: Request): void {
  const row = { ...jsonOf(visit), id: randomUUID(), createdDate: new Date(context.clock.now()).toISOString() };
  remember(context.feedback, row);
  answerJson(res, 200, row);
}

function listFeedback({ context, args, res }: Request): void {
  const isOfFlow = (row: object) => 'chatflowid' in row && row.chatflowid === arg(args);
  answerJson(res, 200, context.feedback.filter(isOfFlow));
}

function addLead({ context, visit, res }: Request): void {
  const row = { ...jsonOf(visit), id: randomUUID(), createdDate: new Date(context.clock.now()).toISOString() };
  remember(context.leads, row);
  answerJson(res, 200, row);
}

function match(route: Route, method: string, segments: readonly string[]): string[] | undefined {
  const wanted = ['api', 'v1', ...route.path.split('/')];
  if (route.method !== method || wanted.length !== segments.length) return undefined;
  if (!wanted.every((part, i) => part === '*' || part === segments[i])) return undefined;
  return segments.filter((_, i) => wanted[i] === '*').map(decodeURIComponent);
}

function recordOf(context: FlowiseContext, visit: Visit) {
  const { method, path, headers } = visit;
  const body = isForm(visit) ? visit.bytes.toString('latin1') : jsonOf(visit);
  return { method, path, headers, query: Object.fromEntries(visit.query), body, at: context.clock.now() };
}

function jsonOf(visit: Visit): object | undefined {
  try {
    const value: unknown = JSON.parse(visit.bytes.toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // most requests have no body
  }
}

function hasKey(context: FlowiseContext, visit: Visit): boolean {
  return visit.headers.authorization === `Bearer ${context.apiKey}`;
}

function flowOf(context: FlowiseContext, args: readonly string[]): FakeFlow | undefined {
  return context.flows().find((flow) => flow.id === arg(args));
}

function messageFilter(visit: Visit) {
  return { chatId: visit.query.get('chatId'), sessionId: visit.query.get('sessionId') };
}

function allowedTypes(flow: FakeFlow): string[] | undefined {
  const upload = flow.chatbotConfig?.fullFileUpload;
  if (typeof upload !== 'object' || upload === null || !('status' in upload) || upload.status !== true)
    return undefined;
  return 'allowedUploadFileTypes' in upload ? String(upload.allowedUploadFileTypes).split(',') : [];
}

function mimeOf(file: File): string {
  return file.type.split(';')[0] ?? '';
}

function keepFile(context: FlowiseContext, key: string, bytes: Buffer): void {
  context.attachments.set(key, bytes);
  const [oldest] = context.attachments.keys();
  if (context.attachments.size > KEPT_RECORDS && oldest !== undefined) context.attachments.delete(oldest);
}

function remember<T>(records: T[], record: T): void {
  records.push(record);
  if (records.length > KEPT_RECORDS) records.shift();
}

function arg(args: readonly string[]): string {
  return args[0] ?? '';
}

function answerJson(res: ServerResponse, status: number, value: unknown): void {
  sendJson(res, status, value, FLOWISE_HEADERS);
}

function answerError(res: ServerResponse, status: number, message: string): void {
  answerJson(res, status, errorBody(status, message));
}
