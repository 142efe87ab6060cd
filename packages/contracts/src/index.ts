export * as accounting from './accounting.ts';
export * as auth from './auth.ts';
export * as chat from './chat.ts';
export * from './credits.ts';
export * from './error-codes.ts';
export * from './ids.ts';
export * from './operation.ts';
export * from './permissions.ts';
export * from './problem.ts';
