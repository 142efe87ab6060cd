import { chat } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../../domain/answer.ts';
import type { FramedChat } from './framing.ts';

/** Longer answers are for streams. */
const LONGEST_ANSWER = 4_000_000;
/** Events that a whole answer has as fields of the same name. */
const FIELDS = new Set(['sourceDocuments', 'usedTools', 'artifacts', 'fileAnnotations', 'agentReasoning', 'action']);

/** The JSON answer of a Flowise server: flowise-wire.md, Prediction endpoint. */
export async function wholeFlowiseAnswer(framed: FramedChat, answer: Answer) {
  const said = { text: [] as string[], thinking: [] as string[] };
  const fields: Record<string, unknown> = {};
  let characters = 0;
  let requestId = '';
  let metadata: Readonly<Record<string, unknown>> = {};
  let usage: unknown;
  const add = (to: string[], data: unknown): void => {
    to.push(String(data));
    characters += String(data).length;
    if (characters > LONGEST_ANSWER)
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is too long for one piece');
  };

  const take = (event: AnswerEvent): void => {
    const { event: name, data } = event;
    if (name === 'session_id') requestId = event['request_id'] as string;
    else if (name === 'token') add(said.text, data);
    else if (name === 'thinking') add(said.thinking, data);
    else if (name === 'metadata') metadata = Object(data);
    else if (name === 'usage') usage = data;
    else if (FIELDS.has(name)) fields[name] = data;
  };
  for await (const events of answer) for (const event of events) take(event);
  const { memoryType, followUpPrompts } = metadata;
  return {
    text: said.text.join(''),
    question: framed.question,
    chatId: framed.chatId,
    chatMessageId: requestId,
    sessionId: framed.sessionId,
    ...(typeof memoryType === 'string' && { memoryType }),
    ...fields,
    ...(said.thinking.length > 0 && { reasonContent: { thinking: said.thinking.join('') } }),
    ...(followUpPrompts !== undefined && { followUpPrompts: JSON.stringify(followUpPrompts) }),
    usage: usageOf(usage),
  };
}

const usageOf = (usage: unknown) => chat.AnswerUsage.parse(usage);
