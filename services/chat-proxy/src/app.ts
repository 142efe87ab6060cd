import type { FastifyInstance } from 'fastify';
import { chat } from '@tollgate/contracts';
import { createFastifyApp } from '@tollgate/http-kit/fastify';
import { withSocketRoute } from '@tollgate/http-kit/socket';
import type { Route, ServiceOptions } from '@tollgate/http-kit';
import { adminChatflowRoutes, type AdminChatflowFlows } from './routes/admin-chatflows.ts';
import { adminWorkspaceRoutes } from './routes/admin-workspaces.ts';
import { type ChatFlows, chatRoutes } from './routes/chat.ts';
import type { ChatSockets } from './routes/chat-sockets.ts';
import { chatflowRoutes } from './routes/chatflows.ts';
import { type FileRouteFlows, fileRoutes } from './routes/files.ts';
import { type FlowiseFlows, flowiseRoutes } from './routes/flowise.ts';
import { loginRoutes } from './routes/login.ts';
import { type OpenAiFlows, openAiRoutes } from './routes/openai.ts';
import { serviceRoutes } from './routes/service.ts';
import { sessionExportRoutes } from './routes/session-exports.ts';
import { type SessionFlows, sessionRoutes } from './routes/sessions.ts';
import { type StreamFlows, streamRoutes } from './routes/streams.ts';

export interface AppFlows {
  readonly chat: ChatFlows;
  readonly openai: OpenAiFlows;
  readonly login: Parameters<typeof loginRoutes>[0];
  readonly streams: StreamFlows;
  readonly sessions: SessionFlows;
  readonly files: FileRouteFlows;
  readonly chatflows: Parameters<typeof chatflowRoutes>[0];
  readonly admin: AdminChatflowFlows;
  readonly flowise: FlowiseFlows;
  readonly workspaces: Parameters<typeof adminWorkspaceRoutes>[0];
}

export type AppOptions = Omit<ServiceOptions, 'service' | 'routes'> & {
  readonly flows: AppFlows;
  readonly sockets: ChatSockets;
};

const SERVICE = 'chat-proxy';
const SOCKET = {
  path: chat.openChatSocket.path,
  subprotocol: 'tollgate.v1',
  longestMessage: chat.predictStreamStore.bodyLimit,
};

const routesOf = (flows: AppFlows, version: string): Route[] => [
  ...serviceRoutes(version),
  ...loginRoutes(flows.login),
  ...chatRoutes(flows.chat),
  ...openAiRoutes(flows.openai),
  ...streamRoutes(flows.streams),
  ...sessionRoutes(flows.sessions),
  ...sessionExportRoutes(flows.sessions),
  ...fileRoutes(flows.files),
  ...chatflowRoutes(flows.chatflows),
  ...adminChatflowRoutes(flows.admin),
  ...adminWorkspaceRoutes(flows.workspaces, flows.sessions.remove),
  ...flowiseRoutes(flows.flowise),
];

/** The HTTP face of the service. */
export const buildApp = ({ flows, sockets, ...options }: AppOptions): Promise<FastifyInstance> =>
  createFastifyApp(
    { ...options, service: SERVICE, routes: routesOf(flows, options.version) },
    withSocketRoute({ ...SOCKET, ...sockets }),
  );
