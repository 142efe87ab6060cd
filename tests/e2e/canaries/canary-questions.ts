import { directive, type Person } from '@tollgate/test-kit';
import type { CanaryBook } from './canary-book.ts';

/** What goes wrong after a question was let in, each time with the words of the question in the middle of it. */
export const FAILURES: readonly ((words: string) => Parameters<typeof directive>[0])[] = [
  () => ({ tokens: 2 }),
  ...[400, 401, 404, 429, 500].map((status) => (words: string) => ({
    error: { status, message: `cannot answer: ${words}` },
  })),
  (words) => ({ error: { status: 500, body: `<html>${words}</html>` } }),
  (words) => ({ errorEvent: { after: 1, message: `cannot go on with: ${words}` } }),
  (words) => ({
    tokens: [words],
    intrusion: { after: 1, kind: 'raw', content: { text: `data: {"broken": "${words}\n\n` } },
  }),
  (words) => ({
    tokens: 2,
    intrusion: { after: 1, kind: 'raw', content: { text: `event: ${words}\ndata: ${words}\n\n` } },
  }),
  (words) => ({
    raw: { text: `HTTP/1.1 200 OK\r\nx-${words}: 1\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\n${words}` },
  }),
  (words) => ({ tokens: [words, words], resetAfter: 1 }),
  (words) => ({ tokens: [words, words], cutAfter: 1 }),
  () => ({ html: true }),
  () => ({ tokens: 2, usage: 'string' }),
];

/** What comes with a question beside its words, and what goes to other doors: a path of chat-proxy and a body each. */
export const besideQuestions = (book: CanaryBook, alice: Person, flow: string): [path: string, body: object][] => [
  [
    '/api/v1/chat/predict',
    {
      chatflow_id: flow,
      question: directive({ tokens: 1 }),
      overrideConfig: { systemMessage: book.of('override'), vars: { secret: book.of('variable') } },
    },
  ],
  [
    '/api/v1/chat/predict',
    {
      chatflow_id: flow,
      question: directive({ tokens: 1 }),
      history: [{ role: 'userMessage', content: book.of('history') }],
    },
  ],
  [
    '/api/v1/chat/predict',
    {
      chatflow_id: flow,
      question: directive({ tokens: 1 }),
      uploads: [
        {
          data: `data:text/plain;base64,${Buffer.from(book.of('upload')).toString('base64')}`,
          type: 'file',
          name: `${book.of('file name')}.txt`,
          mime: 'text/plain',
        },
      ],
    },
  ],
  [
    `/api/v1/prediction/${flow}`,
    {
      question: `${book.of('flowise prompt')} ${directive({ tokens: 1 })}`,
      form: { secret: book.of('form') },
      humanInput: { type: book.of('human input') },
    },
  ],
  [
    '/api/v1/leads',
    {
      chatflowid: flow,
      chatId: book.of('chat id'),
      name: book.of('lead'),
      email: book.of('lead mail'),
      phone: book.card(),
    },
  ],
  [
    '/api/v1/feedback',
    {
      chatflowid: flow,
      chatId: book.of('chat id'),
      messageId: book.of('message id'),
      rating: 'THUMBS_UP',
      content: book.of('feedback'),
    },
  ],
  ['/api/v1/chat/authenticate', { username: alice.username, password: book.of('password') }],
  ['/api/v1/chat/authenticate', { username: book.of('user name'), password: book.note('password', alice.password) }],
  ['/api/v1/chat/refresh', { refreshToken: book.of('refresh token') }],
  ...completions(book).map((body): [string, object] => ['/v1/chat/completions', body]),
  ['/v1/embeddings', { model: 'fake-small', input: [book.of('embedding')] }],
];

function completions(book: CanaryBook): object[] {
  const completion = (more: object) => ({
    model: 'fake-small',
    messages: [{ role: 'user', content: directive({ tokens: 1 }) }],
    ...more,
  });
  return [
    completion({ user: book.of('openai user'), metadata: { secret: book.of('metadata') } }),
    completion({
      messages: [
        { role: 'system', content: book.of('system prompt') },
        { role: 'user', content: `${book.of('openai prompt')} ${book.card()}` },
      ],
    }),
    completion({
      tools: [
        { type: 'function', function: { name: book.of('tool').slice(0, 60), description: book.of('tool text') } },
      ],
    }),
    completion({ messages: book.of('messages'), stop: book.of('stop'), [book.of('parameter')]: book.of('value') }),
  ];
}
