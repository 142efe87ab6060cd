import { startDemoUpstream } from '@tollgate/test-kit/demo-upstream';

export interface Upstreams {
  readonly flowise: { readonly url: string; readonly apiKey: string };
  readonly openai: { readonly url: string; readonly apiKey: string; readonly models: readonly string[] };
  readonly description: string;
  stop(): Promise<void>;
}

/** The AI servers the environment names; the built-in demo server stands in for those it does not. */
export async function upstreamsFrom(env: NodeJS.ProcessEnv): Promise<Upstreams> {
  const { FLOWISE_API_URL, FLOWISE_API_KEY = '', OPENAI_BASE_URL, OPENAI_API_KEY = '', OPENAI_MODELS = '' } = env;
  const demo = FLOWISE_API_URL === undefined || OPENAI_BASE_URL === undefined ? await startDemoUpstream({}) : undefined;
  return {
    flowise:
      FLOWISE_API_URL === undefined
        ? { url: demo?.flowiseUrl ?? '', apiKey: demo?.flowiseApiKey ?? '' }
        : { url: FLOWISE_API_URL, apiKey: FLOWISE_API_KEY },
    openai:
      OPENAI_BASE_URL === undefined
        ? { url: demo?.openAiUrl ?? '', apiKey: 'demo', models: demo?.models ?? [] }
        : { url: OPENAI_BASE_URL, apiKey: OPENAI_API_KEY, models: OPENAI_MODELS.split(',').filter(Boolean) },
    description: [
      FLOWISE_API_URL ?? `demo Flowise ${demo?.flowiseUrl}`,
      OPENAI_BASE_URL ?? `demo OpenAI ${demo?.openAiUrl}`,
    ].join(', '),
    stop: async () => demo?.stop(),
  };
}
