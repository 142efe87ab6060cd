import Negotiator from 'negotiator';
import type { RequestContext } from './route.ts';

/** Which of the media types that an operation can answer with the client wants most; the first when it does not say. */
export function acceptedType<const Type extends string>(
  { headers }: Pick<RequestContext, 'headers'>,
  types: readonly [Type, ...Type[]],
): Type {
  const wanted = new Negotiator({ headers }).mediaType([...types]);
  return types.find((type) => type === wanted) ?? types[0];
}
