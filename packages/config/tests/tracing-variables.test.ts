import { expect, it } from '@jest/globals';
import { z } from 'zod';
import { readConfig, serviceVariables, tracingConfig } from '../src/index.ts';

const Schema = z
  .object({ OTEL_EXPORTER_OTLP_ENDPOINT: serviceVariables.OTEL_EXPORTER_OTLP_ENDPOINT })
  .extend({ OTEL_EXPORTER_OTLP_HEADERS: serviceVariables.OTEL_EXPORTER_OTLP_HEADERS })
  .extend({ OTEL_TRACES_SAMPLER_ARG: serviceVariables.OTEL_TRACES_SAMPLER_ARG });
const read = (env: Record<string, string>) => tracingConfig(readConfig(Schema, env));

it('traces nothing unless there is a collector', () => {
  expect(read({})).toEqual({ endpoint: undefined, headers: {}, ratio: 1 });
});

it('reads headers as OpenTelemetry writes them, and passes over what is none', () => {
  const OTEL_EXPORTER_OTLP_HEADERS = 'Authorization=Bearer%20a-b.c, x-team = one=two ,nonsense,=x,bad%name=1,y=%zz';
  const { headers } = read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/', OTEL_EXPORTER_OTLP_HEADERS });
  expect(headers).toEqual({ authorization: 'Bearer a-b.c', 'x-team': 'one=two', y: '%zz' });
});

it.each([
  { OTEL_TRACES_SAMPLER_ARG: '1.1' },
  { OTEL_TRACES_SAMPLER_ARG: 'all' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://x' },
])('refuses %j', (env) => {
  expect(() => read(env)).toThrow();
});
