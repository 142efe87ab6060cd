// Run by scripts/compose-check, in namespaces of its own.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDemoUpstream, startSmtpSink } from '@tollgate/test-kit';
import { booksOf, converse, firstAdmin } from './conversation.ts';
import { type Engine, engineHere, importBases, startEngine } from './engine.ts';
import { type Figures, imageSizes, memoryOf, page } from './figures.ts';
import { forward } from './forward.ts';
import { isLedgerRight, killOne, KILLED } from './kills.ts';
import { observe } from './observed.ts';
import { proveScale, PUBLIC_HOST } from './scale.ts';
import { layOut, openStack, type Stack } from './stack.ts';

const MAIL_PORT = 2525;
const UPSTREAM_PORT = 9000;
const SERVICES = ['auth', 'chat-proxy', 'accounting'];

const { values } = parseArgs({
  options: {
    prepared: { type: 'string' },
    report: { type: 'string' },
    images: { type: 'string' },
    here: { type: 'boolean', default: false },
  },
});
const prepared = values.prepared ?? '';
const began = performance.now();
const minutes = (since: number) => (performance.now() - since) / 60_000;
const say = (text: string) => process.stdout.write(`${minutes(began).toFixed(1).padStart(5)} min  ${text}\n`);

/** AI servers and the mail server stand outside, where this process listens for the containers. */
async function openOutside() {
  const [upstream, mails] = await Promise.all([startDemoUpstream({ flowiseApiKey: 'outside-key' }), startSmtpSink({})]);
  const servers = [forward(upstream.port).listen(UPSTREAM_PORT), forward(mails.smtpPort).listen(MAIL_PORT)];
  const addresses = {
    publicHost: PUBLIC_HOST,
    flowiseUrl: `http://outside:${UPSTREAM_PORT}`,
    flowiseApiKey: 'outside-key',
    openAiUrl: `http://outside:${UPSTREAM_PORT}/v1`,
    smtpUrl: `smtp://outside:${MAIL_PORT}`,
  };
  const stop = async () => {
    for (const server of servers) server.close();
    await Promise.all([upstream.stop(), mails.stop()]);
  };
  return { mails, addresses, stop };
}

async function build(engine: Engine, stack: Stack): Promise<number> {
  const start = performance.now();
  await stack.compose('build', ...SERVICES);
  if (!engine.isOwn) return minutes(start);
  // What the stand-in for MongoDB runs in.
  const workspace = ['--target', 'workspace', '--tag', 'tollgate-base/workspace'];
  const bases = [
    '--build-context',
    'tools=docker-image://tollgate-base/tools',
    '--build-arg',
    'NODE_IMAGE=tollgate-base/node',
  ];
  const file = ['--file', join(stack.folder, 'infra/docker/service.Dockerfile')];
  await engine.docker('buildx', 'build', ...workspace, ...bases, ...file, stack.folder);
  return minutes(start);
}

/** Idle memory is read after the conversation: before it, half of each service is not loaded. */
async function prove(engine: Engine, stack: Stack, outside: Awaited<ReturnType<typeof openOutside>>): Promise<Figures> {
  say('building the images');
  const buildMinutes = await build(engine, stack);
  const images = await imageSizes(
    engine,
    SERVICES.map((service) => `tollgate/${service}`),
  );
  say('starting the stack');
  const start = performance.now();
  await stack.compose('up', '--detach', '--no-build', '--wait', ...SERVICES);
  const upSeconds = (performance.now() - start) / 1000;
  const started = await stack.containers();
  say('a conversation');
  const admin = await firstAdmin(stack);
  const books = await booksOf(stack);
  const conversation = await converse(admin, outside.mails, books).finally(() => books.close());
  const memory = await memoryOf(engine);
  const kills = [];
  for (const service of KILLED) {
    say(`killing ${service}`);
    kills.push(await killOne(stack, service, conversation));
  }
  say('a second instance of each behind nginx');
  const scaled = await proveScale(stack, await admin.logIn(), outside.mails);
  say('Prometheus');
  const observed = await observe(stack);
  const ledger = await isLedgerRight(stack);
  say('stopping');
  await stack.compose('--profile=*', 'stop');
  const stopped = (await stack.containers()).filter(({ service }) => SERVICES.includes(service.replace(/-2$/, '')));
  return {
    engine: engine.version,
    buildMinutes,
    images,
    upSeconds,
    started,
    charged: conversation.charged,
    memory,
    kills,
    scaled,
    observed,
    ledger,
    exits: stopped.map(({ service, exitCode }) => ({ service, exitCode })),
    minutes: minutes(began),
  };
}

const folder = await mkdtemp(join(tmpdir(), 'tollgate-compose-'));
const data = values.images ?? join(folder, 'data-root');
const started = values.here ? engineHere() : startEngine(prepared, folder, data);
const engine = await started.catch(async (error: unknown) => {
  await rm(folder, { recursive: true, force: true });
  throw error;
});
const outside = await openOutside();
try {
  say(`engine ${engine.version}`);
  if (engine.isOwn) await importBases(engine, prepared);
  const clone = join(folder, 'clone');
  await layOut(engine, clone, outside.addresses);
  const stack = openStack(engine, prepared, clone);
  try {
    const figures = await prove(engine, stack, outside);
    const text = page(figures);
    process.stdout.write(`\n${text}`);
    if (values.report !== undefined) await writeFile(values.report, text);
    const isRight =
      figures.ledger &&
      figures.scaled.ledger &&
      figures.scaled.instances.every((instances) => instances > 1) &&
      figures.observed.faults.length === 0 &&
      figures.kills.every(({ ledger }) => ledger) &&
      figures.exits.every(({ exitCode }) => exitCode === 0);
    process.exitCode = isRight ? 0 : 1;
  } catch (error) {
    const logs = await stack.compose('logs', '--no-color', '--tail=40').catch(String);
    if (engine.isOwn) await cp(join(folder, 'dockerd.log'), '.tollgate/compose-check-engine.log');
    await writeFile('.tollgate/compose-check.log', `${logs}\n`);
    throw error;
  } finally {
    await stack.compose('--profile=*', 'down', '--volumes', '--timeout=5');
  }
} finally {
  await outside.stop();
  await engine.stop();
  await rm(folder, { recursive: true, force: true });
}
