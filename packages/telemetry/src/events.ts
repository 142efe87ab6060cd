import { LOG_LEVELS, type LogLevel } from './log-options.ts';
import type { Logger } from './logger.ts';
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
  const facts = new Map(
    Object.entries(definitions).map(([name, definition]): [string, Fact] => [name, factOf(name, definition)]),
  );

  /** What is the same for every event of a name is made once. */
  function factOf(name: string, { help, labels = {}, fields = [], level = 'info' }: EventDefinition): Fact {
    const counter = metrics.counter<LabelRules>({ name: `tollgate_${name}_total`, help, labels });
    const labelNames = Object.keys(labels);
    const isLogged = logger.level !== 'silent' && LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(logger.level);
    return { counter, labelNames, fieldNames: [...labelNames, ...fields], log: isLogged ? logger[level] : undefined };
  }

  return function emit(name, payload) {
    const fact = facts.get(name);
    if (!fact) return;
    const said: Readonly<Record<string, unknown>> = Object(payload);
    const labels: Record<string, string> = {};
    for (const label of fact.labelNames) labels[label] = String(said[label]);
    fact.counter.add(1, labels);
    // Only what the definition names is logged: a spread object brings nothing in by accident.
    if (fact.log) fact.log(name, pickFields(name, said, fact.fieldNames));
  };
}

interface Fact {
  readonly counter: CounterMetric<LabelRules>;
  readonly labelNames: readonly string[];
  readonly fieldNames: readonly string[];
  /** Absent below the level of the log. */
  readonly log: Logger[LogLevel] | undefined;
}

function pickFields(
  event: string,
  said: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  const fields: Record<string, unknown> = { event };
  for (const name of names) fields[name] = said[name];
  return fields;
}
