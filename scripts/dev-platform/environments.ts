import { type ServiceEnvironments, serviceEnvironments } from '@tollgate/test-kit/service-environments';
import type { ServiceSpec } from './children.ts';
import { HOST } from './ports.ts';
import type { ownSettings } from './own-settings.ts';
import type { devSecrets } from './secrets.ts';
import type { Upstreams } from './upstreams.ts';

export interface Local {
  readonly ports: { readonly auth: number; readonly accounting: number; readonly chatProxy: number };
  readonly secrets: ReturnType<typeof devSecrets>;
  readonly postgres: { readonly service: string; readonly owner: string };
  readonly mongoUrl: string;
  readonly smtpUrl: string;
  readonly upstreams: Upstreams;
  readonly own: ReturnType<typeof ownSettings>;
}

export interface Environments {
  readonly urls: { readonly auth: string; readonly accounting: string; readonly chatProxy: string };
  readonly of: ServiceEnvironments;
  readonly services: readonly Omit<ServiceSpec, 'watch'>[];
}

/** Where each service runs and with which environment. */
export function environmentsOf(local: Local): Environments {
  const { ports, secrets, upstreams, own } = local;
  const standard = serviceEnvironments({
    ports,
    secrets: {
      access: secrets.JWT_ACCESS_SECRET,
      refresh: secrets.JWT_REFRESH_SECRET,
      service: secrets.JWT_SERVICE_SECRET,
      pepper: secrets.PASSWORD_PEPPER,
      tokenHash: secrets.TOKEN_HASH_SECRET,
      mfaEncryption: secrets.MFA_ENCRYPTION_KEYS,
      ledgerSigning: secrets.LEDGER_SIGNING_SECRET,
      auditChain: secrets.AUDIT_CHAIN_SECRET,
      auditAnchor: secrets.AUDIT_ANCHOR_SECRET,
    },
    postgres: local.postgres,
    mongo: {
      auth: onDatabase(local.mongoUrl, 'tollgate_auth'),
      chatProxy: onDatabase(local.mongoUrl, 'tollgate_chat'),
    },
    smtpUrl: local.smtpUrl,
    flowise: upstreams.flowise,
    openai: upstreams.openai,
  });
  // What this installation is made of comes last: a developer's shell may have other services' variables in it.
  const of = {
    auth: { ...own.everybody, ...standard.auth },
    accounting: { ...own.everybody, ...standard.accounting },
    chatProxy: { ...own.everybody, ...own.chatProxy, ...standard.chatProxy },
  };
  const url = (port: number): string => `http://${HOST}:${port}`;
  const urls = { auth: url(ports.auth), accounting: url(ports.accounting), chatProxy: url(ports.chatProxy) };
  return {
    urls,
    of,
    services: [
      { name: 'auth', main: 'services/auth/src/main.ts', url: urls.auth, env: of.auth },
      { name: 'accounting', main: 'services/accounting/src/main.ts', url: urls.accounting, env: of.accounting },
      { name: 'chat-proxy', main: 'services/chat-proxy/src/main.ts', url: urls.chatProxy, env: of.chatProxy },
    ],
  };
}

/** The same server and options, another database. */
function onDatabase(mongoUrl: string, name: string): string {
  const url = new URL(mongoUrl);
  url.pathname = `/${name}`;
  return url.href;
}
