import { startDemoUpstream } from '@tollgate/test-kit/demo-upstream';

export interface Upstreams {
  readonly flowise: { readonly url: string; readonly apiKey: string };
  readonly openai: { readonly url: string; readonly apiKey: string; readonly models: readonly string[] };
  readonly description: string;
  stop(): Promise<void>;
}

/** The AI servers the environment names; the built-in demo server stands in for those it does not. */
export async function upstreamsFrom(env: NodeJS.ProcessEnv): Promise<Upstreams> {
  const own = { flowise: ownFlowise(env), openai: ownOpenai(env) };
  if (own.flowise && own.openai)
    return {
      flowise: own.flowise,
      openai: own.openai,
      description: described(own.flowise.url, own.openai.url),
      stop: async () => undefined,
    };
  const demo = await startDemoUpstream({});
  const flowise = own.flowise ?? { url: demo.flowiseUrl, apiKey: demo.flowiseApiKey };
  const openai = own.openai ?? { url: demo.openAiUrl, apiKey: 'demo', models: demo.models };
  const name = (url: string, isOwn: boolean): string => (isOwn ? url : `the built-in demo (${url})`);
  return {
    flowise,
    openai,
    description: described(name(flowise.url, own.flowise !== undefined), name(openai.url, own.openai !== undefined)),
    stop: () => demo.stop(),
  };
}

const described = (flowise: string, openai: string): string => `Flowise: ${flowise}; OpenAI: ${openai}`;

const ownFlowise = ({ FLOWISE_API_URL: url, FLOWISE_API_KEY: apiKey = '' }: NodeJS.ProcessEnv) =>
  url === undefined ? undefined : { url, apiKey };

const ownOpenai = ({
  OPENAI_BASE_URL: url,
  OPENAI_API_KEY: apiKey = '',
  OPENAI_MODELS: models = '',
}: NodeJS.ProcessEnv) =>
  url === undefined ? undefined : { url, apiKey, models: models.split(',').filter((model) => model !== '') };
