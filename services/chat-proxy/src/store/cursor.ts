import { AppError } from '@tollgate/http-kit';

/** @throws AppError for a cursor that is none of ours. */
export function cursorFrom(cursor: string | undefined): { at: Date; id: string } | undefined {
  if (cursor === undefined) return undefined;
  const [, time, id] = /^(\d{1,15}) ([\w-]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (time === undefined || id === undefined) throw new AppError('VALIDATION_FAILED', 'The cursor is not valid');
  return { at: new Date(Number(time)), id };
}
