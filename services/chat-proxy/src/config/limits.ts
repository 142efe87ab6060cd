import { whole } from '@tollgate/config';

const most = () => whole({ max: 1_000_000 }).default(0);

/** Limits of all users; those of single users, keys and workspaces are made in accounting, those of chatflows by an administrator. */
export const limitVariables = {
  REQUESTS_PER_MINUTE_PER_USER: most().describe('Chat requests of one user in a workspace; 0: no limit'),
  REQUESTS_PER_MINUTE_PER_KEY: most().describe('Chat requests with one API key; 0: no limit'),
  PARALLEL_ANSWERS_PER_USER: most().describe('Answers of one user at a time; 0: no limit'),
};
