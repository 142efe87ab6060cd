// Writes the contracts down as OpenAPI 3.1. `--write` updates docs/openapi; without it, says what differs and exits 1.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accounting, auth, chat, type ServiceName } from '@tollgate/contracts';
import { openApiDocument } from '@tollgate/http-kit/openapi';
import { type Contract, operationsOf } from './house-rules/operations.ts';

const FOLDER = join('docs', 'openapi');
export const CONTRACTS: Readonly<Record<ServiceName, Contract>> = { auth, accounting, 'chat-proxy': chat };

/** The document of each service as it must stand in docs/openapi, by path. */
export function openApiFiles(): Map<string, string> {
  const services = Object.entries(CONTRACTS);
  return new Map(services.map(([service, contract]) => [join(FOLDER, `${service}.json`), render(service, contract)]));
}

function render(service: string, contract: Contract): string {
  const operations = operationsOf(contract).map(([, operation]) => operation);
  const inOrder = operations.toSorted((a, b) => (`${a.path} ${a.method}` < `${b.path} ${b.method}` ? -1 : 1));
  return `${JSON.stringify(openApiDocument(`Tollgate ${service}`, versionOf(service), inOrder), null, 2)}\n`;
}

const versionOf = (service: string): string => {
  const manifest: unknown = JSON.parse(readFileSync(join('services', service, 'package.json'), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest))
    throw new Error(`${service} has no version`);
  return String(manifest.version);
};

/** The committed text, or nothing when the file does not exist yet. */
export function committed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

if (import.meta.main) {
  const drifted = [...openApiFiles()].filter(([path, text]) => committed(path) !== text);
  if (process.argv.includes('--write')) {
    mkdirSync(FOLDER, { recursive: true });
    for (const [path, text] of drifted) writeFileSync(path, text);
    process.stdout.write(`${drifted.length} documents written\n`);
  } else {
    for (const [path] of drifted) process.stdout.write(`${path}: differs from the contract\n`);
    process.exitCode = drifted.length === 0 ? 0 : 1;
  }
}
