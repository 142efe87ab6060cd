import { MongoClient } from 'mongodb';

/** What the proxy has written down of a hold, read from the collection itself. */
export interface Debt {
  readonly holdId: string;
  /** How it is to end, once that is decided. */
  readonly ending: 'settle' | 'void' | undefined;
  /** Output tokens that it has noted. */
  readonly output: number;
}

/** One message of the history. */
export interface Kept {
  readonly role: string;
  readonly status: string;
  readonly content: string;
}

/** The proxy's own database beside the service. */
export interface Debts {
  ofUser(userId: string): Promise<Debt[]>;
  /** Messages that belong to an answer. */
  messagesOf(requestId: string): Promise<Kept[]>;
  /** Answers of the user that are believed to run, or whose question waits for its answer. */
  unfinished(userId: string): Promise<number>;
  /** Holds of anybody that are to be ended. */
  count(): Promise<number>;
  close(): Promise<void>;
}

interface Row {
  readonly _id: string;
  readonly user_id: string;
  readonly checkpoint?: { readonly output?: number };
  readonly ending?: { readonly kind: 'settle' | 'void' };
}

export function openDebts(url: string): Debts {
  // Found again by itself whenever its server has been killed.
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 });
  const db = client.db();
  return {
    ofUser: async (userId) =>
      (await db.collection<Row>('open_holds').find({ user_id: userId }).toArray()).map(
        ({ _id, ending, checkpoint }) => ({ holdId: _id, ending: ending?.kind, output: checkpoint?.output ?? 0 }),
      ),
    messagesOf: async (requestId) =>
      (await db.collection('messages').find({ request_id: requestId }).toArray()).map(({ role, status, content }) => ({
        role: String(role),
        status: String(status),
        content: String(content),
      })),
    unfinished: (userId) => db.collection('sessions').countDocuments({ user_id: userId, pending: { $exists: true } }),
    count: () => db.collection('open_holds').countDocuments(),
    close: () => client.close(),
  };
}
