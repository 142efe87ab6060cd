import { AppError } from '@tollgate/http-kit';

/** A place in a list that is ordered by time and id. It only ever narrows a query that names its owner. */
export const toCursor = (at: Date, id: string): string => Buffer.from(`${at.getTime()} ${id}`).toString('base64url');

export function cursorFrom(cursor: string | undefined): { at: Date; id: string } | undefined {
  if (cursor === undefined) return undefined;
  const [, time, id] = /^(\d{1,15}) ([\w-]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (time === undefined || id === undefined) throw new AppError('VALIDATION_FAILED', 'The cursor is not valid');
  return { at: new Date(Number(time)), id };
}
