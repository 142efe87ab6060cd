import { Counter, collectDefaultMetrics, Gauge, Histogram, type MetricObject, Registry } from 'prom-client';

/**
 * What a label may say: a closed list, or the first `atMost` different values (for names that an operator configures,
 * such as models). Anything else is counted as `other`, so that nobody can grow a metric without end.
 */
export type LabelRule = readonly string[] | Readonly<{ atMost: number }>;
export type LabelRules = Readonly<Record<string, LabelRule>>;

type LabelValue<Rule> = Rule extends readonly (infer Value extends string)[] ? Value : string;
/** The labels of one observation, as the rules of its metric allow. */
export type Labels<Rules extends LabelRules> = { readonly [Name in keyof Rules]: LabelValue<Rules[Name]> };

/** No label at all. */
type NoLabels = Readonly<Record<never, LabelRule>>;

type Described<Name extends string, Rules extends LabelRules> = Readonly<{ name: Name; help: string; labels?: Rules }>;
/** Prometheus naming: counters end in `_total`, histograms in their unit. */
export type CounterName = `tollgate_${string}_total`;
export type HistogramName = `tollgate_${string}_${'seconds' | 'bytes' | 'credits' | 'tokens' | 'items'}`;
export type GaugeName = `tollgate_${string}`;

type LabelArguments<Rules extends LabelRules> = keyof Rules extends never ? [] : [labels: Labels<Rules>];

export type CounterMetric<Rules extends LabelRules> = { add(amount: number, ...labels: LabelArguments<Rules>): void };
export type HistogramMetric<Rules extends LabelRules> = {
  observe(value: number, ...labels: LabelArguments<Rules>): void;
};
export type GaugeMetric<Rules extends LabelRules> = {
  set(value: number, ...labels: LabelArguments<Rules>): void;
  add(amount: number, ...labels: LabelArguments<Rules>): void;
};

type Each<Rules extends LabelRules> = readonly Readonly<{ labels: Labels<Rules>; value: number }>[];

export type Metrics = Readonly<{
  counter<const Rules extends LabelRules = NoLabels>(metric: Described<CounterName, Rules>): CounterMetric<Rules>;
  /** `buckets` are upper bounds in the unit of the name, ascending. */
  histogram<const Rules extends LabelRules = NoLabels>(
    metric: Described<HistogramName, Rules> & { readonly buckets: readonly number[] },
  ): HistogramMetric<Rules>;
  /** With `read` the value is asked at each scrape, with `readEach` one value for each combination of labels; else it is set. */
  gauge<const Rules extends LabelRules = NoLabels>(
    metric: Described<GaugeName, Rules> & {
      readonly read?: () => number | Promise<number>;
      readonly readEach?: () => Each<Rules> | Promise<Each<Rules>>;
    },
  ): GaugeMetric<Rules>;
  /** Every metric that is registered, in the order of their names. */
  describe(): MetricRow[];
  /** The exposition text for `/metrics`, of type {@link contentType}. */
  text(): Promise<string>;
  readonly contentType: string;
}>;

/** What a metric is, without its values. */
export type MetricRow = Readonly<{
  name: string;
  help: string;
  type: string;
  labels: readonly string[];
  /** Whether an alert sees its first event: a series that begins with it is no rise. */
  isFromTheStart: boolean;
}>;

export type MetricsOptions = Readonly<{
  service: string;
  /** Whether process and event-loop figures are included. Default: true. */
  withProcess?: boolean;
}>;

/** Metrics of one service in a registry of their own; two services in one process do not meet. */
export function createMetrics({ service, withProcess = true }: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  if (withProcess) collectDefaultMetrics({ register: registry });
  const registers = [registry];

  return {
    counter({ name, help, labels }) {
      const counter = new Counter({ name, help, registers, labelNames: namesOf(labels) });
      const bound = createBound(labels);
      // A series exists from the start, so that the first event is a rise from 0 and not a birth.
      for (const series of knownSeries(labels)) counter.inc(series, 0);
      return { add: (amount, ...given) => counter.inc(bound(given[0]), amount) };
    },
    histogram({ name, help, labels, buckets }) {
      const histogram = new Histogram({ name, help, registers, labelNames: namesOf(labels), buckets: [...buckets] });
      const bound = createBound(labels);
      return { observe: (value, ...given) => histogram.observe(bound(given[0]), value) };
    },
    gauge({ name, help, labels, read, readEach }) {
      const bound = createBound(labels);
      const gauge = new Gauge({
        name,
        help,
        registers,
        labelNames: namesOf(labels),
        ...(read && {
          async collect() {
            gauge.set(await read());
          },
        }),
        ...(readEach && {
          async collect() {
            for (const each of await readEach()) gauge.set(bound(each.labels), each.value);
          },
        }),
      });
      return {
        set: (value, ...given) => gauge.set(bound(given[0]), value),
        add: (amount, ...given) => gauge.inc(bound(given[0]), amount),
      };
    },
    describe: () => registry.getMetricsAsArray().map(rowOf).toSorted(byName),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function rowOf(metric: MetricObject): MetricRow {
  // Its types do not have the labels.
  const { name, help, type, labelNames = [], hashMap = {} } = metric as MetricObject & Untyped;
  const isFromTheStart = String(type) !== 'counter' || Object.keys(hashMap).length > 0;
  return { name, help, type: String(type), labels: labelNames, isFromTheStart };
}

interface Untyped {
  readonly labelNames?: readonly string[];
  readonly hashMap?: Readonly<Record<string, unknown>>;
}

const byName = (one: MetricRow, other: MetricRow): number => (one.name < other.name ? -1 : 1);

const OTHER = 'other';
const MOST_KNOWN_SERIES = 50;

const namesOf = (rules: LabelRules | undefined): string[] => Object.keys(rules ?? {});

const isList = (rule: LabelRule): rule is readonly string[] => Array.isArray(rule);

/** Turns given labels into allowed ones; also what arrives untyped stays within the rules. */
function createBound(rules: LabelRules = {}) {
  const allowed = new Map(Object.entries(rules).map(([name, rule]) => [name, new Set(isList(rule) ? rule : [])]));

  return function bound(labels: Readonly<Record<string, string>> = {}): Record<string, string> {
    const kept: Record<string, string> = {};
    for (const [name, values] of allowed) {
      const rule = rules[name] ?? [];
      const value = String(labels[name] ?? OTHER);
      if (!isList(rule) && values.size < rule.atMost) values.add(value);
      kept[name] = values.has(value) ? value : OTHER;
    }
    return kept;
  };
}

/** Every combination of closed lists; none when a label is open or the combinations are many. */
function knownSeries(rules: LabelRules = {}): Record<string, string>[] {
  let series: Record<string, string>[] = [{}];
  for (const [name, rule] of Object.entries(rules)) {
    if (!isList(rule) || series.length * rule.length > MOST_KNOWN_SERIES) return [];
    series = series.flatMap((labels) => rule.map((value) => ({ ...labels, [name]: value })));
  }
  return series;
}
