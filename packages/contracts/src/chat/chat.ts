export * from './admin.ts';
export * from './admin-workspaces.ts';
export * from './answers.ts';
export * from './chatflows.ts';
export * from './login.ts';
export * from './service.ts';
export * from './sessions.ts';
