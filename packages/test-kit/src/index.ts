export { eventually } from './platform/eventually.ts';
export { type Answerer, type Ask, countTokens, echo, splitWords, type Turn } from './fakes/answers.ts';
export type { CallWatch, Closing, RecordedCall, RecordedRequest } from './fakes/call-log.ts';
export { type ChaosProxy, type ChaosProxyOptions, startChaosProxy } from './chaos-proxy.ts';
export { type Clock, type ManualClock, type Moment, manualClock, systemClock } from './clock.ts';
export { type DemoUpstream, type DemoUpstreamOptions, startDemoUpstream } from './fakes/demo-upstream.ts';
export { type FakeFlowise, type FakeFlowiseOptions, startFakeFlowise } from './fakes/fake-flowise.ts';
export { type FakeOpenAi, type FakeOpenAiOptions, startFakeOpenAi } from './fakes/fake-openai.ts';
export type { FlowiseCall, RecordedAbort } from './fakes/flowise/flowise-context.ts';
export { AGENT_FLOW, CHAIN_FLOW, type FakeFlow, FLOWISE_SECRETS } from './fakes/flowise/flowise-flows.ts';
export type { StoredMessage } from './fakes/flowise/flowise-messages.ts';
export { directive, Scenario, ScenarioError } from './fakes/scenario.ts';
export { type CollectedSpan, startTraceCollector, type TraceCollector } from './fakes/trace-collector.ts';
export { type ReceivedWebhook, startWebhookSink, type WebhookAnswer, type WebhookSink } from './fakes/webhook-sink.ts';
export { type Mail, type SmtpSink, type SmtpSinkOptions, startSmtpSink } from './mail/smtp-sink.ts';
export { type Books, type BooksOfUser, openBooks } from './platform/books.ts';
export { type ChatAsk, type ChatCall, type ChatEvent, startChat } from './platform/chat-call.ts';
export {
  createLedgerDatabase,
  createPostgresDatabase,
  mongoDatabaseUrl,
  type TestDatabase,
} from './platform/databases.ts';
export { type Answer, callJson } from './platform/call-json.ts';
export { type Fleet, type FleetOptions, type ServiceKey, startFleet } from './platform/fleet/fleet.ts';
export { heal, type Link, LINKS, type LinkName } from './platform/fleet/links.ts';
export type { OwnDatabase } from './platform/fleet/own-database.ts';
export type { RunningService } from './platform/edge/together.ts';
export { freePorts } from './platform/free-ports.ts';
export { createPerson, expectOk, seededAdmin } from './platform/people.ts';
export { Person, type Urls } from './platform/person.ts';
export { poolDatabase } from './platform/pooler.ts';
export { type Platform, type PlatformOptions, startPlatform } from './platform/platform.ts';
export { ServiceProcess } from './platform/service-process.ts';
export { cellsOf, isUnjudged, MATRIX_CALLERS, REACHES } from './permission-matrix.ts';
export { type BadCall, badCallsOf, examplePath } from './rejects-bad-callers.ts';
export { createTestTokens, newUserId, type TestTokens, type TestTokensOptions } from './tokens.ts';
export { type JsonText, JSON_TEXTS } from './texts/json-texts.ts';
export { COMBINED_10_KB, NAUGHTY_STRINGS } from './texts/naughty-strings.ts';
