export * from './chat/admin.ts';
export * from './chat/answers.ts';
export * from './chat/chatflows.ts';
export * from './chat/login.ts';
export * from './chat/service.ts';
export * from './chat/sessions.ts';
