import { auth } from '@tollgate/contracts';
import { AppError, keyPrefix, type Route, serve } from '@tollgate/http-kit';
import { type ApiKey, statusOf } from '../domain/api-key.ts';
import type { Flows } from '../flows.ts';
import type { Clock } from '../ports.ts';
import { originOf } from './origin.ts';

export const apiKeyRoutes = (flows: Flows, clock: Clock): Route[] => {
  const view = viewAt(clock);
  return [
    serve(auth.listApiKeys).with(async (_input, { userId }) => ({
      apiKeys: (await flows.listApiKeys(userId)).map(view),
    })),
    serve(auth.createApiKey).with(async ({ body }, caller, context) => {
      const { key, text } = await flows.createApiKey(caller, body, originOf(context));
      return { apiKey: view(key), key: text };
    }),
    serve(auth.changeApiKey).with(async ({ params, body }, caller, context) => ({
      apiKey: view(await flows.changeApiKey(caller, params.keyId, body, originOf(context))),
    })),
    serve(auth.rotateApiKey).with(async ({ params, body }, caller, context) => {
      const { key, text } = await flows.rotateApiKey(caller, params.keyId, body, originOf(context));
      return { apiKey: view(key), key: text };
    }),
    serve(auth.deleteApiKey).with(async ({ params }, caller, context) => {
      await flows.deleteApiKey(caller, params.keyId, originOf(context));
      return { message: 'API key deleted successfully' };
    }),
    serve(auth.listApiKeysOfUser).with(async ({ params }) => ({
      apiKeys: (await flows.listApiKeys(params.userId)).map(view),
    })),
    serve(auth.disableApiKeyOfUser).with(async ({ params }, caller, context) => ({
      apiKey: view(await flows.disableApiKeyOfUser(caller, params.userId, params.keyId, originOf(context))),
    })),
    serve(auth.verifyApiKey).with(async ({ body }) => {
      const verified = await flows.verifyApiKey(body.key, body.ip);
      if (!verified) throw new AppError('NOT_FOUND');
      return verified;
    }),
  ];
};

const viewAt =
  (clock: Clock) =>
  (key: ApiKey): auth.ApiKeyView => {
    const { id, name, scopes, workspaceId, limits, createdAt, expiresAt, lastUsedAt, lastUsedIp, previous } = key;
    const now = clock.now();
    return {
      id,
      prefix: keyPrefix(id),
      name,
      scopes: [...scopes],
      workspaceId,
      status: statusOf(key, now),
      limits: limits ?? null,
      createdAt: createdAt.toISOString(),
      expiresAt: expiresAt.toISOString(),
      lastUsedAt: lastUsedAt?.toISOString() ?? null,
      lastUsedIp: lastUsedIp ?? null,
      previousSecretUntil: previous && previous.until.getTime() > now ? previous.until.toISOString() : null,
    };
  };
