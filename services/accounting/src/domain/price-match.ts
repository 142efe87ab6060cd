/** What a price is asked for. */
export type Resource = Readonly<{ upstream: string; model: string; chatflowId?: string | undefined; group?: string }>;

/** What a price rule applies to. `*` stands for any characters. */
export type PricePattern = Readonly<{ upstream: string; model: string; chatflow: string; group: string }>;

const PARTS = ['chatflow', 'model', 'upstream', 'group'] as const;

/**
 * The most specific of the rules that match, or undefined when nothing has a price for the resource.
 * A chatflow of its own beats a model, a model an upstream, an upstream a group; a name beats a pattern, a longer pattern a shorter.
 */
export function bestPrice<Rule extends PricePattern>(rules: readonly Rule[], resource: Resource): Rule | undefined {
  return rules.filter((rule) => isMatch(rule, resource)).sort(bySpecificity)[0];
}

/** Whether the account's group could decide: a rule that matches everything else names one. */
export const isGroupNamed = (rules: readonly PricePattern[], resource: Resource): boolean =>
  rules.some((rule) => rule.group !== '*' && isMatch({ ...rule, group: '*' }, resource));

function isMatch(rule: PricePattern, { upstream, model, chatflowId = '', group = '' }: Resource): boolean {
  return (
    matches(rule.upstream, upstream) &&
    matches(rule.model, model) &&
    matches(rule.chatflow, chatflowId) &&
    matches(rule.group, group)
  );
}

function bySpecificity(one: PricePattern, other: PricePattern): number {
  for (const part of PARTS) {
    const difference = specificity(other[part]) - specificity(one[part]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** More than any pattern is long. */
const EXACT = 1000;

function specificity(pattern: string): number {
  return pattern.includes('*') ? pattern.replaceAll('*', '').length : EXACT;
}

/** Greedy from the left, which is right for `*` alone and takes time in proportion to the text: no backtracking. */
function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let position = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, position);
    if (found < 0 || found + piece.length > end) return false;
    position = found + piece.length;
  }
  return true;
}
