import type { Connections } from '@tollgate/http-kit/client';
import { Secret } from '@tollgate/config';
import { AppError } from '@tollgate/http-kit';
import { type Flowise, flowise } from '../clients/flowise/flowise.ts';
import { flowiseSide } from '../clients/flowise/flowise-side.ts';
import { type OpenAi, openAi } from '../clients/openai/openai.ts';
import type { ServerOptions } from '../clients/upstream/connection.ts';
import { type GuardedServer, guardedServer } from '../clients/upstream/guarded-server.ts';
import { tracedServer } from '../clients/upstream/traced-server.ts';
import { createTurns } from '../clients/upstream/turns.ts';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import type { AnswerRoute } from '../domain/target.ts';
import type { ChatflowId } from '../domain/wire-types.ts';
import type { Catalogue, Chatflows, Clock, FlowiseSide } from '../ports.ts';
import type { UpstreamSettings } from '../config/upstreams.ts';

export interface Upstreams {
  readonly servers: ReadonlyMap<string, GuardedServer>;
  readonly routes: ReadonlyMap<string, AnswerRoute>;
  readonly catalogues: readonly Catalogue[];
  /** Deletes a conversation wherever it may have been held. */
  forget(chatflowId: ChatflowId, chatId: string): Promise<void>;
  /** Connections to each server. */
  connections(): readonly (readonly [name: string, Connections])[];
  /** What a chat window asks of Flowise beside answers. */
  readonly side: FlowiseSide;
  close(): Promise<void>;
}

interface Neighbours {
  readonly chatflows: Pick<Chatflows, 'find'>;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Told of each answer how long its first part took. */
  readonly firstPart: (upstream: string, ms: number) => void;
}

/** The AI servers that are configured. */
export function connectUpstreams({ upstreams: { servers, routes } }: Config, neighbours: Neighbours): Upstreams {
  const { chatflows, clock, tell } = neighbours;
  const turns = createTurns();
  const connected = servers.map((settings) => ({
    settings,
    client: clientOf(settings, { routed: routedModels(routes, settings), tell, turns }),
  }));
  const flows = new Map(
    connected.flatMap(({ client }) => ('forget' in client ? [[client.upstream, client] as const] : [])),
  );
  const guarded = connected.map(({ settings: { name, kind, breaker }, client }) =>
    tracedServer(
      guardedServer(client, {
        name,
        kind,
        clock,
        ...breaker,
        opened: () => tell('upstream_paused', { upstream: name }),
        began: (ms) => neighbours.firstPart(name, ms),
      }),
    ),
  );
  return {
    servers: new Map(guarded.map((server) => [server.name, server])),
    routes,
    catalogues: connected.map(({ client }) => client),
    connections: () => connected.map(({ settings, client }) => [settings.name, client.connections()] as const),
    async forget(chatflowId, chatId) {
      const chatflow = await chatflows.find(chatflowId);
      const route = routes.get(chatflowId);
      const own = chatflow ? [{ upstream: chatflow.upstream, model: chatflowId }] : [];
      const places = [...own, ...(route?.targets ?? []), ...(route?.fallbacks ?? [])];
      await Promise.all(places.map(async ({ upstream, model }) => flows.get(upstream)?.forget(model, chatId)));
    },
    side: flowiseSide((upstream) => {
      const flow = flows.get(upstream);
      if (!flow) throw new AppError('UPSTREAM_UNAVAILABLE', `${upstream} is no Flowise server of the configuration`);
      return flow.side;
    }),
    close: async () => void (await Promise.all(connected.map(({ client }) => client.close()))),
  };
}

interface Around extends Pick<ServerOptions, 'turns'> {
  readonly routed: readonly string[];
  readonly tell: Tell;
}

function clientOf(settings: UpstreamSettings, { routed, tell, turns }: Around): Flowise | OpenAi {
  const { name, kind, apiKey, headers, models, ...rest } = settings;
  const options: ServerOptions = {
    ...rest,
    name,
    apiKey: apiKey?.reveal(),
    headers: Object.fromEntries(
      Object.entries(headers).map(([header, value]) => [header, value instanceof Secret ? value.reveal() : value]),
    ),
    turns,
    abandoned: (chatflowId) => tell('upstream_abandoned', { upstream: name, chatflowId }),
  };
  return kind === 'flowise' ? flowise({ ...options, ...rest }) : openAi({ ...options, ...rest, models, routed });
}

/** Names of models that are there because a route to this server says so, whatever the server lists. */
const routedModels = (routes: Upstreams['routes'], { name }: UpstreamSettings): string[] =>
  [...routes].flatMap(([id, { targets, fallbacks }]) => {
    const [first] = [...targets, ...fallbacks];
    return first?.upstream === name && id.startsWith('model:') ? [id.slice('model:'.length)] : [];
  });
