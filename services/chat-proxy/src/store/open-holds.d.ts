import type { Mongo } from '@tollgate/mongo-kit';
import type { Journal } from '../ports.ts';
/** The durable journal of holds: a row lives from before the hold is asked for until accounting has acknowledged its end. */
export declare function openHolds(mongo: Mongo, instance: string, defaultWorkspaceId: string): Journal;
