import { isDeepStrictEqual } from 'node:util';
import { codeFromWire, ERROR_CODES, type OperationSpec } from '@tollgate/contracts';
import type { FuzzRequest } from '../requests/requests.ts';
import type { Received } from './send.ts';

/** What must not be in any answer: the language of databases, of stacks and of the machine (checklist 62). */
const LEAKS =
  /\bat [\w.<>]+ \(|node_modules|\/services\/|\.ts:\d|MongoServerError|E11000|SequelizeDatabase|syntax error at or near|violates \w+ constraint|invalid input syntax|ECONNREFUSED/;

/** Everything that is wrong with an answer. */
export function faultsOf({ door, fault }: FuzzRequest, { status, headers, text }: Received): string[] {
  const { operation } = door;
  const faults: string[] = [];
  if (status >= 500) faults.push('a failure of ours');
  if (fault !== undefined && status < 400) faults.push(`let in although ${fault}`);
  if (headers['x-request-id'] === undefined) faults.push('has no request id');
  if (status >= 400) faults.push(...faultsOfError(operation, status, { headers, text }));
  else faults.push(...faultsOfSuccess(operation, status, { headers, text }));
  return faults;
}

type Body = Pick<Received, 'headers' | 'text'>;

function faultsOfError(operation: OperationSpec, status: number, { headers, text }: Body): string[] {
  const type = String(headers['content-type']);
  const asText = operation.dialect === 'flowise' && type.startsWith('text/plain');
  if (asText) return text === '' ? ['an error says nothing'] : leaksIn(text);
  const wanted =
    operation.dialect === undefined || operation.dialect === 'problem'
      ? 'application/problem+json'
      : 'application/json';
  // A request that no operation was found for speaks the language of its address.
  const isTyped = type.startsWith(wanted) || type.startsWith('application/problem+json');
  const body = jsonOf(text);
  const code = codeFromWire(body['code'] ?? Object(body['error']).code);
  return [
    ...(isTyped ? [] : [`an error comes as ${type}`]),
    ...(code === undefined ? [`an error has no code of ours: ${text.slice(0, 200)}`] : []),
    ...(code !== undefined && ERROR_CODES[code].status !== status ? [`${code} came with ${status}`] : []),
    ...leaksIn(text),
  ];
}

const leaksIn = (text: string): string[] =>
  LEAKS.test(text) ? [`an error tells of our insides: ${text.slice(0, 300)}`] : [];

function faultsOfSuccess(operation: OperationSpec, status: number, { headers, text }: Body): string[] {
  const known = [operation.status ?? 200, ...(operation.alsoStatus ?? []), 204, 304];
  const faults = known.includes(status) ? [] : [`the contract knows no ${status}`];
  const isJson = String(headers['content-type']).startsWith('application/json');
  if (operation.streams || operation.bytesAs || !isJson || operation.alsoAs?.length) return faults;
  const answered: unknown = JSON.parse(text);
  const result = operation.result.safeParse(answered);
  if (!result.success) return [...faults, `an answer against its contract: ${result.error.message.slice(0, 300)}`];
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(result.data)), answered))
    faults.push('an answer says more than its contract');
  return faults;
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
