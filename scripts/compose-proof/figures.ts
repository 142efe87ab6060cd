import type { Engine } from './engine.ts';
import type { Kill } from './kills.ts';
import type { Observed } from './observed.ts';
import type { Scaled } from './scale.ts';
import { type Container, PROJECT } from './stack.ts';

export interface Figures {
  readonly engine: string;
  readonly buildMinutes: number;
  readonly images: readonly Size[];
  readonly upSeconds: number;
  readonly started: readonly Container[];
  readonly charged: number;
  readonly memory: readonly { readonly service: string; readonly used: string }[];
  readonly kills: readonly Kill[];
  readonly scaled: Scaled;
  readonly observed: Observed;
  readonly ledger: boolean;
  readonly exits: readonly { readonly service: string; readonly exitCode: number }[];
  readonly minutes: number;
}

interface Size {
  readonly image: string;
  readonly megabytes: number;
  /** What it adds to the base; unknown where the builder keeps that to itself. */
  readonly own: number | undefined;
}

const MEGABYTE = 1_000_000;

export async function imageSizes(engine: Engine, images: readonly string[]): Promise<Size[]> {
  const bytes = async (image: string) =>
    Number(await engine.docker('image', 'inspect', '--format', '{{.Size}}', image));
  const base = engine.isOwn ? await bytes('tollgate-base/node') : undefined;
  return Promise.all(
    images.map(async (image) => {
      const size = await bytes(image);
      return { image, megabytes: size / MEGABYTE, own: base === undefined ? undefined : (size - base) / MEGABYTE };
    }),
  );
}

export async function memoryOf(engine: Engine): Promise<{ service: string; used: string }[]> {
  const lines = await engine.docker('stats', '--no-stream', '--format', '{{.Name}}\t{{.MemUsage}}');
  return lines
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([name = '', used = '']) => ({ service: name.replace(`${PROJECT}-`, '').replace(/-1$/, ''), used }));
}

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** The figures as a page. */
export function page(figures: Figures): string {
  const { images, started, memory, kills, exits, scaled, observed } = figures;
  const services = started.filter(({ healthyAt }) => healthyAt !== undefined);
  return `Engine ${figures.engine}. Everything: ${figures.minutes.toFixed(1)} min, of these ${figures.buildMinutes.toFixed(1)} min building from
an empty cache; the stack was healthy ${figures.upSeconds.toFixed(0)} s after \`up\`. The conversation cost ${figures.charged} credits, and answer, balance, usage and
ledger agree. The ledger ${figures.ledger ? 'verifies' : 'DOES NOT VERIFY'} at the end.

${table(
  ['image', 'MB', 'above its base'],
  images.map(({ image, megabytes, own }) => [image, megabytes.toFixed(0), own?.toFixed(0) ?? '']),
)}

${table(
  ['container', 'start to healthy, s', 'memory after the conversation'],
  services.map(({ service, startedAt, healthyAt = 0 }) => [
    service,
    ((healthyAt - startedAt) / 1000).toFixed(1),
    memory.find((each) => each.service === service)?.used ?? '',
  ]),
)}

${table(
  ['killed', 'healthy again, s', 'the answer that ran', 'next whole answer, s', 'ledger'],
  kills.map(({ service, secondsToHealthy, running, secondsToAnswer, ledger }) => [
    service,
    secondsToHealthy.toFixed(1),
    running,
    secondsToAnswer.toFixed(1),
    ledger ? 'verifies' : 'WRONG',
  ]),
)}

Profile scale: ${scaled.instances.join(', ')} instances of auth, chat-proxy and accounting answered behind nginx with TLS, healthy ${scaled.upSeconds.toFixed(0)} s after
\`up\`; the conversation through it cost ${scaled.charged} credits, and the ledger ${scaled.ledger ? 'verifies' : 'DOES NOT VERIFY'} after one of two was killed three times:

${table(
  ['killed, the other still there', 'login and whole answer, s', 'the answer that ran'],
  scaled.kills.map(({ service, secondsToAnswer, running }) => [service, secondsToAnswer.toFixed(1), running]),
)}

Prometheus of the profile observability: ${observed.targets} instances scraped, ${observed.rules} rules evaluated, ${observed.answered} of ${observed.queries} queries of the
dashboards have an answer so far; refused: ${observed.faults.join('; ') || 'none'}.

Stopped by SIGTERM without an init: ${exits.map(({ service, exitCode }) => `${service} exit ${exitCode}`).join(', ')}.
`;
}
