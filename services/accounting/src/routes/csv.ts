import { setImmediate as nextTurn } from 'node:timers/promises';
import { acceptedType, type RequestContext, requestContext, type StreamReply, stream } from '@tollgate/http-kit';
import { stringify } from 'csv-stringify/sync';
import type { Flows } from '../flows.ts';

type ListPage = Readonly<{ rows: readonly object[]; nextCursor: string | null }>;

/** A list that is answered as a JSON page or, whole, as CSV. */
export type Listing<Page extends ListPage> = Readonly<{
  query: { limit: number; cursor?: string | undefined; format?: 'json' | 'csv' | undefined };
  context: RequestContext;
  /** Name of the CSV file. */
  file: string;
  columns: readonly string[];
  /** Told when a CSV ends, also one that broke off. */
  exported: Flows['tellExport'];
  /** Rows of a CSV that are read at once. */
  pageRows: number;
  read: (limit: number, cursor: string | undefined) => Promise<Page>;
}>;

/** One page as `body` shapes it, or all rows from the cursor on as CSV. */
export async function listed<Page extends ListPage, Body>(
  listing: Listing<Page>,
  body: (page: Page) => Body,
): Promise<Body | StreamReply> {
  const { query, context, read } = listing;
  const isCsv = query.format === 'csv' || (query.format === undefined && acceptedType(context, TYPES) === TYPES[1]);
  return isCsv ? csvOf(listing) : body(await read(query.limit, query.cursor));
}

const TYPES = ['application/json', 'text/csv'] as const;
/** Longer files are fetched in parts, from `x-next-cursor` on. */
const MOST_ROWS = 100_000;
/** So many rows are made into text at once; other requests have their turn in between. */
const CHUNK_ROWS = 500;

/**
 * RFC 4180. The first page is read before the answer begins, so that a refusal has its status. The trailers say at the end
 * whether these are all rows; a file that broke off has none, and its connection is cut.
 */
async function csvOf({ query, file, columns, pageRows, read, exported }: Listing<ListPage>): Promise<StreamReply> {
  let page = await read(pageRows, query.cursor);
  let isComplete = false;
  const by = requestContext.get();
  async function* chunks(): AsyncGenerator<string> {
    yield csvText([Object.fromEntries(columns.map((column) => [column, column]))], columns);
    let rows = 0;
    try {
      while (true) {
        for (let at = 0; at < page.rows.length; at += CHUNK_ROWS) {
          const chunk = page.rows.slice(at, at + CHUNK_ROWS);
          rows += chunk.length;
          yield csvText(chunk, columns);
          await nextTurn();
        }
        isComplete = page.nextCursor === null;
        if (page.nextCursor === null || rows >= MOST_ROWS) return;
        page = await read(pageRows, page.nextCursor);
      }
    } finally {
      exported({ file, rows, isComplete }, by);
    }
  }
  return stream('text/csv; charset=utf-8; header=present', chunks(), {
    headers: { 'cache-control': 'no-store', 'content-disposition': `attachment; filename="${file}"` },
    trailers: {
      'x-complete': () => String(isComplete),
      'x-next-cursor': () => page.nextCursor ?? '',
    },
  });
}

/**
 * A spreadsheet takes a text for a formula by its first character, some after dropping blanks before it or in a form of full
 * width; an apostrophe makes it text for all of them. Texts are always quoted, so that none of them opens a cell of its own where
 * another separator is usual. Numbers stay numbers.
 */
const csvText = (rows: readonly object[], columns: readonly string[]): string =>
  stringify([...rows], {
    columns: [...columns],
    record_delimiter: '\r\n',
    quoted_string: true,
    cast: { string: harmless, boolean: String, number: String },
  });

const FORMULA = /^(?:[\s\p{C}]|[=+\-@])/u;

const harmless = (text: string): string => (FORMULA.test(text.normalize('NFKC')) ? `'${text}` : text);
