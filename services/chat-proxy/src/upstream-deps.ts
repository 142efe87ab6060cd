import { AppError } from '@tollgate/http-kit';
import { flowise } from './clients/flowise/flowise.ts';
import { openAi } from './clients/openai/openai.ts';
import type { Config } from './config.ts';
import type { Tell } from './domain/facts.ts';
import type { Chatflow, UpstreamName } from './domain/chatflow.ts';
import type { ChatflowId } from './domain/wire-types.ts';
import type { Catalogue, Upstream } from './ports.ts';

export interface Upstreams {
  readonly by: Readonly<Record<Chatflow['upstream'], Upstream>>;
  readonly catalogues: readonly Catalogue[];
  forget(chatflowId: ChatflowId, chatId: string): Promise<void>;
  close(): Promise<void>;
}

/** The AI servers that are configured. */
export function connectUpstreams(config: Config, tell: Tell): Upstreams {
  const common = {
    connections: config.UPSTREAM_CONNECTIONS,
    connectMs: config.UPSTREAM_CONNECT_TIMEOUT,
    timeouts: {
      firstByteMs: config.UPSTREAM_FIRST_BYTE_TIMEOUT,
      idleMs: config.UPSTREAM_IDLE_TIMEOUT,
      totalMs: config.UPSTREAM_TOTAL_TIMEOUT,
    },
  };
  const abandoned = (upstream: UpstreamName) => (chatflowId: string) =>
    tell('upstream_abandoned', { upstream, chatflowId });
  const flows =
    config.FLOWISE_API_URL === undefined
      ? undefined
      : flowise({
          ...common,
          baseUrl: config.FLOWISE_API_URL,
          apiKey: config.FLOWISE_API_KEY?.reveal(),
          abandoned: abandoned('flowise'),
        });
  const models =
    config.OPENAI_BASE_URL === undefined
      ? undefined
      : openAi({
          ...common,
          baseUrl: config.OPENAI_BASE_URL,
          apiKey: config.OPENAI_API_KEY?.reveal(),
          models: config.OPENAI_MODELS,
          isPublic: config.OPENAI_MODELS_PUBLIC,
          limitField: config.OPENAI_LIMIT_FIELD,
          abandoned: abandoned('openai'),
        });
  return {
    by: { flowise: flows ?? notConfigured('FLOWISE_API_URL'), openai: models ?? notConfigured('OPENAI_BASE_URL') },
    catalogues: [flows, models].filter((upstream) => upstream !== undefined),
    forget: async (chatflowId, chatId) => flows?.forget(chatflowId, chatId),
    close: async () => void (await Promise.all([flows?.close(), models?.close()])),
  };
}

/** A chatflow of an upstream that was taken out of the configuration. */
const notConfigured = (variable: string): Upstream => ({
  answer: () => {
    throw new AppError('UPSTREAM_UNAVAILABLE', `${variable} is not set`);
  },
});
