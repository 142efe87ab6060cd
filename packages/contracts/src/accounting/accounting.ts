export * from './accounting-accounts.ts';
export * from './accounting-allocations.ts';
export * from './accounting-credits.ts';
export * from './accounting-pricing.ts';
export * from './accounting-reports.ts';
export * from './accounting-sessions.ts';
export * from './accounting-usage.ts';
export * from './holds.ts';
