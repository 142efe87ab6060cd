export * from './accepted-type.ts';
export * from './access-keys.ts';
export * from './app-error.ts';

export * from './authenticate.ts';
export * from './caller.ts';
export * from './health.ts';
export * from './lifecycle.ts';
export * from './package-version.ts';
export * from './problem.ts';
export * from './rate-limit.ts';
export * from './reachable.ts';
export * from './request-context.ts';
export * from './rounds.ts';
export * from './route.ts';
export * from './server/audit-reports.ts';
export type { Refusal } from './server/refusal.ts';
export { parseJson } from './server/json-body.ts';
export type { Limit, Logger, ObserveRequest, ServiceOptions } from './server/service-options.ts';
