import type { CheckedScenario } from './scenario.ts';

/** Usage numbers as JSON texts: a claim may be something that no JavaScript number can spell, such as 1e309. */
export type Claim = { input: string; output: string; total: string; cached: string; reasoning: string };

/** `reasoning` is a part of `output`. */
export type TokenUse = { input: number; output: number; reasoning?: number };

type Variant = Extract<NonNullable<CheckedScenario['usage']>, string>;

const VARIANTS: Record<Variant, (truth: TokenUse) => (Claim | null)[]> = {
  exact: told,
  // The right numbers, only not in the right place: the fakes look to that.
  late: told,
  'with-choices': told,
  absent: () => [],
  null: () => [null],
  zero: () => [claim(0, 0)],
  negative: ({ input, output }) => [claim(-input, -output)],
  string: ({ input, output }) => [mapClaim(claim(input, output), (number) => `"${number}"`)],
  overflow: ({ input, output }) => [{ ...claim(input, output), output: '1e309', total: '1e309' }],
  running: ({ input, output }) => [claim(input, Math.floor(output / 2)), claim(input, output)],
};

/** What the upstream says about its usage, in the order in which it says it. Empty: nothing. `null`: the word null. */
export function claimedUsage(scenario: CheckedScenario, truth: TokenUse): (Claim | null)[] {
  const variant = scenario.usage ?? 'exact';
  if (typeof variant === 'string') return VARIANTS[variant](truth);
  const { input, output, total = input + output, cached = 0, reasoning = 0 } = variant;
  return [claim(input, output, { total, cached, reasoning })];
}

/** JSON with ready-made JSON texts in the places of `slots`: each string value equal to a key becomes its text. */
export function stringifyWith(value: unknown, slots: Record<string, string>): string {
  return Object.entries(slots).reduce(
    // A function, because a plain replacement would interpret `$` inside the text.
    (json, [slot, text]) => json.replaceAll(JSON.stringify(slot), () => text),
    JSON.stringify(value),
  );
}

function claim(
  input: number,
  output: number,
  rest: { total?: number; cached?: number; reasoning?: number } = {},
): Claim {
  const { total = input + output, cached = 0, reasoning = 0 } = rest;
  const text = (number: number) => JSON.stringify(number);
  return {
    input: text(input),
    output: text(output),
    total: text(total),
    cached: text(cached),
    reasoning: text(reasoning),
  };
}

function told({ input, output, reasoning = 0 }: TokenUse): Claim[] {
  return [claim(input, output, { reasoning })];
}

function mapClaim(from: Claim, spell: (number: string) => string): Claim {
  const { input, output, total, cached, reasoning } = from;
  return {
    input: spell(input),
    output: spell(output),
    total: spell(total),
    cached: spell(cached),
    reasoning: spell(reasoning),
  };
}
