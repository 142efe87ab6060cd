export { distinctKeys } from './distinct-keys.ts';
export {
  mailVariables,
  operatorVariables,
  webhookKeyBytes,
  webhookSecrets,
  webhookUrls,
} from './delivery-variables.ts';
export { describeConfig, type VariableRow } from './describe.ts';
export { parseDuration } from './duration.ts';
export { ConfigError, type ConfigFault, type Environment, readConfig, type ReadOptions } from './read-config.ts';
export { Secret } from './secret.ts';
export {
  keyCacheVariables,
  mongoVariables,
  portVariable,
  serviceTokenVariables,
  serviceVariables,
  workspaceVariables,
} from './service-variables.ts';
export { failpointVariables, refusesTestHooks } from './test-variables.ts';
export {
  signingVariables,
  signsWithOneAlgorithm,
  verifiesOneAlgorithm,
  verifyingVariables,
} from './token-variables.ts';
export { tracingConfig } from './tracing-variables.ts';
export {
  alias,
  baseUrl,
  bool,
  databaseUrl,
  duration,
  durationMs,
  keyRing,
  list,
  type NamedSecret,
  port,
  secret,
  whole,
} from './variables.ts';
