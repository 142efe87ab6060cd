import { chat } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Answer } from '../../domain/answer.ts';
import { isFlow } from '../../domain/chatflow.ts';
import type { Completion } from '../../domain/completion.ts';
import { type MediaFault, mediaFault } from '../../domain/openai/completion-media.ts';
import { inputBytesOf, type MediaBounds } from '../../domain/openai/completion-size.ts';
import { notForFlows, questionFor } from '../../domain/openai/flow-question.ts';
import type { Asker } from '../../ports.ts';
import type { Ask } from '../answers/prepare-ask.ts';
import { type FindModel, unknownModel } from './find-model.ts';

type Body = chat.CompletionBody;

export interface CompletionRules extends MediaBounds {
  /** Answers to choose from that one request may have. */
  readonly mostChoices: number;
  /** Parameters beyond those of the contract that the operator lets through. */
  readonly extraParameters: readonly string[];
}

export interface CompleteDeps {
  readonly findModel: FindModel;
  readonly chat: (caller: Asker, ask: Ask, signal: AbortSignal) => Answer;
  readonly rules: CompletionRules;
}

interface Asking extends Pick<Ask, 'idempotencyKey' | 'clientHeaders' | 'origin'> {
  readonly body: Body;
}

/** A chat completion is one question more: to a model as it is written, to a flow in the flow's own terms. */
export const createComplete = ({ findModel, chat: answerTo, rules }: CompleteDeps) =>
  async function* complete(caller: Asker, asking: Asking, signal: AbortSignal): Answer {
    refuseUnknown(asking.body, chat.CompletionBody.shape, rules.extraParameters);
    const chatflow = await findModel(caller, asking.body.model);
    const fault = mediaFault(asking.body.messages);
    if (fault) throw invalid(fault);
    const ask = isFlow(chatflow) ? askFlow(asking) : askModel(asking, rules);
    const { body: _, ...request } = asking;
    try {
      yield* answerTo(
        caller,
        { ...request, ...ask, chatflowId: chatflow.id, stores: false, isStateless: true },
        signal,
      );
    } catch (error) {
      throw inItsTerms(error);
    }
  };

export type Complete = ReturnType<typeof createComplete>;

/** Refuses by name what neither the contract nor the operator knows: it would not do what the client expects. */
export function refuseUnknown(body: object, known: object, extra: readonly string[]): void {
  const name = Object.keys(body).find((key) => !Object.hasOwn(known, key) && !extra.includes(key));
  if (name === undefined) return;
  const path = name.slice(0, 200);
  throw new AppError('UNSUPPORTED_PARAMETER', undefined, { errors: [{ path, message: 'is not supported' }] });
}

/** What is passed on: named parameters that say something. */
export const parametersOf = (body: Readonly<Record<string, unknown>>, names: readonly string[]) =>
  Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(body, name) && body[name] !== null ? [[name, body[name]]] : [])),
  );

/** What the flow of a chat refuses, by the names this client has used: it knows nothing of chatflows and uploads. */
function inItsTerms(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  // The access has ended since it was looked at.
  if (error.code === 'CHATFLOW_ACCESS_DENIED') return unknownModel();
  const [fault] = error.errors ?? [];
  if (error.code !== 'VALIDATION_FAILED' || !fault?.path.startsWith('uploads')) return error;
  return invalid({ path: 'messages', message: fault.message });
}

type Said = Pick<Ask, 'question' | 'history' | 'uploads' | 'overrides' | 'completion'>;

function askModel({ body }: Asking, rules: CompletionRules): Said {
  const parameters = parametersOf(body, [...Object.keys(chat.COMPLETION_PARAMETERS), ...rules.extraParameters]);
  const completion: Completion = {
    messages: body.messages.map(sentMessage),
    parameters,
    choices: Math.min(body.n ?? 1, rules.mostChoices),
    inputBytes: inputBytesOf(body.messages, parameters, rules),
  };
  return { question: '', history: [], uploads: [], overrides: limitsOf(body), completion };
}

/** Without what a client only sends back because it came with an answer. */
function sentMessage(message: chat.CompletionMessage): Completion['messages'][number] {
  if (message.role !== 'assistant') return message;
  const { annotations: _, ...sent } = message;
  return Object.fromEntries(Object.entries(sent).filter(([name, value]) => value !== null || name === 'content'));
}

function askFlow({ body }: Asking): Said {
  const fault = notForFlows(body);
  if (fault) throw new AppError('UNSUPPORTED_PARAMETER', undefined, { errors: [fault] });
  const question = questionFor(body.messages);
  if ('path' in question) throw invalid(question);
  return { ...question, overrides: {} };
}

/** The smaller of both names counts: the flow of a chat takes them as limits of a model. */
const limitsOf = (body: Body): Ask['overrides'] => parametersOf(body, ['max_tokens', 'max_completion_tokens']);

const invalid = (fault: MediaFault): AppError => new AppError('VALIDATION_FAILED', undefined, { errors: [fault] });
