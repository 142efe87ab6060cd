export type { DevDatabase, Environment, StartOptions } from './dev-database.ts';
export { expireDocuments } from './expire-documents.ts';
export { startMongo } from './mongo.ts';
export { openServiceRole, startPostgres } from './postgres.ts';
