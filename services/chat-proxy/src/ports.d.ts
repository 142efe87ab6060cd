/** What the flows need of the world, by subject. */
export type * from './ports/asker.ts';
export type * from './ports/upstreams.ts';
export type * from './ports/accounting.ts';
export type * from './ports/auth.ts';
export type * from './ports/chatflows.ts';
export type * from './ports/conversations.ts';
export type * from './ports/journal.ts';
export type * from './ports/streams.ts';
export type * from './ports/files.ts';
export type * from './ports/flowise.ts';
export type * from './ports/strikes.ts';
