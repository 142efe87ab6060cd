import { existsSync, readFileSync } from 'node:fs';

type Settings = Readonly<Record<string, string>>;

/** What a developer may set for the services in the environment of ./scripts/dev: pages that may call, and more AI servers. */
export function ownSettings(env: NodeJS.ProcessEnv): { readonly everybody: Settings; readonly chatProxy: Settings } {
  const named = (names: readonly string[]): Settings =>
    Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const { UPSTREAMS: text, UPSTREAMS_FILE: file } = env;
  // A file that is not there is the service's to complain of.
  const servers = text ?? (file && existsSync(file) ? readFileSync(file, 'utf8') : '');
  // "$NAME" stands for the variable, or for the file that NAME_FILE names: docs/upstreams.md.
  const keys = [...servers.matchAll(/"\$([A-Z][A-Z0-9_]*)"/g)].flatMap(([, name = '']) => [name, `${name}_FILE`]);
  return { everybody: named(['ALLOWED_ORIGINS']), chatProxy: named(['UPSTREAMS', 'UPSTREAMS_FILE', ...keys]) };
}
