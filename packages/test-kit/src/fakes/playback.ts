import { type Exchange, withScenarioHeaders } from './exchange.ts';
import { sendText } from './fake-server.ts';
import { bytesOf, type CheckedScenario } from './scenario.ts';
import { pause, untilAborted } from '../waiting.ts';

const PAGE =
  '<!DOCTYPE html>\n<html lang="en"><head><title>A page</title></head><body>Not an API answer</body></html>\n';
const HTML = 'text/html; charset=utf-8';
const HUGE_LINE_PIECE = Buffer.alloc(64 * 1024, 'x');
const NO_UTF8 = Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0xf0, 0x9f, 0x0a, 0x0a]);

/** How the upstream of the day spells the things that every scenario can ask for. */
export type Stage = {
  /** Aborted when nobody wants the answer any more. */
  readonly signal: AbortSignal;
  write(content: string | Buffer): Promise<void>;
  sendToken(token: string): Promise<void>;
  /** Reports a failure inside the stream, the way this upstream does, and ends the stream. */
  sendFailure(message: string): Promise<void>;
  reset(): void;
  cut(): void;
  readonly heartbeat: string;
  readonly brokenFrame: string;
  readonly unknownFrame: string;
};

/** How the upstream spells an error status, and how it tells repeated questions apart. */
export type Refusal = {
  failures: FailureCount;
  /** Equal for calls that `error.times` counts together. */
  key: string;
  sendError(status: number, message: string, headers: Record<string, string>): void;
};

export type FailureCount = { isDue(key: string, times: number | undefined): boolean; reset(): void };

/**
 * Plays what a scenario wants in place of an answer: delay, hang, raw bytes, error status, page.
 * Returns whether the exchange is over with that; rejects when the client leaves meanwhile.
 */
export async function playInstead(exchange: Exchange, refusal: Refusal): Promise<boolean> {
  const { scenario, signal, res } = exchange;
  await pause(scenario.firstByteDelayMs ?? 0, signal);
  if (scenario.hang) await untilAborted(signal);
  if (scenario.raw) {
    exchange.sendRaw(bytesOf(scenario.raw));
    return true;
  }
  const { error } = scenario;
  if (error && refusal.failures.isDue(refusal.key, error.times)) {
    sendErrorStatus(exchange, error, refusal);
    return true;
  }
  if (scenario.html) {
    sendText(res, 200, withScenarioHeaders({ 'content-type': 'text/html; charset=UTF-8' }, scenario), PAGE);
    return true;
  }
  return false;
}

/**
 * Plays the tokens of a stream with the disturbances of the scenario between them.
 * Returns whether the stream may be ended properly; rejects when the stage's signal is aborted.
 */
export async function playTokens(scenario: CheckedScenario, tokens: readonly string[], stage: Stage): Promise<boolean> {
  await beQuiet(scenario.firstTokenDelayMs ?? 0, scenario, stage);
  for (let sent = 0; ; sent += 1) {
    if (await isEndedBy(scenario, sent, stage)) return false;
    const token = tokens[sent];
    if (token === undefined) break;
    await stage.sendToken(token);
    await beQuiet(scenario.tokenDelayMs ?? 0, scenario, stage);
  }
  await beQuiet(scenario.endDelayMs ?? 0, scenario, stage);
  return true;
}

/** Counts failures per question, so that a scenario can fail the first n calls only. */
export function createFailureCount(limit = 10_000): FailureCount {
  const seen = new Map<string, number>();
  return {
    isDue(key, times) {
      if (times === undefined) return true;
      const count = (seen.get(key) ?? 0) + 1;
      if (seen.size >= limit) seen.clear();
      seen.set(key, count);
      return count <= times;
    },
    reset: () => seen.clear(),
  };
}

/** What happens after `sent` tokens, before the next one. Returns whether the stream is over. */
async function isEndedBy(scenario: CheckedScenario, sent: number, stage: Stage): Promise<boolean> {
  stage.signal.throwIfAborted();
  if (scenario.intrusion?.after === sent) await intrude(scenario.intrusion, stage);
  if (scenario.resetAfter === sent) {
    stage.reset();
    return true;
  }
  if (scenario.cutAfter === sent) {
    stage.cut();
    return true;
  }
  if (scenario.errorEvent?.after === sent) {
    await stage.sendFailure(scenario.errorEvent.message ?? 'the model failed in the middle of its answer');
    return true;
  }
  if (scenario.hangAfter === sent) await beQuiet('for ever', scenario, stage);
  return false;
}

async function intrude(intrusion: NonNullable<CheckedScenario['intrusion']>, stage: Stage): Promise<void> {
  switch (intrusion.kind) {
    case 'broken-json':
      return stage.write(stage.brokenFrame);
    case 'unknown-event':
      return stage.write(stage.unknownFrame);
    case 'html':
      return stage.write(PAGE);
    case 'binary':
      return stage.write(NO_UTF8);
    case 'raw':
      return stage.write(bytesOf(intrusion.content));
    case 'huge-line':
      return writeHugeLine(intrusion.bytes, stage);
  }
}

async function writeHugeLine(bytes: number, stage: Stage): Promise<void> {
  await stage.write('data: "');
  for (let left = bytes; left > 0; left -= HUGE_LINE_PIECE.length) {
    stage.signal.throwIfAborted();
    await stage.write(HUGE_LINE_PIECE.subarray(0, Math.min(left, HUGE_LINE_PIECE.length)));
  }
  await stage.write('"\n\n');
}

async function beQuiet(ms: number | 'for ever', scenario: CheckedScenario, stage: Stage): Promise<void> {
  const { heartbeatMs } = scenario;
  const beat = heartbeatMs && setInterval(() => void stage.write(stage.heartbeat), heartbeatMs);
  try {
    await (ms === 'for ever' ? untilAborted(stage.signal) : pause(ms, stage.signal));
  } finally {
    clearInterval(beat);
  }
}

function sendErrorStatus(exchange: Exchange, error: NonNullable<CheckedScenario['error']>, refusal: Refusal): void {
  const { scenario, res } = exchange;
  const retryAfter = error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) };
  const headers = withScenarioHeaders(retryAfter, scenario);
  const { body } = error;
  if (body === undefined) return refusal.sendError(error.status, error.message ?? 'scripted failure', headers);
  if (typeof body === 'string') return sendText(res, error.status, { 'content-type': HTML, ...headers }, body);
  sendText(res, error.status, { 'content-type': 'application/json; charset=utf-8', ...headers }, JSON.stringify(body));
}
