import type { ServerResponse } from 'node:http';
import type { CallLog, RecordedCall } from './call-log.ts';
import type { Clock } from '../clock.ts';
import type { CheckedScenario } from './scenario.ts';
import { pause } from '../waiting.ts';

const LINE_ENDS = { lf: '\n', crlf: '\r\n', cr: '\r' };

/** One answer on its way: writes bytes as the scenario slices them and knows whether somebody still listens. */
export type Exchange = {
  readonly res: ServerResponse;
  readonly scenario: CheckedScenario;
  /** Aborted when the client has closed the connection or the fake is stopped. */
  readonly signal: AbortSignal;
  /** Sends the status line; the scenario's headers replace the given ones. */
  open(status: number, headers: Record<string, string>): void;
  /** Resolves when the bytes have left or the client is gone. The lines of a string end as the scenario says. */
  write(content: string | Buffer): Promise<void>;
  /** Counts tokens as written, unless nobody was there to receive them. */
  countSent(tokens?: number): void;
  /** Completes the answer. */
  end(): void;
  /** TCP reset. */
  reset(): void;
  /** Closes the connection in the middle of the body. */
  cut(): void;
  /** Replaces the HTTP response by these bytes and closes. */
  sendRaw(bytes: Buffer): void;
};

/** Follows the answer to a recorded call until its connection or its body ends. */
export function openExchange<Call extends RecordedCall>(
  res: ServerResponse,
  call: Call,
  deps: { log: CallLog<Call>; clock: Clock; stop: AbortSignal },
): Exchange {
  const { scenario } = call;
  const gone = new AbortController();
  let isEndedByFake = false;
  let offset = 0;

  res.once('close', () => {
    const at = deps.clock.now();
    const by = closingOf(res, isEndedByFake || deps.stop.aborted);
    call.closing = { by, at };
    if (by === 'client') call.closedByClientAt = at;
    gone.abort(new Error('the connection is closed'));
    deps.log.changed();
  });

  return {
    res,
    scenario,
    signal: AbortSignal.any([gone.signal, deps.stop]),
    open(status, headers) {
      res.writeHead(status, withScenarioHeaders(headers, scenario));
      res.flushHeaders();
    },
    async write(content) {
      const bytes = encode(content, scenario);
      const cuts = [...cutsWithin(offset, bytes.length, scenario), bytes.length];
      offset += bytes.length;
      let from = 0;
      for (const to of cuts) {
        if (res.destroyed) return;
        if (from > 0) await pause(scenario.sliceDelayMs ?? 0, gone.signal).catch(() => undefined);
        await flush(res, bytes.subarray(from, to));
        from = to;
      }
    },
    countSent(tokens = 1) {
      if (gone.signal.aborted) return;
      call.tokensSent += tokens;
      deps.log.changed();
    },
    end: () => void res.end(),
    reset() {
      isEndedByFake = true;
      res.socket?.resetAndDestroy();
    },
    cut() {
      isEndedByFake = true;
      res.socket?.destroySoon();
    },
    sendRaw(bytes) {
      isEndedByFake = true;
      res.socket?.write(bytes);
      res.socket?.destroySoon();
    },
  };
}

/** The headers of an answer with those of the scenario laid over them. */
export function withScenarioHeaders(headers: Record<string, string>, scenario: CheckedScenario) {
  const own = Object.entries(scenario.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...headers, ...Object.fromEntries(own) } as Record<string, string>; // entries of strings
}

function closingOf(res: ServerResponse, isEndedByFake: boolean) {
  if (res.writableFinished) return 'completion';
  return isEndedByFake ? 'fake' : 'client';
}

function encode(content: string | Buffer, scenario: CheckedScenario): Buffer {
  if (Buffer.isBuffer(content)) return content;
  const { lineEnd = 'lf' } = scenario;
  return Buffer.from(lineEnd === 'lf' ? content : content.replaceAll('\n', LINE_ENDS[lineEnd]));
}

/** Positions inside the next `length` body bytes where the scenario wants a new piece to begin, in order. */
function cutsWithin(offset: number, length: number, scenario: CheckedScenario): number[] {
  const cuts = new Set<number>();
  for (const at of scenario.sliceAt ?? []) if (at > offset && at < offset + length) cuts.add(at - offset);
  const size = scenario.sliceBytes;
  if (size !== undefined) for (let at = size - (offset % size); at < length; at += size) cuts.add(at);
  return [...cuts].sort((a, b) => a - b);
}

function flush(res: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off('close', done);
      resolve();
    };
    res.once('close', done); // a client that leaves never drains
    res.write(bytes, done);
  });
}
