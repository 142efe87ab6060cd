import { describe, expect, it } from '@jest/globals';
import { breaksBetween } from '../../scripts/api/breaks.ts';
import type { OpenApi, Operation, Schema } from '../../scripts/api/document.ts';
import { collection, drifted } from '../../scripts/api/bruno-main.ts';

const body = (schema: Schema): NonNullable<Operation['requestBody']> => ({
  required: true,
  content: { 'application/json': { schema } },
});
const answer = (schema: Schema): Operation['responses'] => ({ 200: { content: { 'application/json': { schema } } } });
const of = (properties: Record<string, Schema>, required: string[] = []): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const ASKED = of({ kind: { type: 'string', enum: ['a', 'b'] }, note: { type: 'string', maxLength: 10 } }, ['kind']);
const TOLD = of({ id: { type: 'string' }, more: of({ n: { type: 'integer' } }, ['n']) }, ['id']);
const operation: Operation = {
  operationId: 'makeIt',
  'x-permission': 'things:write',
  parameters: [{ name: 'page', in: 'query', schema: { type: 'integer', maximum: 100 } }],
  requestBody: body(ASKED),
  responses: answer(TOLD),
};
const document = (change: Partial<Operation> = {}): OpenApi => ({
  paths: { '/it': { post: { ...operation, ...change } } },
});
const changed = (change: Partial<Operation>): string[] => breaksBetween(document(), document(change));

describe('a change that breaks no client', () => {
  it.each<[string, Partial<Operation>]>([
    ['nothing', {}],
    [
      'an optional field of a request',
      { requestBody: body(of({ ...ASKED.properties, extra: { type: 'string' } }, ['kind'])) },
    ],
    [
      'a further value',
      { requestBody: body(of({ ...ASKED.properties, kind: { type: 'string', enum: ['a', 'b', 'c'] } }, ['kind'])) },
    ],
    [
      'a wider limit',
      { requestBody: body(of({ ...ASKED.properties, note: { type: 'string', maxLength: 20 } }, ['kind'])) },
    ],
    [
      'a further field of an answer',
      { responses: answer(of({ ...TOLD.properties, new: { type: 'string' } }, ['id', 'new'])) },
    ],
    ['an optional parameter', { parameters: [...(operation.parameters ?? []), { name: 'sort', in: 'query' }] }],
  ])('%s', (_what, change) => {
    expect(changed(change)).toEqual([]);
  });
});

describe('a change that breaks clients is named', () => {
  it.each<[string, Partial<Operation>]>([
    ['body.note is required now', { requestBody: body({ ...ASKED, required: ['kind', 'note'] }) }],
    ['body.note is gone', { requestBody: body(of({ kind: { type: 'string', enum: ['a', 'b'] } }, ['kind'])) }],
    [
      'body.kind may not be "b" any more',
      { requestBody: body(of({ ...ASKED.properties, kind: { type: 'string', enum: ['a'] } }, ['kind'])) },
    ],
    [
      'body.note has a smaller maxLength',
      { requestBody: body(of({ ...ASKED.properties, note: { type: 'string', maxLength: 9 } }, ['kind'])) },
    ],
    [
      'body.note is integer instead of string',
      { requestBody: body(of({ ...ASKED.properties, note: { type: 'integer' } }, ['kind'])) },
    ],
    ['answer 200.more is gone', { responses: answer(of({ id: { type: 'string' } }, ['id'])) }],
    ['answer 200.more.n is gone', { responses: answer(of({ ...TOLD.properties, more: of({}) }, ['id'])) }],
    ['answer 200.id may be absent now', { responses: answer({ ...TOLD, required: [] }) }],
    ['does not answer 200 any more', { responses: { 201: {} } }],
    ['parameter query page is gone', { parameters: [] }],
    [
      'parameter query page has a smaller maximum',
      { parameters: [{ name: 'page', in: 'query', schema: { type: 'integer', maximum: 50 } }] },
    ],
    [
      'parameter query who is required now',
      { parameters: [...(operation.parameters ?? []), { name: 'who', in: 'query', required: true }] },
    ],
    ['needs things:own instead of things:write', { 'x-permission': 'things:own' }],
  ])('%s', (said, change) => {
    expect(changed(change)).toContain(`POST /it: ${said}`);
  });

  it('an operation that is gone', () => {
    expect(breaksBetween(document(), { paths: {} })).toEqual(['POST /it is gone']);
  });
});

describe('the collection for Bruno', () => {
  it('is what the OpenAPI documents say (else: node --conditions=tollgate scripts/api/bruno-main.ts --write)', () => {
    expect(drifted(collection())).toEqual([]);
  });

  it('keeps no token in a file', () => {
    const environment = collection().get('environments/local.bru') ?? '';
    expect(environment).toMatch(/vars:secret \[\n {2}accessToken,\n {2}refreshToken,\n {2}serviceToken\n\]/);
    expect([...collection().values()].join('\n')).not.toMatch(/eyJ|Bearer \w/);
  });
});
