import { mongo } from 'mongoose';

const DUPLICATE_KEY = 11_000;
const OUT_OF_DISK_SPACE = 14_031;
const MAX_TIME_EXPIRED = 50;
const INDEX_NOT_FOUND = 27;

/** Whether a unique index refused a write. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && error.code === DUPLICATE_KEY;

/** Whether of many writes at once some were refused by a unique index, and nothing else went wrong. */
export function areDuplicates(error: unknown): boolean {
  if (!(error instanceof mongo.MongoBulkWriteError) || error.result.getWriteConcernError()) return false;
  const refused = [error.writeErrors].flat();
  return refused.length > 0 && refused.every(({ code }) => code === DUPLICATE_KEY);
}

/** Whether an operation has reached the time limit it was given (`maxTimeMS`). */
export const isOverTime = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && error.code === MAX_TIME_EXPIRED;

/** Whether an index that was to go is not there. */
export const isMissingIndex = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && error.code === INDEX_NOT_FOUND;

/** Gives `false` instead of throwing when a unique index refused the write. */
export async function unlessDuplicate(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

/** An operation that was given up after its time; its effect is not known. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong';
}

/** By name: the driver does not export all of their classes. */
const AWAY: ReadonlySet<string> = new Set([
  'TookTooLong',
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongooseServerSelectionError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoClientClosedError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
]);

/**
 * Two kinds of trouble that are nobody's fault and pass: the database is away or too slow; its disk is full. Undefined for
 * an error that lies in what was asked.
 */
export function troubleOf(error: unknown): 'unavailable' | 'full' | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof mongo.MongoError && error.code === OUT_OF_DISK_SPACE) return 'full';
  // What many writes at once have met is wrapped by the driver, whatever it was.
  if (error instanceof mongo.MongoBulkWriteError && error.errorResponse instanceof Error)
    return troubleOf(error.errorResponse);
  return AWAY.has(error.name) || isBetweenPrimaries(error) || isBeforeFirstConnection(error) || isBrokenSocket(error)
    ? 'unavailable'
    : undefined;
}

/** What a server answers that is stepping down or shutting down. */
const isBetweenPrimaries = (error: Error): boolean =>
  error instanceof mongo.MongoError && error.hasErrorLabel('RetryableWriteError');

/** The driver waits for room to write by itself, and hands on what the socket says then. */
const isBrokenSocket = (error: Error): boolean =>
  'code' in error && typeof error.code === 'string' && SOCKET_ENDS.has(error.code);
const SOCKET_ENDS: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ERR_STREAM_DESTROYED',
]);

/** What mongoose throws for an operation of a model when buffering is off. */
const isBeforeFirstConnection = ({ name, message }: Error): boolean =>
  name === 'MongooseError' && message.includes('initial connection');
