import { AppError } from '@tollgate/http-kit';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { EmbeddingRequest, Embeddings } from '../../ports.ts';
import { fieldsOf, listOf, usagePart } from '../upstream/reported-usage.ts';

const MOST_DIMENSIONS = 100_000;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The vectors of an answer (OpenAI API, "The embedding object"). @throws AppError UPSTREAM_PROTOCOL_ERROR for anything else. */
export function readEmbeddings(value: unknown, { count }: Pick<EmbeddingRequest, 'count'>): Embeddings {
  const { data, usage } = fieldsOf(value);
  const rows = listOf(data).map(fieldsOf);
  const vectors: (readonly number[] | string)[] = [];
  for (const [at, row] of rows.entries()) {
    const place = typeof row.index === 'number' ? row.index : at;
    if (!isVector(row.embedding) || vectors[place] !== undefined) throw unreadable();
    vectors[place] = row.embedding;
  }
  if (rows.length !== count || vectors.length !== count) throw unreadable();
  return { vectors, usage: usage === undefined || usage === null ? undefined : usageOf(usage) };
}

/** Some servers count only the total, which is all of it. */
function usageOf(usage: unknown): UpstreamPart {
  const fields = fieldsOf(usage);
  return usagePart(fields.prompt_tokens ?? fields.total_tokens, 0, 0, usage);
}

function isVector(value: unknown): value is readonly number[] | string {
  if (typeof value === 'string') return BASE64.test(value);
  return Array.isArray(value) && value.length > 0 && value.length <= MOST_DIMENSIONS && value.every(Number.isFinite);
}

const unreadable = () => new AppError('UPSTREAM_PROTOCOL_ERROR', 'the vectors are not those that were asked for');
