import type { mongo } from 'mongoose';

/** One step of the schema's history, as plain values, so that a change of a released step is noticed. */
export interface Migration {
  readonly name: string;
  readonly indexes: readonly {
    readonly collection: string;
    readonly key: Readonly<Record<string, 1 | -1>>;
    readonly options: mongo.CreateIndexesOptions & { readonly name: string };
  }[];
}
