import type { Logger, LogLevel } from './logger.ts';
import type { CounterMetric, LabelRules, Labels, Metrics } from './metrics.ts';

export type EventValue = string | number | boolean | null | undefined;

/** One business fact: what it means, its few-valued labels (counted and logged) and its other fields (logged only). */
export type EventDefinition = Readonly<{
  help: string;
  labels?: LabelRules;
  fields?: readonly string[];
  /** Default: info. */
  level?: LogLevel;
}>;

export type EventDefinitions = Readonly<Record<string, EventDefinition>>;

type LabelsOf<Definition extends EventDefinition> = Definition extends { labels: infer Rules extends LabelRules }
  ? Labels<Rules>
  : unknown;
type FieldsOf<Definition extends EventDefinition> = Definition extends {
  fields: readonly (infer Name extends string)[];
}
  ? { readonly [Field in Name]: EventValue }
  : unknown;

/** Everything that must be said when an event is emitted. */
export type EventPayload<Definition extends EventDefinition> = LabelsOf<Definition> & FieldsOf<Definition>;

/** Tells one fact: one log line and one count. Never throws. */
export type Emit<Definitions extends EventDefinitions> = <Name extends keyof Definitions & string>(
  name: Name,
  payload: EventPayload<Definitions[Name]>,
) => void;

/**
 * Builds `emit` for a service's `events.ts`. Each event `x_happened` is counted in `tollgate_x_happened_total` with its
 * labels and logged with labels and fields; ids belong into fields, because a label with many values ruins a metric.
 * @throws Error when an event is defined twice on the same metrics.
 */
export function createEvents<const Definitions extends EventDefinitions>(
  logger: Logger,
  metrics: Metrics,
  definitions: Definitions,
): Emit<Definitions> {
  const counters = new Map(
    Object.entries(definitions).map(([name, { help, labels = {} }]): [string, CounterMetric<LabelRules>] => [
      name,
      metrics.counter<LabelRules>({ name: `tollgate_${name}_total`, help, labels }),
    ]),
  );

  return function emit(name, payload) {
    const definition: EventDefinition | undefined = definitions[name];
    const said: Readonly<Record<string, unknown>> = { ...Object(payload) };
    const names = Object.keys(definition?.labels ?? {});
    const labels = Object.fromEntries(names.map((label) => [label, String(said[label])]));
    counters.get(name)?.add(1, labels);
    logger[definition?.level ?? 'info'](name, {
      event: name,
      ...pickFields(said, [...names, ...(definition?.fields ?? [])]),
    });
  };
}

/** Only what the definition names is logged: a spread object brings nothing in by accident. */
function pickFields(said: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, said[name]]));
}
