import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createStopSignal, createWaitingRoom, pause, type WaitingRoom } from './waiting.ts';

export type ChaosProxyOptions = {
  /** Where connections go: a URL, or a port of 127.0.0.1. Of several each takes its turn, and one that refuses is passed over. */
  target: string | number | readonly (string | number)[];
  /** 0 or absent: chosen by the system. */
  port?: number;
};

/** Disturbs the connections that run through it; every setting holds from the next bytes on, for open ones too. */
export type ChaosProxy = {
  readonly port: number;
  /** The target's URL with the proxy's address in place of its own. */
  readonly url: string;
  /** Open client connections. */
  connections(): number;
  /** Delays what passes, in each direction, by this many milliseconds. */
  latency(ms: number): void;
  /** Limits each direction of each connection; 0 lifts the limit. */
  bandwidth(bytesPerSecond: number): void;
  /** Passes pieces of at most this many bytes, each as a write of its own; 0 passes what comes. */
  slice(bytes: number): void;
  /** Sends a TCP reset on all open connections, to both sides. */
  resetAll(): void;
  /** Resets each connection once it has passed this many bytes to its client; undefined lifts it. */
  resetAfter(bytes: number | undefined): void;
  /** Takes bytes and connections and passes nothing on. What was swallowed stays lost. */
  blackhole(isOn: boolean): void;
  /** Resolves when the black hole has taken this many bytes in all, from both sides. */
  untilSwallowed(bytes: number): Promise<number>;
  /** Refuses new connections; open ones go on. */
  refuse(isOn: boolean): Promise<void>;
  stop(): Promise<void>;
};

type Settings = {
  latencyMs: number;
  bytesPerSecond: number;
  sliceBytes: number;
  resetAfter: number;
  isHole: boolean;
  swallowedBytes: number;
};
type Pair = { client: Socket; target: Socket | undefined };
type Direction = Omit<Shared, 'pairs'> & { from: Socket; to: Socket; send(bytes: Buffer): boolean };

const HELD_BYTES = 1024 * 1024;
const NEVER = Number.POSITIVE_INFINITY;

/** A TCP proxy on 127.0.0.1 whose faults a test switches on and off. */
export async function startChaosProxy(options: ChaosProxyOptions): Promise<ChaosProxy> {
  const targets = [options.target].flat().map(addressOf);
  const [target] = targets;
  if (!target) throw new RangeError('a chaos proxy needs a target');
  let turn = 0;
  const settings: Settings = {
    latencyMs: 0,
    bytesPerSecond: 0,
    sliceBytes: 0,
    resetAfter: NEVER,
    isHole: false,
    swallowedBytes: 0,
  };
  const pairs = new Set<Pair>();
  const room = createWaitingRoom('the chaos proxy');
  const stopping = createStopSignal();
  // Half-open, because an end of one side must travel with the same delay as its bytes.
  const open = () =>
    createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const at = turn++ % targets.length;
      const inTurn = [...targets.slice(at), ...targets.slice(0, at)];
      void admit(client, inTurn, { settings, pairs, room, signal: stopping.signal });
    });
  let server = open();
  const port = await listenOn(server, options.port ?? 0);

  return {
    port,
    url: urlWith(target, port),
    connections: () => pairs.size,
    latency: (ms) => void (settings.latencyMs = ms),
    bandwidth: (bytesPerSecond) => void (settings.bytesPerSecond = bytesPerSecond),
    slice: (bytes) => void (settings.sliceBytes = bytes),
    resetAll: () => pairs.forEach(reset),
    resetAfter: (bytes = NEVER) => void (settings.resetAfter = bytes),
    blackhole: (isOn) => void (settings.isHole = isOn),
    untilSwallowed: (bytes) =>
      room.until(`${bytes} swallowed bytes`, () =>
        settings.swallowedBytes >= bytes ? settings.swallowedBytes : undefined,
      ),
    async refuse(isOn) {
      if (isOn === !server.listening) return;
      if (isOn) return void server.close();
      server = open();
      await listenOn(server, port);
    },
    async stop() {
      stopping.abort(new Error('the proxy was stopped'));
      room.close();
      const isClosed = server.listening ? new Promise<void>((resolve) => server.close(() => resolve())) : undefined;
      for (const { client, target: far } of pairs) for (const socket of [client, far]) socket?.destroy();
      await isClosed;
    },
  };
}

type Shared = { settings: Settings; pairs: Set<Pair>; room: WaitingRoom; signal: AbortSignal };

/** Connects a client to the first target that takes it. */
async function admit(client: Socket, targets: readonly URL[], shared: Shared): Promise<void> {
  const pair: Pair = { client, target: undefined };
  shared.pairs.add(pair);
  watch(client, pair, shared);
  for (const url of targets) {
    const target = connect({ port: Number(url.port), host: url.hostname, allowHalfOpen: true, noDelay: true });
    pair.target = target;
    if (!(await isTaken(target)) && !client.destroyed) continue;
    watch(target, pair, shared);
    return client.destroyed || target.destroyed ? reset(pair) : join({ client, target }, pair, shared);
  }
  reset(pair);
}

function isTaken(target: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (): void => {
      target.off('connect', done).off('close', done);
      resolve(!target.destroyed);
    };
    target.on('error', () => undefined);
    target.on('connect', done).on('close', done);
  });
}

function watch(socket: Socket, pair: Pair, { pairs }: Shared): void {
  socket.on('error', () => reset(pair));
  socket.on('close', () => {
    if (pair.client.destroyed && pair.target?.destroyed !== false) pairs.delete(pair);
    // An end is passed on in its turn; whatever else closes one side closes the other at once.
    if (!socket.readableEnded) reset(pair);
  });
}

/** Passes both directions on. */
function join({ client, target }: { client: Socket; target: Socket }, pair: Pair, shared: Shared): void {
  const { settings } = shared;
  let passed = 0;
  const sendBack = (bytes: Buffer) => {
    const left = Math.max(0, settings.resetAfter - passed);
    passed += bytes.length;
    if (bytes.length < left) return client.write(bytes);
    client.write(bytes.subarray(0, left), () => reset(pair));
    return true;
  };
  void pass({ ...shared, from: client, to: target, send: (bytes) => target.write(bytes) });
  void pass({ ...shared, from: target, to: client, send: sendBack });
}

/** Passes one direction, in order, as late and as slowly as the settings want. */
async function pass(direction: Direction): Promise<void> {
  const { to, settings } = direction;
  const held = hold(direction);
  try {
    for (let next = await held.next(); next && !to.destroyed; next = await held.next()) await forward(next, direction);
    if (!settings.isHole) to.end();
  } catch {
    to.destroy(); // the proxy was stopped
  }
}

async function forward({ bytes, due }: Parcel, { to, settings, signal, send }: Direction): Promise<void> {
  await pause(Math.max(0, due - performance.now()), signal);
  for (const piece of piecesOf(bytes, settings)) {
    if (to.destroyed) return;
    if (!send(piece)) await drained(to);
    await pause(pieceMs(piece.length, settings), signal);
  }
}

type Parcel = { bytes: Buffer; due: number };

/** Queues what a socket sends, with the moment at which it may be passed on; at most a megabyte waits. */
function hold({ from, settings, room }: Direction) {
  const parcels: Parcel[] = [];
  let size = 0;
  let wake = () => {};
  from.on('data', (bytes: Buffer) => {
    if (settings.isHole) {
      settings.swallowedBytes += bytes.length;
      return room.changed();
    }
    parcels.push({ bytes, due: performance.now() + settings.latencyMs });
    size += bytes.length;
    if (size > HELD_BYTES) from.pause();
    wake();
  });
  from.once('end', () => wake());
  from.once('close', () => wake());
  return {
    /** The next parcel, or undefined once the socket has ended. */
    async next(): Promise<Parcel | undefined> {
      while (parcels.length === 0 && !from.readableEnded && !from.destroyed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const parcel = parcels.shift();
      size -= parcel?.bytes.length ?? 0;
      if (from.isPaused() && size <= HELD_BYTES) from.resume();
      return parcel;
    },
  };
}

function reset({ client, target }: Pair): void {
  for (const socket of [client, target]) if (socket?.destroyed === false) cut(socket);
}

/** Node can send no reset while an end is under way: it would keep the socket for ever, and the process with it. */
function cut(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function piecesOf(bytes: Buffer, { sliceBytes, bytesPerSecond }: Settings): Buffer[] {
  // A slow line is played in tenths of a second, so that it flows and does not jerk.
  const size = Math.min(...[sliceBytes, Math.ceil(bytesPerSecond / 10)].filter((limit) => limit > 0), bytes.length);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

function pieceMs(length: number, { bytesPerSecond, sliceBytes }: Settings): number {
  if (bytesPerSecond > 0) return (length / bytesPerSecond) * 1_000;
  return sliceBytes > 0 ? 1 : 0; // a turn of the event loop, or the kernel joins the pieces again
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

function addressOf(target: string | number): URL {
  const url = new URL(typeof target === 'number' ? `http://127.0.0.1:${target}` : target);
  if (url.port === '') throw new RangeError('the target of a chaos proxy needs a port');
  return url;
}

function urlWith(target: URL, port: number): string {
  const { protocol, username, password, pathname, search } = target;
  const login = username ? `${username}${password ? `:${password}` : ''}@` : '';
  return `${protocol}//${login}127.0.0.1:${port}${pathname === '/' ? '' : pathname}${search}`;
}

async function listenOn(server: Server, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', resolve);
  await promise;
  return (server.address() as AddressInfo).port; // a listening TCP server has an address object
}
