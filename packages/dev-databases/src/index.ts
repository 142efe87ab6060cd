export type { DevDatabase, Environment, StartOptions } from './dev-database.ts';
export { documentDbProgram } from './documentdb-install.ts';
export { expireDocuments } from './expire-documents.ts';
export { startMongo } from './mongo.ts';
export { openServiceRole, startPostgres } from './postgres.ts';
