import { type ChaosProxy, startChaosProxy, type PlatformOptions } from '@tollgate/test-kit';

/** What stands between the services and their databases. */
export interface DatabaseLinks {
  readonly postgres: ChaosProxy;
  readonly mongo: ChaosProxy;
  /** As if their machines were switched off. */
  away(): Promise<void>;
  back(): Promise<void>;
  stop(): Promise<void>;
}

type Reroute = NonNullable<PlatformOptions['reroute']>;

/** For services whose databases come and go. */
export function linkDatabases(): { readonly reroute: Reroute; readonly links: () => DatabaseLinks } {
  let links: DatabaseLinks | undefined;
  return {
    links: () => links ?? raise(),
    async reroute({ auth, accounting, chatProxy }) {
      const postgres = await startChaosProxy({ target: String(accounting.DATABASE_URL) });
      const mongo = await startChaosProxy({ target: String(auth.MONGODB_URI) });
      const each = (act: (link: ChaosProxy) => unknown) => Promise.all([postgres, mongo].map(act));
      links = {
        postgres,
        mongo,
        async away() {
          await each((link) => link.refuse(true));
          await each((link) => link.resetAll());
        },
        back: async () => void (await each((link) => link.refuse(false))),
        stop: async () => void (await each((link) => link.stop())),
      };
      const onMongo = (env: Readonly<Record<string, string>>) => ({ MONGODB_URI: through(env.MONGODB_URI, mongo) });
      return {
        auth: { ...auth, ...onMongo(auth) },
        chatProxy: { ...chatProxy, ...onMongo(chatProxy) },
        accounting: {
          ...accounting,
          DATABASE_URL: through(accounting.DATABASE_URL, postgres),
          DATABASE_OWNER_URL: through(accounting.DATABASE_OWNER_URL, postgres),
        },
      };
    },
  };
}

const raise = (): never => {
  throw new Error('the services were not started');
};

function through(url: string | undefined, { port }: ChaosProxy): string {
  const address = new URL(url ?? '');
  address.hostname = '127.0.0.1';
  address.port = String(port);
  // The driver would else go round the proxy, to the address under which the server knows itself.
  if (address.protocol === 'mongodb:') address.search = '?directConnection=true';
  return address.href;
}
