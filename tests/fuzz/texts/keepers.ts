import { randomUUID } from 'node:crypto';
import { accounting, auth, chat } from '@tollgate/contracts';
import { eventually, type Person, type Platform } from '@tollgate/test-kit';

export interface Kept {
  readonly status: number;
  /** What came back, when it was taken. */
  readonly text?: unknown;
  /** What the contract makes of it before it is stored: blanks around a name go. */
  readonly expected?: unknown;
}

/** A place where people's words are kept, and read again. */
export interface Keeper {
  readonly name: string;
  keep(text: string): Promise<Kept>;
}

const bodyOf = (schema: { safeParse(value: unknown): { success: boolean; data?: unknown } }, body: object) =>
  Object(schema.safeParse(body).data) as Record<string, unknown>;

/** Every kind of place, in the hands of one person of each role. */
export async function keepersOf(platform: Platform): Promise<Keeper[]> {
  const person = await platform.user({ credits: 1_000_000 });
  return [
    ...(await chatKeepers(platform, person)),
    ...(await authKeepers(platform)),
    ...(await accountingKeepers(platform, person)),
  ];
}

/** A machine that is too slow says 503 for a while, and has kept nothing. */
const patiently = <T extends { readonly status: number }>(ask: () => Promise<T>): Promise<T> =>
  eventually(async () => {
    const answer = await ask();
    return answer.status === 503 ? undefined : answer;
  }, 'a service that is not too busy');

async function chatKeepers({ chatflows }: Platform, person: Person): Promise<Keeper[]> {
  const first = await (await person.chat({ question: 'First', chatflow_id: chatflows.chain })).toEnd();
  const title = String(first.data('session_id'));
  const lines = async (sessionId: string) => {
    const path = `/api/v1/chat/sessions/${sessionId}/history?limit=2`;
    const { body } = await patiently(() => person.chatProxy<{ history: { content: string }[] }>('GET', path));
    return body.history.map(({ content }) => content);
  };
  return [
    {
      name: 'the title of a conversation',
      async keep(text) {
        const { status } = await person.chatProxy('PATCH', `/api/v1/chat/sessions/${title}`, { title: text });
        const { body } = await person.chatProxy<{ sessions: { session_id: string; topic: string }[] }>(
          'GET',
          '/api/v1/chat/sessions',
        );
        const kept = body.sessions.find(({ session_id: id }) => id === title)?.topic;
        return { status, text: kept, expected: bodyOf(chat.renameSession.body, { title: text })['title'] };
      },
    },
    {
      name: 'a question and its answer',
      async keep(text) {
        const ask = { question: text, chatflow_id: chatflows.chain };
        const call = await patiently(async () => (await person.chat(ask)).toEnd());
        if (call.status !== 200) return { status: call.status };
        const [question, answer] = await lines(String(call.data('session_id')));
        const expected = bodyOf(chat.predict.body, ask)['question'];
        return { status: 200, text: [question, answer], expected: [expected, call.text] };
      },
    },
    {
      name: 'what is searched for',
      async keep(text) {
        const query = new URLSearchParams({ q: text.toWellFormed() });
        const { status } = await person.chatProxy('GET', `/api/v1/chat/sessions?${query}`);
        return { status };
      },
    },
  ];
}

async function authKeepers({ admin }: Platform): Promise<Keeper[]> {
  const { body: made } = await admin.auth<{ workspace: { id: string } }>('POST', '/api/workspaces', { name: 'Words' });
  const path = `/api/workspaces/${made.workspace.id}`;
  const field = (name: 'name' | 'description'): Keeper => ({
    name: `the ${name} of a workspace`,
    async keep(text) {
      const { status } = await admin.auth('PATCH', path, { [name]: text });
      const { body } = await admin.auth<{ workspace: Record<string, unknown> }>('GET', path);
      return {
        status,
        text: body.workspace[name],
        expected: bodyOf(auth.updateWorkspace.body, { [name]: text })[name],
      };
    },
  });
  return [field('name'), field('description')];
}

async function accountingKeepers({ admin, books, tokens, urls }: Platform, person: Person): Promise<Keeper[]> {
  const { userId } = person;
  const token = await tokens.service('chat-proxy', 'accounting');
  return [
    {
      name: 'the notes of a grant',
      async keep(text) {
        const body = { userId, credits: 1, notes: text };
        const { status } = await admin.accounting('POST', '/api/credits/allocate', body);
        const [row] = await books.query<{ reason: string | null }>(
          'SELECT reason FROM credit_transactions WHERE user_id = $1 ORDER BY id DESC LIMIT 1',
          [userId],
        );
        const expected = bodyOf(accounting.allocateCredits.body, body)['notes'];
        return { status, text: row?.reason ?? '', expected };
      },
    },
    {
      name: 'metadata of usage',
      async keep(text) {
        const body = { service: 'fuzz', operation: 'keep', credits: 0, metadata: { text } };
        const answer = await fetch(`${urls.accounting}/api/usage/record`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'x-on-behalf-of': userId,
            'content-type': 'application/json',
            'idempotency-key': randomUUID(),
          },
          body: JSON.stringify(body),
        });
        const { id } = (await answer.json()) as { id?: number };
        const [row] = await books.query<{ metadata: { text: string } }>(
          'SELECT metadata FROM usage_logs WHERE id = $1',
          [id ?? -1],
        );
        const metadata = bodyOf(accounting.recordUsage.body, body)['metadata'];
        return { status: answer.status, text: row?.metadata, expected: metadata };
      },
    },
  ];
}
