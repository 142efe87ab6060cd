import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { KeptOutput } from './kept-output.ts';

const REPOSITORY = new URL('../../../../', import.meta.url);
/** A run that is killed has no chance to end what it has started. */
const END_WITH_CALLER = new URL('./end-with-caller.mjs', import.meta.url).href;
const READY_TIMEOUT_MS = 90_000;
const POLL_MS = 25;
const IMAGE = new URL('infra/docker/service.Dockerfile', REPOSITORY);
const MAX_LOG_CHARACTERS = 10_000_000;
/** What a service logs, or Node prints at the end, when an error has reached the process. */
const UNHANDLED = /stopping after an error nobody handled|^Node\.js v\d/m;
const LONGEST_SIGN = 100;

export interface ServiceProcessOptions {
  readonly name: 'auth' | 'chat-proxy' | 'accounting';
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Runs what the build has made, as in production, and not the sources. */
  readonly isBuilt?: boolean;
}

/** What Node is told beside the program: it stands in the image and nowhere else. */
function optionsOfImage(): string[] {
  const entry = [...readFileSync(IMAGE, 'utf8').matchAll(/^ENTRYPOINT (\[.+\])$/gm)].at(-1)?.[1];
  if (entry === undefined) throw new Error(`${IMAGE.pathname} has no ENTRYPOINT on a line of its own`);
  const [, ...options] = JSON.parse(entry) as string[]; // exec form, as tests/compose.test.ts wants it
  return options;
}

/** One of our services as a process of its own, to be talked to over HTTP and killed without warning. */
export class ServiceProcess {
  readonly name: string;
  readonly url: string;
  readonly #options: ServiceProcessOptions;
  #child: ChildProcess | undefined;
  readonly #output = new KeptOutput(MAX_LOG_CHARACTERS);
  /** The end of what was printed before, in which a sign may have begun. */
  #before = '';
  #fault: string | undefined;

  constructor(options: ServiceProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.url = `http://127.0.0.1:${options.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What the process has printed, for failure messages and canary searches; the newest 10 million characters. */
  get log(): string {
    return this.#output.text;
  }

  /** Starts the process and waits until it is ready for work. */
  async start(): Promise<this> {
    await this.launch();
    await this.untilReady();
    return this;
  }

  /** Starts the process without waiting. */
  async launch(): Promise<void> {
    const program = this.#options.isBuilt
      ? [...optionsOfImage(), `services/${this.name}/dist/main.js`]
      : ['--conditions=tollgate', `services/${this.name}/src/main.ts`];
    const child = spawn(process.execPath, ['--import', END_WITH_CALLER, ...program], {
      cwd: fileURLToPath(REPOSITORY),
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        HOST: '127.0.0.1',
        PORT: String(this.#options.port),
        ...this.#options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        this.#output.add(text);
        const recent = this.#before + text;
        this.#before = recent.slice(-LONGEST_SIGN);
        const sign = UNHANDLED.exec(recent);
        if (sign) this.#fault ??= recent.slice(Math.max(0, sign.index - LONGEST_SIGN), sign.index + 4000);
      });
    }
    this.#child = child;
    await once(child, 'spawn');
  }

  untilReady(): Promise<void> {
    return this.#untilOk('/health/ready');
  }

  /** It answers, whether or not what it depends on is there. */
  untilAlive(): Promise<void> {
    return this.#untilOk('/health/live');
  }

  async #untilOk(path: string): Promise<void> {
    const end = performance.now() + READY_TIMEOUT_MS;
    while (performance.now() < end) {
      if (this.#child?.exitCode !== null) break;
      const response = await fetch(this.url + path).catch(() => undefined);
      await response?.body?.cancel();
      if (response?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`${this.name} did not answer 200 at ${path}:\n${this.log.slice(-4000)}`);
  }

  /** Sends a signal and waits for nothing: SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /**
   * Sends the signal and waits for the end. SIGKILL gives the process no chance to tidy up.
   * @throws when an error that nobody handled has stopped the process, now or in an earlier life: no test may pass over that.
   */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const code = await this.#endOf(signal);
    if (this.#fault !== undefined) throw new Error(`${this.name} met an error that nobody handled:\n${this.#fault}`);
    return code;
  }

  async #endOf(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exit) as [number | null];
    return code;
  }
}
