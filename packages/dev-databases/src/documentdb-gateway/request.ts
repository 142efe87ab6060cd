import { asDocument, asInteger, asText, fieldsOf, isTrue, itemsOf } from './fields.ts';
import type { Field } from './fields.ts';
import { splitDocuments } from './wire.ts';
import type { Message } from './wire.ts';

export type Session = {
  /** The driver's session id in hexadecimal. */
  id: string;
  /** Numbers transactions and retryable writes of the session, upwards. */
  txnNumber: bigint | undefined;
  /** autocommit: false. Retryable writes carry a txnNumber too, but belong to no transaction. */
  isTransaction: boolean;
  startsTransaction: boolean;
};

export type Request = {
  message: Message;
  /** Name of the command: its first element. */
  name: string;
  database: string;
  /** The collection most commands name as the value of their first element, else ''. */
  collection: string;
  fields: Map<string, Field>;
  session: Session | undefined;
};

export type Reply = {
  document: Uint8Array;
  /** `ok: 1`, but statements failed; inside a transaction that ends it. */
  hasWriteErrors?: boolean;
};

/** @throws BSONError when the command is malformed. */
export function readRequest(message: Message): Request {
  const fields = fieldsOf(message.body);
  const [name, first] = fields.entries().next().value ?? [''];
  const database = asText(fields.get('$db')) ?? 'admin';
  return { message, name, database, collection: asText(first) ?? '', fields, session: sessionOf(fields) };
}

function sessionOf(fields: Map<string, Field>): Session | undefined {
  const id = idOf(fields.get('lsid'));
  if (id === undefined) return undefined;
  const autocommit = fields.get('autocommit');
  return {
    id,
    txnNumber: asInteger(fields.get('txnNumber')),
    isTransaction: autocommit !== undefined && !isTrue(autocommit),
    startsTransaction: isTrue(fields.get('startTransaction')),
  };
}

/** A session id is a document with a UUID in `id`. */
export const idOf = (field: Field | undefined): string | undefined =>
  asDocument(field)?.get('id')?.bytes.toString('hex');

/** The statements of a write command, wherever the driver put them. */
export function statementsOf(request: Request, name: 'documents' | 'updates' | 'deletes'): Buffer[] {
  const sequence = request.message.sequences.get(name);
  if (sequence) return splitDocuments(sequence);
  return itemsOf(request.fields.get(name)).map((item) => item.bytes);
}
