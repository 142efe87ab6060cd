export * as accounting from './accounting/accounting.ts';
export * as auth from './auth/auth.ts';
export * as chat from './chat/chat.ts';
export * from './credits.ts';
export * from './error-codes.ts';
export * from './ids.ts';
export * from './operation.ts';
export * from './permissions.ts';
export * from './problem.ts';
