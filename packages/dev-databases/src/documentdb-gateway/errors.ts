import type { Document } from 'bson';
import pg from 'pg';

const TRANSIENT = 'TransientTransactionError';

/** Codes of MongoDB that this gateway answers with, by name. */
export const CODES = {
  InternalError: 1,
  BadValue: 2,
  HostUnreachable: 6,
  FailedToParse: 9,
  NamespaceNotFound: 26,
  CursorNotFound: 43,
  MaxTimeMSExpired: 50,
  CommandNotFound: 59,
  InvalidOptions: 72,
  WriteConflict: 112,
  CommandNotSupported: 115,
  TransactionTooOld: 225,
  NoSuchTransaction: 251,
  TransactionCommitted: 256,
  DuplicateKey: 11_000,
} as const;

export type CodeName = keyof typeof CODES;

/**
 * The extension numbers its errors M0000, M0001, … in base 36; these are MongoDB's codes in that order.
 * Later ones explain a faulty query and need no code of their own here.
 */
const EXTENSION_CODES = (
  '1 2 5 9 14 15 20 23 26 27 28 31 34 40 43 48 52 53 54 56 57 61 66 67 68 72 73 85 86 111 115 118 146 159 165 166 167 ' +
  '181 197 224 232 241 263 276 291 361 10065 10334 11000 12587'
)
  .split(' ')
  .map(Number);

const POSTGRES_CODES: Record<string, number> = {
  '23505': CODES.DuplicateKey,
  '23P01': CODES.DuplicateKey,
  '40001': CODES.WriteConflict,
  '40P01': CODES.WriteConflict,
  '55P03': CODES.WriteConflict,
  '25P02': CODES.NoSuchTransaction,
  '57014': CODES.MaxTimeMSExpired,
  '57P01': CODES.HostUnreachable,
  '57P02': CODES.HostUnreachable,
  '57P03': CODES.HostUnreachable,
  '42P01': CODES.NamespaceNotFound,
  '0A000': CODES.CommandNotSupported,
};

const CODE_NAMES = new Map<number, string>(Object.entries(CODES).map(([name, code]) => [code, name]));

/** A command that failed as a whole; becomes `ok: 0`. */
export class CommandError extends Error {
  override name = 'CommandError';
  code: number;
  details: Document;
  constructor(code: CodeName | number, message: string, details: Document = {}) {
    super(message);
    this.code = typeof code === 'number' ? code : CODES[code];
    this.details = details;
  }
}

/** The code MongoDB has for an SQLSTATE. */
export function codeOf(state: string): number {
  if (state.startsWith('M')) return EXTENSION_CODES[Number.parseInt(state.slice(1), 36)] ?? CODES.BadValue;
  return POSTGRES_CODES[state] ?? CODES.InternalError;
}

/** PostgreSQL packs an SQLSTATE into 6 bits per character (MAKE_SQLSTATE); the extension's write errors carry it so. */
export function unpackState(packed: number): string {
  const characters = [0, 6, 12, 18, 24].map((shift) => ((packed >> shift) & 0x3f) + '0'.charCodeAt(0));
  return String.fromCharCode(...characters);
}

/** True when running the same statement again may succeed: it lost against another one and left nothing behind. */
export const isConflict = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && codeOf(error.code ?? '') === CODES.WriteConflict;

/** Turns anything thrown into the error MongoDB would have answered with. */
export function toCommandError(error: unknown, isTransaction: boolean): CommandError {
  if (error instanceof CommandError) return error;
  if (!(error instanceof pg.DatabaseError)) {
    const isLost = error instanceof Error && /connect|connection|terminat/i.test(error.message);
    return new CommandError(isLost ? 'HostUnreachable' : 'InternalError', String(error));
  }
  if (isTransaction && isCatalogConflict(error)) return new CommandError('WriteConflict', error.message);
  return new CommandError(codeOf(error.code ?? ''), error.message);
}

/** A snapshot taken before another session made the same collection can neither see nor make it. */
const isCatalogConflict = (error: pg.DatabaseError): boolean =>
  error.message.startsWith('Unable to create the specified collection') ||
  (error.code === '23505' && error.schema === 'documentdb_api_catalog');

export function errorReply(error: CommandError, isTransaction: boolean): Document {
  const isTransient = isTransaction && (error.code === CODES.WriteConflict || error.code === CODES.NoSuchTransaction);
  return {
    ok: 0,
    errmsg: error.message,
    code: error.code,
    codeName: CODE_NAMES.get(error.code) ?? `Location${error.code}`,
    ...(isTransient && { errorLabels: [TRANSIENT] }),
    ...error.details,
  };
}
