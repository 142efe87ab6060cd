import { randomUUID } from 'node:crypto';
import type { Turn } from '../answers.ts';
import { readDirectives, ScenarioError } from '../scenario.ts';

/** A row of Flowise's message table. */
export type StoredMessage = {
  id: string;
  role: 'userMessage' | 'apiMessage';
  chatflowid: string;
  content: string;
  chatId: string;
  sessionId: string;
  /** ISO 8601. */
  createdDate: string;
};

export type Conversation = { chatflowid: string; chatId: string; sessionId: string };

export type MessageStore = {
  /** Stores question and answer of one finished turn under the id that the answer was announced with. */
  add(conversation: Conversation, question: string, answer: { id: string; content: string }, nowMs: number): void;
  /** What a flow remembers of a session, oldest first; other flows do not see it. */
  turns(chatflowid: string, sessionId: string): Turn[];
  list(chatflowid: string, filter?: { chatId?: string | null; sessionId?: string | null }): StoredMessage[];
  /** Returns how many messages were removed. */
  remove(chatflowid: string, filter: { chatId?: string | null; sessionId?: string | null }): number;
  clear(): void;
};

const KEPT_MESSAGES = 20_000;

/** The chat memory of the fake Flowise: the last 20,000 messages. */
export function createMessageStore(): MessageStore {
  let messages: StoredMessage[] = [];
  const isIn = (chatflowid: string, filter: { chatId?: string | null; sessionId?: string | null }) => {
    const { chatId, sessionId } = filter;
    return (message: StoredMessage) =>
      message.chatflowid === chatflowid &&
      (!chatId || message.chatId === chatId) &&
      (!sessionId || message.sessionId === sessionId);
  };
  return {
    add(conversation, question, answer, nowMs) {
      const createdDate = new Date(nowMs).toISOString();
      messages.push(
        { id: randomUUID(), role: 'userMessage', content: question, createdDate, ...conversation },
        { id: answer.id, role: 'apiMessage', content: answer.content, createdDate, ...conversation },
      );
      if (messages.length > KEPT_MESSAGES) messages.splice(0, messages.length - KEPT_MESSAGES);
    },
    turns: (chatflowid, sessionId) => messages.filter(isIn(chatflowid, { sessionId })).map(turnOf),
    list: (chatflowid, filter = {}) => messages.filter(isIn(chatflowid, filter)),
    remove(chatflowid, filter) {
      const isGone = isIn(chatflowid, filter);
      const before = messages.length;
      messages = messages.filter((message) => !isGone(message));
      return before - messages.length;
    },
    clear: () => {
      messages = [];
    },
  };
}

/** A stored message as `GET /api/v1/chatmessage/:flow` shows it. */
export function messageRow(message: StoredMessage): object {
  const absent = {
    executionId: null,
    sourceDocuments: null,
    usedTools: null,
    fileAnnotations: null,
    agentReasoning: null,
    reasonContent: null,
    fileUploads: null,
    artifacts: null,
    action: null,
    leadEmail: null,
    followUpPrompts: null,
    execution: null,
  };
  return { ...message, chatType: 'EXTERNAL', memoryType: 'Buffer Memory', ...absent };
}

/** The `history` that a caller sends along, in the present and in the old spelling. */
export function callerHistory(history: unknown): Turn[] {
  if (!Array.isArray(history)) return [];
  return history.map((entry) => ({
    role: (entry?.role ?? entry?.type) === 'apiMessage' ? 'assistant' : 'user',
    content: withoutDirectives(String(entry?.content ?? entry?.message ?? '')),
  }));
}

/** The text without directives; a broken directive was already refused when it arrived. */
export function withoutDirectives(text: string): string {
  try {
    return readDirectives(text).text;
  } catch (error) {
    if (error instanceof ScenarioError) return text;
    throw error;
  }
}

function turnOf(message: StoredMessage): Turn {
  const role = message.role === 'apiMessage' ? 'assistant' : 'user';
  return { role, content: withoutDirectives(message.content) };
}
