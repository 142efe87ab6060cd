/** A place in a list that is ordered by time and id. It only ever narrows a query that names its owner. */
export const toCursor = (at: Date, id: string): string => Buffer.from(`${at.getTime()} ${id}`).toString('base64url');
