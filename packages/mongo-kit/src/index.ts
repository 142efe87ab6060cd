export { areDuplicates, isDuplicate, isOverTime, troubleOf, unlessDuplicate } from './faults.ts';
export type { Time } from './migration-lock.ts';
export { hasNewestSchema, type Migration, migrateDatabase, runMigrations } from './migrations.ts';
export { type Mongo, type MongoOptions, openMongo, untilConnected } from './open-mongo.ts';
