import { z } from 'zod';
import type { Secret } from './secret.ts';
import { baseUrl, secret } from './variables.ts';

/** Where traces go, under the names that OpenTelemetry has for it. */
export const tracingVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: baseUrl()
    .optional()
    .describe('A collector that takes OTLP over HTTP; without it nothing is traced'),
  OTEL_EXPORTER_OTLP_HEADERS: secret({ minBytes: 1 })
    .optional()
    .describe('Headers for it, such as its key: name=value, between commas'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .prefault(1)
    .describe('Share of the traces that is kept, from 0 to 1'),
};

type TracingEnvironment = Readonly<{
  OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  OTEL_EXPORTER_OTLP_HEADERS?: Secret | undefined;
  OTEL_TRACES_SAMPLER_ARG: number;
}>;

/** The same as the tracing of a service takes it. */
export const tracingConfig = (env: TracingEnvironment) => ({
  endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  headers: headersIn(env.OTEL_EXPORTER_OTLP_HEADERS?.reveal() ?? ''),
  ratio: env.OTEL_TRACES_SAMPLER_ARG,
});

/** What is not `name=value` is passed over; values may be percent-encoded (OpenTelemetry, "Protocol Exporter"). */
const headersIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(',').flatMap((pair) => {
      const [, name, value] = /^\s*([\w-]+)\s*=(.*)$/.exec(pair) ?? [];
      return name === undefined || value === undefined ? [] : [[name.toLowerCase(), decoded(value.trim())]];
    }),
  );

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
