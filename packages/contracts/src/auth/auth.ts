export * from './auth-accounts.ts';
export * from './auth-admin.ts';
export * from './auth-api-keys.ts';
export * from './auth-revocations.ts';
export * from './auth-sessions.ts';
export * from './auth-testing.ts';
export * from './auth-workspaces.ts';
export * from './auth-token-keys.ts';
