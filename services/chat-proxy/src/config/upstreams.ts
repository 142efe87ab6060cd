import {
  baseUrl,
  bool,
  ConfigError,
  type Environment,
  list,
  readConfig,
  type Secret,
  secret,
  whole,
} from '@tollgate/config';
import { z } from 'zod';
import {
  limits,
  LONGEST_MODEL,
  PassedHeader,
  REFERENCE,
  upstreamsDocument,
  type UpstreamsDocument,
} from './servers.ts';

const apiKey = () => secret({ minBytes: 1 }).optional();

/** For every AI server; the first of each kind by variables of its own, any number by UPSTREAMS. */
export const upstreamVariables = {
  FLOWISE_API_URL: baseUrl()
    .optional()
    .describe('The Flowise server called `flowise`; without it there is none of that name'),
  FLOWISE_API_KEY: apiKey().describe('Its API key, with the permission to list chatflows'),
  OPENAI_BASE_URL: baseUrl()
    .optional()
    .describe('The server called `openai`, with OpenAI’s chat completions, with or without /v1'),
  OPENAI_API_KEY: apiKey().describe('Its API key'),
  OPENAI_MODELS: list(z.string().max(LONGEST_MODEL))
    .default([])
    .describe('Models to offer, between commas; empty: what the server lists'),
  OPENAI_MODELS_PUBLIC: bool()
    .default(false)
    .describe('Whether models are for every user until an administrator says otherwise'),
  OPENAI_LIMIT_FIELD: z
    .enum(['max_tokens', 'max_completion_tokens'])
    .default('max_tokens')
    .describe('How the server calls the limit of output tokens'),
  UPSTREAMS: upstreamsDocument()
    .optional()
    .describe('More AI servers, and from which of them a model’s answers come: JSON, see docs/upstreams.md'),
  UPSTREAM_PASS_HEADERS: list(PassedHeader)
    .default([])
    .describe('Headers of a client’s request that are sent on to the AI server, between commas'),
  UPSTREAM_CONNECTIONS: whole({ min: 1, max: 10_000 })
    .default(1024)
    .describe('Connections to each upstream, which is the number of answers at once'),
  UPSTREAM_CONNECT_TIMEOUT: limits.connect().prefault('3s').describe('Longest wait for a connection'),
  UPSTREAM_FIRST_BYTE_TIMEOUT: limits
    .firstByte()
    .prefault('60s')
    .describe('Longest wait for the first part of an answer'),
  UPSTREAM_IDLE_TIMEOUT: limits
    .idle()
    .prefault('60s')
    .describe('Longest silence within an answer; comments do not count'),
  UPSTREAM_TOTAL_TIMEOUT: limits.total().prefault('15m').describe('Longest answer'),
  FLOWISE_ENDING_TIMEOUT: limits
    .ending()
    .prefault('20s')
    .describe('Silence after a piece of text at which the answer of a Flowise chain counts as whole'),
  UPSTREAM_BREAK_AFTER: whole({ min: 1, max: 1000 })
    .default(5)
    .describe('Failures of an AI server in a row after which it is not asked for a while'),
  UPSTREAM_BREAK_TIME: limits.pause().prefault('10s').describe('How long that is, before one question tries again'),
};

const Upstreams = z.object(upstreamVariables);
type Upstreams = z.output<typeof Upstreams>;

/** One AI server with everything that is configured for it. */
export interface UpstreamSettings {
  readonly name: string;
  readonly kind: 'flowise' | 'openai';
  readonly baseUrl: string;
  readonly apiKey: Secret | undefined;
  readonly headers: Readonly<Record<string, string | Secret>>;
  readonly passHeaders: readonly string[];
  readonly models: readonly string[];
  readonly isPublic: boolean;
  readonly limitField: 'max_tokens' | 'max_completion_tokens';
  readonly publicOnly: boolean;
  readonly connections: number;
  readonly connectMs: number;
  /** Of a Flowise server. */
  readonly endingMs: number;
  readonly timeouts: { readonly firstByteMs: number; readonly idleMs: number; readonly totalMs: number };
  readonly breaker: { readonly failures: number; readonly pauseMs: number };
}

export interface UpstreamsConfig {
  readonly servers: readonly UpstreamSettings[];
  /** By chatflow id; a model’s is `model:` and its name. */
  readonly routes: ReadonlyMap<string, RouteSettings>;
}

interface RouteSettings {
  readonly targets: readonly { readonly upstream: string; readonly model: string; readonly weight: number }[];
  readonly fallbacks: readonly { readonly upstream: string; readonly model: string }[];
}

/** For `superRefine`: every route names servers that are there, all of one kind, and every server has a name of its own. */
export function upstreamsFit(config: Upstreams, context: z.RefinementCtx): void {
  const { servers, routes } = config.UPSTREAMS ?? NONE;
  const fault = (message: string) => context.addIssue({ code: 'custom', path: ['UPSTREAMS'], message });
  for (const { name, variable } of simpleServers(config))
    if (servers.some((server) => server.name === name)) fault(`servers: ${name} is the name of the one of ${variable}`);
  const kinds = new Map([...simpleServers(config), ...servers].map(({ name, kind }) => [name, kind]));
  for (const [id, { targets, fallbacks }] of Object.entries(routes)) {
    const wanted = isFlowId(id) ? 'flowise' : 'openai';
    for (const { upstream } of [...targets, ...fallbacks]) {
      const kind = kinds.get(upstream);
      if (!kind) fault(`routes.${id}: there is no server ${upstream}`);
      else if (kind !== wanted) fault(`routes.${id}: ${upstream} is of kind ${kind}, and must be of kind ${wanted}`);
    }
    if (targets.length + fallbacks.length === 0) fault(`routes.${id}: names no target`);
  }
}

/** For `superRefine`: the variables that UPSTREAMS names hold something. */
export const upstreamKeysIn =
  (env: Environment) =>
  ({ UPSTREAMS }: Upstreams, context: z.RefinementCtx): void => {
    try {
      referencesIn(UPSTREAMS ?? NONE, env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const { name, message } of error.faults) context.addIssue({ code: 'custom', path: [name], message });
    }
  };

/** All servers, the two simple ones first, and the routes. */
export function upstreamsOf(config: Upstreams, env: Environment): UpstreamsConfig {
  const document = config.UPSTREAMS ?? NONE;
  const secrets = referencesIn(document, env);
  const revealed = (text: string) => secrets.get(text) ?? text;
  const own = document.servers.map((server): UpstreamSettings => {
    const { name, kind, models, limitField, publicOnly, timeouts, breaker } = server;
    const common = commonSettings(config);
    return {
      name,
      kind,
      baseUrl: server.baseUrl,
      models,
      limitField,
      publicOnly,
      isPublic: server.public,
      apiKey: server.apiKey === undefined ? undefined : secrets.get(server.apiKey),
      headers: Object.fromEntries(Object.entries(server.headers).map(([header, value]) => [header, revealed(value)])),
      passHeaders: server.passHeaders ?? common.passHeaders,
      connections: server.connections ?? common.connections,
      connectMs: timeouts.connect ?? common.connectMs,
      endingMs: timeouts.ending ?? common.endingMs,
      timeouts: {
        firstByteMs: timeouts.firstByte ?? common.timeouts.firstByteMs,
        idleMs: timeouts.idle ?? common.timeouts.idleMs,
        totalMs: timeouts.total ?? common.timeouts.totalMs,
      },
      breaker: {
        failures: breaker.failures ?? common.breaker.failures,
        pauseMs: breaker.pause ?? common.breaker.pauseMs,
      },
    };
  });
  const routes = Object.entries(document.routes).map(([id, { targets, fallbacks }]): [string, RouteSettings] => {
    const named = <Place extends { model?: string | undefined }>(place: Place) => ({
      ...place,
      model: place.model ?? id,
    });
    return [isFlowId(id) ? id : `model:${id}`, { targets: targets.map(named), fallbacks: fallbacks.map(named) }];
  });
  return {
    servers: [...simpleServers(config).map(({ variable: _, ...server }) => server), ...own],
    routes: new Map(routes),
  };
}

const NONE: UpstreamsDocument = { servers: [], routes: {} };
const FLOW_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isFlowId = (id: string): boolean => FLOW_ID.test(id);

function commonSettings(config: Upstreams) {
  return {
    headers: {},
    passHeaders: config.UPSTREAM_PASS_HEADERS,
    publicOnly: false,
    connections: config.UPSTREAM_CONNECTIONS,
    connectMs: config.UPSTREAM_CONNECT_TIMEOUT,
    endingMs: config.FLOWISE_ENDING_TIMEOUT,
    timeouts: {
      firstByteMs: config.UPSTREAM_FIRST_BYTE_TIMEOUT,
      idleMs: config.UPSTREAM_IDLE_TIMEOUT,
      totalMs: config.UPSTREAM_TOTAL_TIMEOUT,
    },
    breaker: { failures: config.UPSTREAM_BREAK_AFTER, pauseMs: config.UPSTREAM_BREAK_TIME },
  };
}

/** The servers that have variables of their own, each with the variable that brings it into being. */
function simpleServers(config: Upstreams): (UpstreamSettings & { readonly variable: string })[] {
  const { FLOWISE_API_URL, OPENAI_BASE_URL } = config;
  const common = {
    ...commonSettings(config),
    isPublic: config.OPENAI_MODELS_PUBLIC,
    limitField: config.OPENAI_LIMIT_FIELD,
  };
  const flowise = { name: 'flowise', kind: 'flowise', apiKey: config.FLOWISE_API_KEY, models: [] } as const;
  const openai = {
    name: 'openai',
    kind: 'openai',
    apiKey: config.OPENAI_API_KEY,
    models: config.OPENAI_MODELS,
  } as const;
  return [
    ...(FLOWISE_API_URL ? [{ ...common, ...flowise, baseUrl: FLOWISE_API_URL, variable: 'FLOWISE_API_URL' }] : []),
    ...(OPENAI_BASE_URL ? [{ ...common, ...openai, baseUrl: OPENAI_BASE_URL, variable: 'OPENAI_BASE_URL' }] : []),
  ];
}

/** What the references of the document stand for, by reference. @throws ConfigError with every one that is not set. */
function referencesIn({ servers }: UpstreamsDocument, env: Environment): Map<string, Secret> {
  const uses = servers.flatMap(({ name, apiKey: key, headers }) =>
    [key ?? '', ...Object.values(headers)].flatMap((text) => {
      const [, variable] = REFERENCE.exec(text) ?? [];
      return variable === undefined ? [] : [{ variable, name }];
    }),
  );
  const schema = z.object(
    Object.fromEntries(
      uses.map(({ variable, name }) => [
        variable,
        secret({ minBytes: 1 }).describe(`the server ${name} of UPSTREAMS uses it`),
      ]),
    ),
  );
  return new Map(Object.entries(readConfig(schema, env)).map(([variable, value]) => [`$${variable}`, value]));
}
