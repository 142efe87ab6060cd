import { type Chatflow, isFlow } from './chatflow.ts';

/** Where an answer can come from. */
export interface Target {
  readonly upstream: string;
  /** The model there; of a flow its id there. */
  readonly model: string;
}

/** Where the answers of one chatflow come from, when it is not simply the server it was found at. */
export interface AnswerRoute {
  /** Share the answers by weight; none: the server it was found at has all of them. */
  readonly targets: readonly (Target & { readonly weight: number })[];
  /** Asked in this order when those fail. */
  readonly fallbacks: readonly Target[];
}

/** A chatflow as it is asked at one target: itself, where that is the server it was found at. */
export function placedAt(chatflow: Chatflow, { upstream, model }: Target): Chatflow {
  if (upstream === chatflow.upstream && model === modelAtHome(chatflow)) return chatflow;
  return isFlow(chatflow) ? { ...chatflow, upstream, flowId: model } : { ...chatflow, upstream, model };
}

const modelAtHome = (chatflow: Chatflow): string => (isFlow(chatflow) ? chatflow.id : chatflow.model);

/** The targets of a chatflow, the one to ask first: drawn by weight, then the others of its group, then the fallbacks. */
export function targetsInOrder(
  chatflow: Chatflow,
  route: AnswerRoute | undefined,
  { draw, mayAsk }: { draw: number; mayAsk: (upstream: string) => boolean },
): Target[] {
  const own = { upstream: chatflow.upstream, model: modelAtHome(chatflow), weight: 1 };
  const weighted = route && route.targets.length > 0 ? route.targets : [own];
  const group = weighted.filter(({ upstream }) => mayAsk(upstream));
  const first = drawn(group, draw);
  const others = group.filter((target) => target !== first).toSorted((one, other) => other.weight - one.weight);
  const fallbacks = (route?.fallbacks ?? []).filter(({ upstream }) => mayAsk(upstream));
  return [...(first ? [first] : []), ...others, ...fallbacks];
}

/** `draw` is at least 0 and below 1. */
function drawn<Item extends { readonly weight: number }>(items: readonly Item[], draw: number): Item | undefined {
  let left = draw * items.reduce((sum, { weight }) => sum + weight, 0);
  for (const item of items) {
    left -= item.weight;
    if (left < 0) return item;
  }
  return items[0];
}
