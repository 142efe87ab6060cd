import { get } from 'node:http';

export type Download = {
  status: number;
  headers: Record<string, unknown>;
  trailers: Record<string, string | undefined>;
  text: string;
  /** False when the connection was cut before the end of the answer. */
  isWhole: boolean;
};

/** A GET that shows the trailers. */
export function download(url: string, headers: Record<string, string>): Promise<Download> {
  const { promise, resolve, reject } = Promise.withResolvers<Download>();
  get(url, { headers }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', () => undefined); // `close` tells that it was cut
    response.on('close', () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        trailers: response.trailers,
        text: Buffer.concat(chunks).toString('utf8'),
        isWhole: response.complete,
      }),
    );
  }).on('error', reject);
  return promise;
}

const CELL = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;

/** Reads RFC 4180 and nothing looser: comma, CRLF, quotes doubled inside quotes. @throws Error where it is something else. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  CELL.lastIndex = 0;
  while (CELL.lastIndex < text.length) {
    const at = CELL.lastIndex;
    const [whole, quoted, plain, end] = CELL.exec(text) ?? [];
    if (whole === undefined) throw new Error(`not CSV from ${JSON.stringify(text.slice(at, at + 50))} on`);
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\r\n') rows.push([]);
  }
  if (rows.pop()?.length !== 0) throw new Error('the last line does not end');
  return rows;
}
