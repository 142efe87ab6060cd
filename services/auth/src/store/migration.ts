import type { mongo } from 'mongoose';

/** One step of the schema's history; never changed once released. */
export type Migration = Readonly<{ name: string; up(db: mongo.Db): Promise<void> }>;
