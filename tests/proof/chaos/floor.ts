import type { Outcome } from './outcome.ts';
import type { Operation } from './schedule.ts';

/** What of one kind a run must have seen: acknowledged operations, and such as were acknowledged to a repetition too. */
interface Floor {
  readonly done: number;
  readonly repeated: number;
}

/** By kind. A run below it has proven nothing of that kind, however clean it is. */
export type Floors = Readonly<Record<string, Floor>>;

/** Of a short run, and of each minute of a long one. */
export const FLOORS: Floors = {
  'chat, read': { done: 6, repeated: 0 },
  'chat, repeat': { done: 3, repeated: 3 },
  deduct: { done: 3, repeated: 2 },
  allocate: { done: 3, repeated: 2 },
  deliver: { done: 3, repeated: 2 },
  refresh: { done: 1, repeated: 0 },
};

export const timesFloors = (times: number): Floors =>
  Object.fromEntries(
    Object.entries(FLOORS).map(([kind, { done, repeated }]) => [
      kind,
      { done: Math.floor(done * times), repeated: Math.floor(repeated * times) },
    ]),
  );

export const kindOf = (operation: Operation): string =>
  operation.kind === 'chat' ? `chat, ${operation.way.how}` : operation.kind;

/** How often each kind was acknowledged, once and more than once. */
export function acknowledged(
  operations: readonly Operation[],
  outcomes: readonly Outcome[],
): ReadonlyMap<string, Floor> {
  const told = new Map(outcomes.map((outcome) => [outcome.id, outcome.told]));
  return new Map(
    [...Map.groupBy(operations, kindOf)].map(([kind, of]) => {
      const counts = of.map(({ id }) => told.get(id) ?? 0);
      return [
        kind,
        { done: counts.filter((count) => count > 0).length, repeated: counts.filter((count) => count > 1).length },
      ];
    }),
  );
}

/** What is below the floor, in words. */
export function belowFloor(
  floors: Floors,
  operations: readonly Operation[],
  outcomes: readonly Outcome[],
): { readonly kind: string; readonly what: string }[] {
  const seen = acknowledged(operations, outcomes);
  return Object.entries(floors).flatMap(([kind, floor]) => {
    const { done, repeated } = seen.get(kind) ?? { done: 0, repeated: 0 };
    if (done >= floor.done && repeated >= floor.repeated) return [];
    const wanted = `at least ${floor.done}, and ${floor.repeated} repeated, are needed`;
    return [{ kind, what: `${kind}: ${done} were acknowledged, ${repeated} to a repetition too; ${wanted}` }];
  });
}
