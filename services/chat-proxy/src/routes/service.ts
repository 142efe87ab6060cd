import { chat } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';

export const serviceRoutes = (version: string): Route[] => [
  serve(chat.readService).with(() => ({ message: 'Tollgate chat proxy', version, status: 'running' as const })),
];
